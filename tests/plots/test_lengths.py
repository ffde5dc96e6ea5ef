"""The figure and the table of scores by length."""

from pathlib import Path

import pytest

from nmt_cli.evaluation.by_length import Bucket, Interval, LengthScores
from nmt_cli.plots.lengths import draw_lengths, format_table
from tests.plots.pictures import png_size, svg_size


def make_scores(systems: int, buckets: int) -> LengthScores:
    intervals = [Interval(10.0 * n + 5, 10.0 * n, 10.0 * n + 9) for n in range(buckets)]
    names = [f"system {n}" for n in range(systems)]
    return LengthScores(
        "bleu", "nrefs:1|tok:13a", 1000, 7, "words",
        [Bucket(5 * n + 1, 5 * n + 5 if n + 1 < buckets else None, [0] * (1000 * n + 1))
         for n in range(buckets)],
        dict.fromkeys(names, intervals), dict.fromkeys(names, Interval(50, 49, 51.5)),
    )  # fmt: skip


def test_the_table_says_it_all_in_plain_text() -> None:
    assert list(format_table(make_scores(2, 3))) == [
        "words  sentences              system 0              system 1",
        "1-5            1   5.00 [ 0.00,  9.00]   5.00 [ 0.00,  9.00]",
        "6-10       1,001  15.00 [10.00, 19.00]  15.00 [10.00, 19.00]",
        ">10        2,001  25.00 [20.00, 29.00]  25.00 [20.00, 29.00]",
        "all        3,003  50.00 [49.00, 51.50]  50.00 [49.00, 51.50]",
        "nrefs:1|tok:13a  95 % bootstrap intervals: 1,000 resamples, seed 7",
    ]


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
    expected = ["BLEU by source length", "system 0", "system 1", "1–5", ">10", "1,001", "2,001",
              "words in the source", "sentences", "BLEU",
              "nrefs:1|tok:13a  95 % bootstrap intervals: 1,000 resamples, seed 7"]  # fmt: skip
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
