"""Quality at a fixed budget: development BLEU by minute of a training, from its log.

    python benchmarks/budget.py RUN

Minutes are those of training with its validations, as the run's log has them.
"""

import argparse
import json
from pathlib import Path

from workloads import keep


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    run = parser.parse_args().run
    lines = map(json.loads, (run / "log.jsonl").read_text(encoding="utf-8").splitlines())
    course = [
        [one["seconds"] / 60, one["update"], one["scores"]["bleu"]]
        for one in lines
        if one["event"] == "validation"
    ]
    told = json.loads((run / "result.json").read_text(encoding="utf-8"))
    keep("budget", {"recipe": told["recipe"], "hardware": told["hardware"], "course": course,
                    "test": told["test"], "minutes": told["training_seconds"] / 60})  # fmt: skip
    for minutes, update, bleu in course:
        print(f"{minutes:6.1f} min  {update:6,} updates  {bleu:5.2f} BLEU")


if __name__ == "__main__":
    main()
