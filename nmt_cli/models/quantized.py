"""Linear layers in 8-bit integers for translation on a CPU.

Weights are rounded once, symmetrically, with a scale for each output; inputs at each use, with a
scale for each row (Jacob et al. 2018, section 2.1; a scale a token as in Yao et al. 2022). So a row
comes out the same to the last bit, whatever stands beside it. Products are summed in 32-bit
integers by oneDNN. A processor without VNNI adds two products in 16 bits on the way, where
255 * 127 * 2 has no room (oneDNN, "Nuances of int8 computations"): there inputs have 7 bits.
"""

from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor, nn

from nmt_cli.models.feed_forward import FeedForward

LARGEST_WEIGHT = 127
CACHED = 1 << 18  # numbers that are worked on at a time: half a MiB


@cache
def largest_input() -> int:
    """The highest unsigned integer that an input is rounded to."""
    features = torch.cpu.get_capabilities()
    wide = any(features.get(key) for key in ("avx512_vnni", "avx_vnni", "amx_int8"))
    return 255 if wide or not features.get("avx2") else 127


def rounded_input(x: Tensor, top: int, *, positive: bool = False) -> tuple[Tensor, Tensor, int]:
    """`x` [M, in] as integers from 0 to `top`, the size of a step in each row [M, 1], and the
    integer that zero becomes.

    Where no input is negative (`positive`), that is 0 and steps are half as large. There may be
    more rows than M, with anything in them: see `even`.
    """
    zero, most = (0, top) if positive else ((top + 1) // 2, top // 2)
    rounded = torch.empty((even(len(x)), x.shape[1]), dtype=torch.uint8)
    step = x.new_empty((len(x), 1))
    for rows in in_cache(x):
        part = x[rows]
        largest = torch.amax(part if positive else part.abs(), 1, keepdim=True, out=step[rows])
        largest.clamp_(min=1e-12).div_(most)
        steps = (part * largest.reciprocal()).add_(zero + 0.5)  # cut off below, to the nearest
        if top <= 127:
            rounded.view(torch.int8)[rows] = steps  # several times as fast as to uint8
        else:
            rounded[rows] = steps.to(torch.int16)
    return rounded, step, zero


def in_cache(x: Tensor) -> Iterator[slice]:
    """The rows of x in stretches that stay in a core's cache between two operations."""
    count = max(1, CACHED // x.shape[1])
    for first in range(0, len(x), count):
        yield slice(first, min(first + count, len(x)))


def even(rows: int) -> int:
    """A few more rows, so that few different numbers occur: oneDNN makes code for each."""
    unit = 1 << max(0, rows.bit_length() - 4)
    return -(-rows // unit) * unit


class Inputs:
    """The last input that a layer of a model was given, rounded.

    Queries, keys and values are made of the same tensor, one layer after the other, which nobody
    changes meanwhile.
    """

    def __init__(self) -> None:
        self._x: Tensor | None = None
        self._rounded: tuple[Tensor, Tensor, int] | None = None

    def rounded(self, x: Tensor, *, positive: bool) -> tuple[Tensor, Tensor, int]:
        """See `rounded_input`; x is [..., in], of which all rows are one M."""
        if x is not self._x or self._rounded is None:
            flat = x.reshape(-1, x.shape[-1])
            self._rounded = rounded_input(flat, largest_input(), positive=positive)
            self._x = x
        return self._rounded


class Int8Linear(nn.Module):
    """A linear layer made from another one, for inference only: float32 in and out."""

    def __init__(
        self, linear: nn.Linear, inputs: Inputs | None = None, *, positive: bool = False
    ) -> None:
        """`inputs` is shared by the layers of a model. `positive`: none is ever below zero."""
        super().__init__()
        self.inputs = inputs or Inputs()
        matrix = linear.weight.detach().float()
        scale = matrix.abs().amax(1).clamp(min=1e-12) / LARGEST_WEIGHT  # [out]
        rounded = (matrix / scale[:, None]).round().to(torch.int8)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.positive = positive
        self.packed = torch.ops.onednn.qlinear_prepack(rounded, None)
        self.scale, self.zeros = scale, torch.zeros(len(scale), dtype=torch.int32)
        self.bias = None if linear.bias is None else linear.bias.detach().float()
        self.weight = torch.empty(0)  # only tells the type and place of what this layer works on

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        rounded, step, zero = self.inputs.rounded(x, positive=self.positive)
        products: Tensor = torch.ops.onednn.qlinear_pointwise(
            rounded, 1.0, zero, self.packed, self.scale, self.zeros, None,
            1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip
        result = products[: len(step)]
        for rows in in_cache(result):
            part = result[rows].mul_(step[rows])
            if self.bias is not None:
                part.add_(self.bias)
        return result.view(*x.shape[:-1], self.out_features)


def quantize(model: nn.Module) -> None:
    """Replace every linear layer of a float32 model on the CPU."""
    inputs = Inputs()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                positive = isinstance(parent, FeedForward) and child is parent.contract
                positive = positive and parent.activation == "relu"
                setattr(parent, name, Int8Linear(child, inputs, positive=positive))
