"""Start-up time: `nmt translate` of one line, `nmt --help`, and `import torch` alone.

python -m benchmarks.starting RUN [--rounds 5]
"""

import argparse
import sys
from pathlib import Path
from statistics import median

from benchmarks.machine import describe_machine
from benchmarks.workloads import RUNS_DIR, nmt_command, run, save_result


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
        "nmt translate": nmt_command("translate", arguments.run, "--quiet"),
        "nmt --help": nmt_command("--help"),
    }
    times: dict[str, list[float]] = {label: [] for label in commands}
    for _ in range(arguments.rounds + 1):
        for label, command in commands.items():
            times[label].append(run(command, stdin=line).seconds)
    medians = {label: median(seconds[1:]) for label, seconds in times.items()}  # the first round reads from disk
    print(medians)
    save_result("starting", {"machine": describe_machine(), "seconds": medians})


if __name__ == "__main__":
    main()
