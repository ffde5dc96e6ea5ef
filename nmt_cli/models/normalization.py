"""Layer normalisation (Ba et al. 2016) and RMSNorm (Zhang and Sennrich 2019)."""

from typing import Literal

from torch import nn

Normalization = Literal["layer", "rms"]


def normalization(kind: Normalization, width: int, epsilon: float) -> nn.Module:
    """A normalisation over the last dimension, of this width; the variance gets epsilon added."""
    if kind == "rms":
        return nn.RMSNorm(width, eps=epsilon)
    return nn.LayerNorm(width, eps=epsilon)
