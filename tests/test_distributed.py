"""What two real processes tell each other over gloo, and what a process alone has instead."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nmt_cli.distributed import ALONE, Processes, join
from nmt_cli.errors import DeviceError, UserError

ROOT = Path(__file__).parent.parent
WORKER = """
import json, os, sys, time
import torch
from nmt_cli.distributed import EndedElsewhere, ProcessLost, join
from nmt_cli.errors import UserError

def fail():
    raise UserError("no such file: ü")

def prepare():
    time.sleep(0.3)
    return {"folder": "prepared/\\u00fc", "ready": time.time()}

with join() as us:
    found = {"rank": us.rank, "count": us.count, "leads": us.leads, "alone": us.alone}
    vector = torch.tensor([1.0, 2.0]) * (us.rank + 1)
    us.sum(vector)
    found["sum"] = vector.tolist()
    shared = torch.full((2,), float(us.rank))
    us.share(shared)
    found["shared"] = shared.tolist()
    found["agreed"] = us.agreed(0.1 + us.rank)
    found["gathered"] = us.gather(["ü" * 3, "", "\\ud800"] if us.leads else [])
    found["first"] = us.first(prepare)
    found["after_first"] = us.after_first(lambda: [us.rank, time.time() >= found["first"]["ready"]])
    time.sleep(0.2 * us.rank)
    found["busy"] = us.busy()
    try:
        us.first(fail)
    except UserError as error:
        found["mistake"] = str(error)
    except EndedElsewhere as error:
        found["elsewhere"] = str(error)
    print(json.dumps(found), flush=True)
    us.watchdog.progress("after update 7")
    if not us.leads:
        os._exit(9)
    try:
        us.sum(vector)
    except ProcessLost as lost:
        print(lost)
        os._exit(0)
"""


def start(rank: int, port: int) -> "subprocess.Popen[str]":
    environment = {
        **os.environ, "RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2",
    }  # fmt: skip
    command = [sys.executable, "-c", WORKER]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_two_processes_tell_each_other_numbers_texts_and_mistakes() -> None:
    port = free_port()
    with start(0, port) as zero, start(1, port) as one:
        assert zero.stdout and one.stdout
        told = [process.stdout.read().splitlines() for process in (zero, one)]
        assert (zero.wait(60), one.wait(60)) == (0, 9)
    both = [json.loads(lines[0]) for lines in told]
    assert [found["rank"] for found in both] == [0, 1]
    assert [found["leads"] for found in both] == [True, False]
    for found in both:
        assert found["count"] == 2 and not found["alone"]
        assert found["sum"] == [3.0, 6.0]
        assert found["shared"] == [0.0, 0.0] and found["agreed"] == 0.1
        assert found["gathered"] == [["ü" * 3, "", "\ud800"], []]
        assert found["first"] == both[0]["first"] and found["first"]["folder"] == "prepared/ü"
        assert found["after_first"] == [found["rank"], True]
    assert both[1]["busy"] >= 0.2
    assert both[0]["mistake"] == both[1]["elsewhere"] == "no such file: ü"
    assert told[0][1:] == ["rank 0 of 2: lost another process after update 7"]


def test_a_process_alone_has_what_it_brings() -> None:
    vector = torch.ones(2)
    for change in (ALONE.sum, ALONE.share):
        change(vector)
    assert vector.tolist() == [1.0, 1.0]
    assert ALONE.gather("x") == ["x"] and ALONE.agreed(0.1) == 0.1
    assert ALONE.first(lambda: 3) == ALONE.after_first(lambda: 3) == 3
    ALONE.watch(0.001, "x")  # nobody can be waited for
    assert ALONE.alone and ALONE.leads
    assert ALONE.place("cpu") == torch.device("cpu")
    with pytest.raises(UserError, match="mine"):
        ALONE.first(lambda: (_ for _ in ()).throw(UserError("mine")))


def test_who_was_not_launched_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with join() as processes:
        assert processes.alone
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "1")
    with join() as processes:  # one of one
        assert processes.alone


def gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> list[int]:
    """As if there were so many GPUs; the list holds those that were chosen."""
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    return chosen


def test_each_process_takes_the_gpu_of_its_local_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = gpus(monkeypatch, 2)
    third = Processes(3, 4, local_rank=1, local_count=2)
    assert third.place("auto") == torch.device("cuda", 1) and chosen == [1]
    assert third.place("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    "there, device, message",
    [
        (1, "auto", r"2 processes on a machine with 1 GPU\(s\): start one for each, or use"),
        (2, "cuda:1", "--device cuda:1: 2 processes need a GPU each: use --device cuda$"),
    ],
)
def test_processes_without_a_gpu_each_are_refused(
    there: int, device: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(monkeypatch, there)
    with pytest.raises(DeviceError, match=message):
        Processes(0, 2, local_rank=0, local_count=2).place(device)
