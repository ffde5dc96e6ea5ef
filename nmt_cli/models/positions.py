"""Where a token stands: sinusoidal, learned and rotary positions.

Positions count real tokens from 0. Legend: B batch, T length, D width, H heads, K head width.
"""

from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor, nn

First = int | Tensor  # position of the first token, for all sentences or [B]; or of each, [B, T]
Sinusoids = Literal["sinusoidal", "sinusoidal_halves", "sinusoidal_marianmt"]
Positions = Literal[
    "sinusoidal", "sinusoidal_halves", "sinusoidal_marianmt", "learned", "rotary", "none"
]


def sinusoids(length: int, width: int, kind: Sinusoids = "sinusoidal") -> Tensor:
    """The encodings of Vaswani et al. 2017, section 3.5: [length, width] float32.

    Sines stand at even and cosines at odd dimensions. In `sinusoidal_halves` sines fill the first
    half and cosines the second, and the slowest wave is exactly 10000 times as slow as the fastest,
    as in tensor2tensor and Marian; `sinusoidal_marianmt` has the halves with the paper's waves, as
    the class MarianMTModel of transformers.
    """
    half = (width + 1) // 2
    exponent = torch.arange(half, dtype=torch.float64)
    slowest = max(half - 1, 1) if kind == "sinusoidal_halves" else width / 2
    rate = 10000.0 ** -(exponent / slowest)
    angle = torch.arange(length, dtype=torch.float64)[:, None] * rate  # [T, D/2]
    parts = (angle.sin(), angle.cos())
    mixed = kind == "sinusoidal"
    table = torch.stack(parts, 2).flatten(1) if mixed else torch.cat(parts, 1)
    return table[:, :width].float()


class SinusoidalPositions(nn.Module):
    """Adds fixed sinusoids; the table grows with the longest sequence seen.

    The table is no buffer: a model that goes through bfloat16 and back, as one that is trained and
    then translates, would come back with another table.
    """

    def __init__(self, width: int, kind: Sinusoids) -> None:
        super().__init__()
        self.width, self.kind = width, kind
        self.table = sinusoids(512, width, kind)  # float32

    def forward(self, x: Tensor, first: First = 0, bound: int | None = None) -> Tensor:
        """Add the encodings of positions first, first + 1, ... to x, [..., T, D].

        All positions are below `bound`, where that is given; asking a GPU would cost a wait.
        """
        if bound is None:
            bound = int(first.max() if isinstance(first, Tensor) else first) + x.shape[-2]
        if bound > len(self.table):
            self.table = sinusoids(2 * bound, self.width, self.kind)
        if self.table.device != x.device:
            self.table = self.table.to(x.device)
        return x + _rows(self.table, first, x.shape[-2]).to(x.dtype)


class LearnedPositions(nn.Module):
    """Adds a trained vector for each of the first `limit` positions (Gehring et al. 2017)."""

    def __init__(self, width: int, limit: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(limit, width).normal_(std=0.02))

    def forward(self, x: Tensor, first: First = 0, bound: int | None = None) -> Tensor:
        """Add the vectors of positions first, first + 1, ... to x, [..., T, D]."""
        return x + _rows(self.weight, first, x.shape[-2])


class NoPositions(nn.Module):
    """Leaves x as it is: for rotary attention, which sees positions itself, and for none."""

    def forward(self, x: Tensor, first: First = 0, bound: int | None = None) -> Tensor:
        """Return x."""
        return x


def _rows(table: Tensor, first: First, length: int) -> Tensor:
    """Rows first, first + 1, ... of a table: [T, D], or [B, T, D] where `first` is a tensor."""
    if isinstance(first, int):
        return table[first : first + length]
    return table[_each(first, length)]


def _each(first: Tensor, length: int) -> Tensor:
    """The position of each token, [B, T]."""
    if first.ndim == 2:
        return first
    return first[:, None] + torch.arange(length, device=first.device)


def positions(kind: Positions, width: int, limit: int) -> nn.Module:
    """The module that adds positions of this kind to embeddings [..., T, D]."""
    if kind == "learned":
        return LearnedPositions(width, limit)
    if kind == "rotary" or kind == "none":
        return NoPositions()
    return SinusoidalPositions(width, kind)


def rotate(x: Tensor, first: First) -> Tensor:
    """Rotary positions (Su et al. 2021, eq. 34) for queries or keys [B, H, ..., T, K].

    Dimension i is paired with i + K/2 and turned by position / 10000^(2i/K); the T positions are
    first, first + 1, ...
    """
    half, length = x.shape[-1] // 2, x.shape[-2]
    if isinstance(first, Tensor):
        angle = _each(first, length).unsqueeze(-1) * _rates(half, x.device)  # [B, T, K/2]
        cos, sin = _turns(angle, x.dtype)
        for _ in range(x.ndim - 3):
            cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    elif torch.jit.is_tracing() or torch.compiler.is_compiling():  # type: ignore[no-untyped-call, attr-defined]
        cos, sin = _turns_from(first, length, half, x.dtype, x.device)
    else:
        cos, sin = _known_turns(first, length, half, x.dtype, x.device)  # [T, K]
    return torch.addcmul(x * cos, x.roll(half, -1), sin)


def _rates(half: int, device: torch.device) -> Tensor:
    return 10000.0 ** -(torch.arange(half, dtype=torch.float32, device=device) / half)


def _turns(angle: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The factors [..., K] of each dimension and of its partner, for angles [..., K/2]."""
    cos, sin = angle.cos().to(dtype), angle.sin().to(dtype)
    return torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)


def _turns_from(
    first: int, length: int, half: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """For positions first, first + 1, ..., each [T, K]."""
    places = torch.arange(first, first + length, device=device)
    return _turns(places[:, None] * _rates(half, device), dtype)


@lru_cache(maxsize=256)
@torch.inference_mode(False)  # what a search has computed, training may need
def _known_turns(
    first: int, length: int, half: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The same, computed once."""
    return _turns_from(first, length, half, dtype, device)
