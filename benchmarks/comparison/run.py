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
    known = {one.name: one for stage in stages.values() for one in stage.values()}
    found: dict[str, Experiment] = {}
    for name in names:
        for one in stages[name].values() if name in stages else [known[name]]:
            found[one.name] = one
    return list(found.values())


def run_all(wanted: list[Experiment], jobs: int, more: list[str]) -> None:
    """Each in a process of its own, `jobs` at a time, bound to its share of the cores."""
    cores = sorted(os.sched_getaffinity(0))
    share = max(1, len(cores) // jobs)
    free: Queue[list[int]] = Queue()
    for job in range(jobs):
        free.put(cores[job * share : (job + 1) * share])

    def work(one: Experiment) -> None:
        mine = free.get()
        try:
            command = ["taskset", "-c", ",".join(map(str, mine)), sys.executable, __file__]
            environment = os.environ | {"OMP_NUM_THREADS": str(len(mine))}
            if data := environment.get("NMT_DATA"):
                environment["NMT_DATA"] = str(Path(data).resolve())
            command += ["--alone", one.name, "--", *more]
            subprocess.run(command, env=environment, check=True)
        finally:
            free.put(mine)

    open_ = [one for one in wanted if not one.result.exists()]
    rounds = [[one for one in open_ if later == ("training.init_from" in one.settings)]
              for later in (False, True)]  # fmt: skip
    with ThreadPoolExecutor(jobs) as pool:
        for some in rounds:
            list(pool.map(work, some))


def lengths(label: str, runs: dict[str, Experiment]) -> None:
    """Scores by length of several runs on the joined test text, which all of them are given."""
    joined = RUNS / "joined-transformer"
    if not all(one.result.exists() for one in runs.values()) or not joined.exists():
        return
    named = [f"{key}={one.run}" for key, one in runs.items()]
    told = nmt(
        "plot", "lengths", *named, "--source", joined / "test.source.txt", "--reference",
        joined / "test.target.txt", "--buckets", LONG, "-o", FIGURES / f"{label}.svg", "--json",
    )  # fmt: skip
    (RESULTS / f"lengths-{label}.json").write_text(told.stdout)


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
    named = [f"{key}={one.run}" for key, one in ROWS.items() if one.result.exists()]
    if named and all(Path(one.partition("=")[2]).exists() for one in named):
        nmt("plot", "curves", *named, "-o", FIGURES / "curves.svg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["rows", "joined", "positions"])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    wanted: Any = parser.parse_args(sys.argv[1:end])
    more = sys.argv[end + 1 :]
    if wanted.alone:
        from experiment import measure

        (one,) = experiments(wanted.names)
        print(json.dumps(measure(one, more)["test"]))
        return
    FIGURES.mkdir(parents=True, exist_ok=True)
    run_all(experiments(wanted.names), wanted.jobs, more)
    lengths("bottleneck", BOTTLENECK)
    lengths("positions", POSITIONS)
    alignment()
    curves()


if __name__ == "__main__":
    main()
