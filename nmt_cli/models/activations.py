"""Activation functions that are fast in bfloat16."""

import torch
from torch import Tensor


def tanh(x: Tensor, *, inplace: bool = False) -> Tensor:
    """The hyperbolic tangent, in the type of `x`; without a gradient. `inplace` allows to overwrite `x`.

    On a CPU PyTorch takes three times as long in bfloat16 as in float32 with two conversions.
    """
    if x.dtype == torch.bfloat16 and x.device.type == "cpu":
        return x.float().tanh_().to(x.dtype)
    return x.tanh_() if inplace else x.tanh()
