"""Work for several processes of this machine: tasks handed out one by one, results by number.

A process that has a single thread is forked (on Linux), so that what it has loaded, weights above
all, is shared page by page and nothing is loaded twice. Any other is spawned: a lock that another
thread holds at the moment of a fork stays locked in the child for ever. Either way a worker opens
its work itself, answers one task at a time over a pipe of its own, and ends with its parent.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, Self, TypeVar

from nmt_cli.errors import UserError, WorkerError

Task = TypeVar("Task")
Result = TypeVar("Result")
Opener = Callable[[int], Callable[[Any], Any]]  # the worker's number, from 0, to its work
Apply = Callable[[Iterable[Any]], Iterator[Any]]  # tasks to their results, in the same order
Pool = Callable[[Opener], AbstractContextManager[Apply]]  # somewhere to work

AHEAD = 4  # tasks a worker that may be under way or wait for the result of an earlier one
TOKENIZER_THREADS = "TOKENIZERS_PARALLELISM"  # whether the tokenizers library uses any
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


@dataclass
class _Worker(Generic[Task]):
    """A process, our end of its pipe, and the task that it has."""

    process: BaseProcess
    pipe: "Connection[Any, Any]"
    task: tuple[int, Task] | None = None


class Workers(Generic[Task, Result]):
    """Processes that run the same work on different tasks.

    A worker that dies is said in one line and replaced, and its task is done again; where that
    kills another one, WorkerError names the task. A UserError in a worker is raised here as it is,
    any other exception as WorkerError with the worker's traceback as a note.
    """

    def __init__(
        self,
        count: int,
        opener: Opener,
        describe: Callable[[Task], str],
        warn: Callable[[str], None],
        *,
        fork: bool | None = None,
    ) -> None:
        self._opener, self._describe, self._warn = opener, describe, warn
        self._fork = single_threaded() if fork is None else fork
        self._context = multiprocessing.get_context("fork" if self._fork else "spawn")
        self._repeated: set[int] = set()  # tasks that have cost a worker
        self._workers: list[_Worker[Task]] = []
        self.results: dict[int, Result] = {}
        for number in range(count):
            self._workers.append(self._start(number))

    def __len__(self) -> int:
        return len(self._workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """End all workers, whatever they are doing."""
        for worker in self._workers:
            worker.process.kill()
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join()

    @property
    def idle(self) -> int:
        """How many workers have nothing to do."""
        return sum(worker.task is None for worker in self._workers)

    def processes(self) -> list[int]:
        """The process ids, by the workers' numbers."""
        return [worker.process.pid or 0 for worker in self._workers]

    def give(self, number: int, task: Task) -> None:
        """Hand a task to an idle worker; its result will be results[number]."""
        place = next(place for place, one in enumerate(self._workers) if one.task is None)
        self._hand(place, number, task)

    def collect(self, also: Sequence[Any] = (), timeout: float | None = None) -> bool:
        """Wait until a result is there or one of the files `also` can be read; whether one can."""
        pipes = {one.pipe: place for place, one in enumerate(self._workers) if one.task is not None}
        assert pipes or also or timeout is not None, "nothing to wait for"
        ready = wait([*pipes, *also], timeout)
        for pipe, place in pipes.items():
            if pipe in ready:
                self._take(place)
        return any(one in ready for one in also)

    def map(self, tasks: Iterable[Task]) -> Iterator[Result]:
        """Results in the order of the tasks, of which few are held at a time."""
        source = enumerate(tasks)
        given = taken = 0
        ended = False
        while not ended or taken < given:
            while taken in self.results:
                yield self.results.pop(taken)
                taken += 1
            while not ended and self.idle and given - taken < AHEAD * len(self):
                upcoming = next(source, None)
                if upcoming is None:
                    ended = True
                else:
                    self.give(*upcoming)
                    given += 1
            if taken < given and taken not in self.results:
                self.collect()

    def _start(self, number: int) -> _Worker[Task]:
        ours, theirs = self._context.Pipe()
        inherited = [worker.pipe for worker in self._workers] + [ours] if self._fork else []
        arguments = (theirs, self._opener, number, os.getpid(), inherited)
        process = self._context.Process(  # type: ignore[attr-defined]
            target=_serve, args=arguments, name=f"nmt worker {number}", daemon=True
        )
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _hand(self, place: int, number: int, task: Task) -> None:
        worker = self._workers[place]
        worker.task = (number, task)
        try:
            worker.pipe.send(task)
        except OSError:  # it has died while it had nothing to do
            self._replace(place)

    def _take(self, place: int) -> None:
        """The answer of a worker, or the end of one."""
        worker = self._workers[place]
        assert worker.task is not None
        try:
            kind, content = worker.pipe.recv()
        except (EOFError, OSError):
            self._replace(place)
            return
        number, task = worker.task
        if kind == "user":
            raise UserError(content)
        if kind == "bug":
            error = WorkerError(f"{self._describe(task)}: {content.splitlines()[-1]}")
            error.add_note(content)
            raise error
        self.results[number] = content
        worker.task = None

    def _replace(self, place: int) -> None:
        """Another worker for one that died; it begins with the same task."""
        worker = self._workers[place]
        assert worker.task is not None
        number, task = worker.task
        worker.process.join()
        worker.pipe.close()
        reason = _reason(worker.process.exitcode)
        name = self._describe(task)
        if number in self._repeated:
            raise WorkerError(f"{name}: given up, since two workers died over it ({reason})")
        self._warn(f"a worker died ({reason}): {name}: done again by another one")
        self._repeated.add(number)
        self._workers[place] = self._start(place)
        self._hand(place, number, task)


@contextmanager
def in_this_process(opener: Opener) -> Iterator[Apply]:
    """A pool without workers."""
    yield partial(map, opener(0))


def pool_of(count: int, describe: Callable[[Any], str], warn: Callable[[str], None]) -> Pool:
    """A pool of `count` workers, or this process alone where that is one."""

    @contextmanager
    def pool(opener: Opener) -> Iterator[Apply]:
        with Workers[Any, Any](count, opener, describe, warn) as workers:
            yield workers.map

    return pool if count > 1 else in_this_process


def parse_processes(processes: str) -> int | None:
    """The number, or None for auto; UserError for anything else."""
    if processes == "auto":
        return None
    if not processes.isascii() or not processes.isdigit() or int(processes) < 1:
        raise UserError(f"--processes {processes}: use auto or a number from 1")
    return int(processes)


def usable_cores() -> int:
    """The cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def start_no_threads() -> None:
    """Let NumPy's linear algebra start no threads, which would keep this process from forking.

    Only before NumPy is imported; no command that has workers needs them.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def single_threaded() -> bool:
    """Whether this process may be forked: it is known to have no second thread (Linux)."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


def _reason(code: int | None) -> str:
    if code is not None and code < 0:
        with suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"


def _serve(
    pipe: "Connection[Any, Any]",
    opener: Opener,
    number: int,
    parent: int,
    inherited: list["Connection[Any, Any]"],
) -> None:
    """What a worker does: open the work, then answer tasks until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for other in inherited:  # while we held the parent's ends, no worker would see it end
        other.close()
    _end_with(parent)
    os.environ[TOKENIZER_THREADS] = "false"  # its threads are not ours to use
    work: Callable[[Any], Any] | None = None
    with suppress(EOFError, OSError):  # the parent is gone
        while True:
            task = pipe.recv()
            try:
                work = work or opener(number)
                answer = ("done", work(task))
            except UserError as error:
                answer = ("user", str(error))
            except Exception:
                answer = ("bug", traceback.format_exc().rstrip())
            pipe.send(answer)


def _end_with(parent: int) -> None:
    """Be killed when the parent ends, however it ends; on other systems the pipe tells."""
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it was over before we asked
        os._exit(1)
