"""The page of the comparison is made of whatever results are there."""

import importlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nmt_cli.evaluation.by_length import score_by_length

ROOT = Path(__file__).parent.parent


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """What benchmarks/comparison/page.py is made of, over an empty folder of results."""
    for folder in ("benchmarks", "benchmarks/comparison"):
        monkeypatch.syspath_prepend(ROOT / folder)
    names = ("telling", "quality", "claims", "page")
    telling, quality, claims, whole = (importlib.import_module(name) for name in names)
    for name in ("RESULTS", "PICTURES"):
        monkeypatch.setattr(telling, name, tmp_path)
    monkeypatch.setattr(claims, "GROWTH", tmp_path / "growth.json")
    return SimpleNamespace(**{**vars(quality), **vars(claims), **vars(whole)})


def keep(folder: Path, name: str, value: Any) -> None:
    (folder / f"{name}.json").write_text(json.dumps(value))


def row(bleu: float) -> dict[str, Any]:
    scores = {name: {"score": bleu, "signature": "s"} for name in ("bleu", "chrf")}
    return {
        "test": scores, "parameters": 5_000_000, "updates": 3000, "processor": "P",
        "validations": [], "hardware": "CPU", "versions": {"torch": "2"}, "date": "2026-01-01",
    }  # fmt: skip


def test_what_is_not_measured_is_said(page: Any) -> None:
    assert page.rows().count("not measured") == len(page.SYSTEMS)
    parts = [page.scaling(), page.parallelism(), page.by_length("bottleneck", ["none"])]
    assert parts == [page.NOT_MEASURED] * 3


def test_rows_say_what_each_step_was_worth(page: Any, tmp_path: Path) -> None:
    for name, bleu in {"none": 20.0, "additive": 35.5, "dot": 34.0, "transformer": 38.25}.items():
        keep(tmp_path, name, row(bleu))
    keep(tmp_path, "speed", {"processor": "P", "torch": "2", "rows": {"dot": {
        "date": "2026-01-02", "seconds_per_update": 0.5, "tokens_per_second": 1234.4,
        "sentences_per_second": 56.4,
    }}})  # fmt: skip
    page_text = page.rows()
    assert "Speeds, `speed.py` on two cores of P, PyTorch 2, 2026-01-02: tokens/s" in page_text
    assert "| 5.0 M | 3,000 | 1,234 | 25 | 56 | **34.00** | 34.00 |" in page_text
    assert "BLEU of additive (the best of 2 with attention): +15.5 against" in page_text
    assert "Of the Transformer: +2.8 against additive." in page_text


def test_rows_that_take_long_say_what_they_had_reached_by_then(page: Any, tmp_path: Path) -> None:
    course = [(1000, 10.0), (2000, 30.0), (3000, 29.0), (4000, 35.0)]
    checks = [{"update": update, "scores": {"bleu": bleu}} for update, bleu in course]
    keep(tmp_path, "dot", row(34.0) | {"validations": checks})
    slow, fast = ({"rows": {"dot": {"seconds_per_update": rate}}} for rate in (0.9, 0.6))
    assert page.in_time(slow).endswith("of what it is at the end: dot 30.00 of 35.00.\n\n")
    assert page.in_time(fast) == ""


def test_scores_by_length_are_those_that_nmt_plot_writes(page: Any, tmp_path: Path) -> None:
    texts = ["a b c", "a b c d e f"] * page.MANY + ["a b c d e f g h"]
    systems = {"none": ["x"] * len(texts), "transformer": texts}
    words = [len(text.split()) for text in texts]
    scores = score_by_length(words, [texts], systems, "chrf", ends=[5, 7], samples=10)
    keep(tmp_path, "lengths-bottleneck", scores.to_dict())
    page_text = page.by_length("bottleneck", ["none", "transformer"])
    assert "| words | 1–5 | 6–7 | 8 or more |" in page_text and "| sentences | 50 | 50 | 1 |" in page_text
    assert "with 1–5 words and with 6–7 (" in page_text  # one sentence of 8 words says nothing
    assert "none 0.0 and 0.0 (+0.0), transformer 100.0 and 100.0 (+0.0)." in page_text


def test_joined_runs_say_their_minutes_and_machine(page: Any, tmp_path: Path) -> None:
    assert page.trained_by("joined", ["none"], "T") == ""
    for name, minutes in {"none": 30.2, "additive": 50.7}.items():
        keep(tmp_path, f"joined-{name}", row(20.0) | {"updates": 500, "minutes": minutes})
    page_text = page.trained_by("joined", ["none", "additive", "transformer"], "the text")
    assert "BLEU on the text: none 20.00 (500 updates in 30 minutes), additive 20.00 (500" in page_text
    assert "in 51 minutes). Trained by `run.py joined` beside other work, 2026-01-01, on P" in page_text


def test_short_tests_have_scores_by_length_without_a_sentence(page: Any, tmp_path: Path) -> None:
    scores = score_by_length([2], [["a b"]], {"none": ["a b"]}, "chrf", ends=[5], samples=10)
    keep(tmp_path, "lengths-positions", scores.to_dict())
    assert page.by_length("positions", ["none"]).endswith("| sentences | 1 |\n")


def test_the_scaling_factor_is_told_from_widths_that_have_both(page: Any, tmp_path: Path) -> None:
    after = {"entropy": 0.4, "training_loss": 3.0, "dev_loss": 2.0, "minutes": 4.2} | row(0)
    measurement = {"entropy": 0.5, "jacobian": 0.1, "trained": after}
    keep(tmp_path, "scaling", dict.fromkeys(("16 scaled", "16 plain", "32 scaled"), measurement))
    page_text = page.scaling()
    assert page_text.count("| 16 |") == 2 and page_text.count("| 32 |") == 1
    assert "Unscaled, from d_k = 16 to 16: entropy at the start 0.50 to 0.50" in page_text
    assert "![scaling](comparison/scaling.svg)" in page_text and (tmp_path / "scaling.svg").exists()
    assert "`scaling.py`, 2026-01-01, 4 minutes each (median)" in page_text and "on P, CPU" in page_text


def test_parallelism_says_what_is_kept(page: Any, tmp_path: Path) -> None:
    lengths = {"length w1": {"16": 2000.0, "512": 1000.0}, "length w3": {"16": 2000, "512": 200}}
    machine = {"processor": "P", "torch": "2"}
    keep(tmp_path, "growth", lengths | {"command": "C", "date": "D", "machine": machine})
    page_text = page.parallelism()
    assert "keeps 50% of its rate and the RNN 10%" in page_text
    assert "`C`, D: two cores of P, PyTorch 2." in page_text
    assert "![parallelism](comparison/parallelism.svg)" in page_text
    assert (tmp_path / "parallelism.svg").read_text().startswith("<?xml")
