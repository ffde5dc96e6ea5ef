"""The figure and the table of scores by length."""

import math
from pathlib import Path
from typing import Any

import pytest

from nmt_cli.evaluation.by_length import Bucket, Interval, LengthScores
from nmt_cli.plots.lengths import draw_lengths, format_table
from tests.plots.pictures import png_size, svg_size


def make_scores(systems: int, buckets: int) -> LengthScores:
    intervals = [Interval(10.0 * n + 5, 10.0 * n, 10.0 * n + 9) for n in range(buckets)]
    names = [f"system {n}" for n in range(systems)]
    return LengthScores(
        "bleu", "nrefs:1|tok:13a", 1000, 7, "words",
        [Bucket(5 * n + 1, 5 * n + 5 if n + 1 < buckets else None, [0] * (1000 * n + 20))
         for n in range(buckets)],
        dict.fromkeys(names, intervals), dict.fromkeys(names, Interval(50, 49, 51.5)),
    )  # fmt: skip


def test_the_table_says_it_all_in_plain_text() -> None:
    assert list(format_table(make_scores(2, 3))) == [
        "words  sentences              system 0              system 1",
        "1-5           20   5.00 [ 0.00,  9.00]   5.00 [ 0.00,  9.00]",
        "6-10       1,020  15.00 [10.00, 19.00]  15.00 [10.00, 19.00]",
        ">10        2,020  25.00 [20.00, 29.00]  25.00 [20.00, 29.00]",
        "all        3,060  50.00 [49.00, 51.50]  50.00 [49.00, 51.50]",
        "nrefs:1|tok:13a  95 % bootstrap intervals: 1,000 resamples, seed 7",
    ]


def test_few_sentences_have_no_interval_and_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = LengthScores(
        "bleu", "nrefs:1", 1000, 7, "words", [Bucket(1, 5, [0] * 100), Bucket(6, None, [0] * 2)],
        {name: [Interval(5, 4, 6), Interval(15)] for name in ("x", "y")},
        dict.fromkeys(("x", "y"), Interval(50, 49, 51.5)),
    )  # fmt: skip
    note = "nrefs:1  95 % bootstrap intervals: 1,000 resamples, seed 7; none with fewer than 20 sentences"
    assert list(format_table(scores)) == [
        "words  sentences                     x                     y",
        "1-5          100   5.00 [ 4.00,  6.00]   5.00 [ 4.00,  6.00]",
        ">5             2  15.00                 15.00",
        "all          102  50.00 [49.00, 51.50]  50.00 [49.00, 51.50]",
        note,
    ]
    texts: list[str] = []
    heights: list[list[float]] = []

    def write(figure: Any, path: Path, *, title: str) -> None:
        texts.append(figure.get_supxlabel())
        for bars in figure.axes[0].collections:
            heights.append([segment[1][1] - segment[0][1] for segment in bars.get_segments() if len(segment)])

    monkeypatch.setattr("nmt_cli.plots.lengths.save_figure", write)
    draw_lengths(tmp_path / "a.png", scores)
    assert texts == [note.replace("  ", "\n")]
    assert [[height for height in bars if not math.isnan(height)] for bars in heights] == [[2.0], [2.0]]


@pytest.mark.parametrize("systems, buckets", [(1, 1), (3, 6), (7, 14)])
def test_a_figure_is_drawn_for_any_number_of_systems_and_buckets(systems: int, buckets: int, tmp_path: Path) -> None:
    draw_lengths(tmp_path / "a.png", make_scores(systems, buckets))
    assert min(png_size(tmp_path / "a.png")) > 600


def test_names_counts_and_the_signature_are_in_the_figure(tmp_path: Path) -> None:
    from nmt_cli.plots import figure, lengths

    seen: list[str] = []

    def write(drawn: object, path: Path, *, title: str) -> None:
        from matplotlib.text import Text

        figure.save_figure(drawn, path, title=title)
        seen.extend(t.get_text() for t in drawn.findobj(Text))  # type: ignore[attr-defined]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lengths, "save_figure", write)
        draw_lengths(tmp_path / "a.svg", make_scores(2, 3))
    expected = ["BLEU by source length", "system 0", "system 1", "1–5", ">10", "1,020", "2,020",
              "words in the source", "sentences", "BLEU",
              "nrefs:1|tok:13a\n95 % bootstrap intervals: 1,000 resamples, seed 7"]  # fmt: skip
    assert not [text for text in expected if text not in seen]
    assert svg_size(tmp_path / "a.svg")[0] > 400


def test_a_point_outside_its_interval_is_drawn_all_the_same(tmp_path: Path) -> None:
    """As percentiles of very few sentences can be."""
    scores = make_scores(1, 1)
    odd = LengthScores(
        scores.metric, scores.signature, 5, 7, "words", scores.buckets,
        {"x": [Interval(5, 6, 7)]}, {"x": Interval(5, 6, 7)},
    )  # fmt: skip
    draw_lengths(tmp_path / "a.png", odd)
    assert png_size(tmp_path / "a.png")[0] > 600
