"""The queue and the workers: what is translated together, and what becomes of a text that kills its worker."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from nmt_cli.errors import UserError, WorkerError
from nmt_cli.reporting import Reporter
from nmt_cli.serving.engines import EnginePool, EngineWork
from nmt_cli.serving.errors import RequestError
from nmt_cli.serving.jobs import (
    MAX_BATCH_CHARACTERS,
    MAX_BATCH_JOBS,
    Job,
    JobGroup,
    JobOptions,
    JobQueue,
    TranslateBatch,
)
from nmt_cli.serving.metrics import Metrics
from nmt_cli.serving.processes import WorkerDied
from nmt_cli.translation.opening import TranslatorSpec
from tests.serving.stand_ins import fail_to_start, make_stand_in

RUN = JobOptions("run")


def jobs(*texts: str, options: JobOptions = RUN) -> JobGroup:
    group = JobGroup()
    for text in texts:
        group.add(options, text)
    return group


def test_several_candidates_are_searched_even_where_one_is_drawn(tiny_run: Path) -> None:
    spec = TranslatorSpec((str(tiny_run),), ("search.sampling=true", "search.top_k=3"), "cpu", engine="torch")
    (translation,) = EngineWork({"run": spec}, Reporter(quiet=True))(
        TranslateBatch(RUN._replace(candidates=3), ["a book"])
    )
    scores = [candidate.score for candidate in translation.candidates]
    assert len(scores) == 3 and scores == sorted(scores, reverse=True)


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


def test_free_workers_get_a_share_each() -> None:
    def check(queue: JobQueue) -> None:
        queue.submit(jobs("a", "b", "c", "d", "e"))
        assert [len(queue.take(workers)) for workers in (3, 2, 1)] == [2, 2, 1]

    with_queue(check)


def test_a_short_request_overtakes_the_end_of_a_long_one_and_nobody_is_left_behind() -> None:
    def check(queue: JobQueue) -> None:
        queue.submit(jobs(*["a long text" * 5] * 500))
        queue.submit(jobs("short"))
        assert "short" in texts_of(queue.take())
        assert sum(len(queue.take()) for _ in range(20)) == 501 - MAX_BATCH_JOBS

    with_queue(check)


def test_jobs_of_a_request_that_is_gone_are_dropped_and_the_queue_is_bounded() -> None:
    async def run() -> None:
        queue = JobQueue(3, Metrics())
        waiting = jobs("a", "b", "c")
        queue.submit(waiting)
        with pytest.raises(RequestError, match="Too many texts are waiting: try again later"):
            queue.submit(jobs("d"))
        waiting.future.cancel()
        await asyncio.sleep(0)
        assert queue.open_count == 0 and queue.take() == []
        queue.submit(jobs("e"))
        assert queue.metrics.counts["nmt_texts_dropped_total"] == 3

    asyncio.run(run())


def with_pool(log: Path, check: Callable[[EnginePool], Awaitable[None]], runs: tuple[str, ...] = ("run",)) -> None:
    async def run() -> None:
        metrics = Metrics()
        queue = JobQueue(1000, metrics)
        pool = EnginePool(runs, partial(make_stand_in, log), 1, queue, metrics, Reporter(quiet=True), 5.0)
        pool.start()
        try:
            await asyncio.wait_for(check(pool), 300)
        finally:
            await pool.stop()
            pool.failure.cancel()

    asyncio.run(run())


async def result(group: JobGroup) -> list[str] | int:
    """The translations of a request, or the status of its error."""
    try:
        await group.future
    except RequestError as error:
        return error.status
    return [job.translation.text for job in group.jobs if job.translation is not None]


async def results(pool: EnginePool, *texts: str) -> list[list[str] | int]:
    """What requests of one text each, that arrive at once, become."""
    groups = [jobs(text) for text in texts]
    for group in groups:
        pool.queue.submit(group)
    return [await result(group) for group in groups]


@pytest.mark.parametrize(
    "failure, status, message",
    [
        (WorkerDied("killed"), 500, "The engine failed twice on this text"),
        (UserError("no such setting"), 400, "no such setting"),
        (WorkerError("ValueError: a bug"), 500, "The engine failed on this text: ValueError: a bug"),
    ],
)
def test_why_a_text_fails_is_said(
    failure: Exception, status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    class Worker:
        async def call(self, *arguments: object) -> None:
            raise failure

    async def check() -> None:
        failure.__notes__ = ["its traceback"]
        queue = JobQueue(10, Metrics())
        pool = EnginePool(("run",), make_stand_in, 1, queue, Metrics(), Reporter(quiet=True), 5.0)  # type: ignore[arg-type]
        group = jobs("a")
        queue.submit(group)
        for _ in range(2):
            with suppress(WorkerDied):
                await pool._translate(Worker(), queue.take())  # type: ignore[arg-type]
        with pytest.raises(RequestError) as error:
            await group.future
        assert (error.value.status, error.value.message) == (status, message)
        pool.failure.cancel()

    asyncio.run(check())
    said = "warning: an engine worker failed: ValueError: a bug\nits traceback\n"
    assert capsys.readouterr().err == (2 * said if isinstance(failure, WorkerError) else "")


def test_requests_that_arrive_while_a_worker_is_busy_are_one_batch(tmp_path: Path) -> None:
    async def check(pool: EnginePool) -> None:
        while not pool.opened_runs:
            await asyncio.sleep(0.01)
        first = jobs("sleep 0.5")
        pool.queue.submit(first)
        await asyncio.sleep(0.1)
        assert await results(pool, *map(str, range(10))) == [[str(number)] for number in range(10)]
        assert await result(first) == ["SLEEP 0.5"]

    with_pool(tmp_path / "log", check)
    assert (tmp_path / "log").read_text().splitlines()[-1] == "|".join(map(str, range(10)))


def test_an_engine_that_can_gets_a_second_batch_while_it_translates_the_first(tmp_path: Path) -> None:
    two_at_once = JobOptions("two at once")

    async def check(pool: EnginePool) -> None:
        while not pool.opened_runs:
            await asyncio.sleep(0.01)
        slow = jobs("sleep 60", options=two_at_once)
        pool.queue.submit(slow)
        for text in ("a", "b"):
            group = jobs(text, options=two_at_once)
            pool.queue.submit(group)
            assert await result(group) == [text.upper()]
        assert not slow.future.done()

    with_pool(tmp_path / "log", check, ("two at once",))


def test_requests_that_arrive_together_are_shared_among_the_batches_of_a_worker(tmp_path: Path) -> None:
    async def check(pool: EnginePool) -> None:
        while not pool.opened_runs:
            await asyncio.sleep(0.01)
        texts = ["sleep 0.5", "a", "b", "c"]
        groups = [jobs(text, options=JobOptions("two at once")) for text in texts]
        for group in groups:
            pool.queue.submit(group)
        assert [await result(group) for group in groups] == [[text.upper()] for text in texts]

    with_pool(tmp_path / "log", check, ("two at once",))
    assert sorted((tmp_path / "log").read_text().splitlines()) == ["b|c", "sleep 0.5|a"]


@pytest.mark.slow
def test_what_is_translated_beside_a_text_that_kills_its_worker_is_translated_in_the_next_one(tmp_path: Path) -> None:
    two_at_once = JobOptions("two at once")

    async def check(pool: EnginePool) -> None:
        texts = ["sleep 1", "die", "sleep 1.5", "die", "a"]
        groups = [jobs(text, options=two_at_once) for text in texts]
        for group in groups:
            pool.queue.submit(group)
        assert [await result(group) for group in groups] == [["SLEEP 1"], 500, ["SLEEP 1.5"], 500, ["A"]]

    with_pool(tmp_path / "log", check, ("two at once",))


@pytest.mark.slow
def test_a_text_that_kills_its_worker_fails_alone_after_a_second_try(tmp_path: Path) -> None:
    async def check(pool: EnginePool) -> None:
        assert await results(pool, "a", "die once", "raise", "b") == [["A"], ["DIE ONCE"], 500, ["B"]]
        assert await results(pool, "c", "die", "d") == [["C"], 500, ["D"]]
        assert pool.metrics.counts["nmt_worker_restarts_total"] == 3

    with_pool(tmp_path / "log", check)


@pytest.mark.slow
def test_an_idle_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    async def check(pool: EnginePool) -> None:
        await results(pool, "a")
        assert pool.opened_runs == {"run"}
        pool._workers[0].worker.process.kill()
        while not pool.metrics.counts["nmt_worker_restarts_total"]:  # without a job for it
            await asyncio.sleep(0.01)
        assert (pool.opened_runs, pool.lost_runs) == (set(), {"run"})
        while pool.lost_runs:
            await asyncio.sleep(0.01)
        assert pool.opened_runs == {"run"} and await results(pool, "b") == [["B"]]

    with_pool(tmp_path / "log", check)


def test_a_run_is_open_while_a_worker_that_has_opened_it_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(pool: EnginePool) -> None:
        await results(pool, "a")
        assert (pool.opened_runs, pool.lost_runs) == ({"run"}, set())
        fail_to_start(monkeypatch, times=1000)
        pool.queue.submit(jobs("die"))
        while not pool.metrics.counts["nmt_worker_restarts_total"]:
            await asyncio.sleep(0.01)
        assert (pool.opened_runs, pool.lost_runs) == (set(), {"run"})

    with_pool(tmp_path / "log", check)


def test_a_worker_that_cannot_be_started_is_started_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_to_start(monkeypatch, times=1)

    async def check(pool: EnginePool) -> None:
        assert await results(pool, "a") == [["A"]]
        assert pool.metrics.counts["nmt_worker_restarts_total"] == 1
        assert (pool.opened_runs, pool.lost_runs) == ({"run"}, set())

    with_pool(tmp_path / "log", check)
    reason = "it could not be started: Cannot allocate memory"
    assert capsys.readouterr().err == f"warning: an engine worker died ({reason}) and is replaced\n"


@pytest.mark.slow
def test_a_worker_that_does_not_answer_is_killed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def check(pool: EnginePool) -> None:
        pool.task_timeout = 1.0
        assert await results(pool, "sleep 60", "a") == [500, ["A"]]

    with_pool(tmp_path / "log", check)
    said = "warning: an engine worker died (no answer after 1 seconds) and is replaced\n"
    assert capsys.readouterr().err == 2 * said


@pytest.mark.slow
def test_a_run_that_cannot_be_opened_is_reported_also_to_those_who_wait(tmp_path: Path) -> None:
    async def check(pool: EnginePool) -> None:
        waiting = jobs("a", options=JobOptions("damaged"))
        pool.queue.submit(waiting)
        with pytest.raises(UserError, match="no weights"):
            await asyncio.shield(pool.failure)
        assert await result(waiting) == 503
        with pytest.raises(RequestError, match="A run cannot be opened: the server is shutting down"):
            pool.queue.submit(jobs("b"))
        assert pool.queue.open_count == 0

    with_pool(tmp_path / "log", check, ("run", "damaged"))


@pytest.mark.slow
def test_a_run_whose_opening_fails_otherwise_is_reported_too(tmp_path: Path) -> None:
    async def check(pool: EnginePool) -> None:
        with pytest.raises(UserError, match=r"cannot be opened: .*out of memory"):
            await asyncio.shield(pool.failure)

    with_pool(tmp_path / "log", check, ("too large",))
