"""The gradient of an update, summed over micro-batches that fit into memory and over processes.

The loss of a micro-batch is divided by the tokens of the whole update, so that the sum over
micro-batches and processes is the gradient of the whole update, up to rounding. On a CPU, threads with
replicas of the model may each compute a part of a micro-batch. Dropout masks depend on a batch's number
within the update and on the number of replicas, not on the process that computes it.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nmt_cli.data.batching import Batch, PaddedSequences
from nmt_cli.errors import DeviceError, is_out_of_memory
from nmt_cli.models.contract import TranslationModel
from nmt_cli.models.dropout import seed_masks
from nmt_cli.training.all_reduce import SyncedStep
from nmt_cli.training.batches import RankBatches, to_device
from nmt_cli.training.compilation import compile_layers, uncompile_layers
from nmt_cli.training.loss import LogitsGradientFunction, forward_backward
from nmt_cli.training.memory import empty_cache
from nmt_cli.training.parameters import FlatParameters
from nmt_cli.training.replicas import ReplicaThreads
from nmt_cli.training.state import TrainingState


class _Part(NamedTuple):
    """What one replica computes."""

    batch: Batch
    mask_key: tuple[int, ...]  # see `seed_masks`


class GradientAccumulator:
    """Sums gradients over batches; those that do not fit into memory are split."""

    def __init__(
        self,
        model: TranslationModel[Any],
        parameters: FlatParameters,
        *,
        device: torch.device,
        seed: int,
        smoothing: float = 0.0,
        replica_count: int = 1,
        on_split: Callable[[int, int], None] = lambda oom_positions, max_positions: None,
        all_reduce: Callable[[Tensor, int], SyncedStep] = SyncedStep,  # of a single process: its own
    ) -> None:
        self.all_reduce = all_reduce
        self.gradient_function: LogitsGradientFunction | None = None  # compiled; None: the default one
        self.model, self.parameters, self.device = model, parameters, device
        self.replica_threads = ReplicaThreads(model, parameters, replica_count)
        self.seed, self.smoothing, self.on_split = seed, smoothing, on_split

    def accumulate_gradients(self, rank_batches: RankBatches, state: TrainingState) -> SyncedStep:
        """Compute the gradient of the mean loss per token, summed over all processes.

        If memory runs out in any process, all repeat the update with micro-batches of half the size,
        which is kept in `state.max_micro_batch_positions`, so that a resumed run splits in the same
        way. DeviceError if a single sentence pair does not fit.
        """
        while True:
            loss, oom_positions = self._try_forward_backward(rank_batches, state)
            synced = self.all_reduce(loss, oom_positions)
            if not synced.oom_positions:
                return synced
            self.parameters.zero_grad()
            self._reduce_micro_batch_size(synced.oom_positions, state)

    def dry_run(self, batches: list[Batch], state: TrainingState) -> None:
        """Try batches, so that memory runs out before the first update rather than hours later.

        Changes nothing but `state.max_micro_batch_positions`, and that a model that draws from PyTorch's own generator
        has no replicas: which thread is first would decide what it draws.
        """
        for batch in batches:
            self.accumulate_gradients(_single_batch(batch), state)
            self.parameters.zero_grad()
        if len(self.replica_threads.models) > 1 and self._draws_from_shared_generator(batches[0]):
            self.replica_threads.keep_one()

    def _draws_from_shared_generator(self, batch: Batch) -> bool:
        pair = Batch(*(_slice_rows(padded, 0, 1) for padded in batch))
        seed_masks(self.seed)
        before = torch.get_rng_state()
        forward_backward(self.model, *to_device(pair, self.device), smoothing=self.smoothing, scale=1.0)
        self.parameters.zero_grad()
        return not torch.equal(before, torch.get_rng_state())

    def compile(self, batch: Batch, state: TrainingState) -> str | None:
        """Compile the model's layers and the loss by running a batch.

        Returns why that is not possible, such as a missing C compiler, with everything as before;
        None if it is.
        """
        self.gradient_function = compile_layers(self.model)
        try:
            self._try_forward_backward(_single_batch(batch), state)
        except Exception as error:  # the compiler and its tools raise many kinds
            uncompile_layers(self.model)
            self.gradient_function = None
            return (str(error).strip() or type(error).__name__).splitlines()[0]
        finally:
            self.parameters.zero_grad()
        return None

    def fits_memory(self, batch: Batch) -> bool:
        """Whether a batch fits into memory without splitting; changes nothing."""
        _, oom_positions = self._try_forward_backward(_single_batch(batch), TrainingState())
        self.parameters.zero_grad()
        empty_cache(self.device)
        return not oom_positions

    def _try_forward_backward(self, rank_batches: RankBatches, state: TrainingState) -> tuple[Tensor, int]:
        """The sum of losses and 0; if memory ran out, the positions of the largest micro-batch instead of 0,
        negative if that is a single pair."""
        try:
            return self._forward_backward(rank_batches, state), 0
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # not in the except block, whose traceback keeps tensors alive
        self.parameters.zero_grad()
        empty_cache(self.device)
        sizes = [(padded_positions(micro_batch), len(micro_batch.source.ids)) for _, batch in rank_batches.batches
                 for micro_batch in split_batch(batch, state.max_micro_batch_positions)]  # fmt: skip
        max_positions, rows = max(sizes)
        return torch.zeros((), device=self.device), max_positions if rows > 1 else -max_positions

    def _forward_backward(self, rank_batches: RankBatches, state: TrainingState) -> Tensor:
        def compute_part(model: TranslationModel[Any], part: _Part) -> Tensor:
            seed_masks(*part.mask_key)
            return forward_backward(
                model, *to_device(part.batch, self.device), smoothing=self.smoothing,
                scale=1.0 / rank_batches.update_tokens, gradient_function=self.gradient_function,
            )  # fmt: skip

        total_loss = torch.zeros((), device=self.device)
        for batch_number, batch in rank_batches.batches:
            for micro_batch_number, micro_batch in enumerate(split_batch(batch, state.max_micro_batch_positions)):
                key = (self.seed, state.update, batch_number, micro_batch_number)
                for loss in self.replica_threads.map(compute_part, self._parts(micro_batch, key)):
                    total_loss += loss
                self.parameters.accumulate_grad()
        return total_loss

    def _parts(self, micro_batch: Batch, key: tuple[int, ...]) -> list[_Part]:
        """A micro-batch as the replicas share it."""
        batches = interleave_rows(micro_batch, len(self.replica_threads.models))
        if len(batches) == 1:
            return [_Part(micro_batch, key)]
        return [_Part(batch, (*key, number)) for number, batch in enumerate(batches)]

    def _reduce_micro_batch_size(self, oom_positions: int, state: TrainingState) -> None:
        if oom_positions < 0:
            raise DeviceError(
                f"not enough memory for one pair of {-oom_positions:,} positions: lower "
                "corpus.max_length or the size of the model"
            )
        state.max_micro_batch_positions = oom_positions // 2
        self.on_split(oom_positions, state.max_micro_batch_positions)


def _single_batch(batch: Batch) -> RankBatches:
    return RankBatches([(0, batch)], int(batch.target_out.lengths.sum()), ())


def padded_positions(batch: Batch) -> int:
    """Source and target positions, including padding."""
    return int(batch.source.ids.size + batch.target_in.ids.size)


def split_batch(batch: Batch, max_positions: int | None) -> list[Batch]:
    """Split a batch into micro-batches of at most `max_positions` positions, or one pair; None: do not split."""
    rows = len(batch.source.ids)
    if max_positions is None or padded_positions(batch) <= max_positions or rows == 1:
        return [batch]
    rows_per_split = max(1, max_positions * rows // padded_positions(batch))
    split_count = math.ceil(rows / rows_per_split)
    row_boundaries = [rows * split_number // split_count for split_number in range(split_count + 1)]
    return [Batch(*(_slice_rows(padded, first, end) for padded in batch)) for first, end in pairwise(row_boundaries)]


def interleave_rows(batch: Batch, count: int) -> list[Batch]:
    """Deal the rows of a batch to `count` parts of the same padded lengths; a batch of fewer rows stays as it is."""
    if count == 1 or len(batch.source.ids) < count:
        return [batch]
    return [
        Batch(*(PaddedSequences(padded.ids[start::count], padded.lengths[start::count]) for padded in batch))
        for start in range(count)
    ]


def _slice_rows(padded: PaddedSequences, first: int, end: int) -> PaddedSequences:
    lengths = padded.lengths[first:end]
    return PaddedSequences(padded.ids[first:end, : lengths.max()], lengths)
