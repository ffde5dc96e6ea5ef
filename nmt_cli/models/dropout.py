"""Dropout (Srivastava et al. 2014) with masks that are cheap to draw on a CPU."""

import threading
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

_MASK_TYPES = {torch.bfloat16: (torch.int16, 15), torch.float32: (torch.int32, 31)}


class _MaskSeeds(threading.local):
    """The generator of the seeds of masks on a CPU, one for each thread."""

    def __init__(self) -> None:
        self.generator = torch.Generator()


_mask_seeds = _MaskSeeds()


def seed_masks(*key: int) -> None:
    """Make all following masks of this thread a function of `key` alone, such as (seed, update, micro-batch).

    On a GPU, and where layers are compiled, those of all threads.
    """
    seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
    _mask_seeds.generator.manual_seed(seed)
    torch.manual_seed(seed)


class Dropout(nn.Module):
    """During training, zero each element with probability `rate` and divide the others by 1 - `rate`.

    PyTorch draws CPU masks element by element, which takes a tenth of a training step. Here a mask is integer
    arithmetic on the raw output of a fast generator, seeded by one draw from a generator of PyTorch's, so that
    `seed_masks` determines it.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """[...] in and out."""
        if not self.training or self.rate == 0.0:
            return x
        unsupported = x.device.type != "cpu" or x.dtype not in _MASK_TYPES
        if unsupported or torch.compiler.is_compiling():
            return functional.dropout(x, self.rate)
        return _DropoutFunction.apply(x, self.rate)  # type: ignore[no-untyped-call]


class _DropoutFunction(Function):
    """Dropout on a CPU; saves one byte per element for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rate: float) -> Tensor:
        keep_mask = _draw_keep_mask(x, rate)
        ctx.save_for_backward(keep_mask.to(torch.int8))
        ctx.scale = 1.0 / (1.0 - rate)
        return _apply_keep_mask(x, keep_mask).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (keep_mask,), (grad,) = ctx.saved_tensors, grads
        return _apply_keep_mask(grad, keep_mask.to(_MASK_TYPES[grad.dtype][0])).mul_(ctx.scale), None


def _apply_keep_mask(x: Tensor, keep_mask: Tensor) -> Tensor:
    """The elements of x where `keep_mask` has all bits set, and zeros where it has none."""
    bits = x.contiguous().view(keep_mask.dtype)
    return keep_mask.bitwise_and_(bits).view(x.dtype)


def _draw_keep_mask(x: Tensor, rate: float) -> Tensor:
    """A mask of integers as wide as the elements of x: with probability `rate` no bit is set, else all bits.

    r - threshold is negative for a fraction `rate` of the random nonnegative integers r; the shift copies its
    sign to all bits.
    """
    int_dtype, bits = _MASK_TYPES[x.dtype]
    seed = int(torch.randint(2**62, (1,), generator=_mask_seeds.generator))
    per_word = 8 // int_dtype.itemsize
    random_words = np.random.SFC64(seed).random_raw((x.numel() + per_word - 1) // per_word)
    random_bits = torch.from_numpy(random_words.view(np.int64)).view(int_dtype)[: x.numel()]
    random_bits.bitwise_and_((1 << bits) - 1).sub_(round(rate * (1 << bits)))
    return random_bits.bitwise_right_shift_(bits).bitwise_not_().view(x.shape)
