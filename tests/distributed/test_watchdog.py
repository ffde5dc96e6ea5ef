"""A process that makes no progress says where it stands and ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from nmt_cli.distributed import watchdog

ROOT = Path(__file__).parents[2]
START = """
import ctypes, time
from nmt_cli.distributed.watchdog import Watchdog
dog = Watchdog("rank 1 of 2")
dog.start(0.4, "training.timeout_minutes")
dog.report_progress("after update 17")

def deep_in_thought():
    {}

deep_in_thought()
dog.stop()
print("done")
"""


def run(body: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", START.format(body)], capture_output=True, text=True, cwd=ROOT,
        timeout=60,
    )  # fmt: skip


@pytest.mark.slow
def test_a_stuck_process_ends_with_a_message_and_its_stack() -> None:
    done = run("time.sleep(50)")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(
        "nmt: rank 1 of 2: no progress for 0.4 s after update 17 (training.timeout_minutes); its stacks:\n"
    )
    assert "in deep_in_thought" in done.stderr


@pytest.mark.slow
def test_a_process_that_holds_pythons_lock_ends_with_its_stack_too() -> None:
    done = run("ctypes.PyDLL(None).sleep(20)")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("Timeout (") and "in deep_in_thought" in done.stderr


def test_progress_and_pauses_keep_a_process_alive() -> None:
    steps = "[(time.sleep(0.1), dog.report_progress()) for _ in range(8)]"
    done = run(f"{steps}\n    with dog.paused():\n        time.sleep(0.8)\n    time.sleep(0.1)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_a_watchdog_that_was_not_started_does_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    dog = watchdog.Watchdog("rank 0 of 1")
    dog.report_progress("after update 1")
    with dog.paused():
        pass
    dog.stop()
    assert capfd.readouterr() == ("", "")
