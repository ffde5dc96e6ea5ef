"""What one line costs: `nmt translate` against `import torch`, and how much memory training takes.

python benchmarks/starting.py RUN [--rounds 5]
"""

import argparse
import sys
from pathlib import Path
from statistics import median

from machine import describe
from workloads import FOLDER, keep, nmt, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    line = FOLDER / "line.txt"
    FOLDER.mkdir(parents=True, exist_ok=True)
    line.write_text("A man is walking his dog on the beach.\n")
    commands = {
        "import torch": [sys.executable, "-c", "import torch"],
        "nmt translate": nmt("translate", wanted.run, "--quiet"),
        "nmt --help": nmt("--help"),
    }
    times: dict[str, list[float]] = {label: [] for label in commands}
    for _ in range(wanted.rounds + 1):
        for label, command in commands.items():
            times[label].append(run(command, stdin=line).seconds)
    found = {label: median(each[1:]) for label, each in times.items()}  # the first reads the disk
    print(found)
    keep("starting", {"machine": describe(), "seconds": found})


if __name__ == "__main__":
    main()
