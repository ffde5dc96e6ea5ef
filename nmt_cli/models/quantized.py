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

MAX_INT8_WEIGHT = 127
MAX_BLOCK_ELEMENTS = 1 << 18  # numbers that are worked on at a time: half a MiB


@cache
def max_quantized_input() -> int:
    """The highest unsigned integer that an input is rounded to."""
    cpu_features = torch.cpu.get_capabilities()
    has_vnni = any(cpu_features.get(key) for key in ("avx512_vnni", "avx_vnni", "amx_int8"))
    return 255 if has_vnni or not cpu_features.get("avx2") else 127


def quantize_input(x: Tensor, max_quantized: int, *, nonnegative: bool = False) -> tuple[Tensor, Tensor, int]:
    """`x` [M, in] as integers from 0 to `top`, the size of a step in each row [M, 1], and the
    integer that zero becomes.

    Where no input is negative (`positive`), that is 0 and steps are half as large. There may be
    more rows than M, with anything in them: see `even`.
    """
    zero_point, max_magnitude = (0, max_quantized) if nonnegative else ((max_quantized + 1) // 2, max_quantized // 2)
    quantized = torch.empty((padded_row_count(len(x)), x.shape[1]), dtype=torch.uint8)
    scale = x.new_empty((len(x), 1))
    for rows in row_blocks(x):
        block = x[rows]
        block_scale = torch.amax(block if nonnegative else block.abs(), 1, keepdim=True, out=scale[rows])
        block_scale.clamp_(min=1e-12).div_(max_magnitude)
        scaled = (block * block_scale.reciprocal()).add_(zero_point + 0.5)  # cut off below, to the nearest
        if max_quantized <= 127:
            quantized.view(torch.int8)[rows] = scaled  # several times as fast as to uint8
        else:
            quantized[rows] = scaled.to(torch.int16)
    return quantized, scale, zero_point


def row_blocks(x: Tensor) -> Iterator[slice]:
    """The rows of x in stretches that stay in a core's cache between two operations."""
    rows_per_block = max(1, MAX_BLOCK_ELEMENTS // x.shape[1])
    for start in range(0, len(x), rows_per_block):
        yield slice(start, min(start + rows_per_block, len(x)))


def padded_row_count(rows: int) -> int:
    """A few more rows, so that few different numbers occur: oneDNN makes code for each."""
    multiple = 1 << max(0, rows.bit_length() - 4)
    return -(-rows // multiple) * multiple


class QuantizedInputCache:
    """The last input that a layer of a model was given, rounded.

    Queries, keys and values are made of the same tensor, one layer after the other, which nobody
    changes meanwhile.
    """

    def __init__(self) -> None:
        self._last_input: Tensor | None = None
        self._last_quantized: tuple[Tensor, Tensor, int] | None = None

    def quantize(self, x: Tensor, *, nonnegative: bool) -> tuple[Tensor, Tensor, int]:
        """See `quantize_input`; x is [..., in], of which all rows are one M."""
        if x is not self._last_input or self._last_quantized is None:
            flat = x.reshape(-1, x.shape[-1])
            self._last_quantized = quantize_input(flat, max_quantized_input(), nonnegative=nonnegative)
            self._last_input = x
        return self._last_quantized


class Int8Linear(nn.Module):
    """A linear layer made from another one, for inference only: float32 in and out."""

    def __init__(
        self, linear: nn.Linear, input_cache: QuantizedInputCache | None = None, *, nonnegative: bool = False
    ) -> None:
        """`inputs` is shared by the layers of a model. `positive`: none is ever below zero."""
        super().__init__()
        self.input_cache = input_cache or QuantizedInputCache()
        weight = linear.weight.detach().float()
        scale = weight.abs().amax(1).clamp(min=1e-12) / MAX_INT8_WEIGHT  # [out]
        quantized = (weight / scale[:, None]).round().to(torch.int8)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.nonnegative = nonnegative
        self.packed_weight = torch.ops.onednn.qlinear_prepack(quantized, None)
        self.weight_scale, self.weight_zero_points = (scale, torch.zeros(len(scale), dtype=torch.int32))
        self.bias = None if linear.bias is None else linear.bias.detach().float()
        self.weight = torch.empty(0)  # only tells the type and place of what this layer works on

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        quantized, input_scale, zero_point = self.input_cache.quantize(x, nonnegative=self.nonnegative)
        products: Tensor = torch.ops.onednn.qlinear_pointwise(
            quantized, 1.0, zero_point, self.packed_weight, self.weight_scale, self.weight_zero_points, None,
            1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip
        result = products[: len(input_scale)]
        for rows in row_blocks(result):
            block = result[rows].mul_(input_scale[rows])
            if self.bias is not None:
                block.add_(self.bias)
        return result.view(*x.shape[:-1], self.out_features)


def quantize(model: nn.Module) -> None:
    """Replace every linear layer of a float32 model on the CPU."""
    input_cache = QuantizedInputCache()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                nonnegative = isinstance(parent, FeedForward) and child is parent.contract
                nonnegative = nonnegative and parent.activation == "relu"
                setattr(parent, name, Int8Linear(child, input_cache, nonnegative=nonnegative))
