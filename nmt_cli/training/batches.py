"""The stream of training batches, whose position is two numbers: epoch and batch; read ahead of its use."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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
    """A batch as a model takes it: ids [B, S] of the source, [B, T] of the decoder's input and of its labels."""

    source: Sequences
    target_in: Sequences
    target_out: Sequences


def to_device(batch: Batch, device: torch.device) -> TensorBatch:
    """Copy a batch from NumPy arrays to tensors on the device."""
    return TensorBatch(*(Sequences.from_numpy(*padded, device) for padded in batch))


class BatchIndex(NamedTuple):
    """The position of a batch in the stream."""

    epoch: int
    batch: int


class RankBatches(NamedTuple):
    """The batches of an update that one process computes."""

    batches: list[tuple[int, Batch]]  # each with its number within the update
    update_tokens: int  # target positions without padding of the whole update, over all processes
    batch_indices: tuple[BatchIndex, ...]  # of the whole update, over all processes
    position: BatchIndex = BatchIndex(0, 0)  # of the stream after this update


class BatchIterator:
    """Endless updates of prepared data, in an order that depends only on (seed, epoch).

    An update has `batches_per_update` batches over all processes, the last one of an epoch the rest.
    The position counts batches of all processes, so that a run can resume with another number of them.
    """

    def __init__(self, data: PreparedData, max_positions: int, seed: int, batches_per_update: int = 1) -> None:
        self.data, self.max_positions, self.seed = data, max_positions, seed
        self.vocabulary = data.tokenizers.vocabulary
        self.seek(0, 0, batches_per_update)

    def seek(
        self,
        epoch: int,
        next_batch: int,
        batches_per_update: int = 1,
        skipped_batches: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Move to a batch of an epoch.

        Each of `skipped_batches` names an epoch, a batch and its pairs: that batch is left out, and
        its pairs are in no batch of a later epoch.
        """
        self.epoch, self.next_batch, self.batches_per_update = epoch, next_batch, batches_per_update
        self.skipped_batches = tuple(skipped_batches)
        self._epoch_batches: EpochBatches | None = None
        self._next_epoch_batches: Future[EpochBatches] | None = None

    def epoch_schedule(self) -> EpochBatches:
        """The batches of the current epoch."""
        if self._epoch_batches is None:
            made_ahead, self._next_epoch_batches = self._next_epoch_batches, None
            self._epoch_batches = self._make_schedule(self.epoch) if made_ahead is None else made_ahead.result()
        return self._epoch_batches

    def make_next_schedule(self, executor: ThreadPoolExecutor) -> None:
        """Have the batches of the next epoch made by another thread, once half of this epoch is over."""
        is_late = self.next_batch >= len(self.epoch_schedule().batches) // 2
        if is_late and self._next_epoch_batches is None:
            self._next_epoch_batches = executor.submit(self._make_schedule, self.epoch + 1)

    def next_micro_batches(self, rank: int = 0, world_size: int = 1) -> RankBatches:
        """The part of the next update that process `rank` of `world_size` computes; moves past the whole update."""
        batch_indices = self._next_batch_indices()
        batches = self.epoch_schedule().batches
        offsets = self._stores(self.epoch)[1].offsets
        pairs_by_batch = [batches[batch_index.batch] for batch_index in batch_indices]
        update_tokens = sum(int((offsets[pairs + 1] - offsets[pairs]).sum()) + len(pairs) for pairs in pairs_by_batch)
        numbers = assign_to_rank(len(batch_indices), rank, world_size)
        rank_batches = [(number, self._load_batch(batch_indices[number].batch)) for number in numbers]
        position = BatchIndex(self.epoch, self.next_batch)
        return RankBatches(rank_batches, update_tokens, tuple(batch_indices), position)

    def _next_batch_indices(self) -> list[BatchIndex]:
        skipped = {BatchIndex(skipped_batch["epoch"], skipped_batch["batch"]) for skipped_batch in self.skipped_batches}
        while True:
            if self.next_batch >= len(self.epoch_schedule().batches):
                self.epoch, self.next_batch, self._epoch_batches = self.epoch + 1, 0, None
            first = self.next_batch
            self.next_batch = min(first + self.batches_per_update, len(self.epoch_schedule().batches))
            batch_indices = [BatchIndex(self.epoch, batch) for batch in range(first, self.next_batch)]
            remaining = [batch_index for batch_index in batch_indices if batch_index not in skipped]
            if remaining:
                return remaining

    def largest_batches(self) -> list[Batch]:
        """The batches of this epoch that take the most memory: the one with the most padded positions, and
        the one with the most pairs of positions in attention."""
        shapes = [self.epoch_schedule().shape(number) for number in range(len(self.epoch_schedule().batches))]
        costs_by_power = [[rows * (source + target) ** power for rows, source, target in shapes] for power in (1, 2)]
        largest_numbers = {costs_by_batch.index(max(costs_by_batch)) for costs_by_batch in costs_by_power}
        return [self._load_batch(number) for number in sorted(largest_numbers)]

    def pair_indices(self, batch_index: BatchIndex) -> Indices:
        """The indices of a batch's sentence pairs in the prepared data."""
        schedule = self.epoch_schedule() if batch_index.epoch == self.epoch else self._make_schedule(batch_index.epoch)
        return schedule.batches[batch_index.batch]

    def texts(self, batch_index: BatchIndex) -> Iterator[tuple[str, str]]:
        """Source and target of each pair of a batch, decoded from its subwords."""
        pairs, tokenizers = self.pair_indices(batch_index), self.data.tokenizers
        source, target = self._stores(batch_index.epoch)
        sources = tokenizers.source.decode([source[pair].tolist() for pair in pairs])
        targets = tokenizers.target.decode([target[pair].tolist() for pair in pairs])
        return zip(sources, targets, strict=True)

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
        schedule, stores = self.epoch_schedule(), self._stores(self.epoch)
        return collate(*stores, schedule.batches[number], self.vocabulary, schedule.shape(number))

    def _stores(self, epoch: int) -> tuple[SequenceStore, SequenceStore]:
        return self.data.variants[epoch % len(self.data.variants)]


class BatchPrefetcher:
    """Reads the next updates of a BatchIterator in a thread, in their order, while the present one is computed.

    Nothing else may use the iterator between `next` and `clear`.
    """

    UPDATES_AHEAD = 2

    def __init__(self, batch_iterator: BatchIterator, rank: int, world_size: int) -> None:
        self.batch_iterator, self.rank, self.world_size = batch_iterator, rank, world_size
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="nmt-batches")
        self._scheduler = ThreadPoolExecutor(1, thread_name_prefix="nmt-epoch")
        self._pending: deque[Future[RankBatches]] = deque()

    def next(self) -> RankBatches:
        """The next update; what `BatchIterator.next_micro_batches` raised when it read it."""
        while len(self._pending) <= self.UPDATES_AHEAD:
            self._pending.append(self._reader.submit(self._read))
        return self._pending.popleft().result()

    def clear(self) -> None:
        """Wait for what is being read and drop it, so that the iterator can be moved elsewhere."""
        while self._pending:
            future = self._pending.pop()
            if not future.cancel():
                future.exception()

    def close(self) -> None:
        """End the threads."""
        self.clear()
        self._reader.shutdown()
        self._scheduler.shutdown(cancel_futures=True)

    def _read(self) -> RankBatches:
        rank_batches = self.batch_iterator.next_micro_batches(self.rank, self.world_size)
        self.batch_iterator.make_next_schedule(self._scheduler)
        return rank_batches
