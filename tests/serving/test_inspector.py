"""The process for inspections: who waits for it, and what becomes of it when it is slow or does not start."""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from nmt_cli.errors import UserError, WorkerError
from nmt_cli.reporting import Reporter
from nmt_cli.serving import inspector as inspector_module
from nmt_cli.serving.errors import RequestError
from nmt_cli.serving.inspector import MAX_WAITING, Inspector, InspectSentence
from nmt_cli.serving.jobs import OpenRun
from nmt_cli.serving.processes import WorkerDied
from tests.serving.stand_ins import fail_to_start, make_inspection_stand_in

DEATH = "warning: the process for inspections died (killed) and is replaced\n"


@pytest.mark.slow
def test_what_nobody_waits_for_is_not_tried_again_and_a_process_that_does_not_start_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"

    async def check() -> None:
        inspector = Inspector(partial(make_inspection_stand_in, log), Reporter(silent=True), 1.0)
        fail_to_start(monkeypatch, times=1)
        try:
            assert await inspector.inspect(InspectSentence("run", "a")) == {"text": "a"}
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(inspector.inspect(InspectSentence("run", "sleep 300")), 0.5)
            assert await inspector.inspect(InspectSentence("run", "b")) == {"text": "b"}
        finally:
            await inspector.stop()

    asyncio.run(check())
    assert log.read_text().splitlines() == ["a", "sleep 300", "b"]


@pytest.mark.parametrize(
    "failure, status, message, warning",
    [
        (WorkerDied("killed"), 500, "The engine failed twice on this text", DEATH * 2),
        (UserError("a: no words"), 400, "Invalid request: a: no words", ""),
        (WorkerError("a bug"), 500, "The engine failed on this text: a bug", "warning: an inspection failed: a bug\n"),
        (None, 503, "Too many requests of this kind are waiting: try again later", ""),
    ],
)
def test_why_there_is_no_inspection_is_said(
    failure: Exception | None,
    status: int,
    message: str,
    warning: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Worker:
        def __init__(self, *arguments: object) -> None:
            pass

        async def call(self, task: object, *arguments: object) -> None:
            if failure is not None and not isinstance(task, OpenRun):
                raise failure

        def kill(self) -> None:
            pass

    async def check() -> None:
        inspector = Inspector(partial(make_inspection_stand_in, Path()), Reporter(), 1.0)
        if failure is None:
            inspector._calls = {asyncio.Future() for _ in range(MAX_WAITING)}
        else:
            failure.__notes__ = []
        with pytest.raises(RequestError) as error:
            await inspector.inspect(InspectSentence("run", "a"))
        assert (error.value.status, error.value.message) == (status, message)

    monkeypatch.setattr(inspector_module, "AsyncWorker", Worker)
    asyncio.run(check())
    assert capsys.readouterr().err == warning
