"""The stream of training batches, whose position is two numbers: epoch and batch."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch

from nmt_cli.data.batching import (
    Batch,
    EpochBatches,
    Indices,
    Padded,
    collate,
    epoch_batches,
    epoch_pairs,
)
from nmt_cli.data.grouping import costs, dealt, grouped
from nmt_cli.data.prepared import PreparedData, SequenceStore
from nmt_cli.errors import DataError
from nmt_cli.models.contract import Sequences


class TensorBatch(NamedTuple):
    """A batch as a model takes it."""

    source: Sequences
    target_in: Sequences
    target_out: Sequences

    @property
    def tokens(self) -> int:
        """Real target positions, ends of sentences included."""
        return self.target_out.total()


class Place(NamedTuple):
    """Where a batch stands in the stream."""

    epoch: int
    batch: int


class Share(NamedTuple):
    """What one process computes of an update."""

    batches: list[tuple[int, Batch]]  # each with its number within the update
    tokens: int  # real target positions of the whole update, over all processes
    places: tuple[Place, ...]  # of all its batches, over all processes


def to_tensors(batch: Batch, device: torch.device) -> TensorBatch:
    """Move a batch to the device."""

    def move(padded: Padded) -> Sequences:
        ids, lengths = torch.from_numpy(padded.ids), torch.from_numpy(padded.lengths)
        if device.type == "cuda":
            ids, lengths = ids.pin_memory(), lengths.pin_memory()
        ids, lengths = (one.to(device, non_blocking=True) for one in (ids, lengths))
        return Sequences(ids, lengths, int(padded.lengths.sum()))

    return TensorBatch(*(move(padded) for padded in batch))


class BatchFeed:
    """Endless updates of prepared data in an order decided by (seed, epoch).

    An update has `group` batches, over all processes; the last one of an epoch has what is left.
    The cursor counts batches of all processes, so that any number of them can go on from it.
    """

    def __init__(self, data: PreparedData, budget: int, seed: int, group: int = 1) -> None:
        self.data, self.budget, self.seed, self.group = data, budget, seed, group
        self.vocabulary = data.tokenizers.vocabulary
        self.epoch, self.index = 0, 0
        self.set_aside: list[dict[str, Any]] = []  # epoch, batch and pairs of what diverged
        self._plan: EpochBatches | None = None

    def plan(self) -> EpochBatches:
        """The batches of the present epoch."""
        if self._plan is None:
            self._plan = self._make_plan(self.epoch)
        return self._plan

    def share(self, rank: int = 0, count: int = 1) -> Share:
        """What process `rank` of `count` computes of the next update; the cursor moves past it all.

        Batches that were set aside are passed over.
        """
        places = self._next_places()
        order, mine = self.plan().order, set(dealt(len(places), rank, count))
        pairs = [order[place.batch] for place in places]
        offsets = self._stores(self.epoch)[1].offsets
        tokens = sum(int((offsets[some + 1] - offsets[some]).sum()) + len(some) for some in pairs)
        own = [(n, self._read(place.batch)) for n, place in enumerate(places) if n in mine]
        return Share(own, tokens, tuple(places))

    def _next_places(self) -> list[Place]:
        passed = {Place(one["epoch"], one["batch"]) for one in self.set_aside}
        while True:
            if self.index >= len(self.plan().order):
                self.epoch, self.index, self._plan = self.epoch + 1, 0, None
            first, end = self.index, min(self.index + self.group, len(self.plan().order))
            self.index = end
            places = [Place(self.epoch, batch) for batch in range(first, end)]
            found = [place for place in places if place not in passed]
            if found:
                return found

    def largest(self) -> list[Batch]:
        """The batches of this epoch that take the most memory: the one with the most positions, and
        the one with the most pairs of positions to attend to."""
        shapes = [self.plan().shape(number) for number in range(len(self.plan().order))]
        sizes = [
            [rows * (source + target) ** power for rows, source, target in shapes]
            for power in (1, 2)
        ]
        chosen = {size.index(max(size)) for size in sizes}
        return [self._read(number) for number in sorted(chosen)]

    def move_to(self, epoch: int, index: int, group: int = 1) -> None:
        """Set the cursor, to resume with updates of `group` batches."""
        self.epoch, self.index, self.group, self._plan = epoch, index, group, None

    def pairs_at(self, place: Place) -> Indices:
        """Which pairs a batch is made of."""
        plan = self.plan() if place.epoch == self.epoch else self._make_plan(place.epoch)
        return plan.order[place.batch]

    def texts(self, place: Place) -> Iterator[tuple[str, str]]:
        """The text of each pair of a batch, as its pieces spell it."""
        stores, tokenizers = self._stores(place.epoch), self.data.tokenizers
        sides = zip(stores, (tokenizers.source, tokenizers.target), strict=True)
        pairs = self.pairs_at(place)
        return zip(
            *[tok.decode([store[i].tolist() for i in pairs]) for store, tok in sides], strict=True
        )

    def _make_plan(self, epoch: int) -> EpochBatches:
        source, target = self._stores(epoch)
        pairs = epoch_pairs(self.data.parts, self.seed, epoch)
        for one in self.set_aside:
            if one["epoch"] < epoch:
                pairs = pairs[~np.isin(pairs, one["pairs"])]
        if not len(pairs):
            raise DataError(f"corpus.train: the weights leave no pair for epoch {epoch}")
        lengths, key = (source.lengths() + 1, target.lengths() + 1), [self.seed, epoch]
        plan = epoch_batches(*lengths, pairs, self.budget, key)
        if self.group == 1:
            return plan
        padded = costs(plan.source_lengths, plan.target_lengths, plan.order)
        order = grouped(plan.order, padded, self.group, key)
        return replace(plan, order=order)

    def _read(self, number: int) -> Batch:
        """A batch of the present epoch."""
        plan, stores = self.plan(), self._stores(self.epoch)
        return collate(*stores, plan.order[number], self.vocabulary, plan.shape(number))

    def _stores(self, epoch: int) -> tuple[SequenceStore, SequenceStore]:
        return self.data.variants[epoch % len(self.data.variants)]
