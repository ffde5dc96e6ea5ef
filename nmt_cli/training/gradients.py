"""The gradient of an update, in as many parts as the memory needs, over all processes.

The loss of a part is scaled by the tokens of the whole update, so the sum over parts and processes
is the sum over the batch, up to rounding. Masks depend on a batch's number within the update, so
they are the same whichever process takes it.
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
from nmt_cli.training.compilation import compile_layers, forget_compiled
from nmt_cli.training.exchange import Agreed, keep_to_oneself
from nmt_cli.training.feed import Share, to_tensors
from nmt_cli.training.loss import CrossEntropy, backward
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
        exchange: Callable[[Tensor, int], Agreed] = keep_to_oneself,
    ) -> None:
        self.exchange = exchange
        self.entropy: CrossEntropy | None = None  # another than the usual one
        self.model, self.weights, self.device = model, weights, device
        self.seed, self.smoothing, self.on_split = seed, smoothing, on_split

    def add_up(self, share: Share, state: TrainingState) -> Agreed:
        """The gradient of the mean loss a token into the weights, and what all processes know then.

        Where memory runs out in any process, all do it again in parts of half the size, and
        state.part keeps that: a resumed run takes the same parts. DeviceError where a single pair
        does not fit.
        """
        while True:
            loss, shortage = self._attempt(share, state)
            agreed = self.exchange(loss, shortage)
            if not agreed.shortage:
                return agreed
            self.weights.drop_gradient()
            self._take_smaller_parts(agreed.shortage, state)

    def rehearse(self, batches: list[Batch], state: TrainingState, numbers: int) -> None:
        """Try these batches before the first update, beside as many numbers as the optimizer will
        need, so that memory runs out now and not hours later. Changes nothing but state.part."""
        for batch in batches:
            reserved = torch.empty(numbers, device=self.device)
            self.add_up(_alone(batch), state)
            self.weights.drop_gradient()
            del reserved

    def compile(self, batch: Batch, state: TrainingState) -> str | None:
        """Compile the model's layers and the loss, with a first batch; why that cannot be done
        here (there is no C compiler, say), in a line. Then everything is as it was."""
        self.entropy = compile_layers(self.model)
        try:
            self._attempt(_alone(batch), state)
        except Exception as error:  # of whatever kind: the compiler's own and those of its tools
            forget_compiled(self.model)
            self.entropy = None
            return (str(error).strip() or type(error).__name__).splitlines()[0]
        finally:
            self.weights.drop_gradient()
        return None

    def fits(self, batch: Batch) -> bool:
        """Whether the memory is enough for a batch as it is; changes nothing."""
        _, shortage = self._attempt(_alone(batch), TrainingState())
        self.weights.drop_gradient()
        free_cached(self.device)
        return not shortage

    def _attempt(self, share: Share, state: TrainingState) -> tuple[Tensor, int]:
        """The sum of losses, and 0; or where memory ran out the positions of the largest part,
        negative where that is a single pair."""
        try:
            return self._add_up(share, state), 0
        except (RuntimeError, MemoryError) as error:
            if not ran_out(error):
                raise
        # outside of the except, whose traceback holds on to tensors
        self.weights.drop_gradient()
        free_cached(self.device)
        sizes = [(positions(some), len(some.source.ids)) for _, batch in share.batches
                 for some in parts(batch, state.part)]  # fmt: skip
        largest, rows = max(sizes)
        return torch.zeros((), device=self.device), largest if rows > 1 else -largest

    def _add_up(self, share: Share, state: TrainingState) -> Tensor:
        total = torch.zeros((), device=self.device)
        for number, batch in share.batches:
            for part, some in enumerate(parts(batch, state.part)):
                seed_masks(self.seed, state.update, number, *([part] if part else []))
                tensors, scale = to_tensors(some, self.device), 1.0 / share.tokens
                loss = backward(
                    self.model, *tensors, smoothing=self.smoothing, scale=scale,
                    entropy=self.entropy,
                )  # fmt: skip
                self.weights.collect_gradient()
                total += loss.smoothed
        return total

    def _take_smaller_parts(self, shortage: int, state: TrainingState) -> None:
        if shortage < 0:
            raise DeviceError(
                f"not enough memory for one pair of {-shortage:,} positions: lower "
                "corpus.max_length or the size of the model"
            )
        state.part = shortage // 2
        self.on_split(shortage, state.part)


def _alone(batch: Batch) -> Share:
    """An update of one batch."""
    return Share([(0, batch)], int(batch.target_out.lengths.sum()), ())


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
