"""Batches of training pairs: token budgets over length buckets, decided by (seed, epoch) alone.

Batches have few shapes. Libraries compile a kernel for each shape of a matrix product (oneDNN does
in bfloat16, and keeps a limited number), and an allocator finds blocks of the same size again. So
lengths are rounded up to a grid, and a batch has a round number of rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt_cli.data.prepared import Ids, PartRange, SequenceStore
from nmt_cli.vocabulary import Vocabulary

Indices = NDArray[np.int64]
POOL = 1_000_000  # pairs sorted by length together: all of a small corpus, parts of a large one
SOURCE_BITS, TARGET_BITS = 3, 4  # significant bits of padded lengths
ROW_BITS = 4  # significant bits of the number of rows


class Padded(NamedTuple):
    """Sequences of ids, padded at the end."""

    ids: NDArray[np.int64]  # [B, L]
    lengths: NDArray[np.int64]  # [B]


class Batch(NamedTuple):
    """Source with its end of sentence; target as the decoder reads it and as it should predict."""

    source: Padded
    target_in: Padded
    target_out: Padded


class Shape(NamedTuple):
    """What a batch is padded to."""

    rows: int
    source: int
    target: int


@dataclass(frozen=True)
class EpochBatches:
    """The batches of an epoch, each an array of pair indices, in the order of training."""

    order: list[Indices]
    pairs: int
    padding: float  # share of target positions that are padding
    source_lengths: Indices  # what each pair of the store is padded to at least
    target_lengths: Indices

    def shape(self, number: int) -> Shape:
        """The shape of a batch."""
        pairs = self.order[number]
        lengths = (int(side[pairs].max()) for side in (self.source_lengths, self.target_lengths))
        return Shape(len(pairs), *lengths)


def round_up(lengths: Indices, bits: int) -> Indices:
    """Lengths [N], each at least 1, rounded up to numbers with so many significant bits.

    The largest is left as it is: there is no longer one, and a model may have no further position.
    With 4 bits lengths up to 16 stay, from there to 32 they become even, to 64 multiples of 4.
    """
    if not len(lengths):
        return lengths
    digits = np.frexp(np.maximum(lengths - 1, 1).astype(np.float64))[1]  # of length - 1, in binary
    unit = 1 << np.maximum(0, digits - bits).astype(np.int64)
    rounded: Indices = np.minimum(-(-lengths // unit) * unit, lengths.max())
    return rounded


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

    Pairs are sorted by padded target length, and within it by source length, upwards and downwards
    in turn, so that neighbours are alike where one target length ends and the next begins.
    """
    source = round_up(source_lengths, SOURCE_BITS)
    target = round_up(target_lengths, TARGET_BITS)
    turn = np.cumsum(np.bincount(target, minlength=1) > 0) % 2 * 2 - 1  # by target length, 1 or -1
    order: list[Indices] = []
    for first in range(0, len(pairs), POOL):
        pool = pairs[first : first + POOL]
        upwards = turn[target[pool]] * source_lengths[pool]
        pool = pool[np.lexsort((target_lengths[pool], upwards, target[pool]))]
        order += _cut(pool, source[pool], target[pool], budget)
    np.random.Generator(np.random.PCG64([*key, 1])).shuffle(order)
    real = int(target_lengths[pairs].sum())
    padded = sum(len(batch) * int(target[batch].max()) for batch in order)
    return EpochBatches(order, len(pairs), 1 - real / max(padded, 1), source, target)


def _cut(pool: Indices, source: Indices, target: Indices, budget: int) -> list[Indices]:
    """Consecutive stretches of a sorted pool that keep the budget, each as long as it can be with a
    round number of rows."""
    batches = []
    first = 0
    while first < len(pool):
        # Targets are sorted: no more than this many fit, and the longest is the last.
        window = slice(first, first + budget // max(1, int(target[first])) + 2)
        longest = np.maximum.accumulate(source[window])
        sizes = np.arange(1, len(longest) + 1)
        over = np.maximum(sizes * target[window], sizes * longest / 2) > budget
        over[0] = False  # a pair longer than the budget makes a batch of its own
        size = _round_down(int(over.argmax())) if over.any() else len(over)
        batches.append(pool[first : first + size])
        first += size
    return batches


def _round_down(rows: int) -> int:
    """The next lower number with ROW_BITS significant bits."""
    unit = 1 << max(0, rows.bit_length() - ROW_BITS)
    return rows // unit * unit


def collate(
    source: SequenceStore,
    target: SequenceStore,
    pairs: Indices,
    vocabulary: Vocabulary,
    shape: Shape | None = None,
) -> Batch:
    """Read the pairs at these indices and pad them, to `shape` or to the longest of them."""
    sources = [source[i] for i in pairs]
    targets = [target[i] for i in pairs]
    end, start = [vocabulary.end], [vocabulary.start]
    longest = (1, 1) if shape is None else (shape.source, shape.target)
    return Batch(
        pad([(ids, end) for ids in sources], vocabulary.pad, longest[0]),
        pad([(start, ids) for ids in targets], vocabulary.pad, longest[1]),
        pad([(ids, end) for ids in targets], vocabulary.pad, longest[1]),
    )


def pad(sequences: Sequence[Sequence[Ids | list[int]]], filler: int, least: int = 1) -> Padded:
    """Sequences given in pieces ([2, 3], [1]) as rows of one array of at least `least` columns,
    filled up at the end."""
    lengths = np.array([sum(map(len, parts)) for parts in sequences], dtype=np.int64)
    ids = np.full((len(sequences), int(lengths.max(initial=least))), filler, dtype=np.int64)
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
