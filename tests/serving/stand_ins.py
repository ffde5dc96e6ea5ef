"""Engines that do what a test asks of them, in worker processes, and processes that do not start."""

import errno
import os
import time
from pathlib import Path
from typing import Any

import pytest

from nmt_cli.errors import UserError
from nmt_cli.inference.output import Candidate, Translation
from nmt_cli.serving import processes
from nmt_cli.serving.inspector import InspectSentence
from nmt_cli.serving.jobs import OpenRun, TranslateBatch


class StandIn:
    """Translates to upper case; some words make it die, raise or sleep. Writes its batches to a file. Of a run that is
    called "two at once" it should get two batches at a time."""

    def __init__(self, log: Path) -> None:
        self.log = log

    def __call__(self, task: OpenRun | TranslateBatch) -> int | list[Translation]:
        if isinstance(task, OpenRun):
            if task.run == "damaged":
                raise UserError("damaged: no weights")
            if task.run == "too large":
                raise RuntimeError("out of memory")
            return 2 if task.run == "two at once" else 1
        with open(self.log, "a") as file:
            file.write(f"{'|'.join(task.texts)}\n")
        for text in task.texts:
            if text == "die":
                os.kill(os.getpid(), 9)
            if text == "die once" and not self.log.with_suffix(".died").exists():
                self.log.with_suffix(".died").touch()
                os.kill(os.getpid(), 9)
            if text == "raise":
                raise ValueError("a bug")
            if text.startswith("sleep"):
                time.sleep(float(text.split()[1]))
        return [Translation([Candidate(text.upper(), 0.0, 0.0)]) for text in task.texts]


def make_stand_in(log: Path, index: int) -> StandIn:
    return StandIn(log)


class InspectionStandIn:
    """Says which text it was given, and writes it to a file; some words make it sleep."""

    def __init__(self, log: Path) -> None:
        self.log = log

    def __call__(self, task: OpenRun | InspectSentence) -> dict[str, str]:
        if isinstance(task, OpenRun):
            return {}
        with open(self.log, "a") as file:
            file.write(f"{task.text}\n")
        if task.text.startswith("sleep"):
            time.sleep(float(task.text.split()[1]))
        return {"text": task.text}


def make_inspection_stand_in(log: Path, index: int) -> InspectionStandIn:
    return InspectionStandIn(log)


def fail_to_start(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Let the next processes not start, as where memory is short."""
    start_worker, failures = processes.start_worker, iter(range(times))

    def start(*arguments: Any, **options: Any) -> Any:
        if next(failures, None) is not None:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        return start_worker(*arguments, **options)

    monkeypatch.setattr(processes, "start_worker", start)
