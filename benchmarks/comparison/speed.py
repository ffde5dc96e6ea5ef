"""Training and translation speed of every system of the comparison on two cores of a CPU.

    NMT_DATA=... python -m benchmarks.comparison.speed [--jobs 8] [none additive ...]

Training: target tokens per second, the median of the log of a short run, and seconds per update.
Translation: sentences per second of the whole command on the test text with the trained run, less
the time of the same command for one line. Every job has two cores of its own.
"""

import argparse
import json
import os
import shutil
import sys
import time
from datetime import date
from statistics import median
from typing import Any

import torch

from benchmarks.comparison.experiment import RESULTS, RUNS, run_nmt, run_pinned, set_options
from benchmarks.comparison.plan import ROWS
from benchmarks.machine import processor
from benchmarks.workloads import training_windows
from nmt_cli.recipe.loader import load_recipe

CORES_PER_JOB, UPDATES = 2, 60
SHORT_RUN = {
    "training.updates": UPDATES, "training.validate_every": UPDATES, "training.log_every": 10,
    "training.metric": "loss", "search.beam": 1,
}  # fmt: skip


def measure_training(name: str) -> dict[str, float]:
    """Target tokens per second and seconds per update of a short run of the recipe."""
    run = RUNS / f"{name}-speed"
    shutil.rmtree(run, ignore_errors=True)
    options = ["--quiet", "--device", "cpu", *set_options(SHORT_RUN)]
    run_nmt("train", ROWS[name].recipe, "--out", run, *options)
    first, *others = training_windows(run)
    last = others[-1]
    return {
        "tokens_per_second": median(record["tokens_per_second"] for record in others),
        "seconds_per_update": (last["seconds"] - first["seconds"]) / (last["update"] - first["update"]),
    }


def measure_translation(name: str) -> float:
    """Sentences per second."""
    run = RUNS / name
    test_text, first_line = run / "test.source.txt", RUNS / f"{name}-one.txt"
    lines = test_text.read_text(encoding="utf-8").splitlines()
    first_line.write_text(f"{lines[0]}\n", encoding="utf-8", newline="\n")
    seconds = []
    for text in (first_line, test_text):
        started = time.perf_counter()
        run_nmt("translate", run, "--quiet", "--device", "cpu", stdin=text)
        seconds.append(time.perf_counter() - started)
    return (len(lines) - 1) / (seconds[1] - seconds[0])


def relevant_recipe(name: str) -> Any:
    """The sections of a recipe that decide its speed; a measurement of other ones is not kept."""
    recipe = load_recipe(ROWS[name].recipe).to_dict()
    return {key: recipe[key] for key in ("tokenizer", "model", "training")}


def measure(name: str) -> dict[str, Any]:
    """Both speeds, in a process that is bound to its cores already."""
    measurement: dict[str, Any] = {"recipe": relevant_recipe(name), "date": date.today().isoformat()}
    measurement |= measure_training(name)
    return measurement | {"sentences_per_second": measure_translation(name)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(ROWS))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        print(json.dumps(measure(*arguments.names)))
        return
    path = RESULTS / "speed.json"
    machine = {"processor": processor(), "cores": CORES_PER_JOB, "torch": torch.__version__}
    previous = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    rows = {}
    if all(previous.get(key) == value for key, value in machine.items()):  # speeds of other machines are dropped
        rows = {name: row for name, row in previous["rows"].items() if row["recipe"] == relevant_recipe(name)}
    cores = sorted(os.sched_getaffinity(0))
    core_sets = [cores[job * CORES_PER_JOB : (job + 1) * CORES_PER_JOB] for job in range(arguments.jobs)]
    program = [sys.executable, "-m", "benchmarks.comparison.speed", "--alone"]
    outputs = run_pinned(([*program, name] for name in arguments.names), core_sets)
    rows |= {name: json.loads(output.splitlines()[-1]) for name, output in zip(arguments.names, outputs, strict=True)}
    path.write_text(json.dumps(machine | {"rows": rows}, indent=1) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
