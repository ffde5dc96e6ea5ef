"""Time and memory of a start: `nmt translate` of one line, with either engine, `nmt --help`, and `import torch` alone.

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
    line.write_text("A man is walking his dog on the beach.\n", encoding="utf-8", newline="\n")
    commands = {
        "import torch": [sys.executable, "-c", "import torch"],
        "nmt translate": nmt_command("translate", arguments.run, "--quiet"),
        "nmt translate --engine torch": nmt_command("translate", arguments.run, "--quiet", "--engine", "torch"),
        "nmt --help": nmt_command("--help"),
    }
    runs: dict[str, list[dict[str, float]]] = {label: [] for label in commands}
    for round_number in range(arguments.rounds + 1):
        for label, command in commands.items():
            cost = run(command, stdin=line)
            if round_number:  # the first round reads from disk
                runs[label].append({"seconds": cost.seconds, "memory": cost.peak_memory})
    print({label: median(cost["seconds"] for cost in costs) for label, costs in runs.items()})
    save_result("starting", {"machine": describe_machine(), "runs": runs})


if __name__ == "__main__":
    main()
