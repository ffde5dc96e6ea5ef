"""The pieces of text that wait to be translated, and which of them are translated together."""

import asyncio
import heapq
import itertools
import time
from dataclasses import dataclass
from typing import NamedTuple

from nmt_cli.inference.output import Translation
from nmt_cli.serving.errors import RequestError
from nmt_cli.serving.metrics import Metrics

MAX_BATCH_JOBS = 64
MAX_BATCH_CHARACTERS = 4_000
MAX_LENGTH_RATIO = 2.0  # a batch has no text more than so many times as long as its first one, unless it is short
SHORT_TEXT = 80  # characters
MAX_SCANNED = 256  # waiting jobs that are looked at for a batch
CHARACTERS_PER_SECOND = 5_000  # the jobs of a long request are due one after the other, as if so many were translated


class JobOptions(NamedTuple):
    """What jobs of a batch have in common."""

    run: str
    candidates: int = 1
    """Translations that are asked for."""
    split: bool = True
    """Whether lines are split into sentences."""
    assess: bool = False
    """Whether a scoring pass says how sure the translations are."""


class OpenRun(NamedTuple):
    """The task to open a run, before it is needed."""

    run: str


class TranslateBatch(NamedTuple):
    """The task to translate texts, one line each."""

    options: JobOptions
    texts: list[str]


class JobGroup:
    """The pieces of text that a request waits for, and what they become."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.unanswered_count = 0
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when all jobs are; cancelled with the request."""
        self.future.add_done_callback(lambda done: done.cancelled() or done.exception())  # somebody has seen its error

    def add(self, options: JobOptions, text: str) -> "Job":
        """Another piece of text."""
        job = Job(options, text, self)
        self.jobs.append(job)
        self.unanswered_count += 1
        return job

    def fail(self, error: RequestError) -> None:
        """Let the request fail."""
        if not self.future.done():
            self.future.set_exception(error)


@dataclass
class Job:
    """A piece of text."""

    options: JobOptions
    text: str
    group: JobGroup
    translation: Translation | None = None
    deaths: int = 0
    """Batches with it that have failed; after one it is translated alone."""

    @property
    def is_open(self) -> bool:
        """Whether somebody waits for it."""
        return self.translation is None and not self.group.future.done()


class JobQueue:
    """Jobs of all requests, the oldest first.

    The later jobs of a long request are due a little later each, so that a short request that arrives meanwhile does
    not wait for all of them. Jobs whose request is gone are dropped.
    """

    def __init__(self, max_jobs: int, metrics: Metrics) -> None:
        self.max_jobs, self.metrics = max_jobs, metrics
        self._heap: list[tuple[float, int, Job]] = []
        self._numbers = itertools.count()
        self._arrival = asyncio.Event()
        self._failure: RequestError | None = None

    @property
    def open_count(self) -> int:
        """Jobs that wait or are being translated."""
        return self.metrics.gauges["nmt_queue_texts"]

    def submit(self, group: JobGroup, *, is_admitted: bool = False) -> None:
        """Add the jobs of a request, at least one; RequestError 503 where too many wait, unless other jobs of the
        request have been taken already."""
        if self._failure is not None:
            raise RequestError(self._failure.status, str(self._failure))
        count = len(group.jobs)
        if not is_admitted and self.open_count and self.open_count + count > self.max_jobs:
            raise RequestError(503, "Too many texts are waiting: try again later", retry_after=5)
        self.metrics.gauges["nmt_queue_texts"] += count
        group.future.add_done_callback(lambda _: self._forget(group))
        due = time.monotonic()
        for job in group.jobs:
            heapq.heappush(self._heap, (due, next(self._numbers), job))
            due += len(job.text) / CHARACTERS_PER_SECOND
        self._arrival.set()

    def finish(self, job: Job, translation: Translation) -> None:
        """Answer a job that somebody still waits for."""
        if job.is_open:
            self.metrics.counts["nmt_texts_total"] += 1
            self.metrics.counts["nmt_characters_total"] += len(job.text)
            self.metrics.gauges["nmt_queue_texts"] -= 1
            job.translation = translation
            job.group.unanswered_count -= 1
            if not job.group.unanswered_count:
                job.group.future.set_result(None)

    def resubmit(self, jobs: list[Job]) -> None:
        """Put jobs back, first in the queue."""
        for job in jobs:
            heapq.heappush(self._heap, (0.0, next(self._numbers), job))
        self._arrival.set()

    def fail_all(self, error: RequestError) -> None:
        """Let all requests fail whose jobs wait, and those that come."""
        self._failure = error
        for _, _, job in self._heap:
            job.group.fail(error)

    def _forget(self, group: JobGroup) -> None:
        """Nobody waits for the jobs any more that have no answer."""
        self.metrics.gauges["nmt_queue_texts"] -= group.unanswered_count
        self.metrics.counts["nmt_texts_dropped_total"] += group.unanswered_count

    async def wait(self) -> None:
        """Wait until a job may be there."""
        self._arrival.clear()
        if not self._heap:
            await self._arrival.wait()

    def take(self, free_workers: int = 1) -> list[Job]:
        """The oldest job and others that fit its batch: with the same options, and of similar length.

        No more than the share of one of `free_workers`, so that each has something to do.
        """
        max_jobs = min(MAX_BATCH_JOBS, -(-len(self._heap) // free_workers))
        if (entry := self._pop()) is None:
            return []
        first = entry[2]
        batch = [first]
        if first.deaths:
            return batch
        length_limit = MAX_LENGTH_RATIO * max(SHORT_TEXT, len(first.text))
        characters, skipped = len(first.text), []
        for _ in range(MAX_SCANNED):
            if len(batch) >= max_jobs or (entry := self._pop()) is None:
                break
            job = entry[2]
            fits = characters + len(job.text) <= MAX_BATCH_CHARACTERS and len(job.text) <= length_limit
            if fits and job.options == first.options and not job.deaths:
                batch.append(job)
                characters += len(job.text)
            else:
                skipped.append(entry)
        for entry in skipped:
            heapq.heappush(self._heap, entry)
        return batch

    def _pop(self) -> tuple[float, int, Job] | None:
        while self._heap:
            entry = heapq.heappop(self._heap)
            if entry[2].is_open:
                return entry
        return None
