"""The process for inspections: who waits for it, and what becomes of it when it is slow or does not start."""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from nmt_cli.reporting import Reporter
from nmt_cli.serving.inspector import Inspector, InspectSentence
from tests.serving.stand_ins import fail_to_start, make_inspection_stand_in


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
