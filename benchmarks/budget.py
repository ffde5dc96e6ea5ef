"""Development BLEU by minute of training, from the log of a run.

    python -m benchmarks.budget RUN

Minutes include validations.
"""

import argparse
import json
from pathlib import Path

from benchmarks.machine import describe_machine
from benchmarks.workloads import log_records, save_result
from nmt_cli.recipe.loader import load_recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--note", default="", help="how the run was trained")
    arguments = parser.parse_args()
    run, note = arguments.run, arguments.note
    validations = [
        [record["seconds"] / 60, record["update"], record["scores"]["bleu"]]
        for record in log_records(run, "validation")
    ]
    recipe = load_recipe(run / "recipe.yaml")
    measurement = {"recipe": recipe.name, "machine": describe_machine(), "course": validations, "note": note}
    if (result_path := run / "result.json").exists():
        run_result = json.loads(result_path.read_text(encoding="utf-8"))
        measurement |= {"test": run_result["test"], "minutes": run_result["training_seconds"] / 60}
    save_result("budget", measurement)
    for minutes, update, bleu in validations:
        print(f"{minutes:6.1f} min  {update:6,} updates  {bleu:5.2f} BLEU")


if __name__ == "__main__":
    main()
