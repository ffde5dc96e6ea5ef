"""The position-wise feed-forward network of a Transformer layer."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt_cli.models.configs import Activation
from nmt_cli.models.dropout import Dropout
from nmt_cli.models.linear import Linear


def _relu(x: Tensor) -> Tensor:
    """In place if no gradient is needed, which saves a pass over memory."""
    return functional.relu(x, inplace=not torch.is_grad_enabled())


_ACTIVATION_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": _relu,
    "gelu": functional.gelu,
    "swish": functional.silu,
    "swiglu": functional.silu,
}


class FeedForward(nn.Module):
    """max(0, x W1 + b1) W2 + b2 (Vaswani et al. 2017, eq. 2), or another activation.

    `swiglu` multiplies an activated half with a linear half (Shazeer 2020). Its inner width is also `d_ff`, so it
    has 1.5 times the parameters of the others.
    """

    def __init__(self, d_model: int, d_ff: int, activation: Activation, dropout: float) -> None:
        super().__init__()
        self.activation = activation
        self.gated = activation == "swiglu"
        self.activate = _ACTIVATION_FUNCTIONS[activation]
        self.expand = Linear(d_model, d_ff * (2 if self.gated else 1))
        self.contract = Linear(d_ff, d_model)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] in, [..., D] out."""
        hidden = self.expand(x)
        if self.gated:
            gate, linear = hidden.chunk(2, -1)
            hidden = self.activate(gate) * linear
        else:
            hidden = self.activate(hidden)
        return self.contract(self.dropout(hidden))
