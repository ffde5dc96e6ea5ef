"""docs/comparison.md: its tables are those of the committed results, and of whatever results there are."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.comparison import report
from benchmarks.pages import NOT_MEASURED, fill_tables
from nmt_cli.evaluation.by_length import score_by_length


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder that the report reads results from."""
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    monkeypatch.setattr(report, "GROWTH", tmp_path / "growth.json")
    return tmp_path


def write(folder: Path, name: str, value: Any) -> None:
    (folder / f"{name}.json").write_text(json.dumps(value))


def training_result(bleu: float) -> dict[str, Any]:
    scores = {name: {"score": bleu, "signature": f"{name}|s"} for name in ("bleu", "chrf")}
    return {
        "test": scores, "parameters": 5_000_000, "updates": 3000, "processor": "P", "minutes": 30.2,
        "validations": [], "hardware": "CPU", "versions": {"torch": "2"}, "date": "2026-01-01",
    }  # fmt: skip


def test_the_page_shows_the_committed_results() -> None:
    page = report.PAGE.read_text(encoding="utf-8")
    assert fill_tables(page, report.tables()) == page, "run python -m benchmarks.comparison.report"


def test_missing_results_are_reported(results: Path) -> None:
    tables = report.tables()
    assert tables.pop("systems").count("not measured") == len(report.SYSTEMS)
    assert set(tables.values()) == {NOT_MEASURED}


def test_systems_have_size_speed_and_scores(results: Path) -> None:
    write(results, "dot", training_result(34.0))
    speed = {"date": "2026-01-02", "seconds_per_update": 0.5, "tokens_per_second": 1234.4, "sentences_per_second": 56.4}
    write(results, "speed", {"processor": "P", "torch": "2", "rows": {"dot": speed}})
    assert "| 5.0 M | 3,000 | 1,234 | 25 | 56 | **34.00** | 34.00 |" in report.systems_table()
    assert "| `python -m benchmarks.comparison.speed` | 2026-01-02 | P, two cores, PyTorch 2 |" in report.origin_table()
    assert "| `nmt train RECIPE` | 2026-01-01 | P, CPU, PyTorch 2 |" in report.origin_table()
    assert "| bleu | `bleu\\|s` |" in report.signatures_table()


def test_steps_lead_from_the_fixed_vector_to_the_best_attention_to_the_transformer(results: Path) -> None:
    for name, bleu in {"none": 20.0, "additive": 35.5, "dot": 34.0, "transformer": 38.25}.items():
        write(results, name, training_result(bleu))
    assert report.steps_table().splitlines()[2:] == [
        "| none to additive | 20.00 | 35.50 | +15.5 |",
        "| additive to transformer | 35.50 | 38.25 | +2.8 |",
    ]


def test_systems_that_train_longer_have_a_score_within_the_budget(results: Path) -> None:
    course = [(1000, 10.0), (2000, 30.0), (3000, 29.0), (4000, 35.0)]
    validations = [{"update": update, "scores": {"bleu": bleu}} for update, bleu in course]
    write(results, "dot", training_result(34.0) | {"validations": validations})
    write(results, "speed", {"rows": {"dot": {"seconds_per_update": 0.9}}})
    assert report.budget_table().splitlines()[2:] == ["| dot | 30.00 | 35.00 |"]
    write(results, "speed", {"rows": {"dot": {"seconds_per_update": 0.6}}})
    assert report.budget_table() == NOT_MEASURED


def test_scores_by_length_are_those_of_nmt_plot_lengths(results: Path) -> None:
    texts = ["a b c", "a b c d e f"] * report.MIN_SENTENCES + ["a b c d e f g h"]
    systems = {"none": ["x"] * len(texts), "transformer": texts}
    words = [len(text.split()) for text in texts]
    scores = score_by_length(words, [texts], systems, "chrf", ends=[5, 7], samples=10)
    write(results, "lengths-bottleneck", scores.to_dict())
    header, _, *rows = report.length_table("bottleneck", ["none", "transformer"]).splitlines()
    assert header == "| words | 1–5 | 6–7 | 8 or more | 1–5 to 6–7 |"  # a single sentence of 8 words is too few
    assert rows[0] == "| none | 0.0 | 0.0 | 0.0 | +0.0 |" and rows[2] == "| sentences | 50 | 50 | 1 |  |"


def test_runs_have_their_updates_minutes_and_machine(results: Path) -> None:
    write(results, "joined-none", training_result(20.0))
    assert report.runs_table("joined", ["none", "additive"]).splitlines()[2:] == [
        "| none | 20.00 | 3000 | 30 | 2026-01-01 | P, CPU, PyTorch 2 |"
    ]


def test_the_scaling_factor_has_a_row_per_width_and_kind(results: Path, tmp_path: Path) -> None:
    trained = {"entropy": 0.4, "training_loss": 3.0, "dev_loss": 2.0} | training_result(0)
    result = {"entropy": 0.5, "jacobian": 0.1, "trained": trained}
    measured = dict.fromkeys(("16 scaled", "16 plain", "32 scaled"), result)
    write(results, "scaling", measured)
    rows = report.scaling_table().splitlines()[2:]
    assert len(rows) == 3 and rows[1] == "| 16 | plain | 0.50 | 0.100 | 0.40 | 3.000 | 2.000 |"
    assert (
        "| `python -m benchmarks.comparison.scaling` | 2026-01-01 | 30 | P, CPU, PyTorch 2 |"
        in report.scaling_origin_table()
    )
    report.draw_scaling(tmp_path / "scaling.svg", measured)
    assert (tmp_path / "scaling.svg").exists()


def test_parallelism_compares_the_longest_with_the_shortest(results: Path, tmp_path: Path) -> None:
    write(results, "growth", {"length w1": {"16": 2000.0, "512": 1000.0}, "length w3": {"16": 2000, "512": 200}})
    assert report.parallelism_table().splitlines()[2:] == [
        "| Transformer 4+4, d_model 256 | 2,000 | 1,000 | 50% |",
        "| RNN, GRU 512 | 2,000 | 200 | 10% |",
    ]
    report.draw_parallelism(tmp_path / "parallelism.svg", report.training_rates())
    assert (tmp_path / "parallelism.svg").read_text().startswith("<?xml")
