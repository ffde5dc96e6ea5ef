"""A pool of worker processes on this machine.

A single-threaded process is forked (on Linux), so that what it has loaded, such as weights, is
shared with the workers. Otherwise workers are spawned, because a lock that another thread holds
during a fork would stay locked in the child forever. Each worker builds its work function itself,
answers one task at a time over its own pipe, or over each of several, and ends with its parent.
"""

import ctypes
import multiprocessing
import multiprocessing.util
import os
import signal
import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from nmt_cli.errors import UserError, WorkerError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Task = TypeVar("Task")
Result = TypeVar("Result")
WorkFactory = Callable[[int], Callable[[Any], Any]]  # from a worker's index to its work function
MapFunction = Callable[[Iterable[Any]], Iterator[Any]]  # from tasks to their results, in the same order
PoolFactory = Callable[[WorkFactory], AbstractContextManager[MapFunction]]

MAX_TASKS_PER_WORKER = 4  # submitted tasks per worker whose results have not been returned yet
TOKENIZERS_PARALLELISM_VARIABLE = "TOKENIZERS_PARALLELISM"  # whether the tokenizers library starts threads
HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)  # of a closed terminal; Windows has none
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, *([] if HANGUP is None else [HANGUP]))
_PR_SET_PDEATHSIG = 1  # of prctl(2)
_MAIN_MODULE_LOCK = threading.Lock()


@dataclass
class _Worker(Generic[Task]):
    """A process, our end of its pipe, and the number and content of its task."""

    index: int
    process: BaseProcess
    pipe: "Connection[Any, Any]"
    task: tuple[int, Task] | None = None


class WorkerPool(Generic[Task, Result]):
    """Processes that apply the same work function to different tasks.

    A worker that dies is replaced with a warning, and its task is retried; if it kills another
    worker, WorkerError names the task. A UserError in a worker is raised here with its message, any
    other exception as WorkerError with the worker's traceback as a note.
    """

    def __init__(
        self,
        count: int,
        work_factory: WorkFactory,
        describe_task: Callable[[Task], str],
        warn: Callable[[str], None],
        *,
        fork: bool | None = None,
    ) -> None:
        self._work_factory, self._describe_task, self._warn = work_factory, describe_task, warn
        fork = is_single_threaded() if fork is None else fork
        self._context = multiprocessing.get_context("fork" if fork else "spawn")
        self._retried_tasks: set[int] = set()  # tasks during which a worker died
        self._workers: list[_Worker[Task]] = []
        self.results: dict[int, Result] = {}
        for index in range(count):
            self._workers.append(_Worker(index, *self._start_process(index)))

    def __len__(self) -> int:
        return len(self._workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Kill all workers."""
        for worker in self._workers:
            worker.process.kill()
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join()

    @property
    def idle_count(self) -> int:
        """The number of workers without a task."""
        return sum(worker.task is None for worker in self._workers)

    def submit(self, task_number: int, task: Task) -> None:
        """Send a task to an idle worker; its result will be `results[task_number]`."""
        self._send(next(worker for worker in self._workers if worker.task is None), task_number, task)

    def wait_for_results(self, other_files: Sequence[Any] = (), timeout: float | None = None) -> bool:
        """Wait for a result, or until one of `other_files` is readable; returns whether one is."""
        worker_by_pipe = {worker.pipe: worker for worker in self._workers if worker.task is not None}
        from multiprocessing.connection import wait  # 15 ms that a translation without workers need not spend

        assert worker_by_pipe or other_files or timeout is not None, "nothing to wait for"
        ready = wait([*worker_by_pipe, *other_files], timeout)
        for pipe, worker in worker_by_pipe.items():
            if pipe in ready:
                self._handle(worker)
        return any(file in ready for file in other_files)

    def map(self, tasks: Iterable[Task]) -> Iterator[Result]:
        """The results in the order of the tasks, which are read as workers become idle."""
        numbered_tasks = enumerate(tasks)
        submitted = yielded = 0
        exhausted = False
        while not exhausted or yielded < submitted:
            while yielded in self.results:
                yield self.results.pop(yielded)
                yielded += 1
            while not exhausted and self.idle_count and submitted - yielded < MAX_TASKS_PER_WORKER * len(self):
                next_task = next(numbered_tasks, None)
                if next_task is None:
                    exhausted = True
                else:
                    self.submit(*next_task)
                    submitted += 1
            if yielded < submitted and yielded not in self.results:
                self.wait_for_results()

    def _start_process(self, worker_index: int) -> tuple[BaseProcess, "Connection[Any, Any]"]:
        other_pipes = [worker.pipe for worker in self._workers]
        process, (pipe,) = start_worker(self._context, self._work_factory, worker_index, other_pipes)
        return process, pipe

    def _send(self, worker: _Worker[Task], task_number: int, task: Task) -> None:
        worker.task = (task_number, task)
        try:
            worker.pipe.send(task)
        except OSError:  # the worker died while it was idle
            self._replace(worker)

    def _handle(self, worker: _Worker[Task]) -> None:
        """Receive the result of a worker, or replace it if it has died."""
        assert worker.task is not None
        try:
            answer = worker.pipe.recv()
        except (EOFError, OSError):
            self._replace(worker)
            return
        task_number, task = worker.task
        self.results[task_number] = result_of(answer, f"{self._describe_task(task)}: ")
        worker.task = None

    def _replace(self, worker: _Worker[Task]) -> None:
        """Start another process in place of one that died, with the same task."""
        assert worker.task is not None
        task_number, task = worker.task
        worker.process.join()
        worker.pipe.close()
        reason = exit_reason(worker.process.exitcode)
        name = self._describe_task(task)
        if task_number in self._retried_tasks:
            raise WorkerError(f"{name}: gave up after two workers died ({reason})")
        self._warn(f"a worker died ({reason}): {name}: retried by another one")
        self._retried_tasks.add(task_number)
        worker.process, worker.pipe = self._start_process(worker.index)
        self._send(worker, task_number, task)


def start_worker(
    context: BaseContext,
    work_factory: WorkFactory,
    worker_index: int,
    other_pipes: Sequence["Connection[Any, Any]"] = (),
    pipe_count: int = 1,
) -> tuple[BaseProcess, list["Connection[Any, Any]"]]:
    """A process that answers tasks, and our ends of its pipes: send one a task, receive its answer.

    An answer is ("done", result), ("user", message of a UserError) or ("bug", traceback); EOFError or OSError where the
    process has died. Tasks of the first pipe run in the main thread, those of each other one in a thread of its own,
    and none of these may be sent before the first task has been answered. `other_pipes` are our ends of those of other
    workers, which a forked process closes.
    """
    parent_pipes, child_pipes = zip(*(context.Pipe() for _ in range(pipe_count)), strict=True)
    is_forked = context.get_start_method() == "fork"
    inherited_pipes = [*other_pipes, *parent_pipes] if is_forked else []
    arguments = (child_pipes, work_factory, worker_index, os.getpid(), inherited_pipes)
    process = context.Process(  # type: ignore[attr-defined]
        target=_worker_main, args=arguments, name=f"nmt worker {worker_index}", daemon=True
    )
    # At exit, before multiprocessing sends SIGTERM, which workers ignore, and waits for them.
    multiprocessing.util.Finalize(process, _kill, args=(weakref.ref(process),), exitpriority=0)
    with nullcontext() if is_forked else _hidden_main_module():
        process.start()
    for pipe in child_pipes:
        pipe.close()
    return process, list(parent_pipes)


def _kill(process_reference: "weakref.ref[BaseProcess]") -> None:
    process = process_reference()
    if process is not None and process.pid is not None:  # else it has ended, or was never started
        process.kill()


@contextmanager
def _hidden_main_module() -> Iterator[None]:
    """Keep processes that are spawned from running the caller's script again, of which they need nothing: it may be
    standard input, or begin anew, without `if __name__ == "__main__"`."""
    with _MAIN_MODULE_LOCK:
        main_module = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main_module


def result_of(answer: tuple[str, Any], label: str = "") -> Any:
    """The result in an answer of `start_worker`'s process.

    UserError as the worker raised it; WorkerError, its text behind `label` and the traceback as a note, for any other
    exception there.
    """
    kind, content = answer
    if kind == "user":
        raise UserError(content)
    if kind == "bug":
        error = WorkerError(f"{label}{content.splitlines()[-1]}")
        error.add_note(content)
        raise error
    return content


def exit_reason(exit_code: int | None) -> str:
    """Why a process ended: its exit code, or the name of a signal."""
    if exit_code is not None and exit_code < 0:
        with suppress(ValueError):
            return signal.Signals(-exit_code).name
    return f"exit code {exit_code}"


@contextmanager
def serial_pool(work_factory: WorkFactory) -> Iterator[MapFunction]:
    """A pool that works in this process."""
    yield partial(map, work_factory(0))


def pool_factory(count: int, describe_task: Callable[[Any], str], warn: Callable[[str], None]) -> PoolFactory:
    """A factory of pools with `count` workers; with one, of pools that work in this process."""

    @contextmanager
    def pool(work_factory: WorkFactory) -> Iterator[MapFunction]:
        with WorkerPool[Any, Any](count, work_factory, describe_task, warn) as workers:
            yield workers.map

    return pool if count > 1 else serial_pool


def parse_process_count(processes: str) -> int | None:
    """The number of processes; None for auto; UserError for anything else."""
    if processes == "auto":
        return None
    if not processes.isascii() or not processes.isdigit() or int(processes) < 1:
        raise UserError(f"--processes {processes}: use auto or a number from 1")
    return int(processes)


def usable_cores() -> int:
    """The number of cores that this process may use."""
    return usable_cores_and_reason()[0]


def usable_cores_and_reason() -> tuple[int, str]:
    """The number of cores that this process may use, and why so many.

    These are those of its affinity, or as many as the CPU time amounts to that its container or systemd slice has.
    """
    machine_cores = os.cpu_count() or 1
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not available on every system
        cores = machine_cores
    quota = min(_cpu_quotas(cgroup_folders("cpu")), default=cores)
    if quota < cores:
        return quota, f"of {machine_cores}, by CPU quota"
    return cores, f"of {machine_cores}, by CPU affinity" if cores < machine_cores else "all there are"


def cgroup_folders(
    controller: str, membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> list[Path]:
    """The control groups whose limits of `controller` (cpu, memory) hold for this process, innermost first.

    Of version 2, then of version 1. A container may not see the inner ones.
    """
    folders: list[Path] = []
    with suppress(OSError, ValueError):
        for line in membership.read_text("utf-8", "surrogateescape").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            hierarchy = root / controller if controllers else root  # version 2 has one for all controllers
            names = [name for name in path.split("/") if name]
            folders += [hierarchy.joinpath(*names[:depth]) for depth in range(len(names), -1, -1)]
    return folders


def _cpu_quotas(folders: list[Path]) -> list[int]:
    """The cores that the CPU time of each control group amounts to, rounded up."""
    quotas = []
    for folder in folders:
        for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):  # version 2, version 1
            with suppress(OSError, ValueError):  # unlimited: "max", -1
                quota, period = (int(text) for name in names for text in (folder / name).read_text("utf-8").split())
                if quota > 0:
                    quotas.append(-(-quota // period))
    return quotas


def limit_blas_threads() -> None:
    """Keep NumPy from starting threads, so that this process can be forked.

    It must be called before NumPy is imported. No command with workers needs these threads.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def shorten_spinning() -> None:
    """Let the threads of GNU OpenMP, which PyTorch has on Linux, spin for about half a millisecond while they wait for
    one another, instead of 15. A thread that spins keeps the core for which another one, with work to do, is waiting.

    It must be called before PyTorch is imported. OMP_WAIT_POLICY and GOMP_SPINCOUNT override it.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


@contextmanager
def environment_variable(name: str, value: str) -> Iterator[None]:
    """Set an environment variable of this process while the block runs."""
    previous = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if previous is not None:
            os.environ[name] = previous


def is_single_threaded() -> bool:
    """Whether this process certainly has one thread and may be forked; False on other systems than Linux."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


def _worker_main(
    pipes: Sequence["Connection[Any, Any]"],
    work_factory: WorkFactory,
    worker_index: int,
    parent_pid: int,
    inherited_pipes: list["Connection[Any, Any]"],
) -> None:
    """The main function of a worker: answer tasks until the parent is gone."""
    # Ctrl-C, a closed terminal and systemd reach all processes; the parent ends its workers
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    for inherited_pipe in inherited_pipes:  # if kept open, other workers would not notice that the parent ends
        inherited_pipe.close()
    _die_with_parent(parent_pid)
    os.environ[TOKENIZERS_PARALLELISM_VARIABLE] = "false"  # the cores are taken by other workers
    work: Callable[[Any], Any] | None = None

    def answer_tasks(pipe: "Connection[Any, Any]") -> None:
        nonlocal work
        with suppress(EOFError, OSError):  # the parent is gone
            while True:
                task = pipe.recv()
                try:
                    work = work or work_factory(worker_index)
                    answer = ("done", work(task))
                except UserError as error:
                    answer = ("user", str(error))
                except Exception:
                    answer = ("bug", traceback.format_exc().rstrip())
                pipe.send(answer)

    for pipe in pipes[1:]:
        threading.Thread(target=answer_tasks, args=(pipe,), daemon=True).start()
    answer_tasks(pipes[0])


def _die_with_parent(parent_pid: int) -> None:
    """Let the kernel kill this process when its parent ends (Linux); elsewhere a closed pipe ends it."""
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # it had already ended
        os._exit(1)
