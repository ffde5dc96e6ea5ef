"""What two real processes tell each other over gloo, and what a process alone has instead."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nmt_cli.distributed.process_group import SINGLE_PROCESS, PeerLost, ProcessGroup, join_process_group
from nmt_cli.errors import DeviceError, UserError

ROOT = Path(__file__).parents[2]
WORKER = """
import json, os, sys, time
import torch
from nmt_cli.distributed.process_group import MainProcessFailed, PeerLost, join_process_group
from nmt_cli.errors import UserError

def fail():
    raise UserError("no such file: ü")

def prepare():
    time.sleep(0.3)
    return {"folder": "prepared/\\u00fc", "ready": time.time()}

with join_process_group() as group:
    record = {name: getattr(group, name) for name in ("rank", "world_size", "is_main", "is_single")}
    vector = torch.tensor([1.0, 2.0]) * (group.rank + 1)
    group.all_reduce(vector)
    record["sum"] = vector.tolist()
    shared = torch.full((2,), float(group.rank))
    group.broadcast(shared)
    record["shared"] = shared.tolist()
    record["agreed"] = group.broadcast_scalar(0.1 + group.rank)
    record["gathered"] = group.all_gather(["ü" * 3, "", "\\ud800"] if group.is_main else [])
    record["first"] = group.run_on_main(prepare)
    record["main_first"] = group.main_first(lambda: [group.rank, time.time() >= record["first"]["ready"]])
    time.sleep(0.2 * group.rank)
    record["busy"] = group.busy_seconds()
    try:
        group.run_on_main(fail)
    except UserError as error:
        record["mistake"] = str(error)
    except MainProcessFailed as error:
        record["elsewhere"] = str(error)
    print(json.dumps(record), flush=True)
    group.watchdog.report_progress("after update 7")
    if not group.is_main:
        os._exit(9)
    try:
        group.all_reduce(vector)
    except PeerLost as lost:
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
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_two_processes_tell_each_other_numbers_texts_and_mistakes() -> None:
    port = free_port()
    with start(0, port) as zero, start(1, port) as other_process:
        assert zero.stdout and other_process.stdout
        outputs = [process.stdout.read().splitlines() for process in (zero, other_process)]
        assert (zero.wait(60), other_process.wait(60)) == (0, 9)
    reports = [json.loads(lines[0]) for lines in outputs]
    assert [report["rank"] for report in reports] == [0, 1]
    assert [report["is_main"] for report in reports] == [True, False]
    for report in reports:
        assert report["world_size"] == 2 and not report["is_single"]
        assert report["sum"] == [3.0, 6.0]
        assert report["shared"] == [0.0, 0.0] and report["agreed"] == 0.1
        assert report["gathered"] == [["ü" * 3, "", "\ud800"], []]
        assert report["first"] == reports[0]["first"] and report["first"]["folder"] == "prepared/ü"
        assert report["main_first"] == [report["rank"], True]
    assert reports[1]["busy"] >= 0.2
    assert reports[0]["mistake"] == reports[1]["elsewhere"] == "no such file: ü"
    assert re.match(
        r"rank 0 of 2: lost another process after update 7, or could not talk to it: .*(peer|reset)", outputs[0][1]
    )


@pytest.mark.parametrize(
    "cause, error_class, message",
    [
        (RuntimeError("NCCL error in: a.cpp:1\nmore"), PeerLost, "could not talk to it: NCCL error in: a.cpp:1$"),
        (RuntimeError(""), PeerLost, "could not talk to it: RuntimeError$"),
        (RuntimeError("CUDA error: out of memory"), RuntimeError, "^CUDA error: out of memory$"),
        (torch.OutOfMemoryError("2 GiB"), torch.OutOfMemoryError, "^2 GiB$"),
    ],
)
def test_a_failed_collective_says_why_and_a_lack_of_memory_stays_one(
    cause: Exception, error_class: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: torch.Tensor) -> None:
        raise cause

    monkeypatch.setattr(torch.distributed, "all_reduce", fail)
    with pytest.raises(error_class, match=message):
        ProcessGroup(0, 2).all_reduce(torch.zeros(1))


def test_a_process_alone_has_what_it_brings() -> None:
    vector = torch.ones(2)
    for change in (SINGLE_PROCESS.all_reduce, SINGLE_PROCESS.broadcast):
        change(vector)
    assert vector.tolist() == [1.0, 1.0]
    assert SINGLE_PROCESS.all_gather("x") == ["x"] and SINGLE_PROCESS.broadcast_scalar(0.1) == 0.1
    assert SINGLE_PROCESS.run_on_main(lambda: 3) == SINGLE_PROCESS.main_first(lambda: 3) == 3
    SINGLE_PROCESS.start_watchdog(0.001, "x")  # nobody can be waited for
    assert SINGLE_PROCESS.is_single and SINGLE_PROCESS.is_main
    assert SINGLE_PROCESS.device_for("cpu") == torch.device("cpu")
    with pytest.raises(UserError, match="mine"):
        SINGLE_PROCESS.run_on_main(lambda: (_ for _ in ()).throw(UserError("mine")))


def test_who_was_not_launched_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with join_process_group() as processes:
        assert processes.is_single
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "1")
    with join_process_group() as processes:  # one of one
        assert processes.is_single


def gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> list[int]:
    """As if there were so many GPUs; the list holds those that were chosen."""
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    return chosen


def test_each_process_takes_the_gpu_of_its_local_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = gpus(monkeypatch, 2)
    third = ProcessGroup(3, 4, local_rank=1, local_world_size=2)
    assert third.device_for("auto") == torch.device("cuda", 1) and chosen == [1]
    assert third.device_for("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    "there, device, message",
    [
        (1, "auto", "2 processes on a machine with 1 GPU: start one per GPU, or use"),
        (2, "cuda:1", "--device cuda:1: 2 processes need a GPU each: use --device cuda$"),
    ],
)
def test_processes_without_a_gpu_each_are_refused(
    there: int, device: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(monkeypatch, there)
    with pytest.raises(DeviceError, match=message):
        ProcessGroup(0, 2, local_rank=0, local_world_size=2).device_for(device)
