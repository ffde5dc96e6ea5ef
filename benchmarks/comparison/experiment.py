"""One run of the comparison: trained, translated, scored, remembered.

Results lie in docs/comparison/results/NAME.json, so that the page can be made again without
training; a run whose result is there is not trained again, one that was interrupted goes on.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs/comparison/results"
RUNS = ROOT / "runs/comparison"
sys.path.insert(0, str(ROOT / "benchmarks"))
from machine import processor  # noqa: E402 (it lies there)


@dataclass(frozen=True)
class Experiment:
    """A shipped recipe with a few settings."""

    name: str
    recipe: str
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def run(self) -> Path:
        return RUNS / self.name

    @property
    def place(self) -> str:
        """Of its run, from the project's root."""
        return str(self.run.relative_to(ROOT))

    @property
    def result(self) -> Path:
        return RESULTS / f"{self.name}.json"


def nmt(*arguments: object, stdin: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command line of this checkout; its conversation is shown."""
    command = [sys.executable, "-m", "nmt_cli", *map(str, arguments)]
    with open(stdin or os.devnull, "rb") as source:
        return subprocess.run(command, stdin=source, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)


def sets(settings: dict[str, Any]) -> list[str]:
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


def records(run: Path, event: str) -> list[dict[str, Any]]:
    lines = (run / "log.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["event"] == event]


def measure(experiment: Experiment, more: list[str]) -> dict[str, Any]:
    """The result of an experiment, from its file where it has one; `more` goes to nmt train."""
    if experiment.result.exists():
        measurement: dict[str, Any] = json.loads(experiment.result.read_text())
        return measurement
    origin = experiment.settings.get("training.init_from")
    if origin is not None and not (ROOT / origin).exists():
        sys.exit(f"{experiment.name} goes on from {origin}: delete that row's result to train it again")
    RUNS.mkdir(parents=True, exist_ok=True)
    nmt("train", experiment.recipe, "--resume", "--out", experiment.run, "--quiet", *sets(experiment.settings), *more)
    return _conclude(experiment, more)


def _conclude(experiment: Experiment, more: list[str]) -> dict[str, Any]:
    run_result = json.loads((experiment.run / "result.json").read_text())
    speeds = [record["tokens_per_second"] for record in records(experiment.run, "train")]
    keys = ("update", "loss", "scores", "seconds")
    measurement = {
        "recipe": experiment.recipe,
        "settings": experiment.settings,
        "more": more,
        "updates": run_result["updates"],
        "parameters": parameters(experiment.run),
        "tokens_per_second": median(speeds),
        "test": run_result["test"],
        "best": run_result["checkpoint"],
        "validations": [{key: record[key] for key in keys} for record in records(experiment.run, "validation")],
    } | made(experiment.run)
    RESULTS.mkdir(parents=True, exist_ok=True)
    experiment.result.write_text(json.dumps(measurement, indent=1) + "\n")
    return measurement


def made(run: Path) -> dict[str, Any]:
    """How long a run that has just ended took, when, and on what machine."""
    run_result = json.loads((run / "result.json").read_text())
    return {
        "minutes": run_result["training_seconds"] / 60,
        "date": date.today().isoformat(),
        "processor": processor(),
        "hardware": run_result["hardware"],
        "versions": run_result["versions"],
    }


def parameters(run: Path) -> int:
    from safetensors import safe_open

    weights = next(run.glob("checkpoints/best-*/model.safetensors"))
    with safe_open(weights, "pt") as file:
        return sum(file.get_tensor(key).numel() for key in file.keys())  # noqa: SIM118
