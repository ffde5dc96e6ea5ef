"""Train and measure everything that docs/comparison.md compares; what is there is not made again.

    NMT_DATA=... python benchmarks/comparison/run.py [--jobs 2] [none additive joined ...]

What stands behind -- goes to every `nmt train`. With --jobs 2 two experiments run at once, each
on a core of its own. Interrupted, it goes on where it was. `page.py` makes the page of the results.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Any

from experiment import RESULTS, ROOT, RUNS, Experiment, nmt
from plan import BOTTLENECK, POSITIONS, ROWS

FIGURES = ROOT / "docs/comparison"
LONG = "10,20,30,40,50,60,80"  # upper ends of the buckets, in words
REORDERED = "A boy wearing a red shirt is trying to catch a ball with his hands."


def experiments(names: Iterable[str]) -> list[Experiment]:
    """Those of the names; a stage stands for all of its own."""
    stages = {"rows": ROWS, "joined": BOTTLENECK, "positions": POSITIONS}
    by_name = {experiment.name: experiment for stage in stages.values() for experiment in stage.values()}
    selected: dict[str, Experiment] = {}
    for name in names:
        for experiment in stages[name].values() if name in stages else [by_name[name]]:
            selected[experiment.name] = experiment
    return list(selected.values())


def run_all(selected: list[Experiment], jobs: int, more: list[str]) -> None:
    """Each in a process of its own, `jobs` at a time, bound to its share of the cores."""
    cores = sorted(os.sched_getaffinity(0))
    share = max(1, len(cores) // jobs)
    free: Queue[list[int]] = Queue()
    for job in range(jobs):
        free.put(cores[job * share : (job + 1) * share])

    def work(experiment: Experiment) -> None:
        mine = free.get()
        try:
            command = ["taskset", "-c", ",".join(map(str, mine)), sys.executable, __file__]
            environment = os.environ | {"OMP_NUM_THREADS": str(len(mine))}
            if data := environment.get("NMT_DATA"):
                environment["NMT_DATA"] = str(Path(data).resolve())
            command += ["--alone", experiment.name, "--", *more]
            subprocess.run(command, env=environment, check=True)
        finally:
            free.put(mine)

    open_ = [experiment for experiment in selected if not experiment.result.exists()]
    rounds = [[experiment for experiment in open_ if later == ("training.init_from" in experiment.settings)]
              for later in (False, True)]  # fmt: skip
    with ThreadPoolExecutor(jobs) as pool:
        for batch in rounds:
            list(pool.map(work, batch))


def lengths(label: str, runs: dict[str, Experiment]) -> None:
    """Scores by length of several runs on the joined test text, which all of them are given."""
    joined = RUNS / "joined-transformer"
    if not all(experiment.result.exists() for experiment in runs.values()) or not joined.exists():
        return
    named = [f"{key}={experiment.run}" for key, experiment in runs.items()]
    command = nmt(
        "plot", "lengths", *named, "--source", joined / "test.source.txt", "--reference",
        joined / "test.target.txt", "--buckets", LONG, "-o", FIGURES / f"{label}.svg", "--json",
    )  # fmt: skip
    (RESULTS / f"lengths-{label}.json").write_text(command.stdout)


def alignment() -> None:
    """Where the words of a sentence that is reordered come from."""
    for name in ("additive", "transformer"):
        if ROWS[name].result.exists():
            line = RUNS / "reordered.txt"
            line.write_text(REORDERED + "\n")
            out = FIGURES / f"alignment-{name}.svg"
            nmt("plot", "attention", ROWS[name].run, "--words", "-o", out, stdin=line)


def curves() -> None:
    """Loss and BLEU by minute of all rows that have been trained."""
    named = [f"{key}={experiment.run}" for key, experiment in ROWS.items() if experiment.result.exists()]
    if named and all(Path(named_path.partition("=")[2]).exists() for named_path in named):
        nmt("plot", "curves", *named, "-o", FIGURES / "curves.svg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["rows", "joined", "positions"])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    arguments: Any = parser.parse_args(sys.argv[1:end])
    more = sys.argv[end + 1 :]
    if arguments.alone:
        from experiment import measure

        (experiment,) = experiments(arguments.names)
        print(json.dumps(measure(experiment, more)["test"]))
        return
    FIGURES.mkdir(parents=True, exist_ok=True)
    run_all(experiments(arguments.names), arguments.jobs, more)
    lengths("bottleneck", BOTTLENECK)
    lengths("positions", POSITIONS)
    alignment()
    curves()


if __name__ == "__main__":
    main()
