"""Whether a long command is as fast, and takes as little memory, at its end as at its beginning.

    python -m benchmarks.steady train [--recipe RECIPE] [--updates 4500] [--set KEY=VALUE]
    python -m benchmarks.steady translate RUN SOURCE [--lines 100000] [--set search.beam=1]

Trains for a number of updates, or translates the lines of SOURCE, repeated up to a number of lines,
and compares the first tenth with the last: the median speed of fifty windows, and the peak memory so
far. Exits with 1 where the last tenth is more than 5 % slower or takes more than 5 % more memory.
Runs with one thread, so that other work on the machine matters less.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import describe_machine
from benchmarks.measure import MemorySampler
from benchmarks.workloads import RUNS_DIR, nmt_command, save_result, training_windows

WINDOWS = 500  # of the whole command
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def train_windows(recipe: str, updates: int, settings: list[str]) -> tuple[list[float], list[float]]:
    """Target tokens per second and peak memory in MiB, by window."""
    out = RUNS_DIR / "steady"
    shutil.rmtree(out, ignore_errors=True)
    log_every = max(1, updates // WINDOWS)
    settings = [f"training.updates={updates}", f"training.log_every={log_every}", *settings]
    words = [f"--set={setting}" for setting in settings]
    subprocess.run(nmt_command("train", recipe, "--out", out, *words), check=True, env=ENVIRONMENT)
    windows = training_windows(out)
    return [w["tokens_per_second"] for w in windows], [w["peak_rss_mib"] for w in windows]


def translate_windows(run: Path, source: Path, lines: int, settings: list[str]) -> tuple[list[float], list[float]]:
    """Lines per second and peak memory in MiB, by window."""
    source_lines = [line for line in source.read_bytes().splitlines(keepends=True) if line.strip()]
    RUNS_DIR.mkdir(parents=True, exist_ok=True)
    path, lines_per_window = RUNS_DIR / "steady.txt", max(1, lines // WINDOWS)
    path.write_bytes(b"".join((source_lines * (1 + lines // len(source_lines)))[:lines]))
    words = [f"--set={setting}" for setting in settings]
    with path.open("rb") as stdin:
        process = subprocess.Popen(
            nmt_command("translate", run, "--quiet", *words), stdin=stdin, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=ENVIRONMENT,
        )  # fmt: skip
    sampler = MemorySampler(process.pid)
    sampler.start()
    times, memory = [time.perf_counter()], []
    assert process.stdout is not None
    for number, _ in enumerate(process.stdout, 1):
        if number % lines_per_window == 0:
            times.append(time.perf_counter())
            memory.append(sampler.peak_bytes / (1 << 20))
    sampler.stop()
    assert process.wait() == 0
    # lines are written in blocks, so a tenth is timed as a whole
    tenth = len(times) // 10
    spans = [times[n + tenth] - times[n] for n in range(len(times) - tenth)]
    return [tenth * lines_per_window / span for span in spans], memory


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["train", "translate"])
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("source", type=Path, nargs="?")
    parser.add_argument("--recipe", default="multi30k-en-de-transformer")
    parser.add_argument("--updates", type=int, default=4500)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--name", help="name of the result in docs/benchmarks")
    arguments = parser.parse_args()
    if arguments.what == "train":
        speeds, memory = train_windows(arguments.recipe, arguments.updates, arguments.settings)
    else:
        speeds, memory = translate_windows(arguments.run, arguments.source, arguments.lines, arguments.settings)
    tenth = max(1, len(speeds) // 10)
    measurement: dict[str, Any] = {
        "speed": [round(median(speeds_of_tenth), 1) for speeds_of_tenth in (speeds[:tenth], speeds[-tenth:])],
        "memory": [round(memory[len(memory) // 10], 1), round(memory[-1], 1)],
    }
    speed_ratio, memory_ratio = (round(last / first, 3) for first, last in measurement.values())
    measurement |= {"speed_ratio": speed_ratio, "memory_ratio": memory_ratio}
    print(f"first and last tenth: {measurement}")
    save_result(arguments.name or f"steady-{arguments.what}", {"machine": describe_machine(), **measurement})
    return 0 if speed_ratio >= 0.95 and memory_ratio <= 1.05 else 1


if __name__ == "__main__":
    sys.exit(main())
