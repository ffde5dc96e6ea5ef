"""Layer normalisation (Ba et al. 2016) and RMSNorm (Zhang and Sennrich 2019)."""

from typing import Literal

from torch import nn

NormalizationType = Literal["layer", "rms"]


def make_normalization(normalization_type: NormalizationType, dim: int, epsilon: float) -> nn.Module:
    """A normalisation over the last dimension, of this width; the variance gets epsilon added."""
    if normalization_type == "rms":
        return nn.RMSNorm(dim, eps=epsilon)
    return nn.LayerNorm(dim, eps=epsilon)
