"""Killed at any moment and resumed, training ends as if nothing had been: bit by bit."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nmt_cli.yaml12 import write_yaml
from tests.conftest import toy_content, write_syllables
from tests.training.killing import differences, kill_at_random, live, newest

ROOT = Path(__file__).parent.parent.parent
EVERY = 20


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a corpus and a recipe that uses all that a checkpoint must remember."""
    write_syllables(tmp_path / "text", {"train": 300, "dev": 20, "test": 20})
    content = toy_content(
        tmp_path / "text", updates=400, tokens_per_batch=96, validate_every=EVERY, log_every=7,
        accumulate=2, average_decay=0.9, precision="fp32", learning_rate=5e-3, warmup=20,
        schedule="plateau", plateau_patience=1,
    )  # fmt: skip
    (tmp_path / "toy.yaml").write_text(write_yaml(content))
    return tmp_path


def train(run: str) -> list[str]:
    return ["train", "toy.yaml", "--resume", "--device", "cpu", "--out", run]


def kill_fresh_process(place: Path, seconds: float) -> bool:
    """Kill `python -m nmt_cli train` so many seconds after its first word; whether it lived."""
    command = [sys.executable, "-m", "nmt_cli", *train("broken")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, cwd=place, env=environment, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        process.stderr.readline()
        time.sleep(seconds)
        process.kill()
        return process.wait() == -9


def test_twenty_kills_at_random_moments_change_no_bit(place: Path) -> None:
    draw = random.Random()
    straight, broken = place / "straight", place / "broken"
    assert live(train("straight"), place, straight).code == 0
    lost, phases = [], ["update", "validation", "checkpoint"]
    for seconds in (0, draw.uniform(0, 0.5)):
        assert kill_fresh_process(place, seconds)
    for number in range(17):
        blow = kill_at_random(draw, EVERY, phases[number] if number < 3 else None)
        life = live(train("broken"), place, broken, blow)
        assert life.code == -9, f"{life.code}: {life.said}"
        lost.append(life.lost)
    assert sum(count > 0 for count in lost) > len(lost) / 2, f"lost updates: {lost}"
    assert live(train("broken"), place, broken, kill_at_random(draw, 1, "test")).code == -9
    last = live(train("broken"), place, broken)
    assert last.code == 0 and "already at 400 of 400 updates" in last.said
    assert newest(broken) == 400
    assert differences(straight, broken) == []
