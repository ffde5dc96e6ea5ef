"""Quality at a fixed budget: development BLEU by minute of a training, from its log.

    python benchmarks/budget.py RUN

Minutes are those of training with its validations, as the run's log has them.
"""

import argparse
import json
from pathlib import Path

from machine import describe
from workloads import keep

from nmt_cli.recipe import load_recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--note", default="", help="what else is to be known of the run")
    wanted = parser.parse_args()
    run, note = wanted.run, wanted.note
    lines = map(json.loads, (run / "log.jsonl").read_text(encoding="utf-8").splitlines())
    course = [
        [one["seconds"] / 60, one["update"], one["scores"]["bleu"]]
        for one in lines
        if one["event"] == "validation"
    ]
    result = run / "result.json"
    told = json.loads(result.read_text(encoding="utf-8")) if result.exists() else {}
    recipe = load_recipe(run / "recipe.yaml")
    found = {"recipe": recipe.name, "machine": describe(), "course": course, "note": note}
    if told:
        found |= {"test": told["test"], "minutes": told["training_seconds"] / 60}
    keep("budget", found)
    for minutes, update, bleu in course:
        print(f"{minutes:6.1f} min  {update:6,} updates  {bleu:5.2f} BLEU")


if __name__ == "__main__":
    main()
