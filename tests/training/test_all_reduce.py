"""What an update tells all processes; the other one is played by a row of numbers."""

import os
import signal

import pytest
import torch
from torch import Tensor, nn

from nmt_cli.distributed.process_group import ProcessGroup
from nmt_cli.training.all_reduce import (
    BUSY_SECONDS_OFFSET,
    LOSS_OFFSET,
    SIGNALS_OFFSET,
    GradientAllReduce,
    extra_scalar_count,
)
from nmt_cli.training.parameters import FlatParameters
from nmt_cli.training.signals import StopSignals


class WithOther(ProcessGroup):
    """Rank 0 of two; the other one's gradient and riders are given."""

    def __init__(self, gradient: list[float], row: dict[int, float]) -> None:
        super().__init__(0, 2)
        self.gradient, self.row = gradient, row

    def busy_seconds(self) -> float:
        return 1.0

    def all_reduce(self, tensor: Tensor) -> None:
        tensor[: len(self.gradient)] += torch.tensor(self.gradient)
        for place, value in self.row.items():
            tensor[len(self.gradient) + place] += value


def exchange(row: dict[int, float], dtype: torch.dtype = torch.float32) -> GradientAllReduce:
    other = WithOther([1.0, 2.0, 3.0], {LOSS_OFFSET: 0.5, BUSY_SECONDS_OFFSET + 1: 3.0} | row)
    weights = FlatParameters(nn.Linear(2, 1), dtype, extra_scalar_count(other))
    weights.gradient.copy_(torch.tensor([10.0, 20.0, 30.0]))
    return GradientAllReduce(weights, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_and_losses_are_summed_in_float32(dtype: torch.dtype) -> None:
    all_reduce = exchange({}, dtype)
    agreed = all_reduce(torch.tensor(2.0), 0)
    assert all_reduce.parameters.gradient.dtype == torch.float32
    assert all_reduce.parameters.gradient.tolist() == [11.0, 22.0, 33.0]
    assert float(agreed.loss) == 2.5


def test_waiting_is_the_mean_distance_from_the_slowest() -> None:
    assert exchange({})(torch.tensor(0.0), 0).sync_wait_seconds == pytest.approx(1.0)  # 1 s here, 3 s there
    assert exchange({})(torch.tensor(0.0), 0).all_reduce_seconds == 0.0  # all of it was waiting


def test_riders_of_an_update_do_not_add_to_the_next() -> None:
    all_reduce = exchange({})
    first, second = all_reduce(torch.tensor(2.0), 0), all_reduce(torch.tensor(2.0), 0)
    assert float(first.loss) == float(second.loss) and first.sync_wait_seconds == second.sync_wait_seconds


def test_a_signal_to_another_process_is_known_here() -> None:
    all_reduce = exchange({SIGNALS_OFFSET + 1: 1.0})
    assert all_reduce.signal is None
    all_reduce(torch.tensor(0.0), 0)
    assert all_reduce.signal == signal.SIGTERM
    none = exchange({})
    none(torch.tensor(0.0), 0)
    assert none.signal is None


def test_an_own_signal_counts_when_all_have_been_told() -> None:
    all_reduce = exchange({})
    with all_reduce.stop_signals:
        for _ in range(2):  # a launcher and a batch system may both send one
            os.kill(os.getpid(), signal.SIGINT)
        assert all_reduce.signal is None
        all_reduce(torch.tensor(0.0), 0)
    assert all_reduce.signal == signal.SIGINT


@pytest.mark.parametrize("other_row", [{}, {SIGNALS_OFFSET: 1.0}])
def test_a_closed_terminal_counts_however_often_it_is_told(other_row: dict[int, float]) -> None:
    with (all_reduce := exchange(other_row)).stop_signals:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)
        all_reduce(torch.tensor(0.0), 0)
    assert all_reduce.signal == signal.SIGHUP
    alone = StopSignals()
    with alone:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGHUP)  # as a shell sends it while the checkpoint is being written
    assert alone.received_signal == signal.SIGHUP


def test_a_closed_terminal_that_nohup_ignores_stops_nothing() -> None:
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as stop_signals:
            os.kill(os.getpid(), signal.SIGHUP)
        assert stop_signals.received_signal is None and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, previous)


@pytest.mark.parametrize(
    "local_shortage, there, agreed", [(0, 0, 0), (200, 0, 200), (0, 300, 300), (200, 300, 200), (200, -9, -9)]
)
def test_memory_that_ran_out_anywhere_ran_out_for_all(local_shortage: int, there: int, agreed: int) -> None:
    all_reduce = exchange({BUSY_SECONDS_OFFSET + 3: there})
    assert all_reduce(torch.tensor(0.0), local_shortage).oom_positions == agreed


def test_alone_nothing_is_exchanged() -> None:
    weights = FlatParameters(nn.Linear(2, 1), torch.float32, extra_scalar_count(ProcessGroup()))
    all_reduce = GradientAllReduce(weights, ProcessGroup())
    assert len(weights.reduce_buffer) == 3
    assert all_reduce(torch.tensor(2.0), 7) == (torch.tensor(2.0), 7, 0.0, 0.0)
    with all_reduce.stop_signals:
        os.kill(os.getpid(), signal.SIGTERM)
    assert all_reduce.signal == signal.SIGTERM
