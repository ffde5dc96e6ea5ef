"""Batches of training pairs: token budgets over length buckets, decided by (seed, epoch) alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt_cli.data.prepared import Ids, PartRange, SequenceStore
from nmt_cli.vocabulary import Vocabulary

Indices = NDArray[np.int64]
POOL = 1_000_000  # pairs sorted by length together: all of a small corpus, parts of a large one


class Padded(NamedTuple):
    """Sequences of ids, padded at the end."""

    ids: NDArray[np.int64]  # [B, L]
    lengths: NDArray[np.int64]  # [B]


class Batch(NamedTuple):
    """Source with its end of sentence; target as the decoder reads it and as it should predict."""

    source: Padded
    target_in: Padded
    target_out: Padded


@dataclass(frozen=True)
class EpochBatches:
    """The batches of an epoch, each an array of pair indices, in the order of training."""

    order: list[Indices]
    pairs: int
    padding: float  # share of target positions that are padding


def epoch_pairs(parts: Sequence[PartRange], seed: int, epoch: int) -> Indices:
    """The pairs of an epoch in random order.

    A pair of a part with weight 2.5 is there two times, and a third time with probability 0.5.
    """
    draw = np.random.Generator(np.random.PCG64([seed, epoch, 0]))
    chosen = []
    for part in parts:
        pairs = np.arange(part.first, part.end)
        chosen += [pairs] * int(part.weight)
        fraction = part.weight - int(part.weight)
        if fraction > 0:
            chosen.append(pairs[draw.random(len(pairs)) < fraction])
    pairs = np.concatenate(chosen)
    draw.shuffle(pairs)
    return pairs


def epoch_batches(
    source_lengths: Indices, target_lengths: Indices, pairs: Indices, budget: int, key: list[int]
) -> EpochBatches:
    """Cut `pairs` into batches of at most `budget` target positions, padding included.

    Lengths are those with the end of sentence. The source may take up to twice the budget. A pair
    longer than the budget makes a batch of its own. `key` seeds the order of the batches.
    """
    order: list[Indices] = []
    for first in range(0, len(pairs), POOL):
        pool = pairs[first : first + POOL]
        pool = pool[np.lexsort((source_lengths[pool], target_lengths[pool]))]
        order += _cut(pool, source_lengths[pool], target_lengths[pool], budget)
    np.random.Generator(np.random.PCG64([*key, 1])).shuffle(order)
    real = int(target_lengths[pairs].sum())
    padded = sum(len(batch) * int(target_lengths[batch].max()) for batch in order)
    return EpochBatches(order, len(pairs), 1 - real / max(padded, 1))


def _cut(pool: Indices, source: Indices, target: Indices, budget: int) -> list[Indices]:
    """Consecutive stretches of a sorted pool that keep the budget, each as long as it can be."""
    batches = []
    first = 0
    while first < len(pool):
        # Targets are sorted: no more than this many fit, and the longest is the last.
        window = slice(first, first + budget // max(1, int(target[first])) + 2)
        longest = np.maximum.accumulate(source[window])
        sizes = np.arange(1, len(longest) + 1)
        over = np.maximum(sizes * target[window], sizes * longest / 2) > budget
        over[0] = False  # a pair longer than the budget makes a batch of its own
        size = int(over.argmax()) if over.any() else len(over)
        batches.append(pool[first : first + size])
        first += size
    return batches


def collate(
    source: SequenceStore, target: SequenceStore, pairs: Indices, vocabulary: Vocabulary
) -> Batch:
    """Read the pairs at these indices and pad them."""
    sources = [source[i] for i in pairs]
    targets = [target[i] for i in pairs]
    end, start = [vocabulary.end], [vocabulary.start]
    return Batch(
        pad([(ids, end) for ids in sources], vocabulary.pad),
        pad([(start, ids) for ids in targets], vocabulary.pad),
        pad([(ids, end) for ids in targets], vocabulary.pad),
    )


def pad(sequences: Sequence[Sequence[Ids | list[int]]], filler: int) -> Padded:
    """Sequences given in pieces ([2, 3], [1]) as rows of one array, filled up at the end."""
    lengths = np.array([sum(map(len, parts)) for parts in sequences], dtype=np.int64)
    ids = np.full((len(sequences), int(lengths.max(initial=1))), filler, dtype=np.int64)
    for row, parts in zip(ids, sequences, strict=True):
        first = 0
        for part in parts:
            row[first : first + len(part)] = part
            first += len(part)
    return Padded(ids, lengths)


def in_batches_of(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices sorted by length, longest first, in groups of at most `budget` positions."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    group: list[int] = []
    for index in order:
        if group and (len(group) + 1) * lengths[group[0]] > budget:
            yield group
            group = []
        group.append(index)
    if group:
        yield group
