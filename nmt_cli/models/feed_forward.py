"""The position-wise feed-forward network of a Transformer layer."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt_cli.models.dropout import Dropout

Activation = Literal["relu", "gelu", "swish", "swiglu"]


def _relu(x: Tensor) -> Tensor:
    """In place where nobody asks for gradients: a pass over memory less."""
    return functional.relu(x, inplace=not torch.is_grad_enabled())


_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": _relu,
    "gelu": functional.gelu,
    "swish": functional.silu,
    "swiglu": functional.silu,
}


class FeedForward(nn.Module):
    """max(0, x W1 + b1) W2 + b2 (Vaswani et al. 2017, eq. 2), or another activation.

    `swiglu` multiplies the activated half with a linear one (Shazeer 2020); its inner width stays
    `inner`, so it has half as many parameters again as the others.
    """

    def __init__(self, width: int, inner: int, activation: Activation, dropout: float) -> None:
        super().__init__()
        self.activation = activation
        self.gated = activation == "swiglu"
        self.activate = _FUNCTIONS[activation]
        self.expand = nn.Linear(width, inner * (2 if self.gated else 1))
        self.contract = nn.Linear(inner, width)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] in, [..., D] out."""
        inner = self.expand(x)
        if self.gated:
            gate, linear = inner.chunk(2, -1)
            inner = self.activate(gate) * linear
        else:
            inner = self.activate(inner)
        result: Tensor = self.contract(self.dropout(inner))
        return result
