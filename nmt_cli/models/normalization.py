"""Layer normalisation (Ba et al. 2016) and RMSNorm (Zhang and Sennrich 2019)."""

from typing import Literal

from torch import nn

Normalization = Literal["layer", "rms"]


def normalization(kind: Normalization, width: int) -> nn.Module:
    """A normalisation over the last dimension of size `width`."""
    if kind == "rms":
        return nn.RMSNorm(width, eps=1e-6)
    return nn.LayerNorm(width, eps=1e-6)
