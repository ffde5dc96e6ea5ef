"""A worker process as the event loop sees it."""

import asyncio
import heapq
import multiprocessing
from typing import Any

from nmt_cli.errors import error_reason
from nmt_cli.workers import WorkFactory, exit_reason, result_of, start_worker


class WorkerDied(Exception):
    """The process ended, or was ended because it took too long, before it answered; or it could not be started."""


class AsyncWorker:
    """A process that answers one task at a time, or several once it has answered one."""

    def __init__(self, work_factory: WorkFactory, worker_index: int, max_tasks: int = 1) -> None:
        """WorkerDied where the system has no memory, processes or files left for it."""
        context = multiprocessing.get_context("spawn")
        try:
            self.process, self._pipes = start_worker(context, work_factory, worker_index, pipe_count=max_tasks)
        except OSError as error:
            raise WorkerDied(f"it could not be started: {error_reason(error)}") from error
        self._free_pipes = list(range(max_tasks))  # a heap of indices
        self.answered = False
        """Whether it has answered a task."""

    async def call(self, task: Any, timeout: float | None = None) -> Any:
        """The result of a task, one of at most `max_tasks` at a time.

        Raises the errors of `result_of`; WorkerDied where the process has ended, or has not answered after `timeout`
        seconds and is killed.
        """
        index = heapq.heappop(self._free_pipes)
        pipe = self._pipes[index]
        try:
            pipe.send(task)
            await asyncio.wait_for(_wait_until_readable(pipe.fileno()), timeout)
            answer = pipe.recv()
        except TimeoutError:
            self.process.kill()
            raise WorkerDied(f"no answer after {timeout:g} seconds") from None
        except (EOFError, OSError) as error:
            raise WorkerDied(self._exit_reason()) from error
        heapq.heappush(self._free_pipes, index)
        self.answered = True
        return result_of(answer)

    async def wait_until_ended(self) -> None:
        """Raises WorkerDied as soon as the process has ended."""
        await _wait_until_readable(self.process.sentinel)
        raise WorkerDied(self._exit_reason())

    def _exit_reason(self) -> str:
        self.process.join(timeout=5)
        return exit_reason(self.process.exitcode)

    def kill(self) -> None:
        """End the process; the calls that wait must have ended, or be cancelled."""
        self.process.kill()
        self.process.join()
        for pipe in self._pipes:
            pipe.close()


async def _wait_until_readable(file_descriptor: int) -> None:
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(file_descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(file_descriptor)
