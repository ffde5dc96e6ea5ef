"""Batches of training pairs of similar length, determined by seed and epoch alone.

Batches have few shapes. Libraries compile a kernel for each shape of a matrix product (oneDNN does
in bfloat16, and keeps a limited number), and an allocator reuses blocks of the same size. So
lengths are rounded up to a grid, and a batch has a round number of rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt_cli.data.prepared.store import PairRange, SequenceStore, TokenIds
from nmt_cli.vocabulary import Vocabulary

Indices = NDArray[np.int64]
PaddedLengths = NDArray[np.unsignedinteger[Any]]
SORT_POOL_PAIRS = 1_000_000  # pairs sorted by length together: all of a small corpus, parts of a large one
SOURCE_LENGTH_BITS, TARGET_LENGTH_BITS = 3, 4  # significant bits of padded lengths
ROW_COUNT_BITS = 4  # significant bits of the number of rows


class PaddedSequences(NamedTuple):
    """Sequences of ids, padded at the end."""

    ids: NDArray[np.int64]  # [B, L]
    lengths: NDArray[np.int64]  # [B]


class Batch(NamedTuple):
    """Sources and outputs with their end of sentence, and the shifted targets that the decoder reads."""

    source: PaddedSequences
    target_in: PaddedSequences
    target_out: PaddedSequences


class BatchShape(NamedTuple):
    """What a batch is padded to."""

    rows: int
    source_length: int
    target_length: int


@dataclass(frozen=True)
class EpochBatches:
    """The batches of an epoch, each an array of pair indices, in the order of training."""

    batches: list[Indices]
    source_lengths: PaddedLengths  # what each pair of the store is padded to at least
    target_lengths: PaddedLengths

    def shape(self, batch_index: int) -> BatchShape:
        """The shape of a batch."""
        pairs = self.batches[batch_index]
        lengths = (int(padded_lengths[pairs].max()) for padded_lengths in (self.source_lengths, self.target_lengths))
        return BatchShape(len(pairs), *lengths)


def round_up_lengths(lengths: Indices, bits: int) -> PaddedLengths:
    """Lengths [N], each at least 1, rounded up to numbers with this many significant bits.

    The largest stays as it is, since the model may have no further position. With 4 bits, lengths up to 16 stay, those
    up to 32 become even, those up to 64 multiples of 4. The type of the result
    is the smallest that fits, as there is a number for each pair.
    """
    if not len(lengths):
        return lengths.astype(np.uint8)
    all_lengths = np.arange(int(lengths.max()) + 1)
    bit_lengths = np.frexp(np.maximum(all_lengths - 1, 1).astype(np.float64))[1]  # of length - 1, in binary
    multiples = 1 << np.maximum(0, bit_lengths - bits).astype(np.int64)
    rounded = np.minimum(-(-all_lengths // multiples) * multiples, all_lengths[-1])
    table: PaddedLengths = rounded.astype(np.min_scalar_type(all_lengths[-1]))
    return table[lengths]


def draw_epoch_pairs(pair_ranges: Sequence[PairRange], seed: int, epoch: int) -> Indices:
    """The pairs of an epoch in random order.

    A pair of weight 2.5 appears twice, and a third time with probability 0.5.
    """
    rng = np.random.Generator(np.random.PCG64([seed, epoch, 0]))
    drawn_pairs = []
    for pair_range in pair_ranges:
        pairs = np.arange(pair_range.first, pair_range.end)
        drawn_pairs += [pairs] * int(pair_range.weight)
        fraction = pair_range.weight - int(pair_range.weight)
        if fraction > 0:
            drawn_pairs.append(pairs[rng.random(len(pairs)) < fraction])
    pairs = np.concatenate(drawn_pairs)
    rng.shuffle(pairs)
    return pairs


def build_epoch_batches(
    source_lengths: Indices, target_lengths: Indices, pairs: Indices, max_positions: int, seed_sequence: list[int]
) -> EpochBatches:
    """Divide `pairs` into batches of at most `max_positions` target positions, padding included.

    Lengths include the end of sentence. The source may take up to twice as many positions. A pair that is too long
    makes a batch of its own. `seed_sequence` determines the order of the batches.

    Pairs are sorted by padded target length, and within it by source length, ascending and descending in turn, so that
    neighbours are similar where one target length ends and the next begins.
    """
    padded_source = round_up_lengths(source_lengths, SOURCE_LENGTH_BITS)
    padded_target = round_up_lengths(target_lengths, TARGET_LENGTH_BITS)
    occurs = np.zeros(int(padded_target.max(initial=0)) + 1, dtype=bool)
    occurs[padded_target] = True
    sort_direction = np.cumsum(occurs) % 2 * 2 - 1  # by target length, 1 or -1
    batches: list[Indices] = []
    for start in range(0, len(pairs), SORT_POOL_PAIRS):
        pool = pairs[start : start + SORT_POOL_PAIRS]
        signed_source_lengths = sort_direction[padded_target[pool]] * source_lengths[pool]
        pool = pool[np.lexsort((target_lengths[pool], signed_source_lengths, padded_target[pool]))]
        batches += _split_into_batches(pool, padded_source[pool], padded_target[pool], max_positions)
    np.random.Generator(np.random.PCG64([*seed_sequence, 1])).shuffle(batches)
    return EpochBatches(batches, padded_source, padded_target)


def _split_into_batches(
    pool: Indices, source_lengths: PaddedLengths, target_lengths: PaddedLengths, max_positions: int
) -> list[Indices]:
    """Consecutive ranges of a sorted pool within the limit, each as long as possible with a round number of rows."""
    batches = []
    start = 0
    while start < len(pool):
        # Targets are sorted: no more than this many fit, and the longest is the last.
        window = slice(start, start + max_positions // max(1, int(target_lengths[start])) + 2)
        max_source_lengths = np.maximum.accumulate(source_lengths[window])
        row_counts = np.arange(1, len(max_source_lengths) + 1)
        exceeds_budget = (
            np.maximum(row_counts * target_lengths[window], row_counts * max_source_lengths / 2) > max_positions
        )
        exceeds_budget[0] = False  # a pair longer than the budget makes a batch of its own
        rows = _round_down_rows(int(exceeds_budget.argmax())) if exceeds_budget.any() else len(exceeds_budget)
        batches.append(pool[start : start + rows])
        start += rows
    return batches


def max_batch_rows(source_length: int, target_length: int, max_positions: int) -> int:
    """The most pairs of these lengths that a batch of `max_positions` target positions can have."""
    return max(1, max_positions // max(target_length, source_length // 2))


def _round_down_rows(rows: int) -> int:
    """Round down to a number with ROW_COUNT_BITS significant bits."""
    multiple = 1 << max(0, rows.bit_length() - ROW_COUNT_BITS)
    return rows // multiple * multiple


def collate(
    source: SequenceStore,
    target: SequenceStore,
    pairs: Indices,
    vocabulary: Vocabulary,
    shape: BatchShape | None = None,
) -> Batch:
    """Read the pairs at these indices and pad them, to `shape` or to the longest of them."""
    min_source, min_target = (1, 1) if shape is None else (shape.source_length, shape.target_length)
    return Batch(
        _pad_stored(source, pairs, vocabulary.pad, min_source, last=vocabulary.end),
        _pad_stored(target, pairs, vocabulary.pad, min_target, first=vocabulary.start),
        _pad_stored(target, pairs, vocabulary.pad, min_target, last=vocabulary.end),
    )


def _pad_stored(
    store: SequenceStore,
    pairs: Indices,
    pad_id: int,
    min_length: int,
    *,
    first: int | None = None,
    last: int | None = None,
) -> PaddedSequences:
    """As `pad`, for stored sequences [B] with a token before or behind each; without a loop over the sequences."""
    starts, offset = store.offsets[pairs], int(first is not None)
    token_counts = store.offsets[pairs + 1] - starts
    lengths = token_counts + offset + int(last is not None)
    ids = np.full((len(pairs), int(lengths.max(initial=min_length))), pad_id, dtype=np.int64)
    token_numbers = np.arange(ids.shape[1]) - offset
    is_token = (token_numbers >= 0) & (token_numbers < token_counts[:, None])
    ids[is_token] = store.ids[(starts[:, None] + token_numbers)[is_token]]
    if first is not None:
        ids[:, 0] = first
    if last is not None:
        ids[np.arange(len(ids)), lengths - 1] = last
    return PaddedSequences(ids, lengths)


def pad(sequences: Sequence[Sequence[TokenIds | list[int]]], pad_id: int) -> PaddedSequences:
    """An array of at least one column, padded at the end; each row is a sequence given in parts."""
    lengths = np.array([sum(map(len, chunks)) for chunks in sequences], dtype=np.int64)
    ids = np.full((len(sequences), int(lengths.max(initial=1))), pad_id, dtype=np.int64)
    for row, chunks in zip(ids, sequences, strict=True):
        position = 0
        for chunk in chunks:
            row[position : position + len(chunk)] = chunk
            position += len(chunk)
    return PaddedSequences(ids, lengths)
