"""What the processes of a run tell each other after an update: gradients, losses, decisions.

The float32 gradient is one flat tensor, so its sum over processes is one all-reduce. A few more
numbers ride behind it: the loss, and all that a process might decide by itself. So every process
knows the same at the same update, and none goes on or stops alone.
"""

import signal
from typing import NamedTuple

import torch
from torch import Tensor

from nmt_cli.distributed import Processes
from nmt_cli.training.stopping import StopSignals
from nmt_cli.training.weights import Weights

# Behind the gradient ride: the loss, a flag for each signal, and for each rank the seconds that it
# computed and its shortage of memory.
LOSS, FIRST_SIGNAL = 0, 1
SIGNALS = (signal.SIGINT, signal.SIGTERM)  # where both came, the second counts
FIRST_BUSY = FIRST_SIGNAL + len(SIGNALS)


def riders(processes: Processes) -> int:
    """How many numbers ride behind the gradient."""
    return 0 if processes.alone else FIRST_BUSY + 2 * processes.count


class Agreed(NamedTuple):
    """What every process knows after an exchange."""

    loss: Tensor  # smoothed, summed over the batches of all processes; on the device
    waited: float  # seconds that a process waited for the slowest one, on average
    transfer: float  # seconds from the slowest one's arrival until all had the sums
    shortage: int  # positions for which memory ran out in some process; 0 where it did in none;
    # negative where they were those of a single pair


class Exchange:
    """Sums gradients over processes, and watches for the signals that end training."""

    def __init__(self, weights: Weights, processes: Processes) -> None:
        self.weights, self.processes = weights, processes
        self.signals = StopSignals(every=not processes.alone)
        self._told: int | None = None

    @property
    def signal(self) -> int | None:
        """A signal to stop, of which all processes know."""
        return self.signals.received if self.processes.alone else self._told

    def __call__(self, loss: Tensor, shortage: int) -> Agreed:
        """Sum the gradient, and this process's loss, over all; learn of each other's signals, and
        whether memory ran out (`shortage`, as in Agreed).

        A signal that comes after this call is told with the next update.
        """
        if self.processes.alone:
            return keep_to_oneself(loss, shortage)
        if loss.device.type == "cuda":
            torch.cuda.synchronize(loss.device)  # else the time below is only that of asking
        busy = self.processes.busy()
        behind = self.weights.riders
        behind.copy_(torch.tensor(self._row(busy, shortage)))
        behind[LOSS] = loss
        elapsed = self.processes.timed_sum(self.weights.exchanged)
        return self._read(behind.clone(), elapsed, busy)

    def _row(self, busy: float, shortage: int) -> list[float]:
        row = [0.0] * riders(self.processes)
        if self.signals.received is not None:
            row[FIRST_SIGNAL + SIGNALS.index(self.signals.received)] = 1.0
        row[FIRST_BUSY + self.processes.rank] = busy
        row[FIRST_BUSY + self.processes.count + self.processes.rank] = shortage
        return row

    def _read(self, behind: Tensor, elapsed: float, busy: float) -> Agreed:
        values = behind.tolist()
        times = values[FIRST_BUSY : FIRST_BUSY + self.processes.count]
        shortages = [int(one) for one in values[FIRST_BUSY + self.processes.count :] if one]
        raised = [s for n, s in enumerate(SIGNALS) if values[FIRST_SIGNAL + n] > 0]
        self._told = raised[-1] if raised else None
        slowest = max(times)
        return Agreed(
            behind[LOSS],
            slowest - sum(times) / len(times),
            max(0.0, elapsed - (slowest - busy)),
            min(shortages, default=0),
        )


def keep_to_oneself(loss: Tensor, shortage: int) -> Agreed:
    """The exchange of a process alone."""
    return Agreed(loss, 0.0, 0.0, shortage)
