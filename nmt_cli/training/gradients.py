"""The gradient of an update, in as many parts as the memory needs.

The loss of a part is scaled by the tokens of the whole update, so the sum over parts is the sum
over the batch, up to rounding.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from nmt_cli.data.batching import Batch, Padded
from nmt_cli.errors import DeviceError
from nmt_cli.models.contract import TranslationModel
from nmt_cli.models.dropout import seed_masks
from nmt_cli.training.feed import to_tensors
from nmt_cli.training.loss import backward
from nmt_cli.training.memory import free_cached, ran_out
from nmt_cli.training.state import TrainingState
from nmt_cli.training.weights import Weights


class Gradients:
    """Sums gradients over micro-batches; one that does not fit into memory is taken in parts."""

    def __init__(
        self,
        model: TranslationModel[Any],
        weights: Weights,
        *,
        device: torch.device,
        seed: int,
        smoothing: float = 0.0,
        on_split: Callable[[int, int], None] = lambda largest, part: None,
    ) -> None:
        self.model, self.weights, self.device = model, weights, device
        self.seed, self.smoothing, self.on_split = seed, smoothing, on_split

    def add_up(self, batches: list[Batch], state: TrainingState) -> list[Tensor]:
        """The gradient of the mean loss a token into the weights; the sum of losses of each part.

        Where memory runs out, all is done again in parts of half the size, and state.part keeps
        that: a resumed run takes the same parts. DeviceError where a single pair does not fit.
        """
        while True:
            try:
                return self._add_up(batches, state)
            except (RuntimeError, MemoryError) as error:
                if not ran_out(error):
                    raise
            # outside of the except, whose traceback holds on to tensors
            self.weights.drop_gradient()
            free_cached(self.device)
            self._take_smaller_parts(batches, state)

    def rehearse(self, batches: list[Batch], state: TrainingState, numbers: int) -> None:
        """Try these batches before the first update, beside as many numbers as the optimizer will
        need, so that memory runs out now and not hours later. Changes nothing but state.part."""
        for batch in batches:
            reserved = torch.empty(numbers, device=self.device)
            self.add_up([batch], state)
            self.weights.drop_gradient()
            del reserved

    def fits(self, batch: Batch) -> bool:
        """Whether the memory is enough for a batch as it is; changes nothing."""
        try:
            self._add_up([batch], TrainingState())
        except (RuntimeError, MemoryError) as error:
            if not ran_out(error):
                raise
            return False
        finally:
            self.weights.drop_gradient()
            free_cached(self.device)
        return True

    def _add_up(self, batches: list[Batch], state: TrainingState) -> list[Tensor]:
        tokens = sum(int(batch.target_out.lengths.sum()) for batch in batches)
        losses = []
        for number, batch in enumerate(batches):
            for part, some in enumerate(parts(batch, state.part)):
                seed_masks(self.seed, state.update, number, *([part] if part else []))
                tensors = to_tensors(some, self.device)
                loss = backward(self.model, *tensors, smoothing=self.smoothing, scale=1.0 / tokens)
                self.weights.collect_gradient()
                losses.append(loss.smoothed)
        return losses

    def _take_smaller_parts(self, batches: list[Batch], state: TrainingState) -> None:
        sizes = [(positions(some), len(some.source.ids)) for b in batches
                 for some in parts(b, state.part)]  # fmt: skip
        largest, rows = max(sizes)
        if rows == 1:
            raise DeviceError(
                f"not enough memory for one pair of {largest:,} positions: lower corpus.max_length "
                "or the size of the model"
            )
        state.part = largest // 2
        self.on_split(largest, state.part)


def positions(batch: Batch) -> int:
    """Source and target positions, padding included."""
    return int(batch.source.ids.size + batch.target_in.ids.size)


def parts(batch: Batch, limit: int | None) -> list[Batch]:
    """The batch in parts of at most `limit` positions, or of one pair; None: as it is."""
    rows = len(batch.source.ids)
    if limit is None or positions(batch) <= limit or rows == 1:
        return [batch]
    size = max(1, limit * rows // positions(batch))
    count = math.ceil(rows / size)
    cuts = [rows * number // count for number in range(count + 1)]
    return [Batch(*(_rows(side, first, end) for side in batch)) for first, end in pairwise(cuts)]


def _rows(side: Padded, first: int, end: int) -> Padded:
    lengths = side.lengths[first:end]
    return Padded(side.ids[first:end, : lengths.max()], lengths)
