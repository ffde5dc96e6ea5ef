"""The engine workers: they fill batches from the queue, and are replaced when they die."""

import asyncio
import os
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from nmt_cli.errors import UserError, WorkerError
from nmt_cli.inference.output import Translation
from nmt_cli.inference.translator import Translator
from nmt_cli.reporting import Reporter
from nmt_cli.serving.errors import RequestError
from nmt_cli.serving.jobs import Job, JobOptions, JobQueue, OpenRun, TranslateBatch
from nmt_cli.serving.metrics import Metrics
from nmt_cli.serving.processes import AsyncWorker, WorkerDied
from nmt_cli.translation.opening import TranslatorSpec
from nmt_cli.workers import WorkFactory

MAX_BATCHES = 4  # that a worker may translate at a time, if its engines can
BATCH_WINDOW = 0.005  # seconds that a worker waits for more texts, if its last batch had more than one
MAX_RESTART_DELAY = 30.0  # seconds before a worker that dies again and again is started once more


class EnginePool:
    """Worker processes, each with every run open.

    A text whose worker dies is tried once more, by itself; then its request fails.
    """

    def __init__(
        self,
        run_names: Sequence[str],
        work_factory: WorkFactory,
        worker_count: int,
        queue: JobQueue,
        metrics: Metrics,
        reporter: Reporter,
        task_timeout: float,
    ) -> None:
        """`work_factory` makes what answers OpenRun and TranslateBatch in a worker."""
        self._open_work = work_factory
        self.run_names, self.worker_count, self.queue = list(run_names), worker_count, queue
        self.metrics, self.reporter, self.task_timeout = metrics, reporter, task_timeout
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Fails with the UserError of a run that cannot be opened."""
        self.lost_runs: set[str] = set()
        """The runs that have not been opened since a worker died; another one may have them open."""
        self._workers: list[_WorkerState] = []  # those that have not died
        self._first_ready = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def opened_runs(self) -> set[str]:
        """The runs that are open in a worker."""
        return set().union(*(state.opened_runs for state in self._workers))

    def start(self) -> None:
        """Start all workers; the runs are opened in the background."""
        self._tasks = [asyncio.create_task(self._keep_working(index)) for index in range(self.worker_count)]

    async def stop(self) -> None:
        """End all workers, whatever they do."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _keep_working(self, index: int) -> None:
        if index:  # a run is exported by the first worker only
            await self._first_ready.wait()
        delay = 0.0
        while True:
            worker: AsyncWorker | None = None
            try:
                worker = AsyncWorker(self._open_work, index, MAX_BATCHES)
                await self._work(_WorkerState(worker))
            except (WorkerDied, WorkerError, UserError) as error:
                self.lost_runs.update(self.run_names)
                if isinstance(error, UserError):
                    return self._fail(error)
                if isinstance(error, WorkerError) and not self._first_ready.is_set():
                    return self._fail(UserError(f"a run cannot be opened: {error}"))
                self.metrics.counts["nmt_worker_restarts_total"] += 1
                self.reporter.warning(f"an engine worker died ({error}) and is replaced")
                delay = 0.0 if worker is not None and worker.answered else min(MAX_RESTART_DELAY, 2 * delay + 0.5)
            finally:
                if worker is not None:
                    worker.kill()
            await asyncio.sleep(delay)

    def _fail(self, error: UserError) -> None:
        """End the server with an error, once the requests that wait have been told."""
        self.queue.fail_all(RequestError(503, "A run cannot be opened: the server is shutting down"))
        if not self.failure.done():
            self.failure.set_exception(error)

    async def _work(self, state: "_WorkerState") -> None:
        """Answer jobs, and open runs while there are none, until the worker dies."""
        self._workers.append(state)
        last_batch_size = 0
        try:
            while True:
                if last_batch_size > 1:
                    await asyncio.sleep(BATCH_WINDOW)
                await state.finish_batches(state.max_batches - 1)
                batch = self.queue.take(self._free_batches())
                last_batch_size = len(batch)
                needed_runs = [batch[0].options.run] if batch else self.run_names
                unopened_run = next((name for name in needed_runs if name not in state.opened_runs), None)
                if unopened_run is not None:
                    self.queue.resubmit(batch)  # other jobs may join them meanwhile
                    await self._open(state, unopened_run)
                elif batch and batch[0].deaths and state.batches:  # others should not die with it
                    self.queue.resubmit(batch)
                    await state.finish_batches()
                elif batch and batch[0].deaths:
                    await self._translate(state.worker, batch)
                elif batch:
                    state.batches.add(asyncio.create_task(self._translate(state.worker, batch)))
                else:
                    await state.wait(self.queue.wait())
        finally:
            self._workers.remove(state)
            if len(state.opened_runs) == len(self.run_names):
                self.metrics.gauges["nmt_engines_ready"] -= 1
            state.worker.process.kill()
            await asyncio.gather(*state.batches, return_exceptions=True)

    def _free_batches(self) -> int:
        """How many batches the workers that have opened all runs could take, and so the one that asks, too."""
        ready = [state for state in self._workers if len(state.opened_runs) == len(self.run_names)]
        return max(1, sum(state.max_batches - len(state.batches) for state in ready))

    async def _open(self, state: "_WorkerState", run: str) -> None:
        await state.finish_batches()
        max_batches = await state.worker.call(OpenRun(run))  # however long it takes
        state.max_batches = min(state.max_batches, max_batches)
        state.opened_runs.add(run)
        self.lost_runs.discard(run)
        if len(state.opened_runs) == len(self.run_names):
            self.metrics.gauges["nmt_engines_ready"] += 1
            self._first_ready.set()

    async def _translate(self, worker: AsyncWorker, batch: list[Job]) -> None:
        task = TranslateBatch(batch[0].options, [job.text for job in batch])
        try:
            translations = await worker.call(task, self.task_timeout)
        except WorkerDied:
            self._retry(batch, RequestError(500, "The engine failed twice on this text"))
            raise
        except UserError as error:
            self._retry(batch, RequestError(400, str(error)))
        except WorkerError as error:
            self.reporter.warning("\n".join([f"an engine worker failed: {error}", *error.__notes__]))
            self._retry(batch, RequestError(500, f"The engine failed on this text: {error}"))
        else:
            self.metrics.batch_texts.observe(len(batch))
            for job, translation in zip(batch, translations, strict=True):
                self.queue.finish(job, translation)

    def _retry(self, batch: list[Job], error: RequestError) -> None:
        """Put the jobs of a failed batch back, each to be translated alone; those that failed alone get the error."""
        for job in batch:
            job.deaths += 1
            if job.deaths > 1:
                job.group.fail(error)
        self.queue.resubmit([job for job in batch if job.deaths == 1])


@dataclass(eq=False)
class _WorkerState:
    """A worker as the pool sees it."""

    worker: AsyncWorker
    max_batches: int = MAX_BATCHES
    """How many it may translate at a time: as many as keep each of its engines busy."""
    opened_runs: set[str] = field(default_factory=set)
    batches: "set[asyncio.Task[None]]" = field(default_factory=set)
    """Those that are being translated."""

    async def finish_batches(self, remaining: int = 0) -> None:
        """Wait until no more than so many are being translated; raises what they raised."""
        while True:
            for batch in [batch for batch in self.batches if batch.done()]:
                self.batches.remove(batch)
                batch.result()
            if len(self.batches) <= remaining:
                return
            await asyncio.wait(self.batches, return_when=asyncio.FIRST_COMPLETED)

    async def wait(self, arrival: Coroutine[Any, Any, None]) -> None:
        """Wait for something to do, or for the end of a batch or of the process."""
        waits = [asyncio.ensure_future(arrival), asyncio.ensure_future(self.worker.wait_until_ended())]
        try:
            await asyncio.wait([*waits, *self.batches], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            outcomes = await asyncio.gather(*waits, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, WorkerDied):
                raise outcome


@dataclass
class EngineWork:
    """What a worker does: it opens runs, keeps every run that it has opened, and translates batches."""

    specs: dict[str, TranslatorSpec]
    reporter: Reporter
    threads: int = 1
    opened: dict[str, Translator] = field(default_factory=dict)
    variants: dict[JobOptions, Translator] = field(default_factory=dict)

    def __call__(self, task: OpenRun | TranslateBatch) -> int | list[Translation]:
        """The translations of a batch; of a run that is opened, how many batches at a time its engine should get."""
        if isinstance(task, OpenRun):
            translator = self._translator(JobOptions(task.run))
            translator.translate(["1"])  # a copied text: nothing is searched
            return min(translator.engine.concurrent_searches, self.threads)
        return self._translator(task.options).translate(task.texts)

    def _translator(self, options: JobOptions) -> Translator:
        """The translator of a run, whose search is as the options say; variants share its engine."""
        if options.run not in self.opened:
            self.opened[options.run] = self.specs[options.run].open(self.reporter)
        if options not in self.variants:
            self.variants[options] = _make_variant(self.opened[options.run], options)
        return self.variants[options]


def _make_variant(translator: Translator, options: JobOptions) -> Translator:
    changes: dict[str, object] = {}
    if options.candidates > 1:
        beam = max(translator.config.beam, options.candidates)
        changes = {"n_best": options.candidates, "beam": beam, "sampling": False, "top_k": None, "top_p": None}
    if not options.split:
        changes["split"] = "long"
    variant = translator.with_search(**changes)
    variant.assess = options.assess
    return variant


def open_engine_work(specs: dict[str, TranslatorSpec], threads: int, quiet: bool, worker_index: int) -> EngineWork:
    """The work of a worker that computes in so many threads."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    specs = {run: replace(spec, workers=threads) for run, spec in specs.items()}
    return EngineWork(specs, Reporter(quiet=quiet), threads)
