"""Training speed on W1, W2 and W3, in turns with MarianMT of Transformers in plain PyTorch.

    python -m benchmarks.training --updates 40 --rounds 2

W3 is compared with OpenNMT-py, where NMT_PEER_OPENNMT names a Python that has it. Real text;
padding, masks, clipping and reading batches are included. `nmt train` is timed by its own log, the
peers in the same way (tokens without padding, windows after a warm-up).
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine
from benchmarks.workloads import (
    RUNS_DIR,
    nmt_command,
    recipe_flops_per_token,
    run,
    save_result,
    training_speed,
    workload,
    write_recipe,
)
from nmt_cli.reporting import Reporter
from nmt_cli.runs.preparation import prepare_recipe

WARMUP_WINDOWS = 1  # windows of five updates that are not timed
PEERS = {"w1": ["fp32"], "w2": ["fp32"], "w3": []}


def measure_nmt(name: str, updates: int, arguments: list[str]) -> dict[str, Any]:
    """The speed and cost of a run of `nmt train`."""
    recipe = workload(name, updates=updates, validate_every=updates)
    out = RUNS_DIR / f"train-{name}"
    shutil.rmtree(out, ignore_errors=True)
    cost = run(nmt_command("train", write_recipe(recipe), "--out", out, "--quiet", *arguments))
    return training_speed(out, WARMUP_WINDOWS) | {"memory": cost.peak_memory, "seconds": cost.seconds}


def measure_marian(name: str, updates: int, precision: str) -> dict[str, Any]:
    """The same for MarianMT on the same data."""
    data = prepare_recipe(workload(name), Reporter(quiet=True)).data.folder
    script = Path(__file__).parent / "peers/marian_training.py"
    shape = json.dumps(workload(name).model.model_dump(mode="json"))
    cost = run([sys.executable, str(script), str(data), shape, precision, str(updates), str(WARMUP_WINDOWS)])
    speed: dict[str, Any] = json.loads(cost.stdout)
    return speed | {"memory": cost.peak_memory, "seconds": cost.seconds}


def measure_opennmt(name: str, updates: int, python: str) -> dict[str, Any]:
    """The same for the model of OpenNMT-py that is most like W3."""
    data = prepare_recipe(workload(name), Reporter(quiet=True)).data.folder
    script = Path(__file__).parent / "peers/opennmt_training.py"
    cost = run([sys.executable, str(script), python, str(data), str(updates), str(WARMUP_WINDOWS)])
    speed: dict[str, Any] = json.loads(cost.stdout)
    return speed | {"memory": cost.peak_memory, "seconds": cost.seconds}


def measure(name: str, updates: int, rounds: int, arguments: list[str], fast_bf16: bool) -> Any:
    """nmt and its peers, in turns."""
    precisions = [*PEERS[name], *(["bf16"] if fast_bf16 and PEERS[name] else [])]
    runs: dict[str, list[Any]] = {"nmt": []} | {f"MarianMT {precision}": [] for precision in precisions}
    opennmt_python = os.environ.get("NMT_PEER_OPENNMT") if name == "w3" else None
    if opennmt_python:
        runs["OpenNMT-py 3.5"] = []
    for number in range(rounds):
        runs["nmt"].append(measure_nmt(name, updates, arguments))
        for precision in precisions:
            runs[f"MarianMT {precision}"].append(measure_marian(name, updates, precision))
        if opennmt_python:
            runs["OpenNMT-py 3.5"].append(measure_opennmt(name, updates, opennmt_python))
        print(name, number + 1, {key: value[-1]["median"] for key, value in runs.items()})
    recipe = workload(name)
    data = prepare_recipe(recipe, Reporter(quiet=True)).data
    return {"runs": runs, "operations_per_token": recipe_flops_per_token(recipe, data)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=["w1", "w2", "w3"])
    parser.add_argument("nmt", nargs="*", help="further arguments of nmt train, after --")
    arguments = parser.parse_args()
    machine = describe_machine()
    for name in arguments.only:
        measurement = measure(name, arguments.updates, arguments.rounds, arguments.nmt, "peak_bf16" in machine)
        save_result(f"training-{name}", {"machine": machine, "arguments": arguments.nmt, **measurement})


if __name__ == "__main__":
    main()
