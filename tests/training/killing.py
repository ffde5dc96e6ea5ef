"""Training processes that are killed with SIGKILL at chosen moments, and what they leave.

Processes are forked from a server that has torch imported, and run the real entry point of the
command line; the kernel ends them from outside, between any two machine instructions.
"""

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from signal import SIGKILL, Signals
from typing import Any

import torch
from safetensors.torch import load_file

from nmt_cli.runs.folder import RunFolder

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    ["nmt_cli.cli.app", "nmt_cli.commands.train", "torch._dynamo", "sacrebleu", "rich.console"]
)
TIMES = {"seconds", "tokens_per_second", "training_seconds", "test_seconds", "peak_rss_mib"}

# What a process does, and how many seconds of it a kill may come after its beginning.
PHASES = {"update": 0.02, "validation": 0.08, "checkpoint": 0.015, "test": 0.02, "prepare": 0.03}


@dataclass(frozen=True)
class Blow:
    """What is done to a process: when it begins a phase for the `count`th time, so many seconds
    later, a signal is sent, or `act` is called with its number."""

    phase: str
    count: int = 1
    seconds: float = 0.0
    signal: Signals = SIGKILL
    act: Callable[[int], object] | None = None

    def fall(self, process: int) -> None:
        """Do it."""
        time.sleep(self.seconds)
        with suppress(ProcessLookupError):
            os.kill(process, self.signal) if self.act is None else self.act(process)


def _tell(phase: str, place: Any, name: str, wire: Connection) -> None:
    """Let each call of place.name be told over the wire before it begins."""
    original = getattr(place, name)

    def wrapper(*arguments: Any, **keywords: Any) -> Any:
        wire.send_bytes(phase.encode())
        return original(*arguments, **keywords)

    setattr(place, name, wrapper)


def _live(arguments: list[str], folder: str, said: str, wire: Connection, environment: dict[str, str]) -> None:
    """In the forked process: be `nmt ARGUMENTS` in the folder, until the end or a kill."""
    from nmt_cli.cli import entry
    from nmt_cli.commands import train
    from nmt_cli.runs import setup
    from nmt_cli.training import checkpoints
    from nmt_cli.training.trainer import Trainer

    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs start without it
    torch.set_num_threads(1)
    os.chdir(folder)
    os.environ.update(environment)  # the server's own is that of its first use
    output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    _tell("prepare", setup, "prepare_recipe", wire)
    _tell("update", Trainer, "_update", wire)
    _tell("validation", Trainer, "_validate", wire)
    _tell("checkpoint", checkpoints, "write_checkpoint", wire)
    _tell("test", train, "_finish", wire)
    sys.argv = ["nmt", *arguments]
    entry.main()


@dataclass
class Life:
    """What came of a process."""

    code: int | None = None  # -9: killed
    said: str = ""
    phases: list[str] = field(default_factory=list)
    lost: int = 0  # updates that it began and that no checkpoint has


def newest(run: Path) -> int:
    """The update of the newest checkpoint that has its name; 0 without one."""
    steps = RunFolder(run).checkpoints.step_folders()
    return int(steps[-1].name.partition("-")[2]) if steps else 0


def live(arguments: list[str], folder: Path, run: Path, blow: Blow | None = None) -> Life:
    """Run `nmt ARGUMENTS` in a process of its own, perhaps under a blow."""
    ours, theirs = SERVER.Pipe(duplex=False)
    said = folder / "said.txt"
    given = arguments, str(folder), str(said), theirs, dict(os.environ)
    process = SERVER.Process(target=_live, args=given, daemon=True)
    began, life = newest(run), Life()
    process.start()
    theirs.close()
    with ours, suppress(EOFError):
        while True:
            phase = ours.recv_bytes().decode()
            life.phases.append(phase)
            if blow and phase == blow.phase and life.phases.count(phase) == blow.count:
                assert process.pid is not None
                blow.fall(process.pid)
    process.join()
    life.code, life.said = process.exitcode, said.read_text() if said.exists() else ""
    life.lost = max(0, began + life.phases.count("update") - newest(run))
    return life


def kill_at_random(draw: random.Random, every: int, phase: str | None = None) -> Blow:
    """SIGKILL at a random moment of a phase within the next `every` updates or so."""
    chosen = phase or draw.choice(["update", "validation", "checkpoint"])
    count = {"update": draw.randint(1, every), "checkpoint": draw.randint(1, 2)}.get(chosen, 1)
    return Blow(chosen, count, draw.uniform(0, PHASES[chosen]))


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(inner) for key, inner in value.items() if key not in TIMES}
    return [_timeless(inner) for inner in value] if isinstance(value, list) else value


def differences(straight: Path, broken: Path) -> list[str]:
    """What differs between two runs, apart from times: tensors, states, results, logs."""
    different_names = []
    files = [sorted(str(p.relative_to(run)) for p in run.rglob("*") if p.is_file()) for run in (straight, broken)]
    if files[0] != files[1]:
        different_names.append(f"files: {sorted(set(files[0]) ^ set(files[1]))}")
    for name in (name for name in files[0] if (broken / name).exists()):
        straight_path, other = straight / name, broken / name
        if name.endswith(".safetensors"):
            tensors, others = load_file(straight_path), load_file(other)
            same = tensors.keys() == others.keys()
            if not same or not all(torch.equal(tensors[key], others[key]) for key in tensors):
                different_names.append(name)
        elif name.endswith((".json", ".jsonl")) and not name.startswith("tokenizer"):
            texts = [path.read_text().split("\n") for path in (straight_path, other)]
            if name.endswith(".json"):
                texts = [["".join(lines)] for lines in texts]
            left, right = ([_timeless(json.loads(t)) for t in lines if t] for lines in texts)
            if left != right:
                different_names.append(name)
        elif straight_path.read_bytes() != other.read_bytes():
            different_names.append(name)
    return different_names
