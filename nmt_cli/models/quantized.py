"""Linear layers in 8-bit integers for translation on a CPU.

Weights are rounded once, symmetrically, with a scale for each output; inputs at each use, with a
scale and zero point for the whole tensor (Jacob et al. 2018, section 2.1). Products are summed in
32-bit integers by oneDNN. A processor without VNNI adds two products in 16 bits on the way, where
255 * 127 * 2 has no room (oneDNN, "Nuances of int8 computations"): there inputs have 7 bits.
"""

from functools import cache

import torch
from torch import Tensor, nn

LARGEST_WEIGHT = 127


@cache
def largest_input() -> int:
    """The highest unsigned integer that an input is rounded to."""
    features = torch.cpu.get_capabilities()
    wide = any(features.get(key) for key in ("avx512_vnni", "avx_vnni", "amx_int8"))
    return 255 if wide or not features.get("avx2") else 127


def rounded_input(x: Tensor, top: int) -> tuple[Tensor, float, int]:
    """`x` [M, in] in steps of one size as integers from 0 to `top`, the size, and zero's integer.

    Nothing has to be clamped: zero is rounded by at most a half, for which the steps leave room.
    There may be more rows than M, with anything in them: see `even`.
    """
    low, high = (float(end) for end in x.aminmax())
    low, high = min(low, 0.0), max(high, 0.0)  # zero is always exact
    step = max((high - low) / (top - 0.5), 1e-12)
    zero = round(-low / step)
    steps = torch.add(torch.tensor(zero + 0.5), x, alpha=1 / step)  # in one pass
    rounded = torch.empty((even(len(x)), x.shape[1]), dtype=torch.uint8)
    if top <= 127:
        rounded.view(torch.int8)[: len(x)] = steps  # several times as fast as to uint8
    else:
        rounded[: len(x)] = steps.to(torch.int16)
    return rounded, step, zero


def even(rows: int) -> int:
    """A few more rows, so that few different numbers occur: oneDNN makes code for each."""
    unit = 1 << max(0, rows.bit_length() - 4)
    return -(-rows // unit) * unit


class Int8Linear(nn.Module):
    """A linear layer made from another one, for inference only: float32 in and out."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        matrix = linear.weight.detach().float()
        scale = matrix.abs().amax(1).clamp(min=1e-12) / LARGEST_WEIGHT  # [out]
        rounded = (matrix / scale[:, None]).round().to(torch.int8)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.packed = torch.ops.onednn.qlinear_prepack(rounded, None)
        self.scale, self.zeros = scale, torch.zeros(len(scale), dtype=torch.int32)
        self.bias = None if linear.bias is None else linear.bias.detach().float()
        self.weight = torch.empty(0)  # only tells the type and place of what this layer works on

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        flat = x.reshape(-1, self.in_features)
        rounded, step, zero = rounded_input(flat, largest_input())
        result: Tensor = torch.ops.onednn.qlinear_pointwise(
            rounded, step, zero, self.packed, self.scale, self.zeros, self.bias,
            1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip
        return result[: len(flat)].view(*x.shape[:-1], self.out_features)


def quantize(model: nn.Module) -> None:
    """Replace every linear layer of a float32 model on the CPU."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                setattr(parent, name, Int8Linear(child))
