"""Layer normalisation (Ba et al. 2016) and RMSNorm (Zhang and Sennrich 2019)."""

from typing import Literal

from torch import nn

Normalization = Literal["layer", "rms"]


def normalization(kind: Normalization, width: int, epsilon: float) -> nn.Module:
    """A normalisation over the last dimension of size `width`; `epsilon` is added to the variance."""
    if kind == "rms":
        return nn.RMSNorm(width, eps=epsilon)
    return nn.LayerNorm(width, eps=epsilon)
