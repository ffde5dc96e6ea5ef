"""The all-reduce of gradients over processes, which also carries what they must agree on.

The float32 gradient is one flat tensor, so its sum over processes is one all-reduce. A few scalars
behind it carry the loss, and signals and memory shortages that a single process has noticed. Every
process thus knows the same after the same update, and none stops or splits batches alone.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from nmt_cli.distributed.process_group import ProcessGroup
from nmt_cli.training.parameters import FlatParameters
from nmt_cli.training.signals import StopSignals
from nmt_cli.workers import STOP_SIGNALS

# The extra scalars: the loss, a flag for each signal, the seconds that each rank was busy, and the
# positions for which it ran out of memory.
LOSS_OFFSET, SIGNALS_OFFSET = 0, 1
BUSY_SECONDS_OFFSET = SIGNALS_OFFSET + len(STOP_SIGNALS)


def extra_scalar_count(processes: ProcessGroup) -> int:
    """The number of scalars behind the gradient."""
    return 0 if processes.is_single else BUSY_SECONDS_OFFSET + 2 * processes.world_size


class SyncedStep(NamedTuple):
    """What every process knows after the all-reduce."""

    loss: Tensor  # smoothed, summed over the batches of all processes; on the device
    oom_positions: int  # for which memory ran out in some process; 0: in none; negative: those of a single pair
    sync_wait_seconds: float = 0.0  # that a process waited for the slowest one, on average
    all_reduce_seconds: float = 0.0  # from the moment when the slowest process was ready


class GradientAllReduce:
    """Sums gradients over processes, and catches the signals that end training."""

    def __init__(self, parameters: FlatParameters, processes: ProcessGroup) -> None:
        self.parameters, self.processes = parameters, processes
        self.stop_signals = StopSignals(catch_repeated=not processes.is_single)
        self._agreed_signal: int | None = None

    @property
    def signal(self) -> int | None:
        """A signal to stop that all processes know of."""
        return self.stop_signals.received_signal if self.processes.is_single else self._agreed_signal

    def __call__(self, loss: Tensor, oom_positions: int) -> SyncedStep:
        """Sum the gradient and the loss over all processes, and share signals and memory shortages.

        `oom_positions` is this process's, as in SyncedStep. A signal that comes after this call is
        shared with the next update.
        """
        if self.processes.is_single:
            return SyncedStep(loss, oom_positions)
        if loss.device.type == "cuda":
            torch.cuda.synchronize(loss.device)  # otherwise only the launch of kernels would be timed
        busy_seconds = self.processes.busy_seconds()
        extra_scalars = self.parameters.extra_scalars
        extra_scalars.copy_(torch.tensor(self._pack_scalars(busy_seconds, oom_positions)))
        extra_scalars[LOSS_OFFSET] = loss
        elapsed = self.processes.timed_all_reduce(self.parameters.reduce_buffer)
        return self._unpack_scalars(extra_scalars.clone(), elapsed, busy_seconds)

    def _pack_scalars(self, busy_seconds: float, oom_positions: int) -> list[float]:
        scalars = [0.0] * extra_scalar_count(self.processes)
        if self.stop_signals.received_signal is not None:
            scalars[SIGNALS_OFFSET + STOP_SIGNALS.index(self.stop_signals.received_signal)] = 1.0
        scalars[BUSY_SECONDS_OFFSET + self.processes.rank] = busy_seconds
        scalars[BUSY_SECONDS_OFFSET + self.processes.world_size + self.processes.rank] = oom_positions
        return scalars

    def _unpack_scalars(self, extra_scalars: Tensor, elapsed_seconds: float, busy_seconds: float) -> SyncedStep:
        values = extra_scalars.tolist()
        busy_seconds_by_rank = values[BUSY_SECONDS_OFFSET : BUSY_SECONDS_OFFSET + self.processes.world_size]
        oom_positions_by_rank = [
            int(value) for value in values[BUSY_SECONDS_OFFSET + self.processes.world_size :] if value
        ]
        received_signals = [s for n, s in enumerate(STOP_SIGNALS) if values[SIGNALS_OFFSET + n] > 0]
        self._agreed_signal = received_signals[-1] if received_signals else None  # of several, the last of them
        max_busy_seconds = max(busy_seconds_by_rank)
        return SyncedStep(
            extra_scalars[LOSS_OFFSET],
            min(oom_positions_by_rank, default=0),
            max_busy_seconds - sum(busy_seconds_by_rank) / len(busy_seconds_by_rank),
            max(0.0, elapsed_seconds - (max_busy_seconds - busy_seconds)),
        )
