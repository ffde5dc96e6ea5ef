"""The queue and the workers: what is translated together, and what becomes of a text that kills its worker."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from nmt_cli.errors import UserError
from nmt_cli.inference.output import Translation
from nmt_cli.reporting import Reporter
from nmt_cli.serving.engines import EnginePool
from nmt_cli.serving.errors import RequestError
from nmt_cli.serving.jobs import MAX_BATCH_CHARACTERS, MAX_BATCH_JOBS, Job, JobOptions, JobQueue
from nmt_cli.serving.metrics import Metrics
from tests.serving.stand_ins import make_stand_in

RUN = JobOptions("run")


def jobs(*texts: str, options: JobOptions = RUN) -> list[Job]:
    return [Job(options, text) for text in texts]


def with_queue(check: Callable[[JobQueue], None], max_jobs: int = 1000) -> None:
    async def run() -> None:
        check(JobQueue(max_jobs, Metrics()))

    asyncio.run(run())


def texts_of(batch: list[Job]) -> list[str]:
    return [job.text for job in batch]


def test_a_batch_holds_the_oldest_job_and_others_like_it() -> None:
    def check(queue: JobQueue) -> None:
        queue.submit(jobs("a"))
        queue.submit(jobs("x" * 300))
        queue.submit(jobs("c", options=JobOptions("other")))
        queue.submit(jobs("b"))
        assert texts_of(queue.take()) == ["a", "b"]
        queue.submit(jobs("d"))
        assert texts_of(queue.take()) == ["x" * 300, "d"]
        assert texts_of(queue.take()) == ["c"]
        assert queue.take() == []

    with_queue(check)


def test_batches_are_bounded() -> None:
    def check(queue: JobQueue) -> None:
        queue.submit(jobs(*["a"] * 100))
        assert len(queue.take()) == MAX_BATCH_JOBS
        assert len(queue.take()) == 100 - MAX_BATCH_JOBS
        queue.submit(jobs(*["x" * 1000] * 20))
        assert len(queue.take()) == MAX_BATCH_CHARACTERS // 1000

    with_queue(check)


def test_a_short_request_overtakes_the_end_of_a_long_one_and_nobody_is_left_behind() -> None:
    def check(queue: JobQueue) -> None:
        queue.submit(jobs(*["long"] * 500))
        queue.submit(jobs("short"))
        assert "short" in texts_of(queue.take())
        assert sum(len(queue.take()) for _ in range(20)) == 501 - MAX_BATCH_JOBS

    with_queue(check)


def test_jobs_of_a_request_that_is_gone_are_dropped_and_the_queue_is_bounded() -> None:
    async def run() -> None:
        queue = JobQueue(3, Metrics())
        waiting = jobs("a", "b", "c")
        queue.submit(waiting)
        with pytest.raises(RequestError, match="waiting"):
            queue.submit(jobs("d"))
        for job in waiting:
            job.future.cancel()
        await asyncio.sleep(0)
        assert queue.open_count == 0 and queue.take() == []
        queue.submit(jobs("e"))
        assert queue.metrics.counts["nmt_texts_dropped_total"] == 3

    asyncio.run(run())


def with_pool(log: Path, check: Callable[[EnginePool], Awaitable[None]], runs: tuple[str, ...] = ("run",)) -> None:
    async def run() -> None:
        metrics = Metrics()
        queue = JobQueue(1000, metrics)
        pool = EnginePool(runs, partial(make_stand_in, log), 1, queue, metrics, Reporter(silent=True), 5.0)
        pool.start()
        try:
            await asyncio.wait_for(check(pool), 60)
        finally:
            await pool.stop()
            pool.failure.cancel()

    asyncio.run(run())


async def results(submitted: list[Job]) -> list[str | int]:
    """The translation of each job, or the status of its error."""
    answers = await asyncio.gather(*(job.future for job in submitted), return_exceptions=True)
    values: list[str | int] = []
    for answer in answers:
        if isinstance(answer, Translation):
            values.append(answer.text)
        else:
            assert isinstance(answer, RequestError)
            values.append(answer.status)
    return values


def test_requests_that_arrive_while_a_worker_is_busy_are_one_batch(tmp_path: Path) -> None:
    async def check(pool: EnginePool) -> None:
        while not pool.opened_runs:
            await asyncio.sleep(0.01)
        first = jobs("sleep 0.5")
        pool.queue.submit(first)
        await asyncio.sleep(0.1)
        others = [job for number in range(10) for job in jobs(str(number))]
        for job in others:
            pool.queue.submit([job])
        assert await results(first + others) == ["SLEEP 0.5", *map(str, range(10))]

    with_pool(tmp_path / "log", check)
    assert (tmp_path / "log").read_text().splitlines()[-1] == "|".join(map(str, range(10)))


def test_a_text_that_kills_its_worker_fails_alone_after_a_second_try(tmp_path: Path) -> None:
    async def check(pool: EnginePool) -> None:
        submitted = jobs("a", "die once", "raise", "b")
        pool.queue.submit(submitted)
        assert await results(submitted) == ["A", "DIE ONCE", 500, "B"]
        submitted = jobs("c", "die", "d")
        pool.queue.submit(submitted)
        assert await results(submitted) == ["C", 500, "D"]
        assert pool.metrics.counts["nmt_worker_restarts_total"] == 3

    with_pool(tmp_path / "log", check)


def test_an_idle_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    async def check(pool: EnginePool) -> None:
        first = jobs("a")
        pool.queue.submit(first)
        await results(first)
        pool._workers[0].process.kill()
        await asyncio.sleep(0.1)
        second = jobs("b")
        pool.queue.submit(second)
        assert await results(second) == ["B"]

    with_pool(tmp_path / "log", check)


def test_a_worker_that_does_not_answer_is_killed(tmp_path: Path) -> None:
    async def check(pool: EnginePool) -> None:
        pool.task_timeout = 1.0
        submitted = jobs("sleep 60", "a")
        pool.queue.submit(submitted)
        assert await results(submitted) == [500, "A"]

    with_pool(tmp_path / "log", check)


def test_a_run_that_cannot_be_opened_is_reported(tmp_path: Path) -> None:
    async def check(pool: EnginePool) -> None:
        with pytest.raises(UserError, match="no weights"):
            await asyncio.shield(pool.failure)

    with_pool(tmp_path / "log", check, ("run", "damaged"))
