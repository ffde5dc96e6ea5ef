"""Seconds of what `python -m benchmarks.serving hostile` does for minutes."""

import asyncio
from pathlib import Path

import pytest

from benchmarks.serving import HostileClients, running_server

pytestmark = pytest.mark.slow


def test_hostile_clients_do_no_harm(tiny_run: Path) -> None:
    with running_server(tiny_run, "--receive-timeout", 2) as server:
        report = asyncio.run(HostileClients(server, 1).run(15, 5.0))
    assert report.problems == []
    assert report.statuses["valid 200"] > 5 and report.statuses["deep 400"] > 5 and report.kills > 0
