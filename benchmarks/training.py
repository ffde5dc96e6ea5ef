"""Training speed on W1, W2 and W3, in turns with other toolkits.

    python -m benchmarks.training --updates 40 --rounds 2

The peers are MarianMT of Transformers in plain PyTorch (W1, W2), and Eole and OpenNMT-py where
NMT_PEER_EOLE and NMT_PEER_OPENNMT name a Python that has them: each in fp32 and, where the processor is
fast at it and they have it, in bf16; each with a C allocator that keeps freed memory, as nmt does by
itself (`--allocator as-is` leaves it alone). Real text; padding, masks, clipping and
reading batches are included. `nmt train` is timed by its own log, the peers in the same way (tokens
without padding, windows after a warm-up).
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
KEEP_FREED_MEMORY = {  # glibc; one arena, no mapping of its own for a large block, nothing given back
    "MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "30000000000",
    "MALLOC_TOP_PAD_": "268435456",
}  # fmt: skip
PEERS_DIR = Path(__file__).parent / "peers"


def measure_nmt(name: str, updates: int, arguments: list[str]) -> dict[str, Any]:
    """The speed and cost of a run of `nmt train`."""
    recipe = workload(name, updates=updates, validate_every=updates)
    out = RUNS_DIR / f"train-{name}"
    shutil.rmtree(out, ignore_errors=True)
    cost = run(nmt_command("train", write_recipe(recipe), "--out", out, "--quiet", *arguments))
    return training_speed(out, WARMUP_WINDOWS) | {"memory": cost.peak_memory, "seconds": cost.seconds}


def peer_commands(name: str, updates: int, data: Path, precisions: list[str]) -> dict[str, list[str]]:
    """The command of each peer that is there, by what it is called in the table."""
    section = workload(name).model.model_dump(mode="json")
    shape, windows = json.dumps(section), [str(updates), str(WARMUP_WINDOWS)]
    commands: dict[str, list[str]] = {}
    if section["type"] == "transformer":
        for precision in precisions:
            script = [sys.executable, str(PEERS_DIR / "marian_training.py")]
            commands[f"MarianMT {precision}"] = [*script, str(data), shape, precision, *windows]
    for toolkit, label, variable in (("onmt", "OpenNMT-py", "NMT_PEER_OPENNMT"), ("eole", "Eole", "NMT_PEER_EOLE")):
        python = os.environ.get(variable)
        for precision in precisions if toolkit == "eole" else ["fp32"]:
            if python:
                script = [sys.executable, str(PEERS_DIR / "onmt_family_training.py"), toolkit, precision, python]
                commands[f"{label} {precision}"] = [*script, str(data), shape, *windows]
    return commands


def measure_peer(command: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """The speed that a peer's script prints, and its cost."""
    cost = run(command, environment=environment)
    speed: dict[str, Any] = json.loads(cost.stdout)
    return speed | {"memory": cost.peak_memory, "seconds": cost.seconds}


def measure(name: str, arguments: argparse.Namespace, precisions: list[str]) -> dict[str, Any]:
    """nmt and its peers, in turns."""
    recipe = workload(name)
    data = prepare_recipe(recipe, Reporter(quiet=True)).data
    environment = KEEP_FREED_MEMORY if arguments.allocator == "kept" else {}
    commands = peer_commands(name, arguments.updates, data.folder, precisions)
    runs: dict[str, list[Any]] = {"nmt": []} | {peer: [] for peer in commands}
    for number in range(arguments.rounds):
        runs["nmt"].append(measure_nmt(name, arguments.updates, arguments.nmt))
        for peer, command in commands.items():
            runs[peer].append(measure_peer(command, environment))
        print(name, number + 1, {key: value[-1]["median"] for key, value in runs.items()}, flush=True)
    return {"runs": runs, "operations_per_token": recipe_flops_per_token(recipe, data)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=["w1", "w2", "w3"])
    parser.add_argument("--allocator", choices=["kept", "as-is"], default="kept", help="how peers get their memory")
    parser.add_argument("nmt", nargs="*", help="further arguments of nmt train, after --")
    arguments = parser.parse_args()
    machine = describe_machine()
    precisions = ["fp32", "bf16"] if "peak_bf16" in machine else ["fp32"]
    for name in arguments.only:
        measurement = measure(name, arguments, precisions)
        save_result(f"training-{name}", {"machine": machine, "arguments": arguments.nmt, **measurement})


if __name__ == "__main__":
    main()
