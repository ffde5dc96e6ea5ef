"""Workers: every result in order, whatever dies; errors keep their kind; nobody is left over."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nmt_cli.errors import UserError, WorkerError
from nmt_cli.workers import (
    MAX_TASKS_PER_WORKER,
    WorkerPool,
    cgroup_folders,
    is_single_threaded,
    usable_cores,
    usable_cores_and_reason,
)

ROOT = Path(__file__).parent.parent
START = [False] + [True] * is_single_threaded()  # spawned everywhere, forked where that is safe


def square(task: int) -> int:
    return task * task


def slow_square(task: int) -> int:
    time.sleep(0.002 * (task % 5))
    return task * task


def die(marks: Path, task: int) -> int:
    """Odd tasks kill the first worker that has them; 7 kills every one."""
    mark = marks / str(task)
    if task % 2 and (task == 7 or not mark.exists()):
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def fail(task: int) -> int:
    if task == 1:
        raise UserError("line 1 of the text is odd")
    return 1 // (task - 2)


def opened(work: Callable[[int], Any], _: int) -> Callable[[int], Any]:
    return work


def start(work: Callable[[int], Any], count: int, said: list[str], fork: bool) -> WorkerPool[int, int]:
    return WorkerPool(count, partial(opened, work), lambda n: f"task {n}", said.append, fork=fork)


@pytest.mark.parametrize("fork", START)
def test_results_come_in_the_order_of_the_tasks(fork: bool) -> None:
    with start(slow_square, 3, [], fork) as workers:
        assert list(workers.map(range(50))) == [n * n for n in range(50)]
        assert list(workers.map([])) == []


def test_few_tasks_are_taken_before_their_results_are_wanted() -> None:
    asked = 0

    def tasks() -> Iterator[int]:
        nonlocal asked
        while True:
            asked += 1
            yield asked

    with start(square, 2, [], START[-1]) as workers:
        results = workers.map(tasks())
        assert next(results) == 1
        assert asked <= 1 + 2 * MAX_TASKS_PER_WORKER


@pytest.mark.parametrize("fork", START)
def test_a_worker_that_dies_is_said_in_a_line_and_its_task_done_again(fork: bool, tmp_path: Path) -> None:
    said: list[str] = []
    with start(partial(die, tmp_path), 2, said, fork) as workers:
        assert list(workers.map([0, 1, 2, 3, 4])) == [0, 1, 2, 3, 4]
    assert sorted(said) == [f"a worker died (SIGKILL): task {n}: retried by another one" for n in (1, 3)]


def test_a_task_that_kills_two_workers_is_named_and_given_up(tmp_path: Path) -> None:
    said: list[str] = []
    with start(partial(die, tmp_path), 2, said, START[-1]) as workers:
        results = workers.map([6, 7, 8])
        with pytest.raises(WorkerError) as error:
            list(results)
    assert str(error.value) == "task 7: gave up after two workers died (SIGKILL)"
    assert said == ["a worker died (SIGKILL): task 7: retried by another one"]


def test_a_worker_that_died_while_it_had_nothing_to_do_is_replaced() -> None:
    said: list[str] = []
    with start(square, 1, said, START[-1]) as workers:
        assert list(workers.map([3])) == [9]
        (worker,) = multiprocessing.active_children()
        worker.kill()
        time.sleep(0.1)
        assert list(workers.map([4])) == [16]
    assert said == ["a worker died (SIGKILL): task 4: retried by another one"]


@pytest.mark.parametrize("fork", START)
def test_a_mistake_of_the_user_stays_one_and_our_bug_names_its_task(fork: bool) -> None:
    with start(fail, 1, [], fork) as workers, pytest.raises(UserError) as mistake:
        list(workers.map([1]))
    assert str(mistake.value) == "line 1 of the text is odd"
    with start(fail, 1, [], fork) as workers, pytest.raises(WorkerError) as bug:
        list(workers.map([2]))
    assert str(bug.value).startswith("task 2: ZeroDivisionError: ")
    assert "in fail" in bug.value.__notes__[0]


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
@pytest.mark.parametrize("fork", ["True", "False"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_its_parent(number: signal.Signals, fork: str) -> None:
    script = (
        "import multiprocessing, time\nfrom functools import partial\nfrom nmt_cli.workers import WorkerPool\n"
        "from tests.test_workers import opened\n"
        "if __name__ == '__main__':\n"
        f"    workers = WorkerPool(2, partial(opened, time.sleep), str, print, fork={fork})\n"
        "    workers.submit(0, 60)\n    workers.submit(1, 60)\n"
        "    print(*[child.pid for child in multiprocessing.active_children()], flush=True)\n    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert parent.stdout
    children = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(children) == 2 and all(map(alive, children))
    parent.send_signal(number)
    parent.wait(20)
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while any(map(alive, children)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(alive, children))


@pytest.mark.parametrize("fork", START)
def test_what_a_stop_sends_to_all_processes_leaves_workers_at_work(fork: bool) -> None:
    said: list[str] = []
    with start(slow_square, 1, said, fork) as workers:
        assert list(workers.map([1])) == [1]
        (worker,) = multiprocessing.active_children()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(worker.pid or 0, number)
        time.sleep(0.1)
        assert list(workers.map([2])) == [4]
    assert said == []


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
@pytest.mark.parametrize("fork", ["True", "False"])
def test_a_parent_that_forgets_its_workers_ends_with_them(fork: str) -> None:
    script = (
        "import multiprocessing, time\nfrom functools import partial\nfrom nmt_cli.workers import WorkerPool\n"
        "from tests.test_workers import opened, square\n"
        f"workers = WorkerPool(2, partial(opened, square), str, print, fork={fork})\n"
        "assert list(workers.map([1, 2, 3])) == [1, 4, 9]\n"
        "print(*[child.pid for child in multiprocessing.active_children()])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, cwd=ROOT, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    children = [int(pid) for pid in done.stdout.split()]
    assert len(children) == 2 and not any(map(alive, children))


@pytest.mark.parametrize("from_file", [True, False])
def test_a_script_that_starts_workers_is_not_run_again_by_them(from_file: bool, tmp_path: Path) -> None:
    script = (
        "from functools import partial\nfrom nmt_cli.workers import WorkerPool\n"
        "from tests.test_workers import opened, square\n"
        "with WorkerPool(2, partial(opened, square), str, print, fork=False) as workers:\n"
        "    print(*workers.map(range(4)))\n"
    )
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, tmp_path / "script.py" if from_file else "-"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, input=script, capture_output=True, text=True, env=environment)
    assert (done.stdout, done.stderr) == ("0 1 4 9\n", "")


def test_cores_are_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt_cli.workers.cgroup_folders", lambda controller: [])
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3}, raising=False)
    assert usable_cores_and_reason() == (2, "of 8, by CPU affinity")
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS and Windows
    assert usable_cores_and_reason() == (8, "all there are")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1


VERSION_1, VERSION_2 = "3:cpu,cpuacct:/job/step\n1:memory:/x\n", "0::/job/step\n"
PERIOD = "100000\n"


@pytest.mark.parametrize(
    "membership, files, cores",
    [
        (VERSION_2, {"job/step/cpu.max": "200000 100000\n"}, 2),
        (VERSION_2, {"job/step/cpu.max": "250000 100000\n"}, 3),
        (VERSION_2, {"job/step/cpu.max": "1000 100000\n"}, 1),
        (VERSION_2, {"job/step/cpu.max": "max 100000\n", "job/cpu.max": "max 100000\n"}, 8),
        (VERSION_2, {"job/step/cpu.max": "max 100000\n", "job/cpu.max": "400000 100000\n"}, 4),
        (VERSION_2, {"job/step/cpu.max": "600000 100000\n", "job/cpu.max": "50000 25000\n"}, 2),
        (VERSION_2, {"job/step/cpu.max": "9900000 100000\n"}, 8),
        (VERSION_2, {"cpu.max": "200000 100000\n"}, 2),  # a container that does not see its own group
        (VERSION_2, {"job/step/cpu.max": "", "job/cpu.max": "x y\n"}, 8),
        (VERSION_2, {"job/step/cpu.max/none": ""}, 8),  # cannot be read
        (VERSION_1, {"cpu/job/step/cpu.cfs_quota_us": "150000\n", "cpu/job/step/cpu.cfs_period_us": PERIOD}, 2),
        (VERSION_1, {"cpu/job/step/cpu.cfs_quota_us": "-1\n", "cpu/job/step/cpu.cfs_period_us": PERIOD}, 8),
        (VERSION_1, {"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": PERIOD}, 3),
        (VERSION_1, {"cpu/cpu.cfs_quota_us": "300000\n"}, 8),
        (VERSION_1 + VERSION_2, {"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": PERIOD}, 3),
        ("damaged\n", {"cpu.max": "200000 100000\n"}, 8),
        (None, {"cpu.max": "200000 100000\n"}, 8),
    ],
)
def test_cores_are_those_whose_time_the_container_has(
    membership: str | None, files: dict[str, str], cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if membership is not None:
        (tmp_path / "membership").write_text(membership)
    for name, text in files.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(text)
    folders = partial(cgroup_folders, membership=tmp_path / "membership", root=tmp_path / "root")
    monkeypatch.setattr("nmt_cli.workers.cgroup_folders", folders)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert usable_cores_and_reason() == (cores, "of 8, by CPU quota" if cores < 8 else "all there are")


def test_control_groups_are_those_of_the_process_and_all_around_them(tmp_path: Path) -> None:
    (tmp_path / "cgroup").write_text("4:memory:/x\n3:cpu,cpuacct:/\n0::/job/step\n")
    group = partial(cgroup_folders, membership=tmp_path / "cgroup", root=tmp_path)
    version_2 = [tmp_path / "job/step", tmp_path / "job", tmp_path]
    assert sorted(group("memory")) == sorted([tmp_path / "memory/x", tmp_path / "memory", *version_2])
    assert sorted(group("cpu")) == sorted([tmp_path / "cpu", *version_2])
    assert cgroup_folders("cpu", tmp_path / "none") == []
