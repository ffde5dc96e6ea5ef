"""Divergence: noticed without waiting for the device at each update, blamed on a batch, undone.

Loss and gradient norm of each update stay on the device; every `CHECK_EVERY_UPDATES` updates, and before
anything is validated or saved, they are read together and judged one by one in their order. So
what is found depends on the updates alone and not on when somebody looked, and a run that was
stopped and resumed finds the same.
"""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Protocol

import torch
from torch import Tensor

from nmt_cli.distributed.process_group import ProcessGroup
from nmt_cli.errors import RunError, TrainingError
from nmt_cli.reporting import Reporter
from nmt_cli.runs.checkpoint import Checkpoint, read_checkpoint, update_number
from nmt_cli.runs.folder import RunFolder
from nmt_cli.training.batches import BatchIndex, BatchIterator
from nmt_cli.training.metric_log import MetricLogger
from nmt_cli.training.state import TrainingState

CHECK_EVERY_UPDATES = 10  # updates between two looks at the device
MEDIAN_WINDOW_UPDATES = 64  # updates whose median is the usual loss
LOSS_SPIKE_FACTOR = 10.0  # times the usual loss, and twice a uniform guess: diverged at once
NORM_SPIKE_FACTOR = 1000.0  # times the usual gradient, where nothing clips it
LOSS_RISE_FACTOR, MIN_LOSS_RISE_NATS = (2.0, 1.0)  # times the lowest usual loss, and nats a token above it
MAX_DIVERGENCES = 3  # divergences that end a run
LEARNING_RATE_BACKOFF = 0.5  # what the learning rate is multiplied with


@dataclass(frozen=True)
class Divergence:
    """What went wrong, at which update, since when, and in which batches (none: in no single)."""

    update: int
    first_bad_update: int
    reason: str
    batch_indices: tuple[BatchIndex, ...] = ()


class LossMonitor:
    """Judges the updates of a run; what it remembers of them stands in the TrainingState."""

    def __init__(self, *, warmup_updates: int, vocabulary_size: int, clips_gradients: bool) -> None:
        self.warmup_updates, self.clips_gradients = warmup_updates, clips_gradients
        self.min_spike_loss = 2 * math.log(vocabulary_size)
        self._pending_batches: list[tuple[int, tuple[BatchIndex, ...]]] = []
        self._pending_values: list[Tensor] = []

    def record(self, update: int, batch_indices: tuple[BatchIndex, ...], loss: Tensor, gradient_norm: Tensor) -> None:
        """Take note of an update: smoothed loss a token and gradient norm, both still on the
        device."""
        self._pending_batches.append((update, batch_indices))
        self._pending_values.append(torch.stack([loss.float(), gradient_norm.float()]))

    def check(self, state: TrainingState, weights: Tensor | None = None) -> Divergence | None:
        """The first divergence among the updates since the last look; waits for the device.

        `weights`, flat, are looked at too where they are about to be saved.
        """
        pending, self._pending_batches = self._pending_batches, []
        values = torch.stack(self._pending_values).tolist() if pending else []
        self._pending_values = []
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
        """What is wrong with this one update."""
        for name, value in (("loss", loss), ("gradient", gradient_norm)):
            if not math.isfinite(value):
                return f"the {name} is not finite"
        if len(state.recent_losses) == MEDIAN_WINDOW_UPDATES:
            median_value = median(state.recent_losses)
            if loss > max(LOSS_SPIKE_FACTOR * median_value, self.min_spike_loss):
                return f"the loss is {loss:.3g}, its median {median_value:.3g}"
        if not self.clips_gradients:
            median_value = (
                median(state.recent_gradient_norms)
                if len(state.recent_gradient_norms) == MEDIAN_WINDOW_UPDATES
                else math.inf
            )
            if gradient_norm > NORM_SPIKE_FACTOR * median_value:
                return f"the gradient is {gradient_norm:.3g}, its median {median_value:.3g}"
            state.recent_gradient_norms = [*state.recent_gradient_norms[1 - MEDIAN_WINDOW_UPDATES :], gradient_norm]
        return None

    def _find_rise(self, state: TrainingState, update: int, loss: float) -> str | None:
        """Whether the usual loss has risen for good, as it never does in a healthy run."""
        state.recent_losses = [*state.recent_losses[1 - MEDIAN_WINDOW_UPDATES :], loss]
        if update <= self.warmup_updates or len(state.recent_losses) < MEDIAN_WINDOW_UPDATES:
            return None
        median_loss = median(state.recent_losses)
        lowest_median_loss = (
            median_loss if state.lowest_median_loss is None else min(median_loss, state.lowest_median_loss)
        )
        state.lowest_median_loss = lowest_median_loss
        if (
            median_loss > LOSS_RISE_FACTOR * lowest_median_loss
            and median_loss > lowest_median_loss + MIN_LOSS_RISE_NATS
        ):
            return f"the loss rose from {lowest_median_loss:.3g} to {median_loss:.3g}"
        return None


class ResumableTrainer(Protocol):
    """What is needed of a trainer to take it back."""

    state: TrainingState
    config: Any
    batch_iterator: BatchIterator
    folder: RunFolder
    metric_logger: MetricLogger
    reporter: Reporter
    processes: ProcessGroup

    def resume(self, checkpoint: Checkpoint) -> None:
        """Be as the checkpoint says."""

    def restart(self) -> None:
        """Be as before the first update."""


def roll_back(trainer: ResumableTrainer, divergence: Divergence) -> None:
    """Restore the last good state with a lower rate, without the batches that are to blame.

    TrainingError where that has been done too often. Nothing of it needs to be saved: a run that is
    killed now comes to the same point again from the same checkpoint.
    """
    state, state_before = trainer.state, replace(trainer.state)
    divergence_number = state_before.divergence_count + 1
    skipped_file = _skip_batches(trainer.folder, trainer.batch_iterator, divergence, divergence_number)
    file_note = f"; its pairs are in {skipped_file}" if skipped_file else ""
    if divergence_number == MAX_DIVERGENCES:
        raise TrainingError(
            f"update {divergence.update:,}: {divergence.reason}{file_note}; diverged {divergence_number} times: lower "
            "training.learning_rate, raise training.warmup_updates, or look at these pairs"
        )
    checkpoint_path = trainer.processes.run_on_main(
        lambda: _find_rollback_checkpoint(trainer, divergence.first_bad_update)
    )
    trainer.restart() if checkpoint_path is None else trainer.resume(read_checkpoint(Path(checkpoint_path)))
    trainer.folder.delete_after(state.update)
    trainer.folder.truncate_log(state.update)
    state.divergence_count, state.training_seconds = (divergence_number, state_before.training_seconds)
    state.learning_rate_scale = state_before.learning_rate_scale * LEARNING_RATE_BACKOFF
    state.skipped_batches[:] = state_before.skipped_batches
    trainer.reporter.warning(
        f"update {divergence.update:,}: {divergence.reason}{file_note}; back to update {state.update:,} at "
        f"{state.learning_rate_scale:.3g} times the learning rate"
    )
    trainer.metric_logger.log(
        {
            "event": "divergence",
            "update": state.update + 1,  # so that it stays where a checkpoint knows of it
            "found": divergence.update,
            "reason": divergence.reason,
            "rate_factor": state.learning_rate_scale,
            "set_aside": skipped_file,
        }
    )


def _find_rollback_checkpoint(trainer: ResumableTrainer, before_update: int) -> str | None:
    """The newest whole regular checkpoint before an update, or else the oldest that is sure to be
    kept; None where there is none yet.

    Where a signal stopped the run and a checkpoint was saved does not count: an uninterrupted run
    would not have it.
    """
    config = trainer.config
    checkpoint_folders = trainer.folder.scheduled_checkpoints(config.validate_every, trainer.state.update + 1)
    newest_first = list(reversed(checkpoint_folders[-config.keep_last_checkpoints :]))
    for path in [p for p in newest_first if update_number(p) < before_update] or newest_first[-1:]:
        try:
            return str(read_checkpoint(path).folder)
        except RunError as error:
            trainer.reporter.warning(str(error))
    return None


def _skip_batches(
    folder: RunFolder, batch_iterator: BatchIterator, divergence: Divergence, divergence_number: int
) -> str | None:
    """Write the pairs of the blamed batches into the run folder; the file's name.

    From then on the feed passes over these batches in this epoch and their pairs in later ones.
    """
    if not divergence.batch_indices:
        return None
    name = f"diverged-{divergence.update:06d}-{divergence_number}.jsonl"
    lines = []
    for batch_index in divergence.batch_indices:
        pairs = batch_iterator.pair_indices(batch_index).tolist()
        batch_iterator.skipped_batches.append({"epoch": batch_index.epoch, "batch": batch_index.batch, "pairs": pairs})
        for pair, (source, target) in zip(pairs, batch_iterator.texts(batch_index), strict=True):
            record = {"update": divergence.update, **batch_index._asdict(), "pair": pair}
            lines.append(json.dumps(record | {"source": source, "target": target}, ensure_ascii=False))
    folder.write_text(name, "".join(f"{line}\n" for line in lines))
    return name
