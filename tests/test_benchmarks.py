"""docs/benchmarks.md shows the committed results, and the program for a GPU runs on a CPU."""

import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import gpu as gpu_program
from benchmarks import gpu_check, report, workloads
from benchmarks.comparison import report as comparison_report
from benchmarks.pages import NOT_MEASURED, fill_tables, markdown_table


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """benchmarks/gpu.py with small work, on the CPU."""
    small = {"d_model": 16, "heads": 2, "encoder_layers": 1, "decoder_layers": 1, "d_ff": 32}
    for name in ("w1", "w2"):
        monkeypatch.setitem(workloads.MODELS, name, {"type": "transformer", **small})
    for name, value in {"DEVICE": torch.device("cpu"), "PAIRS": 300, "WARMUP_UPDATES": 1}.items():
        monkeypatch.setattr(gpu_program, name, value)
    monkeypatch.setattr(gpu_program, "find_device", lambda name: torch.device("cpu"))
    monkeypatch.setattr(gpu_program, "choose_dtype", lambda name, device: torch.float32)
    monkeypatch.setattr(gpu_program, "describe_machine", lambda kind: {"peak_bf16": 1e12})
    monkeypatch.setattr(workloads, "RESULTS_DIR", tmp_path)
    for name in ("synchronize", "empty_cache", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 0)
    return gpu_program


@pytest.mark.slow
def test_training_and_translation_are_measured(gpu: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    words = ["gpu.py", "measure", "w1", "translate", "--updates", "2", "--tokens", "256", "--compile", "off"]
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setattr(gpu, "SENTENCES", 10)
    gpu.main()
    results = json.loads((tmp_path / "gpu.json").read_text())
    assert results["w1"]["tokens_per_second"] > 0 and 0 < results["w1"]["share_of_peak"] < 1
    speeds = [results[f"translate {shape} {beam}"] for shape in ("w1", "w2") for beam in (1, 5)]
    peers = {"transformers": "transformers bf16", "ctranslate2": "ctranslate2 float16"}
    systems = {"nmt bf16"} | {system for package, system in peers.items() if find_spec(package)}
    assert all(set(speeds_by_system) == systems and min(speeds_by_system.values()) > 0 for speeds_by_system in speeds)


@pytest.mark.slow
def test_what_was_measured_before_a_failure_is_kept(gpu: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    words = ["gpu.py", "measure", "w1", "nothing", "--updates", "1", "--tokens", "256", "--compile", "off"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(KeyError):
        gpu.main()
    assert "w1" in json.loads((tmp_path / "gpu.json").read_text())


@pytest.mark.slow
def test_a_device_is_compared_with_the_cpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a CPU in place of the device everything is the same; with other losses it is not."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gpu_check, "MODELS", {"rnn": gpu_check.MODELS["rnn"]})
    monkeypatch.setattr(gpu_check, "PAIRS", {"train": 1000, "dev": 20, "test": 20})
    assert gpu_check.check("cpu", updates=60, lines=4)  # fewer leave hypotheses that are nearly equal
    said = capsys.readouterr().out
    assert said.count("same") >= 6 and "losses differ by up to 0.0e+00" in said and "100% of 4 texts" in said
    monkeypatch.setattr(gpu_check, "_losses", lambda run: [1.0 + 0.01 * ("device" in run.name)])
    assert not gpu_check.check("cpu", updates=2, lines=1)


def test_the_page_shows_the_committed_results() -> None:
    page = report.PAGE.read_text(encoding="utf-8")
    assert fill_tables(page, report.tables()) == page, "run python -m benchmarks.report"


def test_results_have_the_command_that_measures_them_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(workloads, "RESULTS_DIR", tmp_path)
    monkeypatch.setattr(sys, "argv", ["/somewhere/benchmarks/growth.py", "--cpu"])
    machine = {"processor": "P", "cores": 2, "torch": "2", "python": "3", "peak_fp32": 1.24e11, "peak_bf16": 2e12}
    workloads.save_result("a", {"machine": machine, "note": "N"})
    command, day = "python -m benchmarks.growth --cpu", workloads.load_result("a")["date"]
    assert report.origin_table({"rows of a": "a", "not measured": "b"}).splitlines()[2:] == [
        f"| rows of a | `{command}` | {day} | P, 2 cores | 2 | 3 | fp32 124, bf16 2,000 | N |"
    ]


@pytest.mark.parametrize("page", [report.PAGE, comparison_report.PAGE], ids=["benchmarks", "comparison"])
def test_every_program_that_a_page_names_is_there(page: Path) -> None:
    modules = set(re.findall(r"python -m (benchmarks[.\w]+)", page.read_text(encoding="utf-8")))
    assert len(modules) >= 4 and [name for name in modules if find_spec(name) is None] == []


def test_page_and_program_have_the_same_tables() -> None:
    page = "Prose.\n\n<!-- table: a -->\nold\n<!-- end of table -->\nMore prose.\n"
    filled = fill_tables(page, {"a": markdown_table(["x"], [["1|2"]])})
    assert filled == page.replace("old", "\n| x |\n| --- |\n| 1\\|2 |\n")
    assert fill_tables(filled, {"a": NOT_MEASURED}) == page.replace("old", f"\n{NOT_MEASURED}")
    with pytest.raises(ValueError, match=r"\['a'\], the program \['b'\]"):
        fill_tables(page, {"b": ""})


def test_quality_by_minute_is_that_of_validations_near_the_minute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    course = [[5.1, 300, 11.0], [10.9, 600, 21.0], [17.0, 900, 25.0], [30.0, 1500, 31.0]]
    monkeypatch.setattr(report, "load_result", lambda name: {"course": course, "recipe": "R"})
    assert report.budget_table().splitlines()[2:] == ["| 5 | 5.1 | 300 | 11.00 |", "| 10 | 10.9 | 600 | 21.00 |"]
    report.draw_budget(tmp_path / "budget.svg")
    assert (tmp_path / "budget.svg").exists()


def test_missing_results_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "load_result", lambda name: None)
    assert set(report.tables().values()) == {NOT_MEASURED}
