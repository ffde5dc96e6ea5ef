"""The stream of training batches, whose position is two numbers: epoch and batch."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch

from nmt_cli.data.batching import Batch, EpochBatches, Indices, build_epoch_batches, collate, draw_epoch_pairs
from nmt_cli.data.grouping import assign_to_rank, batch_costs, group_by_cost
from nmt_cli.data.prepared.store import PreparedData, SequenceStore
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
        return self.target_out.num_tokens()


class BatchIndex(NamedTuple):
    """Where a batch stands in the stream."""

    epoch: int
    batch: int


class RankBatches(NamedTuple):
    """What one process computes of an update."""

    batches: list[tuple[int, Batch]]  # each with its number within the update
    update_tokens: int  # real target positions of the whole update, over all processes
    batch_indices: tuple[BatchIndex, ...]  # of all its batches, over all processes


def to_tensors(batch: Batch, device: torch.device) -> TensorBatch:
    """Move a batch to the device."""
    return TensorBatch(*(Sequences.from_numpy(*padded, device) for padded in batch))


class BatchIterator:
    """Endless updates of prepared data in an order decided by (seed, epoch).

    An update has `group` batches, over all processes; the last one of an epoch has what is left.
    The cursor counts batches of all processes, so that any number of them can go on from it.
    """

    def __init__(self, data: PreparedData, max_positions: int, seed: int, batches_per_update: int = 1) -> None:
        self.data, self.max_positions, self.seed, self.batches_per_update = (
            data,
            max_positions,
            seed,
            batches_per_update,
        )
        self.vocabulary = data.tokenizers.vocabulary
        self.epoch, self.next_batch = 0, 0
        self.skipped_batches: list[dict[str, Any]] = []  # epoch, batch and pairs of what diverged
        self._epoch_batches: EpochBatches | None = None

    def epoch_schedule(self) -> EpochBatches:
        """The batches of the present epoch."""
        if self._epoch_batches is None:
            self._epoch_batches = self._make_schedule(self.epoch)
        return self._epoch_batches

    def next_micro_batches(self, rank: int = 0, world_size: int = 1) -> RankBatches:
        """What process `rank` of `count` computes of the next update; the cursor moves past it all.

        Batches that were set aside are passed over.
        """
        batch_indices = self._next_batch_indices()
        order, rank_numbers = (self.epoch_schedule().batches, set(assign_to_rank(len(batch_indices), rank, world_size)))
        pairs_by_batch = [order[batch_index.batch] for batch_index in batch_indices]
        offsets = self._stores(self.epoch)[1].offsets
        update_tokens = sum(int((offsets[some + 1] - offsets[some]).sum()) + len(some) for some in pairs_by_batch)
        rank_batches = [
            (number, self._load_batch(batch_index.batch))
            for number, batch_index in enumerate(batch_indices)
            if number in rank_numbers
        ]
        return RankBatches(rank_batches, update_tokens, tuple(batch_indices))

    def _next_batch_indices(self) -> list[BatchIndex]:
        skipped = {BatchIndex(skipped_batch["epoch"], skipped_batch["batch"]) for skipped_batch in self.skipped_batches}
        while True:
            if self.next_batch >= len(self.epoch_schedule().batches):
                self.epoch, self.next_batch, self._epoch_batches = self.epoch + 1, 0, None
            first, end = (
                self.next_batch,
                min(self.next_batch + self.batches_per_update, len(self.epoch_schedule().batches)),
            )
            self.next_batch = end
            batch_indices = [BatchIndex(self.epoch, batch) for batch in range(first, end)]
            remaining = [batch_index for batch_index in batch_indices if batch_index not in skipped]
            if remaining:
                return remaining

    def largest_batches(self) -> list[Batch]:
        """The batches of this epoch that take the most memory: the one with the most positions, and
        the one with the most pairs of positions to attend to."""
        shapes = [self.epoch_schedule().shape(number) for number in range(len(self.epoch_schedule().batches))]
        costs_by_power = [[rows * (source + target) ** power for rows, source, target in shapes] for power in (1, 2)]
        largest_numbers = {costs_by_batch.index(max(costs_by_batch)) for costs_by_batch in costs_by_power}
        return [self._load_batch(number) for number in sorted(largest_numbers)]

    def seek(self, epoch: int, next_batch: int, batches_per_update: int = 1) -> None:
        """Set the cursor, to resume with updates of `group` batches."""
        self.epoch, self.next_batch, self.batches_per_update, self._epoch_batches = (
            epoch,
            next_batch,
            batches_per_update,
            None,
        )

    def pair_indices(self, batch_index: BatchIndex) -> Indices:
        """Which pairs a batch is made of."""
        schedule = self.epoch_schedule() if batch_index.epoch == self.epoch else self._make_schedule(batch_index.epoch)
        return schedule.batches[batch_index.batch]

    def texts(self, batch_index: BatchIndex) -> Iterator[tuple[str, str]]:
        """The text of each pair of a batch, as its pieces spell it."""
        stores, tokenizers = self._stores(batch_index.epoch), self.data.tokenizers
        stores_and_tokenizers = zip(stores, (tokenizers.source, tokenizers.target), strict=True)
        pairs = self.pair_indices(batch_index)
        return zip(
            *[tokenizer.decode([store[i].tolist() for i in pairs]) for store, tokenizer in stores_and_tokenizers],
            strict=True,
        )

    def _make_schedule(self, epoch: int) -> EpochBatches:
        source, target = self._stores(epoch)
        pairs = draw_epoch_pairs(self.data.pair_ranges, self.seed, epoch)
        for skipped in self.skipped_batches:
            if skipped["epoch"] < epoch:
                pairs = pairs[~np.isin(pairs, skipped["pairs"])]
        if not len(pairs):
            raise DataError(f"corpus.train: the weights leave no pair for epoch {epoch}")
        lengths, seed_key = (source.lengths() + 1, target.lengths() + 1), [self.seed, epoch]
        schedule = build_epoch_batches(*lengths, pairs, self.max_positions, seed_key)
        if self.batches_per_update == 1:
            return schedule
        padded_costs = batch_costs(schedule.source_lengths, schedule.target_lengths, schedule.batches)
        order = group_by_cost(schedule.batches, padded_costs, self.batches_per_update, seed_key)
        return replace(schedule, batches=order)

    def _load_batch(self, number: int) -> Batch:
        """A batch of the present epoch."""
        schedule, stores = self.epoch_schedule(), self._stores(self.epoch)
        return collate(*stores, schedule.batches[number], self.vocabulary, schedule.shape(number))

    def _stores(self, epoch: int) -> tuple[SequenceStore, SequenceStore]:
        return self.data.variants[epoch % len(self.data.variants)]
