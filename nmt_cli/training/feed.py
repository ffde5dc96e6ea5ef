"""The stream of training batches, whose position is two numbers: epoch and batch."""

from typing import NamedTuple

import torch

from nmt_cli.data.batching import Batch, EpochBatches, Padded, collate, epoch_batches, epoch_pairs
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
        return int(self.target_out.lengths.sum())


def to_tensors(batch: Batch, device: torch.device) -> TensorBatch:
    """Move a batch to the device."""

    def move(padded: Padded) -> Sequences:
        ids, lengths = torch.from_numpy(padded.ids), torch.from_numpy(padded.lengths)
        if device.type == "cuda":
            ids, lengths = ids.pin_memory(), lengths.pin_memory()
        return Sequences(ids.to(device, non_blocking=True), lengths.to(device, non_blocking=True))

    return TensorBatch(*(move(padded) for padded in batch))


class BatchFeed:
    """Endless batches of prepared data in an order decided by (seed, epoch)."""

    def __init__(self, data: PreparedData, budget: int, seed: int) -> None:
        self.data, self.budget, self.seed = data, budget, seed
        self.vocabulary = data.tokenizers.vocabulary
        self.epoch, self.index = 0, 0
        self._plan: EpochBatches | None = None

    def plan(self) -> EpochBatches:
        """The batches of the present epoch."""
        if self._plan is None:
            source, target = self._stores()
            pairs = epoch_pairs(self.data.parts, self.seed, self.epoch)
            lengths = source.lengths() + 1, target.lengths() + 1
            if not len(pairs):
                raise DataError(f"corpus.train: the weights leave no pair for epoch {self.epoch}")
            key = [self.seed, self.epoch]
            self._plan = epoch_batches(*lengths, pairs, self.budget, key)
        return self._plan

    def next(self) -> Batch:
        """The batch at the cursor, which moves on."""
        if self.index >= len(self.plan().order):
            self.epoch, self.index, self._plan = self.epoch + 1, 0, None
        pairs = self.plan().order[self.index]
        self.index += 1
        return collate(*self._stores(), pairs, self.vocabulary)

    def move_to(self, epoch: int, index: int) -> None:
        """Set the cursor, to resume."""
        self.epoch, self.index, self._plan = epoch, index, None

    def _stores(self) -> tuple[SequenceStore, SequenceStore]:
        return self.data.variants[self.epoch % len(self.data.variants)]
