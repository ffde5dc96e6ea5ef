"""Train and measure everything that docs/comparison.md compares, and draw its plots.

    NMT_DATA=... python -m benchmarks.comparison.run [--jobs 2] [none additive joined ...] [-- OPTIONS]

Experiments are named by system, or all of one stage at once: rows, joined or positions. Those that
have a result are skipped, and interrupted ones are resumed. --jobs experiments run in parallel, each
on its own share of the cores. OPTIONS go to every `nmt train`.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable
from typing import Any

from benchmarks.comparison.experiment import RESULTS, RUNS, Experiment, measure, run_nmt, run_pinned
from benchmarks.comparison.plan import BOTTLENECK, POSITIONS, ROWS
from benchmarks.workloads import ROOT

FIGURES = ROOT / "docs/comparison"
LENGTH_BUCKETS = "10,20,30,40,50,60,80"  # upper ends, in words
REORDERED = "A boy wearing a red shirt is trying to catch a ball with his hands."


def experiments(names: Iterable[str]) -> list[Experiment]:
    """The experiments of these names; the name of a stage selects all of its experiments."""
    stages = {"rows": ROWS, "joined": BOTTLENECK, "positions": POSITIONS}
    by_name = {experiment.name: experiment for stage in stages.values() for experiment in stage.values()}
    selected: dict[str, Experiment] = {}
    for name in names:
        for experiment in stages[name].values() if name in stages else [by_name[name]]:
            selected[experiment.name] = experiment
    return list(selected.values())


def run_all(selected: list[Experiment], jobs: int, train_options: list[str]) -> None:
    """Run each in a process of its own; those that are initialised from another come last."""
    cores = sorted(os.sched_getaffinity(0))
    share = max(1, len(cores) // jobs)
    core_sets = [cores[job * share : (job + 1) * share] for job in range(jobs)]
    unfinished = [experiment for experiment in selected if not experiment.result.exists()]
    for initialised in (False, True):
        commands = [
            [sys.executable, "-m", "benchmarks.comparison.run", "--alone", experiment.name, "--", *train_options]
            for experiment in unfinished
            if initialised == ("training.init_from" in experiment.settings)
        ]
        print("".join(run_pinned(commands, core_sets)), end="")


def plot_lengths(label: str, runs: dict[str, Experiment]) -> None:
    """Scores by length of several runs on the joined test text, whatever they were trained on."""
    joined = RUNS / "joined-transformer"
    if not all(experiment.result.exists() for experiment in runs.values()) or not joined.exists():
        return
    named_runs = [f"{name}={experiment.run}" for name, experiment in runs.items()]
    scores = run_nmt(
        "plot", "lengths", *named_runs, "--source", joined / "test.source.txt", "--reference",
        joined / "test.target.txt", "--buckets", LENGTH_BUCKETS, "-o", FIGURES / f"{label}.svg", "--json",
    )  # fmt: skip
    (RESULTS / f"lengths-{label}.json").write_text(scores, encoding="utf-8", newline="\n")


def plot_alignment() -> None:
    """Attention over a sentence whose translation has another word order."""
    for name in ("additive", "transformer"):
        if ROWS[name].result.exists():
            sentence = RUNS / "reordered.txt"
            sentence.write_text(REORDERED + "\n", encoding="utf-8", newline="\n")
            out = FIGURES / f"alignment-{name}.svg"
            run_nmt("plot", "attention", ROWS[name].run, "--words", "-o", out, stdin=sentence)


def plot_curves() -> None:
    """Loss and BLEU by minute of all systems that have been trained."""
    trained = {name: experiment for name, experiment in ROWS.items() if experiment.result.exists()}
    if trained and all(experiment.run.exists() for experiment in trained.values()):
        named_runs = [f"{name}={experiment.run}" for name, experiment in trained.items()]
        run_nmt("plot", "curves", *named_runs, "-o", FIGURES / "curves.svg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["rows", "joined", "positions"])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    arguments: Any = parser.parse_args(sys.argv[1:end])
    train_options = sys.argv[end + 1 :]
    if arguments.alone:
        (experiment,) = experiments(arguments.names)
        print(json.dumps(measure(experiment, train_options)["test"]))
        return
    FIGURES.mkdir(parents=True, exist_ok=True)
    run_all(experiments(arguments.names), arguments.jobs, train_options)
    plot_lengths("bottleneck", BOTTLENECK)
    plot_lengths("positions", POSITIONS)
    plot_alignment()
    plot_curves()


if __name__ == "__main__":
    main()
