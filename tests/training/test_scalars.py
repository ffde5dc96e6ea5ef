"""The numbers of an update that are read later."""

import gc
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt_cli.commands.train import train
from nmt_cli.reporting import Reporter
from nmt_cli.training.scalars import PendingScalars
from nmt_cli.training.trainer import Trainer
from tests.conftest import toy_recipe


def test_rows_come_back_in_their_order_beyond_the_capacity() -> None:
    pending = PendingScalars(2, torch.device("cpu"), capacity=3)
    for number in range(8):
        pending.append(torch.tensor(float(number)), torch.tensor(number + 0.5))
    assert pending.rows().tolist() == [[number, number + 0.5] for number in range(8)]
    pending.clear()
    assert pending.rows().shape == (0, 2)
    pending.append(torch.tensor(9.0), torch.tensor(1.0))
    assert pending.rows().tolist() == [[9.0, 1.0]]


@pytest.mark.precision
def test_an_update_leaves_no_tensor_behind(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would break up the memory from which the next update takes its large tensors."""
    original, counts = Trainer._update, list[int]()

    def counting(self: Trainer, bar: Any) -> None:
        original(self, bar)
        counts.append(sum(issubclass(type(thing), Tensor) for thing in gc.get_objects()))

    monkeypatch.setattr(Trainer, "_update", counting)
    train(toy_recipe(toy / "text", updates=8, log_every=30), toy / "run", Reporter(quiet=True))
    assert len(counts) == 8 and max(counts[2:]) <= counts[1]
