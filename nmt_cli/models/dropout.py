"""Dropout (Srivastava et al. 2014) whose masks are cheap to draw on a CPU."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

_MASK_TYPES = {torch.bfloat16: (torch.int16, 15), torch.float32: (torch.int32, 31)}


def seed_masks(*key: int) -> None:
    """Let the masks that follow depend on `key` alone, for instance (seed, update, micro-batch)."""
    torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1))


class Dropout(nn.Module):
    """Zero each element with probability `rate` while training and scale the rest up.

    PyTorch draws CPU masks element by element from one generator, which took a tenth of a training
    step. Here a mask is made by integer arithmetic on the raw output of a fast generator, which is
    itself seeded by one draw from PyTorch's: `seed_masks` decides everything.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Any shape in, the same shape out."""
        if not self.training or self.rate == 0.0:
            return x
        plain = x.device.type != "cpu" or x.dtype not in _MASK_TYPES
        if plain or torch.compiler.is_compiling():
            return functional.dropout(x, self.rate)
        return x * _mask(x, self.rate)

    def extra_repr(self) -> str:
        """The rate, for printing a model."""
        return f"rate={self.rate}"


def _mask(x: Tensor, rate: float) -> Tensor:
    """0 with probability `rate`, else 1 / (1 - rate), in the shape and type of x.

    r - threshold is negative for a share `rate` of the random non-negative integers r; the shift
    spreads its sign over all bits, which then cut out the bit pattern of the scale.
    """
    integer, bits = _MASK_TYPES[x.dtype]
    seed = int(torch.randint(2**62, (1,)))
    per_word = 8 // integer.itemsize
    words = np.random.SFC64(seed).random_raw((x.numel() + per_word - 1) // per_word)
    random = torch.from_numpy(words.view(np.int64)).view(integer)[: x.numel()]
    scale = torch.tensor(1.0 / (1.0 - rate), dtype=x.dtype).view(integer)
    random.bitwise_and_((1 << bits) - 1).sub_(round(rate * (1 << bits)))
    kept = random.bitwise_right_shift_(bits).bitwise_not_().bitwise_and_(scale)
    return kept.view(x.dtype).view(x.shape)
