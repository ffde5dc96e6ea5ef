"""What a translation must begin with, may not repeat, and how long it may be."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nmt_cli.decoding.hypothesis import SearchConfig
from nmt_cli.models.contract import Autoregressive, Sequences

Prefixes = list[list[int]] | None


def length_limits(
    model: Autoregressive[Any, Any], source: Sequences, config: SearchConfig, prefixes: Prefixes
) -> list[int]:
    """Most target pieces of each sentence, end of sentence not counted.

    Never fewer than its prefix has, never more than the model can write.
    """
    limits = [config.longest(length - 1) for length in source.lengths.tolist()]
    if prefixes is not None:
        limits = [max(limit, len(ids)) for limit, ids in zip(limits, prefixes, strict=True)]
    if model.longest_target is not None:
        limits = [min(limit, model.longest_target - 1) for limit in limits]
    return limits


def prefix_table(prefixes: Prefixes, limits: list[int], device: torch.device) -> Tensor | None:
    """Prefixes as rows [B, longest], -1 where a row's prefix is over or its limit reached."""
    longest = max(map(len, prefixes), default=0) if prefixes else 0
    if not longest or prefixes is None:
        return None
    table = torch.full((len(prefixes), longest), -1)
    for row, ids, limit in zip(table, prefixes, limits, strict=True):
        row[: min(len(ids), limit)] = torch.tensor(ids[:limit])
    return table.to(device)


def force(rows: Tensor, wanted: Tensor) -> None:
    """Leave only the wanted token [B] possible in rows [B, W, V]; -1 leaves all."""
    bound = wanted >= 0
    kept = wanted.clamp(min=0)[:, None, None].expand(-1, rows.shape[1], 1)
    values = rows.gather(2, kept)
    forced = torch.full_like(rows, -math.inf).scatter_(2, kept, values)
    rows.copy_(torch.where(bound[:, None, None], forced, rows))


def most_repeated(ids: Sequence[int], size: int) -> int:
    """How often the most frequent n-gram of this size occurs in ids; at least 1."""
    grams = Counter(zip(*(ids[first:] for first in range(size)), strict=False))
    return max(grams.values(), default=1)


def ban_repeats(rows: Tensor, history: Tensor, size: int, allowed: Tensor) -> None:
    """Make tokens impossible that would repeat an n-gram of `size` too often.

    rows [B, W, V] score the token after history [B, W, L]; an n-gram may occur `allowed` [B] times
    (once: Paulus et al. 2018, section 2.5).
    """
    length = history.shape[2]
    if length < size:
        return
    windows = history.unfold(2, size, 1)  # [B, W, L - n + 1, n]
    suffix = history[:, :, length - size + 1 :]  # [B, W, n - 1]
    same = (windows[..., :-1] == suffix[:, :, None]).all(-1)  # [B, W, L - n + 1]
    counts = torch.zeros(rows.shape, device=rows.device)
    counts.scatter_add_(2, windows[..., -1], same.float())
    rows.masked_fill_(counts >= allowed[:, None, None], -math.inf)
