"""`nmt` for a test: rank 1, when it is first started, sleeps for ever after update 12."""

import os
import time
from importlib import import_module
from typing import Any

from nmt_cli.cli.entry import main
from nmt_cli.training.trainer import Trainer

original = Trainer._update


def sleeping(trainer: Trainer, bar: Any) -> None:
    if trainer.state.update == 12:
        time.sleep(1000)
    original(trainer, bar)


import_module("torch._dynamo")  # seconds that the first update need not take of its time
if os.environ["RANK"] == "1" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
    Trainer._update = sleeping  # type: ignore[method-assign]
main()
