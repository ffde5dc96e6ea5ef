"""One run of the comparison: trained for so many minutes, translated, scored, remembered.

Results lie in docs/comparison/results/NAME.json, so that the page can be made again without
training; a run whose result is there is not trained again, one that was interrupted goes on.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs/comparison/results"
RUNS = ROOT / "runs/comparison"
sys.path.insert(0, str(ROOT / "benchmarks"))

from machine import describe  # noqa: E402

PROBE = 40  # updates that the speed of a model is measured with


@dataclass(frozen=True)
class Experiment:
    """A shipped recipe with a few settings, trained for `minutes`."""

    name: str
    recipe: str
    minutes: float
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def run(self) -> Path:
        return RUNS / self.name

    @property
    def result(self) -> Path:
        return RESULTS / f"{self.name}.json"


def nmt(*arguments: object, stdin: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command line of this checkout; its conversation is shown."""
    command = [sys.executable, "-m", "nmt_cli", *map(str, arguments)]
    with open(stdin or os.devnull, "rb") as source:
        return subprocess.run(command, stdin=source, stdout=subprocess.PIPE, text=True, check=True)


def sets(settings: dict[str, Any]) -> list[str]:
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


def records(run: Path, event: str) -> list[dict[str, Any]]:
    lines = (run / "log.jsonl").read_text().splitlines()
    return [one for one in map(json.loads, lines) if one["event"] == event]


def seconds_per_update(one: Experiment) -> float:
    """Measured by a short run."""
    probe = RUNS / f"{one.name}-probe"
    few = {"training.updates": PROBE, "training.validate_every": PROBE, "training.log_every": 10}
    quick = {"training.metric": "loss", "search.beam": 1}
    nmt(
        "train",
        one.recipe,
        "--resume",
        "--out",
        probe,
        "--quiet",
        *sets(one.settings | few | quick),
    )
    marks = [(record["update"], record["seconds"]) for record in records(probe, "train")]
    return (marks[-1][1] - marks[0][1]) / (marks[-1][0] - marks[0][0])


def measure(one: Experiment) -> dict[str, Any]:
    """The result of an experiment, from its file where it has one."""
    if one.result.exists():
        found: dict[str, Any] = json.loads(one.result.read_text())
        return found
    plan = RUNS / f"{one.name}.updates"
    if not plan.exists():
        RUNS.mkdir(parents=True, exist_ok=True)
        plan.write_text(str(round(60 * one.minutes / seconds_per_update(one) / 100) * 100))
    updates = int(plan.read_text())
    settings = one.settings | {
        "training.updates": updates,
        "training.validate_every": max(100, updates // 800 * 100),
    }
    nmt("train", one.recipe, "--resume", "--out", one.run, *sets(settings))
    return _conclude(one, settings)


def _conclude(one: Experiment, settings: dict[str, Any]) -> dict[str, Any]:
    told = json.loads((one.run / "result.json").read_text())
    source = one.run / "test.source.txt"
    started = time.perf_counter()
    nmt("translate", one.run, "--quiet", stdin=source)
    whole = time.perf_counter() - started
    lines = len(source.read_text(encoding="utf-8").splitlines())
    speeds = [record["tokens_per_second"] for record in records(one.run, "train")]
    found = {
        "recipe": one.recipe,
        "settings": settings,
        "minutes": told["training_seconds"] / 60,
        "updates": told["updates"],
        "parameters": parameters(one.run),
        "tokens_per_second": median(speeds),
        "sentences_per_second": lines / whole,
        "test": told["test"],
        "best": told["checkpoint"],
        "machine": describe(),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    one.result.write_text(json.dumps(found, indent=1) + "\n")
    return found


def parameters(run: Path) -> int:
    from safetensors import safe_open

    weights = next(run.glob("checkpoints/best-*/model.safetensors"))
    with safe_open(weights, "pt") as file:
        return sum(file.get_tensor(key).numel() for key in file.keys())  # noqa: SIM118
