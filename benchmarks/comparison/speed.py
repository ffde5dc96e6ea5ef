"""How fast each row of the comparison is on two cores of a processor.

    NMT_DATA=... python benchmarks/comparison/speed.py [--jobs 8] [none additive ...]

Training: target tokens a second, the median of the log of a run of its own, and the minutes that
the recipe takes at that rate. Translation: the whole command for the test text with the trained
run, start included, less the same command for one line. Every job has two cores of its own.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from queue import Queue
from statistics import median
from typing import Any

import torch
from experiment import RESULTS, RUNS, nmt, records, sets
from machine import processor
from plan import ROWS

from nmt_cli.recipe.loader import load_recipe

CORES, UPDATES = 2, 60
FEW = {
    "training.updates": UPDATES, "training.validate_every": UPDATES, "training.log_every": 10,
    "training.metric": "loss", "search.beam": 1,
}  # fmt: skip


def training(name: str) -> dict[str, float]:
    """Of a short run of the recipe."""
    run = RUNS / f"{name}-speed"
    shutil.rmtree(run, ignore_errors=True)
    options = ["--quiet", "--device", "cpu", *sets(FEW)]
    nmt("train", ROWS[name].recipe, "--out", run, *options)
    logged = records(run, "train")
    first, last = logged[0], logged[-1]
    each = (last["seconds"] - first["seconds"]) / (last["update"] - first["update"])
    return {
        "tokens_per_second": median(record["tokens_per_second"] for record in logged[1:]),
        "seconds_per_update": each,
    }


def translating(name: str) -> float:
    """Sentences a second."""
    source, run = RUNS / name / "test.source.txt", RUNS / name
    line_path = RUNS / f"{name}-one.txt"
    line_path.write_text(source.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    lines = len(source.read_text(encoding="utf-8").splitlines())
    times = []
    for text in (line_path, source):
        started = time.perf_counter()
        nmt("translate", run, "--quiet", "--device", "cpu", stdin=text)
        times.append(time.perf_counter() - started)
    return (lines - 1) / (times[1] - times[0])


def settings(name: str) -> Any:
    """What decides how fast a row is: a row of another model is not kept."""
    recipe = load_recipe(ROWS[name].recipe).to_dict()
    return {key: recipe[key] for key in ("tokenizer", "model", "training")}


def alone(name: str) -> None:
    """Both, in a process that has its cores already."""
    measurement: dict[str, Any] = {"recipe": settings(name), "date": date.today().isoformat()}
    measurement |= training(name)
    measurement["sentences_per_second"] = translating(name)
    print(json.dumps(measurement))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(ROWS))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        alone(*arguments.names)
        return
    cores = sorted(os.sched_getaffinity(0))
    free: Queue[str] = Queue()
    for job in range(arguments.jobs):
        free.put(",".join(map(str, cores[job * CORES : (job + 1) * CORES])))

    def work(name: str) -> tuple[str, Any]:
        mine = free.get()
        try:
            command = ["taskset", "-c", mine, sys.executable, __file__, "--alone", name]
            environment = os.environ | {"OMP_NUM_THREADS": str(CORES)}
            completed = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            return name, json.loads(completed.stdout.splitlines()[-1])
        finally:
            free.put(mine)

    path = RESULTS / "speed.json"
    made = {"processor": processor(), "cores": CORES, "torch": torch.__version__}
    previous = json.loads(path.read_text()) if path.exists() else {}
    if any(previous.get(key) != value for key, value in made.items()):
        previous = {"rows": {}}  # what was measured elsewhere does not stand beside this
    current_rows = {name: row for name, row in previous["rows"].items() if row["recipe"] == settings(name)}
    with ThreadPoolExecutor(arguments.jobs) as pool:
        rows = current_rows | dict(pool.map(work, arguments.names))
    path.write_text(json.dumps(made | {"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
