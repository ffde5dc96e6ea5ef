"""Divergence: noticed without waiting for the device at each update, blamed on a batch, undone.

Loss and gradient norm of each update stay on the device; every `LOOK_EVERY` updates, and before
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

from nmt_cli.checkpoint import Checkpoint, read_checkpoint, update_of
from nmt_cli.distributed import Processes
from nmt_cli.errors import RunError, TrainingError
from nmt_cli.reporting import Reporter
from nmt_cli.run_folder import RunFolder
from nmt_cli.training.feed import BatchFeed, Place
from nmt_cli.training.records import Records
from nmt_cli.training.state import TrainingState

LOOK_EVERY = 10  # updates between two looks at the device
WINDOW = 64  # updates whose median is the usual loss
SPIKE = 10.0  # times the usual loss, and twice a uniform guess: diverged at once
NORM_SPIKE = 1000.0  # times the usual gradient, where nothing clips it
RISE, RISE_LEAST = 2.0, 1.0  # times the lowest usual loss, and nats a token above it
ATTEMPTS = 3  # divergences that end a run
LOWER = 0.5  # what the learning rate is multiplied with


@dataclass(frozen=True)
class Divergence:
    """What went wrong, at which update, since when, and in which batches (none: in no single)."""

    update: int
    since: int
    reason: str
    places: tuple[Place, ...] = ()


class Watch:
    """Judges the updates of a run; what it remembers of them stands in the TrainingState."""

    def __init__(self, *, warmup: int, vocabulary: int, clipped: bool) -> None:
        self.warmup, self.clipped = warmup, clipped
        self.worst_guess = 2 * math.log(vocabulary)
        self._places: list[tuple[int, tuple[Place, ...]]] = []
        self._values: list[Tensor] = []

    def add(self, update: int, places: tuple[Place, ...], loss: Tensor, norm: Tensor) -> None:
        """Take note of an update: smoothed loss a token and gradient norm, both still on the
        device."""
        self._places.append((update, places))
        self._values.append(torch.stack([loss.float(), norm.float()]))

    def look(self, state: TrainingState, weights: Tensor | None = None) -> Divergence | None:
        """The first divergence among the updates since the last look; waits for the device.

        `weights`, flat, are looked at too where they are about to be saved.
        """
        noted, self._places = self._places, []
        values = torch.stack(self._values).tolist() if noted else []
        self._values = []
        for (update, places), (loss, norm) in zip(noted, values, strict=True):
            reason = self._spike(state, loss, norm)
            if reason is not None:
                return Divergence(update, update, reason, places)
            reason = self._rise(state, update, loss)
            if reason is not None:
                return Divergence(update, update - WINDOW, reason)
        if weights is not None and not bool(weights.isfinite().all()):
            return Divergence(state.update, state.update, "a weight is not finite")
        return None

    def _spike(self, state: TrainingState, loss: float, norm: float) -> str | None:
        """What is wrong with this one update."""
        for name, value in (("loss", loss), ("gradient", norm)):
            if not math.isfinite(value):
                return f"the {name} is not finite"
        if len(state.losses) == WINDOW:
            usual = median(state.losses)
            if loss > max(SPIKE * usual, self.worst_guess):
                return f"the loss is {loss:.3g}, its median {usual:.3g}"
        if not self.clipped:
            usual = median(state.norms) if len(state.norms) == WINDOW else math.inf
            if norm > NORM_SPIKE * usual:
                return f"the gradient is {norm:.3g}, its median {usual:.3g}"
            state.norms = [*state.norms[1 - WINDOW :], norm]
        return None

    def _rise(self, state: TrainingState, update: int, loss: float) -> str | None:
        """Whether the usual loss has risen for good, as it never does in a healthy run."""
        state.losses = [*state.losses[1 - WINDOW :], loss]
        if update <= self.warmup or len(state.losses) < WINDOW:
            return None
        usual = median(state.losses)
        lowest = usual if state.lowest_loss is None else min(usual, state.lowest_loss)
        state.lowest_loss = lowest
        if usual > RISE * lowest and usual > lowest + RISE_LEAST:
            return f"the loss rose from {lowest:.3g} to {usual:.3g}"
        return None


class Trains(Protocol):
    """What is needed of a trainer to take it back."""

    state: TrainingState
    config: Any
    feed: BatchFeed
    folder: RunFolder
    records: Records
    reporter: Reporter
    processes: Processes

    def resume(self, checkpoint: Checkpoint) -> None:
        """Be as the checkpoint says."""

    def begin_again(self) -> None:
        """Be as before the first update."""


def go_back(trainer: Trains, found: Divergence) -> None:
    """Restore the last good state with a lower rate, without the batches that are to blame.

    TrainingError where that has been done too often. Nothing of it needs to be saved: a run that is
    killed now comes to the same point again from the same checkpoint.
    """
    state, before = trainer.state, replace(trainer.state)
    number = before.divergences + 1
    file = _set_aside(trainer.folder, trainer.feed, found, number)
    kept = f"; its pairs are in {file}" if file else ""
    if number == ATTEMPTS:
        raise TrainingError(
            f"update {found.update:,}: {found.reason}{kept}; diverged {number} times: lower "
            "training.learning_rate, raise training.warmup, or look at these pairs"
        )
    point = trainer.processes.first(lambda: _restore_point(trainer, found.since))
    trainer.begin_again() if point is None else trainer.resume(read_checkpoint(Path(point)))
    trainer.folder.forget_after(state.update)
    trainer.folder.rewind_log(state.update)
    state.divergences, state.seconds = number, before.seconds
    state.rate_factor = before.rate_factor * LOWER
    state.set_aside[:] = before.set_aside
    trainer.reporter.warn(
        f"update {found.update:,}: {found.reason}{kept}; back to update {state.update:,} at "
        f"{state.rate_factor:.3g} times the learning rate"
    )
    trainer.records.write(
        {
            "event": "divergence",
            "update": state.update + 1,  # so that it stays where a checkpoint knows of it
            "found": found.update,
            "reason": found.reason,
            "rate_factor": state.rate_factor,
            "set_aside": file,
        }
    )


def _restore_point(trainer: Trains, before: int) -> str | None:
    """The newest whole regular checkpoint before an update, or else the oldest that is sure to be
    kept; None where there is none yet.

    Where a signal stopped the run and a checkpoint was saved does not count: an uninterrupted run
    would not have it.
    """
    config = trainer.config
    steps = trainer.folder.regular(config.validate_every, trainer.state.update + 1)
    kept = list(reversed(steps[-config.checkpoints_kept :]))
    for path in [p for p in kept if update_of(p) < before] or kept[-1:]:
        try:
            return str(read_checkpoint(path).folder)
        except RunError as error:
            trainer.reporter.warn(str(error))
    return None


def _set_aside(folder: RunFolder, feed: BatchFeed, found: Divergence, number: int) -> str | None:
    """Write the pairs of the blamed batches into the run folder; the file's name.

    From then on the feed passes over these batches in this epoch and their pairs in later ones.
    """
    if not found.places:
        return None
    name = f"diverged-{found.update:06d}-{number}.jsonl"
    lines = []
    for place in found.places:
        pairs = feed.pairs_at(place).tolist()
        feed.set_aside.append({"epoch": place.epoch, "batch": place.batch, "pairs": pairs})
        for pair, (source, target) in zip(pairs, feed.texts(place), strict=True):
            record = {"update": found.update, **place._asdict(), "pair": pair}
            lines.append(
                json.dumps(record | {"source": source, "target": target}, ensure_ascii=False)
            )
    folder.write_text(name, "".join(f"{line}\n" for line in lines))
    return name
