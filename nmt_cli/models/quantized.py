"""Linear layers in 8-bit integers for translation on a CPU.

Weights are quantised once, symmetrically, with a scale per output; inputs at each use, with a scale per row
(Jacob et al. 2018, section 2.1; per-token scales as in Yao et al. 2022). So the result of a row is bit for bit
the same whatever the other rows of the batch are. oneDNN sums products in 32-bit integers, but a processor
without VNNI adds pairs of products in 16 bits, where 255 * 127 * 2 would saturate (oneDNN, "Nuances of int8
computations"): there inputs are quantised to 7 bits.
"""

import threading
from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor, nn

from nmt_cli.device import cpu_features
from nmt_cli.models.feed_forward import FeedForward
from nmt_cli.models.linear import Linear

MAX_INT8_WEIGHT = 127
MAX_BLOCK_ELEMENTS = 1 << 18  # of a block of rows, which should fit into a core's cache


@cache
def max_quantized_input() -> int:
    """The largest unsigned integer that inputs are quantised to on this processor."""
    features = cpu_features()
    has_vnni = any(features.get(key) for key in ("avx512_vnni", "avx_vnni", "amx_int8"))
    return 255 if has_vnni or (features and not features.get("avx2")) else 127


def quantize_input(x: Tensor, max_quantized: int, *, nonnegative: bool = False) -> tuple[Tensor, Tensor, int]:
    """Quantise `x` [M, in]: integers from 0 to `max_quantized`, the scale per row [M, 1] and the zero point.

    For nonnegative inputs the zero point is 0 and scales are half as large. The integers have
    `padded_row_count(M)` rows, of which those from M on are uninitialised.
    """
    zero_point, max_magnitude = (0, max_quantized) if nonnegative else ((max_quantized + 1) // 2, max_quantized // 2)
    quantized = torch.empty((padded_row_count(len(x)), x.shape[1]), dtype=torch.uint8)
    scale = x.new_empty((len(x), 1))
    for rows in row_blocks(x):
        block = x[rows]
        magnitude = block.amax(1, keepdim=True)
        if not nonnegative:
            magnitude = torch.maximum(magnitude, -block.amin(1, keepdim=True))
        scale[rows] = magnitude.clamp_(min=1e-12).div_(max_magnitude)
        scaled = (block * scale[rows].reciprocal()).round_()
        if max_magnitude <= 127:  # to int8 is several times as fast as to uint8
            quantized.view(torch.int8)[rows] = scaled
            quantized[rows].add_(zero_point)  # modulo 256
        else:
            quantized[rows] = scaled.to(torch.int16)
    return quantized, scale, zero_point


def row_blocks(x: Tensor) -> Iterator[slice]:
    """The rows of x [M, in] in blocks that stay in a core's cache between two operations."""
    rows_per_block = max(1, MAX_BLOCK_ELEMENTS // x.shape[1])
    for start in range(0, len(x), rows_per_block):
        yield slice(start, min(start + rows_per_block, len(x)))


def padded_row_count(rows: int) -> int:
    """`rows` rounded up to few distinct numbers, since oneDNN compiles a kernel for each."""
    multiple = 1 << max(0, rows.bit_length() - 4)
    return -(-rows // multiple) * multiple


class QuantizedInputCache(threading.local):
    """The most recent input of a model's layers, quantised, in each thread.

    Consecutive layers, such as those of queries and of keys and values, read the same tensor, which nothing
    changes in between.
    """

    def __init__(self) -> None:
        self._last_input: Tensor | None = None
        self._last_quantized: tuple[Tensor, Tensor, int] | None = None

    def quantize(self, x: Tensor, *, nonnegative: bool) -> tuple[Tensor, Tensor, int]:
        """`quantize_input` of x [..., in], with all leading dimensions flattened into M."""
        if x is not self._last_input or self._last_quantized is None:
            flat = x.reshape(-1, x.shape[-1])
            self._last_quantized = quantize_input(flat, max_quantized_input(), nonnegative=nonnegative)
            self._last_input = x
        return self._last_quantized


class Int8Linear(nn.Module):
    """A quantised copy of a linear layer, for inference only: float32 in and out."""

    def __init__(
        self, linear: nn.Linear, input_cache: QuantizedInputCache | None = None, *, nonnegative: bool = False
    ) -> None:
        """The layers of a model share `input_cache`; `nonnegative` promises that no input is below zero."""
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
        self.weight = torch.empty(0)  # has the dtype and device of the inputs

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        quantized, input_scale, zero_point = self.input_cache.quantize(x, nonnegative=self.nonnegative)
        products: Tensor = torch.ops.onednn.qlinear_pointwise(
            quantized, 1.0, zero_point, self.packed_weight, self.weight_scale, self.weight_zero_points, None,
            1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip
        result = products[: len(input_scale)]
        for rows in row_blocks(result):
            block, scale = result[rows], input_scale[rows]
            if self.bias is None:
                block.mul_(scale)
            else:
                torch.addcmul(self.bias, block, scale, out=block)
        return result.view(*x.shape[:-1], self.out_features)


def quantize(model: nn.Module) -> None:
    """Replace every linear layer of a float32 model on the CPU by an `Int8Linear`, but those that compute otherwise."""
    input_cache = QuantizedInputCache()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear) and type(child).forward in (nn.Linear.forward, Linear.forward):
                nonnegative = isinstance(parent, FeedForward) and child is parent.contract
                nonnegative = nonnegative and parent.activation == "relu"
                setattr(parent, name, Int8Linear(child, input_cache, nonnegative=nonnegative))
