"""What a translation must begin with, may not repeat, and how long it may be."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nmt_cli.decoding.config import SearchConfig
from nmt_cli.models.contract import Autoregressive, Sequences

Prefixes = list[list[int]] | None


def length_limits(
    model: Autoregressive[Any, Any], source: Sequences, config: SearchConfig, prefixes: Prefixes
) -> list[int]:
    """Most target pieces of each sentence, end of sentence not counted.

    Never fewer than its prefix has, never more than the model can write.
    """
    limits = [config.max_target_length(length - 1) for length in source.lengths.tolist()]
    if prefixes is not None:
        limits = [max(limit, len(prefix)) for limit, prefix in zip(limits, prefixes, strict=True)]
    if model.max_target_positions is not None:
        limits = [min(limit, model.max_target_positions - 1) for limit in limits]
    return limits


def pad_prefixes(prefixes: Prefixes, limits: list[int], device: torch.device) -> Tensor | None:
    """Prefixes as rows [B, longest], -1 where a row's prefix is over or its limit reached."""
    max_length = max(map(len, prefixes), default=0) if prefixes else 0
    if not max_length or prefixes is None:
        return None
    padded = torch.full((len(prefixes), max_length), -1)
    for row, prefix, limit in zip(padded, prefixes, limits, strict=True):
        row[: min(len(prefix), limit)] = torch.tensor(prefix[:limit])
    return padded.to(device)


def force_tokens(log_probs: Tensor, tokens: Tensor) -> None:
    """Leave only the wanted token [B] possible in rows [B, W, V]; -1 leaves all."""
    is_forced = tokens >= 0
    index = tokens.clamp(min=0)[:, None, None].expand(-1, log_probs.shape[1], 1)
    token_log_probs = log_probs.gather(2, index)
    masked = torch.full_like(log_probs, -math.inf).scatter_(2, index, token_log_probs)
    log_probs.copy_(torch.where(is_forced[:, None, None], masked, log_probs))


def max_ngram_count(ids: Sequence[int], ngram_size: int) -> int:
    """How often the most frequent n-gram of this size occurs in ids; at least 1."""
    ngram_counts = Counter(zip(*(ids[start:] for start in range(ngram_size)), strict=False))
    return max(ngram_counts.values(), default=1)


def ban_repeated_ngrams(log_probs: Tensor, history: Tensor, ngram_size: int, max_counts: Tensor) -> None:
    """Make tokens impossible that would repeat an n-gram of `size` too often.

    rows [B, W, V] score the token after history [B, W, L]; an n-gram may occur `allowed` [B] times
    (once: Paulus et al. 2018, section 2.5).
    """
    length = history.shape[2]
    if length < ngram_size:
        return
    ngrams = history.unfold(2, ngram_size, 1)  # [B, W, L - n + 1, n]
    suffix = history[:, :, length - ngram_size + 1 :]  # [B, W, n - 1]
    matches = (ngrams[..., :-1] == suffix[:, :, None]).all(-1)  # [B, W, L - n + 1]
    counts = torch.zeros(log_probs.shape, device=log_probs.device)
    counts.scatter_add_(2, ngrams[..., -1], matches.float())
    log_probs.masked_fill_(counts >= max_counts[:, None, None], -math.inf)
