"""What an update tells all processes; the other one is played by a row of numbers."""

import os
import signal

import pytest
import torch
from torch import Tensor, nn

from nmt_cli.distributed import Processes
from nmt_cli.training.exchange import FIRST_BUSY, FIRST_SIGNAL, LOSS, Exchange, riders
from nmt_cli.training.weights import Weights


class WithOther(Processes):
    """Rank 0 of two; the other one's gradient and riders are given."""

    def __init__(self, gradient: list[float], row: dict[int, float]) -> None:
        super().__init__(0, 2)
        self.gradient, self.row = gradient, row

    def busy(self) -> float:
        return 1.0

    def sum(self, tensor: Tensor) -> None:
        tensor[: len(self.gradient)] += torch.tensor(self.gradient)
        for place, value in self.row.items():
            tensor[len(self.gradient) + place] += value


def exchange(row: dict[int, float], dtype: torch.dtype = torch.float32) -> Exchange:
    other = WithOther([1.0, 2.0, 3.0], {LOSS: 0.5, FIRST_BUSY + 1: 3.0} | row)
    weights = Weights(nn.Linear(2, 1), dtype, riders(other))
    weights.gradient.copy_(torch.tensor([10.0, 20.0, 30.0]))
    return Exchange(weights, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_and_losses_are_summed_in_float32(dtype: torch.dtype) -> None:
    one = exchange({}, dtype)
    agreed = one(torch.tensor(2.0), 0)
    assert one.weights.gradient.dtype == torch.float32
    assert one.weights.gradient.tolist() == [11.0, 22.0, 33.0]
    assert float(agreed.loss) == 2.5


def test_waiting_is_the_mean_distance_from_the_slowest() -> None:
    assert exchange({})(torch.tensor(0.0), 0).waited == pytest.approx(1.0)  # 1 s here, 3 s there
    assert exchange({})(torch.tensor(0.0), 0).transfer == 0.0  # all of it was waiting


def test_riders_of_an_update_do_not_add_to_the_next() -> None:
    one = exchange({})
    first, second = one(torch.tensor(2.0), 0), one(torch.tensor(2.0), 0)
    assert float(first.loss) == float(second.loss) and first.waited == second.waited


def test_a_signal_to_another_process_is_known_here() -> None:
    one = exchange({FIRST_SIGNAL + 1: 1.0})
    assert one.signal is None
    one(torch.tensor(0.0), 0)
    assert one.signal == signal.SIGTERM
    none = exchange({})
    none(torch.tensor(0.0), 0)
    assert none.signal is None


def test_an_own_signal_counts_when_all_have_been_told() -> None:
    one = exchange({})
    with one.signals:
        for _ in range(2):  # a launcher and a batch system may both send one
            os.kill(os.getpid(), signal.SIGINT)
        assert one.signal is None
        one(torch.tensor(0.0), 0)
    assert one.signal == signal.SIGINT


@pytest.mark.parametrize(
    "here, there, agreed", [(0, 0, 0), (200, 0, 200), (0, 300, 300), (200, 300, 200), (200, -9, -9)]
)
def test_memory_that_ran_out_anywhere_ran_out_for_all(here: int, there: int, agreed: int) -> None:
    one = exchange({FIRST_BUSY + 3: there})
    assert one(torch.tensor(0.0), here).shortage == agreed


def test_alone_nothing_is_exchanged() -> None:
    weights = Weights(nn.Linear(2, 1), torch.float32, riders(Processes()))
    one = Exchange(weights, Processes())
    assert len(weights.exchanged) == 3
    assert one(torch.tensor(2.0), 7) == (torch.tensor(2.0), 0.0, 0.0, 7)
    with one.signals:
        os.kill(os.getpid(), signal.SIGTERM)
    assert one.signal == signal.SIGTERM
