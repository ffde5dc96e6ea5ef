"""Target prefixes that a translation must begin with."""

import math

import torch
from torch import Tensor


def prefix_table(
    prefixes: list[list[int]] | None, count: int, device: torch.device
) -> Tensor | None:
    """Prefixes as rows [B, longest], -1 where a row's prefix is over."""
    longest = max(map(len, prefixes), default=0) if prefixes else 0
    if not longest or prefixes is None:
        return None
    table = torch.full((count, longest), -1)
    for row, ids in zip(table, prefixes, strict=True):
        row[: len(ids)] = torch.tensor(ids)
    return table.to(device)


def force(rows: Tensor, wanted: Tensor) -> None:
    """Leave only the wanted token [B] possible in rows [B, W, V]; -1 leaves all."""
    bound = wanted >= 0
    kept = wanted.clamp(min=0)[:, None, None].expand(-1, rows.shape[1], 1)
    values = rows.gather(2, kept)
    forced = torch.full_like(rows, -math.inf).scatter_(2, kept, values)
    rows.copy_(torch.where(bound[:, None, None], forced, rows))
