"""What one line costs: `nmt translate` against `import torch`, and how much memory training takes.

python benchmarks/starting.py RUN [--rounds 5]
"""

import argparse
import sys
from pathlib import Path
from statistics import median

from machine import describe
from workloads import RUNS_DIR, nmt, run, save_result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    line = RUNS_DIR / "line.txt"
    RUNS_DIR.mkdir(parents=True, exist_ok=True)
    line.write_text("A man is walking his dog on the beach.\n")
    commands = {
        "import torch": [sys.executable, "-c", "import torch"],
        "nmt translate": nmt("translate", arguments.run, "--quiet"),
        "nmt --help": nmt("--help"),
    }
    times: dict[str, list[float]] = {label: [] for label in commands}
    for _ in range(arguments.rounds + 1):
        for label, command in commands.items():
            times[label].append(run(command, stdin=line).seconds)
    medians = {label: median(seconds[1:]) for label, seconds in times.items()}  # the first reads the disk
    print(medians)
    save_result("starting", {"machine": describe(), "seconds": medians})


if __name__ == "__main__":
    main()
