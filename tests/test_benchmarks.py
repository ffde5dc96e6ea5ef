"""The program for a GPU runs to its end on a CPU, and keeps what it has measured so far."""

import importlib
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parent.parent


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """benchmarks/gpu.py with small work, on the CPU."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    program, workloads = (importlib.import_module(name) for name in ("gpu", "workloads"))
    small = {"d_model": 16, "heads": 2, "encoder_layers": 1, "decoder_layers": 1, "d_ff": 32}
    for name in ("w1", "w2"):
        monkeypatch.setitem(workloads.MODELS, name, {"type": "transformer", **small})
    for name, value in {"DEVICE": torch.device("cpu"), "PAIRS": 300, "WARMUP_UPDATES": 1}.items():
        monkeypatch.setattr(program, name, value)
    monkeypatch.setattr(program, "find_device", lambda name: torch.device("cpu"))
    monkeypatch.setattr(program, "describe_machine", lambda kind: {"peak_bf16": 1e12})
    monkeypatch.setattr(workloads, "RESULTS_DIR", tmp_path)
    for name in ("synchronize", "empty_cache", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 0)
    return program


@pytest.mark.slow
@pytest.mark.precision
def test_training_and_translation_are_measured(gpu: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    words = ["gpu.py", "w1", "translate", "--updates", "2", "--tokens", "256", "--compile", "off"]
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setattr(gpu, "SENTENCES", 20)
    gpu.main()
    results = json.loads((tmp_path / "gpu.json").read_text())
    assert results["w1"]["tokens_per_second"] > 0 and 0 < results["w1"]["share_of_peak"] < 1
    speeds = [results[f"translate {shape} {beam}"] for shape in ("w1", "w2") for beam in (1, 5)]
    systems = {"nmt bf16"} | ({"transformers bf16"} if find_spec("transformers") else set())
    assert all(set(speeds_by_system) == systems and min(speeds_by_system.values()) > 0 for speeds_by_system in speeds)


@pytest.mark.slow
@pytest.mark.precision
def test_what_was_measured_before_a_failure_is_kept(gpu: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    words = ["gpu.py", "w1", "nothing", "--updates", "1", "--tokens", "256", "--compile", "off"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(KeyError):
        gpu.main()
    assert "w1" in json.loads((tmp_path / "gpu.json").read_text())


def test_quality_by_minute_is_that_of_validations_near_the_minute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    report = importlib.import_module("report")
    record = {
        "course": [[5.1, 300, 11.0], [10.9, 600, 21.0], [17.0, 900, 25.0], [30.0, 1500, 31.0]],
        "recipe": "R", "note": "N.", "command": "C", "date": "D", "machine": {"processor": "P"},
    }  # fmt: skip
    monkeypatch.setattr(report, "load_result", lambda name: record)
    monkeypatch.setattr(report, "RESULTS_DIR", tmp_path)
    page = report.budget()
    assert "| 5 | 5.1 | 300 | 11.00 |\n| 10 | 10.9 | 600 | 21.00 |\n\n" in page
    assert "`C`, D, P" in page and (tmp_path / "budget.svg").exists()
