"""One run of the comparison: training it and keeping its result.

Results are in docs/comparison/results/NAME.json. A run with a result is not trained again, and one
that was interrupted is resumed.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from queue import Queue
from statistics import median
from typing import Any

from benchmarks.machine import processor
from benchmarks.workloads import ROOT, log_records, nmt_command, training_windows

RESULTS = ROOT / "docs/comparison/results"
RUNS = ROOT / "runs/comparison"


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
    def result(self) -> Path:
        return RESULTS / f"{self.name}.json"


def run_nmt(*arguments: object, stdin: Path | None = None) -> str:
    """Standard output of nmt of this checkout."""
    command = nmt_command(*arguments)
    with open(stdin or os.devnull, "rb") as source:
        return subprocess.run(
            command, stdin=source, stdout=subprocess.PIPE, encoding="utf-8", check=True, cwd=ROOT
        ).stdout


def run_pinned(commands: Iterable[Sequence[str]], core_sets: Sequence[Sequence[int]]) -> list[str]:
    """Standard output of each command; as many run in parallel as there are sets of cores, each bound to one."""
    free_core_sets: Queue[Sequence[int]] = Queue()
    for cores in core_sets:
        free_core_sets.put(cores)

    def run(command: Sequence[str]) -> str:
        cores = free_core_sets.get()
        environment = os.environ | {"OMP_NUM_THREADS": str(len(cores))}
        if data := environment.get("NMT_DATA"):
            environment["NMT_DATA"] = str(Path(data).resolve())  # the command runs in another folder
        pinned = ["taskset", "-c", ",".join(map(str, cores)), *command]
        try:
            process = subprocess.run(
                pinned, env=environment, stdout=subprocess.PIPE, encoding="utf-8", check=True, cwd=ROOT
            )
            return process.stdout
        finally:
            free_core_sets.put(cores)

    with ThreadPoolExecutor(len(core_sets)) as pool:
        return list(pool.map(run, commands))


def set_options(settings: dict[str, Any]) -> list[str]:
    """Settings as --set options."""
    return [f"--set={key}={value}" for key, value in settings.items()]


def measure(experiment: Experiment, train_options: list[str]) -> dict[str, Any]:
    """Train an experiment unless it has a result; `train_options` are further options of nmt train."""
    if experiment.result.exists():
        measurement: dict[str, Any] = json.loads(experiment.result.read_text(encoding="utf-8"))
        return measurement
    origin = experiment.settings.get("training.init_from")
    if origin is not None and not (ROOT / origin).exists():
        sys.exit(f"{experiment.name} is initialised from {origin}, which is missing: delete its result and train it")
    RUNS.mkdir(parents=True, exist_ok=True)
    options = ["--resume", "--quiet", "--out", experiment.run, *set_options(experiment.settings), *train_options]
    run_nmt("train", experiment.recipe, *options)
    return _save_result(experiment, train_options)


def _save_result(experiment: Experiment, train_options: list[str]) -> dict[str, Any]:
    run_result = json.loads((experiment.run / "result.json").read_text(encoding="utf-8"))
    speeds = [record["tokens_per_second"] for record in training_windows(experiment.run)]
    keys = ("update", "loss", "scores", "seconds")
    measurement = {
        "recipe": experiment.recipe,
        "settings": experiment.settings,
        "more": train_options,
        "updates": run_result["updates"],
        "parameters": count_parameters(experiment.run),
        "tokens_per_second": median(speeds),
        "test": run_result["test"],
        "best": run_result["checkpoint"],
        "validations": [{key: record[key] for key in keys} for record in log_records(experiment.run, "validation")],
    } | training_facts(experiment.run)
    RESULTS.mkdir(parents=True, exist_ok=True)
    experiment.result.write_text(json.dumps(measurement, indent=1) + "\n", encoding="utf-8", newline="\n")
    return measurement


def training_facts(run: Path) -> dict[str, Any]:
    """Training time, date, machine and versions of a run that has just ended."""
    run_result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    return {
        "minutes": run_result["training_seconds"] / 60,
        "date": date.today().isoformat(),
        "processor": processor(),
        "hardware": run_result["hardware"],
        "versions": run_result["versions"],
    }


def count_parameters(run: Path) -> int:
    from safetensors import safe_open

    weights = next(run.glob("checkpoints/best-*/model.safetensors"))
    with safe_open(weights, "pt") as file:
        return sum(file.get_tensor(key).numel() for key in file.keys())  # noqa: SIM118
