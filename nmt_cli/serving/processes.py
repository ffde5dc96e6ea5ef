"""A worker process as the event loop sees it."""

import asyncio
import multiprocessing
from collections.abc import Coroutine
from typing import Any

from nmt_cli.workers import WorkFactory, exit_reason, result_of, start_worker


class WorkerDied(Exception):
    """The process ended, or was ended because it took too long, before it answered; or it could not be started."""


class AsyncWorker:
    """A process that answers one task at a time."""

    def __init__(self, work_factory: WorkFactory, worker_index: int) -> None:
        """WorkerDied where the system has no memory, processes or files left for it."""
        context = multiprocessing.get_context("spawn")
        try:
            self.process, self.pipe = start_worker(context, work_factory, worker_index)
        except OSError as error:
            raise WorkerDied(f"it could not be started: {error.strerror or error}") from error
        self.answered = False
        """Whether it has answered a task."""

    async def call(self, task: Any, timeout: float | None = None) -> Any:
        """The result of a task.

        Raises the errors of `result_of`; WorkerDied where the process has ended, or has not answered after `timeout`
        seconds and is killed.
        """
        try:
            self.pipe.send(task)
            await asyncio.wait_for(self._wait_until_readable(), timeout)
            answer = self.pipe.recv()
        except TimeoutError:
            self.kill()
            raise WorkerDied(f"no answer after {timeout:g} seconds") from None
        except (EOFError, OSError) as error:
            self.process.join(timeout=5)
            reason = exit_reason(self.process.exitcode)
            self.kill()
            raise WorkerDied(reason) from error
        self.answered = True
        return result_of(answer)

    async def wait_idle(self, arrival: Coroutine[Any, Any, None]) -> None:
        """Wait for something to do; WorkerDied where the process ends meanwhile, which has nothing to say else."""
        waits = [asyncio.ensure_future(arrival), asyncio.ensure_future(self._wait_until_readable())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            has_ended = waits[1].done()
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        if has_ended:
            self.process.join(timeout=5)
            raise WorkerDied(exit_reason(self.process.exitcode))

    async def _wait_until_readable(self) -> None:
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        file_descriptor = self.pipe.fileno()
        loop.add_reader(file_descriptor, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(file_descriptor)

    def kill(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()
        self.pipe.close()
