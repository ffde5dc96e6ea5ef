"""The pieces of text that wait to be translated, and which of them are translated together."""

import asyncio
import heapq
import itertools
import time
from dataclasses import dataclass, field
from typing import NamedTuple

from nmt_cli.inference.output import Translation
from nmt_cli.serving.errors import RequestError
from nmt_cli.serving.metrics import Metrics

MAX_BATCH_JOBS = 64
MAX_BATCH_CHARACTERS = 6_000
MAX_LENGTH_RATIO = 2.0  # a batch has no text more than so many times as long as its first one, unless it is short
SHORT_TEXT = 80  # characters
MAX_SCANNED = 256  # waiting jobs that are looked at for a batch
SECONDS_PER_JOB = 0.02  # a job of a long request is due this much later than the one before it


class JobOptions(NamedTuple):
    """What jobs of a batch have in common."""

    run: str
    candidates: int = 1
    """Translations that are asked for."""
    split: bool = True
    """Whether lines are split into sentences."""


@dataclass
class Job:
    """A piece of text that a request waits for."""

    options: JobOptions
    text: str
    future: "asyncio.Future[Translation]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    deaths: int = 0
    """Workers that died while they translated it; after one it is translated alone."""


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

    @property
    def open_count(self) -> int:
        """Jobs that wait or are being translated."""
        return self.metrics.gauges["nmt_queue_texts"]

    def submit(self, jobs: list[Job]) -> None:
        """Add the jobs of a request; RequestError 503 where too many wait."""
        if self.open_count and self.open_count + len(jobs) > self.max_jobs:
            raise RequestError(503, "Too many texts are waiting: try again later", retry_after=5)
        now = time.monotonic()
        for index, job in enumerate(jobs):
            self.metrics.gauges["nmt_queue_texts"] += 1
            job.future.add_done_callback(self._count_done)
            heapq.heappush(self._heap, (now + SECONDS_PER_JOB * index, next(self._numbers), job))
        self._arrival.set()

    def resubmit(self, jobs: list[Job]) -> None:
        """Put jobs back, first in the queue."""
        for job in jobs:
            heapq.heappush(self._heap, (0.0, next(self._numbers), job))
        self._arrival.set()

    def _count_done(self, future: "asyncio.Future[Translation]") -> None:
        self.metrics.gauges["nmt_queue_texts"] -= 1
        if future.cancelled():
            self.metrics.counts["nmt_texts_dropped_total"] += 1

    async def wait(self) -> None:
        """Wait until a job may be there."""
        self._arrival.clear()
        if not self._heap:
            await self._arrival.wait()

    def take(self) -> list[Job]:
        """The oldest job and others that fit its batch: with the same options, and of similar length."""
        first = self._pop()
        if first is None:
            return []
        batch = [first[2]]
        if first[2].deaths:
            return batch
        length_limit = MAX_LENGTH_RATIO * max(SHORT_TEXT, len(first[2].text))
        characters, skipped = len(first[2].text), []
        for _ in range(MAX_SCANNED):
            if len(batch) == MAX_BATCH_JOBS or (entry := self._pop()) is None:
                break
            job = entry[2]
            fits = characters + len(job.text) <= MAX_BATCH_CHARACTERS and len(job.text) <= length_limit
            if fits and job.options == first[2].options and not job.deaths:
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
            if not entry[2].future.done():
                return entry
        return None
