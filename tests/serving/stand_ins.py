"""Engines that do what a test asks of them, in worker processes."""

import os
import time
from pathlib import Path

from nmt_cli.errors import UserError
from nmt_cli.inference.output import Candidate, Translation
from nmt_cli.serving.jobs import OpenRun, TranslateBatch


class StandIn:
    """Translates to upper case; some words make it die, raise or sleep. Writes its batches to a file."""

    def __init__(self, log: Path) -> None:
        self.log = log

    def __call__(self, task: OpenRun | TranslateBatch) -> list[Translation]:
        if isinstance(task, OpenRun):
            if task.run == "damaged":
                raise UserError("damaged: no weights")
            if task.run == "too large":
                raise RuntimeError("out of memory")
            return []
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
