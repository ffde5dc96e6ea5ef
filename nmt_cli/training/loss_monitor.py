"""Finding divergence without waiting for the device at every update.

The loss and gradient norm of each update stay on the device. Every `CHECK_EVERY_UPDATES` updates,
and before a validation or checkpoint, they are read together and judged in their order. The result
therefore depends only on the updates, not on when they are checked, and a run that was stopped and
resumed finds the same.
"""

import math
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from nmt_cli.training.batches import BatchIndex
from nmt_cli.training.scalars import PendingScalars
from nmt_cli.training.state import TrainingState

CHECK_EVERY_UPDATES = 10
MEDIAN_WINDOW_UPDATES = 64  # the median over these updates is the usual loss
LOSS_SPIKE_FACTOR = 10.0  # a loss this many times the usual one, and twice that of a uniform guess, has diverged
NORM_SPIKE_FACTOR = 1000.0  # the same for the gradient norm, where gradients are not clipped
LOSS_RISE_FACTOR, MIN_LOSS_RISE_NATS = 2.0, 1.0  # a median this much above the lowest one has diverged


@dataclass(frozen=True)
class Divergence:
    """The update that diverged, the first one that is not to be trusted, and the batches to blame, if any."""

    update: int
    first_bad_update: int
    reason: str
    batch_indices: tuple[BatchIndex, ...] = ()


class LossMonitor:
    """Judges the updates of a run; its history of losses is part of the TrainingState, for checkpoints."""

    def __init__(
        self, *, warmup_updates: int, vocabulary_size: int, clips_gradients: bool, device: torch.device
    ) -> None:
        self.warmup_updates, self.clips_gradients = warmup_updates, clips_gradients
        self.min_spike_loss = 2 * math.log(vocabulary_size)
        self._pending_batches: list[tuple[int, tuple[BatchIndex, ...]]] = []
        self._pending_values = PendingScalars(2, device)  # loss and gradient norm

    def record(self, update: int, batch_indices: tuple[BatchIndex, ...], loss: Tensor, gradient_norm: Tensor) -> None:
        """Keep the smoothed loss per token and the gradient norm of an update, on the device."""
        self._pending_batches.append((update, batch_indices))
        self._pending_values.append(loss, gradient_norm)

    def check(self, state: TrainingState, weights: Tensor | None = None) -> Divergence | None:
        """The first divergence among the updates recorded since the last check; waits for the device.

        Flat `weights` that are about to be saved are checked too. The history in `state` is updated.
        """
        pending, self._pending_batches = self._pending_batches, []
        values = self._pending_values.rows().tolist()
        self._pending_values.clear()
        for (update, batch_indices), (loss, gradient_norm) in zip(pending, values, strict=True):
            reason = self._find_spike(state, loss, gradient_norm)
            if reason is not None:
                return Divergence(update, update, reason, batch_indices)
            reason = self._find_rise(state, update, loss)
            if reason is not None:
                return Divergence(update, update - MEDIAN_WINDOW_UPDATES, reason)
        if weights is not None and not bool(weights.isfinite().all()):
            return Divergence(state.update, state.update, "a weight is not finite")
        return None

    def _find_spike(self, state: TrainingState, loss: float, gradient_norm: float) -> str | None:
        """Why this update has diverged by itself; None if it has not."""
        for name, value in (("loss", loss), ("gradient", gradient_norm)):
            if not math.isfinite(value):
                return f"the {name} is not finite"
        if len(state.recent_losses) == MEDIAN_WINDOW_UPDATES:
            median_loss = median(state.recent_losses)
            if loss > max(LOSS_SPIKE_FACTOR * median_loss, self.min_spike_loss):
                return f"the loss is {loss:.3g}, its median {median_loss:.3g}"
        if not self.clips_gradients:
            if len(state.recent_gradient_norms) == MEDIAN_WINDOW_UPDATES:
                median_norm = median(state.recent_gradient_norms)
                if gradient_norm > NORM_SPIKE_FACTOR * median_norm:
                    return f"the gradient is {gradient_norm:.3g}, its median {median_norm:.3g}"
            state.recent_gradient_norms = [*state.recent_gradient_norms[1 - MEDIAN_WINDOW_UPDATES :], gradient_norm]
        return None

    def _find_rise(self, state: TrainingState, update: int, loss: float) -> str | None:
        """Why the run as a whole has diverged: the median loss has risen, as it never does in a healthy run."""
        state.recent_losses = [*state.recent_losses[1 - MEDIAN_WINDOW_UPDATES :], loss]
        if update <= self.warmup_updates or len(state.recent_losses) < MEDIAN_WINDOW_UPDATES:
            return None
        median_loss = median(state.recent_losses)
        lowest_loss = median_loss if state.lowest_median_loss is None else min(median_loss, state.lowest_median_loss)
        state.lowest_median_loss = lowest_loss
        if median_loss > max(LOSS_RISE_FACTOR * lowest_loss, lowest_loss + MIN_LOSS_RISE_NATS):
            return f"the loss rose from {lowest_loss:.3g} to {median_loss:.3g}"
        return None
