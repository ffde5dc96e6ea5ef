"""nmt plot lengths: runs and files of translations against references."""

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from nmt_cli.cli.labelled_paths import labelled_paths
from nmt_cli.commands.plot_lengths import plot_lengths
from nmt_cli.errors import DataError, RunError, UserError
from nmt_cli.evaluation.metrics import corpus_scores
from nmt_cli.reporting import Reporter
from tests.opening import open_translator
from tests.plots.pictures import png_size

SOURCE = ["a book", "the old man reads", "dogs", "the old man reads a book"] * 3
REFERENCE = ["ein Buch", "der alte Mann liest", "Hunde", "der alte Mann liest ein Buch"] * 3


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("s").write_text("".join(f"{line}\n" for line in SOURCE))
    Path("r.gz").write_bytes(gzip.compress("".join(f"{reference}\n" for reference in REFERENCE).encode()))
    Path("perfect").write_text("".join(f"{line}\n" for line in REFERENCE))
    Path("short").write_text("x\n")
    return tmp_path


def plot(runs: Sequence[str] = (), hypotheses: Sequence[str] = (), **options: Any) -> Any:
    defaults: dict[str, Any] = {"source": Path("s"), "references": [Path("r.gz")], "samples": 10}
    files = labelled_paths(hypotheses)
    named_runs = labelled_paths(runs, taken=list(files))
    defaults["reporter"] = Reporter(quiet=True)
    return plot_lengths(named_runs, hypotheses=files, **(defaults | options))


def test_runs_and_files_are_scored_beside_each_other(files: Path, tiny_run: Path) -> None:
    scores = plot(
        [f"mine={tiny_run}"], hypotheses=["perfect"], buckets="1,4", out=Path("a.png"),
        metric="chrf", device="cpu",
    )  # fmt: skip
    assert list(scores.systems) == ["mine", "perfect"]
    assert [len(bucket.sentence_indices) for bucket in scores.buckets] == [3, 6, 3]
    assert scores.overall["perfect"].score == pytest.approx(100)
    texts = [translation.text for translation in open_translator([tiny_run], [], "cpu").translate(SOURCE)]
    (expected,) = corpus_scores(texts, [REFERENCE], ["chrf"])
    assert scores.overall["mine"].score == pytest.approx(expected.score)
    assert png_size(Path("a.png"))[0] > 600


def test_how_runs_translate_is_an_option_and_is_said(
    files: Path, tiny_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plots = [
        plot([f"a={tiny_run}"], overrides=[*overrides, "search.precision=fp32"], engine="torch", device="cpu",
             metric="chrf", reporter=Reporter())
        for overrides in ([], ["search.max_length=1"])
    ]  # fmt: skip
    assert "a: 12 lines translated, engine torch (nmt's own search): as asked for" in capsys.readouterr().err
    own, short = (scores.overall["a"].score for scores in plots)
    assert own != short


KHMER = "ម្ដាយរបស់ខ្ញុំទិញនំប៉័ង។"


@pytest.mark.parametrize("language, tokenizer", [(None, "13a"), ("km", "char")])
def test_the_language_chooses_the_tokenizer_and_is_hinted_at(
    language: str | None, tokenizer: str, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("km").write_text(f"{KHMER}\n" * len(SOURCE))
    options = {"references": [Path("km")], "language": language, "reporter": Reporter()}
    assert f"tok:{tokenizer}" in plot(hypotheses=["km"], **options).signature
    assert ("--language km" in capsys.readouterr().err) == (language is None)


@pytest.mark.parametrize("unit, is_hinted", [("words", True), ("characters", False)])
def test_sources_without_spaces_are_better_counted_in_characters(
    unit: str, is_hinted: bool, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("km").write_text(f"{KHMER}\n" * len(SOURCE))
    plot(hypotheses=["perfect"], source=Path("km"), unit=unit, reporter=Reporter())
    assert ("--unit characters" in capsys.readouterr().err) == is_hinted


def test_without_a_file_to_draw_nothing_is_written(files: Path) -> None:
    before = sorted(files.iterdir())
    scores = plot(hypotheses=["x=perfect"], unit="characters")
    assert sorted(files.iterdir()) == before
    assert scores.unit == "characters" and scores.buckets[0].first == 1
    assert scores.metric == "bleu" and "tok:13a" in scores.signature


def test_bleu_is_tokenised_for_the_language_of_the_run(
    files: Path, tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt_cli.commands.plot_lengths.default_bleu_tokenizer", {"de": "char"}.__getitem__)
    assert "tok:char" in plot([str(tiny_run)], device="cpu").signature
    scores = plot([str(tiny_run)], device="cpu", tokenize="none")
    assert "tok:none" in scores.signature


def test_a_source_without_spaces_is_better_measured_in_characters(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("zh").write_text("老人在看书\n" * 12)
    for unit in ("words", "characters"):
        plot(hypotheses=["perfect"], source=Path("zh"), unit=unit, reporter=Reporter())
        hint = "hint: zh has no spaces between words: use --unit characters"
        assert (hint in capsys.readouterr().err) == (unit == "words")


@pytest.mark.parametrize(
    "options, kind, message",
    [
        ({"hypotheses": ["perfect"], "metric": "ter"}, UserError,
         "--metric ter: use bleu or chrf"),
        ({"hypotheses": ["perfect"], "unit": "x"}, UserError,
         "--unit x: use words or characters"),
        ({"hypotheses": ["perfect"], "buckets": "10,5"}, UserError,
         "--buckets 10,5: write rising whole numbers, as in 10,20,30"),
        ({"hypotheses": ["perfect"], "buckets": "0,5"}, UserError, "--buckets 0,5: write rising"),
        ({"hypotheses": ["perfect"], "buckets": ""}, UserError, "--buckets : write rising"),
        ({"hypotheses": ["perfect"], "tokenize": "x"}, UserError, "--tokenize x: use one of"),
        ({}, UserError, "name a run, or a file of translations with --hypotheses"),
        ({"hypotheses": ["short"]}, DataError, "short has 1 line and s has 12"),
        ({"hypotheses": ["perfect"], "references": [Path("short")]}, DataError,
         "short has 1 line and s has 12"),
        ({"hypotheses": ["perfect"], "source": Path("no")}, DataError, "no: cannot read"),
        ({"hypotheses": ["no"]}, DataError, "no: cannot read"),
        ({"runs": ["no"]}, RunError, "no: no such run folder in "),
        ({"hypotheses": ["perfect", "perfect"]}, UserError, "the name perfect is used twice"),
    ],
)  # fmt: skip
def test_mistakes_are_named_before_anything_is_translated(
    options: dict[str, Any], kind: type[Exception], message: str, files: Path
) -> None:
    with pytest.raises(kind) as caught:
        plot(out=Path("a.png"), **options)
    assert str(caught.value).startswith(message)
    assert not Path("a.png").exists()


def test_an_empty_source_is_a_mistake(files: Path) -> None:
    Path("empty").write_text("")
    with pytest.raises(DataError, match="empty: no sentences to score"):
        plot(hypotheses=["perfect"], source=Path("empty"))
