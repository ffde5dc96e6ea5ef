"""Position encodings: sinusoidal, learned and rotary.

Positions count real tokens from 0. Legend: B batch, T length, D model width, H heads, K head width.
"""

from functools import lru_cache

import torch
from torch import Tensor, nn

from nmt_cli.models.configs import PositionType, SinusoidType

PositionOffset = int | Tensor  # position of the first token, one for all sentences or [B]; or of each token, [B, T]


def sinusoid_table(length: int, d_model: int, kind: SinusoidType = "sinusoidal") -> Tensor:
    """The encodings of Vaswani et al. 2017, section 3.5: [length, D] float32.

    `sinusoidal` has sines in even and cosines in odd dimensions. `sinusoidal_halves` has sines in the first half
    and cosines in the second, and its lowest frequency is exactly 1/10000 of the highest, as in tensor2tensor and
    Marian. `sinusoidal_marianmt` has the halves with the paper's frequencies, as in MarianMTModel of transformers.
    """
    half = (d_model + 1) // 2
    exponent = torch.arange(half, dtype=torch.float64)
    exponent_scale = max(half - 1, 1) if kind == "sinusoidal_halves" else d_model / 2
    frequencies = 10000.0 ** -(exponent / exponent_scale)
    angles = torch.arange(length, dtype=torch.float64)[:, None] * frequencies  # [T, D/2]
    sines_cosines = (angles.sin(), angles.cos())
    interleaved = kind == "sinusoidal"
    table = torch.stack(sines_cosines, 2).flatten(1) if interleaved else torch.cat(sines_cosines, 1)
    return table[:, :d_model].float()


class SinusoidalPositions(nn.Module):
    """Adds fixed sinusoids from a table that grows with the longest sequence seen.

    The table is not a buffer: converting the model to bfloat16 and back would change it.
    """

    def __init__(self, d_model: int, kind: SinusoidType) -> None:
        super().__init__()
        self.d_model, self.kind = d_model, kind
        self.table = sinusoid_table(512, d_model, kind)  # float32

    def forward(self, x: Tensor, offset: PositionOffset = 0, end_position: int | None = None) -> Tensor:
        """Add the encodings of positions `offset`, `offset` + 1, ... to x, [..., T, D].

        `end_position`, if given, is above every position, which saves waiting for a GPU to find the last one.
        """
        if end_position is None:
            end_position = int(offset.max() if isinstance(offset, Tensor) else offset) + x.shape[-2]
        if end_position > len(self.table):
            self.table = sinusoid_table(2 * end_position, self.d_model, self.kind)
        if self.table.device != x.device:
            self.table = self.table.to(x.device)
        return x + _table_rows(self.table, offset, x.shape[-2]).to(x.dtype)


class LearnedPositions(nn.Module):
    """Adds a trained vector for each of the first `max_positions` positions (Gehring et al. 2017)."""

    def __init__(self, d_model: int, max_positions: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(max_positions, d_model).normal_(std=0.02))

    def forward(self, x: Tensor, offset: PositionOffset = 0, end_position: int | None = None) -> Tensor:
        """Add the vectors of positions `offset`, `offset` + 1, ... to x, [..., T, D]."""
        return x + _table_rows(self.weight, offset, x.shape[-2])


class NoPositions(nn.Module):
    """Returns x unchanged: for no positions, and for rotary ones, which attention applies."""

    def forward(self, x: Tensor, offset: PositionOffset = 0, end_position: int | None = None) -> Tensor:
        """Return x."""
        return x


def _table_rows(table: Tensor, offset: PositionOffset, length: int) -> Tensor:
    """Rows `offset`, `offset` + 1, ... of a table: [T, D], or [B, T, D] if `offset` is a tensor."""
    if isinstance(offset, int):
        return table[offset : offset + length]
    return table[_token_positions(offset, length)]


def _token_positions(offset: Tensor, length: int) -> Tensor:
    """The position of each token, [B, T]."""
    if offset.ndim == 2:
        return offset
    return offset[:, None] + torch.arange(length, device=offset.device)


def make_positions(kind: PositionType, d_model: int, max_positions: int) -> nn.Module:
    """The module that adds positions of this kind to embeddings [..., T, D]."""
    if kind == "learned":
        return LearnedPositions(d_model, max_positions)
    if kind == "rotary" or kind == "none":
        return NoPositions()
    return SinusoidalPositions(d_model, kind)


def position_table(positions: nn.Module, rows: int, d_model: int) -> Tensor:
    """What a module of `make_positions` adds to the first `rows` embeddings, [rows, D]; all that it has if learned."""
    if isinstance(positions, LearnedPositions):
        return positions.weight
    if isinstance(positions, SinusoidalPositions):
        return sinusoid_table(rows, d_model, positions.kind)
    return torch.zeros(rows, d_model)


RotaryFactors = tuple[Tensor, Tensor]  # of each dimension and of its partner, each broadcasting to [B, H, T, K]


def apply_rotary(x: Tensor, offset: PositionOffset) -> Tensor:
    """Rotary positions (Su et al. 2021, eq. 34) for queries or keys [B, H, ..., T, K].

    Dimensions i and i + K/2 are rotated by the angle position / 10000^(2i/K). The T positions are `offset`,
    `offset` + 1, ...
    """
    cos, sin = rotary_factors(x, offset, x.dtype)
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)


def rotary_factors(x: Tensor, offset: PositionOffset, dtype: torch.dtype) -> RotaryFactors:
    """What `apply_rotary` multiplies x and its partner dimensions by, in this dtype."""
    half_dim, length = x.shape[-1] // 2, x.shape[-2]
    if isinstance(offset, Tensor):
        angles = _token_positions(offset, length).unsqueeze(-1) * _rotary_frequencies(half_dim, x.device)  # [B, T, K/2]
        cos, sin = _cos_sin(angles, dtype)
        for _ in range(x.ndim - 3):
            cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
        return cos, sin
    if torch.jit.is_tracing() or torch.compiler.is_compiling():  # type: ignore[no-untyped-call, attr-defined]
        return _cos_sin_range(offset, length, half_dim, dtype, x.device)
    return _cached_cos_sin_range(offset, length, half_dim, dtype, x.device)  # [T, K]


def _rotary_frequencies(half_dim: int, device: torch.device) -> Tensor:
    return 10000.0 ** -(torch.arange(half_dim, dtype=torch.float32, device=device) / half_dim)


def _cos_sin(angles: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The factors of each dimension and of its partner, each [..., K], for angles [..., K/2]."""
    cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)
    return torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)


def _cos_sin_range(
    offset: int, length: int, half_dim: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """`_cos_sin` of positions `offset`, `offset` + 1, ..., each [T, K]."""
    token_positions = torch.arange(offset, offset + length, device=device)
    return _cos_sin(token_positions[:, None] * _rotary_frequencies(half_dim, device), dtype)


# without inference mode: tensors cached during a search may be used in training
_cached_cos_sin_range = lru_cache(maxsize=256)(torch.inference_mode(False)(_cos_sin_range))
