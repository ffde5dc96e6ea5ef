"""Constraints on what search may write next: length, prefix, and repeated n-grams.

Legend: B sentences in the batch, W hypotheses per sentence, V vocabulary, L tokens so far.
"""

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import TokenIds
from nmt_cli.decoding.host import source_ids
from nmt_cli.models.contract import Autoregressive, Sequences

UNREACHABLE_LENGTH = 1 << 62  # limit of a closed sentence


class Constraint(ABC):
    """Rules out tokens; applied in each step before the best continuations are taken or drawn."""

    @abstractmethod
    def apply(self, log_probs: Tensor, history: Tensor) -> None:
        """Set the log-probability [B, W, V] of impossible tokens to -inf; `history` [B, W, L] are the tokens so far."""

    def select(self, rows: list[int], row_indices: Tensor) -> None:  # noqa: B027 (nothing to do by default)
        """Keep the sentences with these indices, given as a list and as a tensor on the device."""


class MaxLength(Constraint):
    """Allows only the end of sentence where a sentence has reached its limit. Must be applied first."""

    def __init__(self, limits: list[int], eos_id: int, beam_size: int, device: torch.device) -> None:
        self.limits = limits  # of each sentence, end not counted
        self.eos_id = eos_id
        self.truncated = torch.zeros((len(limits), beam_size), dtype=torch.bool, device=device)
        """Whether a hypothesis [B, W] would have continued but for the limit."""

    def apply(self, log_probs: Tensor, history: Tensor) -> None:
        """As `Constraint.apply`."""
        length = history.shape[2]
        rows = [row for row, limit in enumerate(self.limits) if limit <= length]
        if not rows:
            return
        at_limit = torch.tensor(rows, device=log_probs.device)
        limited = log_probs[at_limit]  # a copy
        self.truncated[at_limit] = limited.argmax(-1) != self.eos_id
        log_probs[at_limit] = -math.inf
        log_probs[at_limit, :, self.eos_id] = limited[:, :, self.eos_id]

    def close(self, rows: list[int]) -> None:
        """Remove the limit of closed sentences, which are ignored from now on."""
        for row in rows:
            self.limits[row] = UNREACHABLE_LENGTH

    def select(self, rows: list[int], row_indices: Tensor) -> None:
        """As `Constraint.select`."""
        self.limits = [self.limits[row] for row in rows]
        self.truncated = self.truncated[row_indices]


class MinLength(Constraint):
    """Rules out the end of sentence before `min_length` tokens."""

    def __init__(self, min_length: int, eos_id: int) -> None:
        self.min_length, self.eos_id = min_length, eos_id

    def apply(self, log_probs: Tensor, history: Tensor) -> None:
        """As `Constraint.apply`."""
        if history.shape[2] < self.min_length:
            log_probs[:, :, self.eos_id] = -math.inf


class Prefix(Constraint):
    """Forces the first tokens of each sentence."""

    def __init__(self, prefixes: list[TokenIds], limits: list[int], device: torch.device) -> None:
        forced = [prefix[:limit] for prefix, limit in zip(prefixes, limits, strict=True)]
        self.length = max(map(len, forced))
        padded = torch.full((len(forced), self.length), -1)
        for row, ids in zip(padded, forced, strict=True):
            row[: len(ids)] = torch.tensor(ids)
        self._tokens = padded.to(device)  # [B, longest prefix]; -1 where a token is free

    def next_tokens(self, length: int) -> Tensor | None:
        """The token that each sentence [B] must continue with, -1 where any may; None where all may."""
        return self._tokens[:, length] if length < self.length else None

    def apply(self, log_probs: Tensor, history: Tensor) -> None:
        """As `Constraint.apply`."""
        tokens = self.next_tokens(history.shape[2])
        if tokens is None:
            return
        index = tokens.clamp(min=0)[:, None, None].expand(-1, log_probs.shape[1], 1)
        forced = torch.full_like(log_probs, -math.inf).scatter_(2, index, log_probs.gather(2, index))
        log_probs.copy_(torch.where((tokens >= 0)[:, None, None], forced, log_probs))

    def select(self, rows: list[int], row_indices: Tensor) -> None:
        """As `Constraint.select`."""
        self._tokens = self._tokens[row_indices]


class NoRepeatNgram(Constraint):
    """Rules out tokens that would repeat an n-gram more than `max_counts` [B] times, but for those of a prefix.

    With a count of 1: Paulus et al. 2018, section 2.5.
    """

    def __init__(self, ngram_size: int, max_counts: Tensor, prefix: Prefix | None = None) -> None:
        self.ngram_size, self.max_counts, self.prefix = ngram_size, max_counts, prefix

    def apply(self, log_probs: Tensor, history: Tensor) -> None:
        """As `Constraint.apply`."""
        length = history.shape[2]
        if length < self.ngram_size:
            return
        max_counts = self.max_counts
        forced_tokens = None if self.prefix is None else self.prefix.next_tokens(length)
        if forced_tokens is not None:
            max_counts = max_counts.where(forced_tokens < 0, math.inf)
        ngrams = history.unfold(2, self.ngram_size, 1)  # [B, W, L - n + 1, n]
        suffix = history[:, :, length - self.ngram_size + 1 :]  # [B, W, n - 1]
        matches = (ngrams[..., :-1] == suffix[:, :, None]).all(-1)  # [B, W, L - n + 1]
        counts = torch.zeros(log_probs.shape, device=log_probs.device)
        counts.scatter_add_(2, ngrams[..., -1], matches.float())
        log_probs.masked_fill_(counts >= max_counts[:, None, None], -math.inf)

    def select(self, rows: list[int], row_indices: Tensor) -> None:
        """As `Constraint.select`."""
        self.max_counts = self.max_counts[row_indices]


def build_constraints(
    model: Autoregressive[Any, Any], source: Sequences, config: SearchConfig, prefixes: list[TokenIds] | None
) -> tuple[MaxLength, list[Constraint]]:
    """The constraints of a batch, in the order in which they must be applied; the first one also by itself."""
    eos_id, device = model.vocabulary.end, source.ids.device
    limits = _length_limits(model, source, config, prefixes)
    max_length = MaxLength(limits, eos_id, config.beam_size, device)
    constraints: list[Constraint] = [max_length]
    prefix = Prefix(prefixes, limits, device) if prefixes and any(prefixes) else None
    if config.no_repeat_ngram is not None:
        max_counts = [max_ngram_count(ids, config.no_repeat_ngram) for ids in source_ids(source)]
        counts = torch.tensor(max_counts, dtype=torch.float32, device=device)
        constraints.append(NoRepeatNgram(config.no_repeat_ngram, counts, prefix))
    if prefix is not None:
        constraints.append(prefix)
    if config.min_length:
        constraints.append(MinLength(min(config.min_length, *limits), eos_id))
    return max_length, constraints


def _length_limits(
    model: Autoregressive[Any, Any], source: Sequences, config: SearchConfig, prefixes: list[TokenIds] | None
) -> list[int]:
    """The most target tokens of each sentence, end of sentence not counted.

    At least the length of its prefix, but at most what the model can write.
    """
    limits = [config.max_target_length(length - 1) for length in source.lengths_on_cpu().tolist()]
    if prefixes is not None:
        limits = [max(limit, len(prefix)) for limit, prefix in zip(limits, prefixes, strict=True)]
    if model.max_target_positions is not None:
        limits = [min(limit, model.max_target_positions - 1) for limit in limits]
    return limits


def max_ngram_count(ids: Sequence[int], ngram_size: int) -> int:
    """How often the most frequent n-gram of this size occurs in `ids`; at least 1."""
    ngram_counts = Counter(zip(*(ids[start:] for start in range(ngram_size)), strict=False))
    return max(ngram_counts.values(), default=1)
