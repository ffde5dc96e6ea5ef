"""Killed at any moment and resumed, training ends as if nothing had been: bit by bit."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nmt_cli.yaml12 import write_yaml
from tests.conftest import in_float32, toy_content, write_syllables
from tests.training.killing import differences, kill_at_random, live, newest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a corpus and a recipe that uses all that a checkpoint must remember."""
    write_syllables(tmp_path / "text", {"train": 300, "dev": 20, "test": 20})
    content = toy_content(
        tmp_path / "text", tokens_per_batch=96, log_every=7, gradient_accumulation=2, ema_decay=0.9,
        learning_rate=5e-3, warmup_updates=20, schedule="plateau", plateau_patience=1,
    )  # fmt: skip
    (tmp_path / "toy.yaml").write_text(write_yaml(in_float32(content)))
    return tmp_path


def train(run: str, every: int, updates: int) -> list[str]:
    more = ["--set", f"training.updates={updates}", "--set", f"training.validate_every={every}"]
    return ["train", "toy.yaml", "--resume", "--device", "cpu", "--out", run, *more]


def kill_fresh_process(place: Path, command: list[str], seconds: float) -> bool:
    """Kill `python -m nmt_cli train` so many seconds after its first word; whether it lived."""
    command = [sys.executable, "-m", "nmt_cli", *command]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, cwd=place, env=environment, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        process.stderr.readline()
        time.sleep(seconds)
        process.kill()
        return process.wait() == -9


@pytest.mark.parametrize(
    "fresh, kills, every, updates", [(0, 4, 6, 48), (2, 8, 20, 200)], ids=["five kills", "eleven kills"]
)
@pytest.mark.slow
def test_kills_at_random_moments_change_no_bit(fresh: int, kills: int, every: int, updates: int, place: Path) -> None:
    """`fresh` of them in a process of its own, the others in ones forked where torch is loaded.

    A validation and a checkpoint come every so many updates.
    """
    draw = random.Random()
    straight, broken = place / "straight", place / "broken"
    assert live(train("straight", every, updates), place, straight).code == 0
    command = train("broken", every, updates)
    lost, phases = [], ["update", "validation", "checkpoint"]
    for number in range(fresh):
        assert kill_fresh_process(place, command, number * draw.uniform(0, 0.5))
    for number in range(kills):
        blow = kill_at_random(draw, every, phases[number] if number < 3 else None)
        life = live(command, place, broken, blow)
        assert life.code == -9, f"{life.code}: {life.said}"
        lost.append(life.lost)
    assert lost[0] > 0, "killed in an update, it has lost that"
    assert kills < 8 or sum(count > 0 for count in lost) > kills / 2, f"lost updates: {lost}"
    assert live(command, place, broken, kill_at_random(draw, 1, "test")).code == -9
    last = live(command, place, broken)
    assert last.code == 0 and f"already at {updates} of {updates} updates" in last.said
    assert newest(broken) == updates
    assert differences(straight, broken) == []
