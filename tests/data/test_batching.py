"""Batches: every pair once an epoch, within the budget, decided by (seed, epoch) alone."""

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli.data import batching
from nmt_cli.data.batching import EpochBatches, Indices, build_epoch_batches, collate, draw_epoch_pairs, pad
from nmt_cli.data.length_batching import batch_by_length
from nmt_cli.data.prepared.store import PairRange, SequenceStore
from nmt_cli.vocabulary import Vocabulary
from tests.conftest import examples

WORDS = Vocabulary(source_size=99, target_size=99, joint=True)


def store(sequences: Sequence[Sequence[int]]) -> SequenceStore:
    ids = [i for sequence in sequences for i in sequence]
    return SequenceStore(np.array(ids, dtype=np.uint16), np.array([0, *accumulate(map(len, sequences))]))


def parts(*sizes_and_weights: tuple[int, float]) -> list[PairRange]:
    ranges, first = [], 0
    for number, (size, weight) in enumerate(sizes_and_weights):
        ranges.append(PairRange(f"part {number}", first, first + size, weight))
        first += size
    return ranges


LENGTHS = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), max_size=60)


def lengths_of(pairs: list[tuple[int, int]]) -> tuple[Indices, Indices]:
    source, target = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return source, target


def planned(lengths: list[tuple[int, int]], budget: int, seed: int, epoch: int) -> EpochBatches:
    pairs = draw_epoch_pairs(parts((len(lengths), 1.0)), seed, epoch)
    return build_epoch_batches(*lengths_of(lengths), pairs, budget, [seed, epoch])


def as_lists(order: list[Indices]) -> list[list[int]]:
    return [batch.tolist() for batch in order]


# 1. An epoch.


@given(LENGTHS, st.integers(1, 200), st.integers(1, 70), st.integers(0, 9), st.integers(0, 9))
@examples(200)
def test_every_pair_is_in_exactly_one_batch_of_an_epoch(
    lengths: list[tuple[int, int]], budget: int, pool: int, seed: int, epoch: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batching, "SORT_POOL_PAIRS", pool)
        plan = planned(lengths, budget, seed, epoch)
    assert sorted(i for batch in plan.batches for i in batch) == list(range(len(lengths)))
    assert all(len(batch) for batch in plan.batches)


@given(LENGTHS, st.integers(1, 200), st.integers(0, 9))
@examples(200)
def test_a_batch_keeps_the_budget_unless_it_is_one_pair(lengths: list[tuple[int, int]], budget: int, seed: int) -> None:
    source, target = lengths_of(lengths)
    for batch in planned(lengths, budget, seed, 0).batches:
        assert len(batch) == 1 or len(batch) * target[batch].max() <= budget
        assert len(batch) == 1 or len(batch) * source[batch].max() <= 2 * budget


def test_batches_are_as_large_as_the_budget_allows() -> None:
    assert sorted(map(len, planned([(1, 5)] * 100, 50, 1, 0).batches)) == [10] * 10
    assert sorted(map(len, planned([(20, 5)] * 100, 50, 1, 0).batches)) == [5] * 20
    assert sorted(map(len, planned([(1, 51)] * 3, 50, 1, 0).batches)) == [1] * 3


def test_pairs_of_like_length_go_together_so_that_little_is_padding() -> None:
    draw = np.random.default_rng(1)
    lengths = [(n, n) for n in draw.integers(1, 60, 3000).tolist()]
    plan = planned(lengths, 1000, 1, 0)
    positions = sum(len(batch) * int(plan.target_lengths[batch].max()) for batch in plan.batches)
    assert 1 - sum(target for _, target in lengths) / positions < 0.045  # 0.03 of it for round lengths


@pytest.mark.parametrize("bits", [3, 4])
def test_lengths_are_rounded_up_to_few_significant_bits(bits: int) -> None:
    lengths = np.arange(1, 1001)
    rounded = batching.round_up_lengths(lengths, bits)
    assert (rounded >= lengths).all() and (rounded - lengths < lengths / 2 ** (bits - 1)).all()
    assert rounded[: 2**bits].tolist() == lengths[: 2**bits].tolist()
    for length in set(rounded.tolist()) - {1000}:
        assert len(f"{length:b}".rstrip("0")) <= bits
    assert rounded.max() == 1000  # a model may have no position beyond the longest sentence
    assert len(batching.round_up_lengths(lengths[:0], bits)) == 0
    for longest, size in ((255, 1), (65535, 2)):  # bytes per pair: no more than the longest needs
        (rounded_longest,) = batching.round_up_lengths(np.array([longest]), bits)
        assert (int(rounded_longest), rounded_longest.nbytes) == (longest, size)


def caption_lengths(seed: int) -> list[tuple[int, int]]:
    """As many pairs as Multi30k, of similar lengths: both sides log-normal, and related."""
    draw = np.random.default_rng(seed)
    source = np.exp(draw.normal(2.65, 0.33, 29_000))
    target = source * np.exp(draw.normal(0.02, 0.18, 29_000))
    return [(int(s) + 2, int(t) + 2) for s, t in zip(source, target, strict=True)]


def test_an_epoch_has_few_shapes_at_the_cost_of_little_padding() -> None:
    lengths = caption_lengths(1)
    source, target = lengths_of(lengths)
    plan = planned(lengths, 2048, 1, 0)
    shapes = [plan.shape(number) for number in range(len(plan.batches))]
    assert len(shapes) > 200 and len(set(shapes)) <= 100
    positions = sum(rows * (s + t) for rows, s, t in shapes)
    order = np.lexsort((source, target))
    exact = batching._split_into_batches(order, source[order], target[order], 2048)
    unrounded = sum(len(batch) * (source[batch].max() + target[batch].max()) for batch in exact)
    assert positions < 1.03 * unrounded
    again = planned(lengths, 2048, 1, 1)
    assert {again.shape(number) for number in range(len(again.batches))} <= set(shapes)


def test_a_batch_is_padded_to_its_shape() -> None:
    batch = collate(store([[7] * 9]), store([[8] * 17]), np.array([0]), WORDS, batching.BatchShape(1, 12, 20))
    assert batch.source.ids.shape == (1, 12) and batch.target_in.ids.shape == (1, 20)
    assert batch.source.lengths.tolist() == [10] and batch.target_out.lengths.tolist() == [18]
    assert (batch.source.ids[0, 10:] == WORDS.pad).all()
    assert (batch.target_out.ids[0, 18:] == WORDS.pad).all()


def test_an_epoch_without_pairs_has_no_batches() -> None:
    plan = planned([], 10, 1, 0)
    assert plan.batches == []


# 2. Order.

MANY = [(n % 17 + 1, n % 13 + 1) for n in range(400)]


@pytest.mark.parametrize(("seed", "epoch"), [(1, 0), (1, 7), (123456789012, 3)])
def test_seed_and_epoch_alone_decide_the_batches(seed: int, epoch: int) -> None:
    first = as_lists(planned(MANY, 60, seed, epoch).batches)
    np.random.seed(5)  # the program's own generators are not touched by others
    assert as_lists(planned(MANY, 60, seed, epoch).batches) == first


def test_other_seeds_and_epochs_give_other_batches_in_another_order() -> None:
    orders = {
        (seed, epoch): as_lists(planned(MANY, 60, seed, epoch).batches) for seed in range(3) for epoch in range(3)
    }
    assert len({str(order) for order in orders.values()}) == 9
    members = {str(sorted(map(sorted, order))) for order in orders.values()}
    assert len(members) == 9  # not only the same batches in another order


def test_short_batches_do_not_come_first() -> None:
    _, target = lengths_of(MANY)
    longest = [target[batch].max() for batch in planned(MANY, 60, 1, 0).batches]
    assert longest != sorted(longest)


# 3. Weights.


def counted(weight: float, seed: int = 1, epoch: int = 0, size: int = 4000) -> Counter[int]:
    """How often each pair of a part with this weight is in an epoch, beside one of weight 1."""
    pairs = draw_epoch_pairs(parts((10, 1.0), (size, weight)), seed, epoch)
    counts = Counter(pairs.tolist())
    assert all(counts[pair] == 1 for pair in range(10))
    assert max(counts) < size + 10
    return Counter({pair: counts[pair] for pair in range(10, size + 10)})


@pytest.mark.parametrize(("weight", "times"), [(2.5, (2, 3)), (0.5, (0, 1)), (1.25, (1, 2)), (10.75, (10, 11))])
def test_a_fraction_of_a_weight_is_drawn_pair_by_pair(weight: float, times: tuple[int, int]) -> None:
    counts = counted(weight)
    assert set(counts.values()) == set(times)
    assert sum(counts.values()) / len(counts) == pytest.approx(weight, abs=0.03)


@pytest.mark.parametrize("weight", [1.0, 2.0, 7.0])
def test_a_whole_weight_is_exact(weight: float) -> None:
    assert set(counted(weight, size=50).values()) == {int(weight)}


def test_who_is_drawn_changes_with_the_epoch_and_the_seed_only() -> None:
    assert counted(2.5) == counted(2.5)
    assert counted(2.5, epoch=1) != counted(2.5) != counted(2.5, seed=2)
    over_epochs = sum((counted(2.5, epoch=epoch, size=20) for epoch in range(200)), Counter())
    assert max(abs(count / 200 - 2.5) for count in over_epochs.values()) < 0.2


def test_the_parts_are_mixed() -> None:
    pairs = draw_epoch_pairs(parts((500, 1.0), (500, 1.0)), 1, 0)
    assert 200 < (pairs[:500] < 500).sum() < 300


def test_a_part_that_is_empty_gives_nothing() -> None:
    pairs = draw_epoch_pairs(parts((0, 2.5), (3, 1.0), (0, 1.0)), 1, 0)
    assert sorted(pairs.tolist()) == [0, 1, 2]


# 4. Padding.


def test_a_batch_is_padded_at_the_end_and_framed_by_start_and_end() -> None:
    source, target = store([[11, 12], [], [13]]), store([[21], [22, 23, 24], []])
    words = Vocabulary(source_size=99, target_size=99, joint=False, pad=9, start=5, end=6)
    batch = collate(source, target, np.array([2, 0, 1]), words)
    assert batch.source.ids.tolist() == [[13, 6, 9], [11, 12, 6], [6, 9, 9]]
    assert batch.source.lengths.tolist() == [2, 3, 1]
    assert batch.target_in.ids.tolist() == [[5, 9, 9, 9], [5, 21, 9, 9], [5, 22, 23, 24]]
    assert batch.target_out.ids.tolist() == [[6, 9, 9, 9], [21, 6, 9, 9], [22, 23, 24, 6]]
    assert batch.target_in.lengths.tolist() == batch.target_out.lengths.tolist() == [1, 2, 4]
    assert {array.dtype for padded in batch for array in padded} == {np.dtype(np.int64)}


@given(st.lists(st.lists(st.integers(4, 98), max_size=9), min_size=1, max_size=9))
def test_padding_keeps_every_sequence(sequences: list[list[int]]) -> None:
    padded = pad([(ids[:2], ids[2:5], ids[5:]) for ids in sequences], 0)
    assert padded.ids.shape == (len(sequences), max(1, *map(len, sequences), 0))
    for row, length, ids in zip(padded.ids, padded.lengths, sequences, strict=True):
        assert row[:length].tolist() == ids
        assert not row[length:].any()


# 5. Groups for decoding.


@given(st.lists(st.integers(0, 40), max_size=50), st.integers(1, 100))
def test_groups_hold_every_index_once_longest_first_within_the_budget(lengths: list[int], budget: int) -> None:
    groups = list(batch_by_length(lengths, budget))
    order = [i for group in groups for i in group]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[i] for i in order] == sorted(lengths, reverse=True)
    assert all(len(g) == 1 or len(g) * lengths[g[0]] <= budget for g in groups)


def test_groups_are_as_large_as_the_budget_allows() -> None:
    assert list(batch_by_length([3, 5, 3, 5, 1], 10)) == [[1, 3], [0, 2, 4]]


def fits(pairs: Indices, source: Indices, target: Indices, budget: int) -> bool:
    return len(pairs) * max(target[pairs].max(), source[pairs].max() / 2) <= budget


def cut_one_by_one(pool: Indices, source: Indices, target: Indices, budget: int) -> list[list[int]]:
    """What `_cut` does, pair by pair."""
    batches: list[list[int]] = []
    while len(pool):
        size = 1
        while size < len(pool) and fits(pool[: size + 1], source, target, budget):
            size += 1
        if size < len(pool):  # 17 rows become 16, 71 rows 64
            size = max(n for n in range(1, size + 1) if n < 16 or n % 2 ** (len(f"{n:b}") - 4) == 0)
        batches.append(pool[:size].tolist())
        pool = pool[size:]
    return batches


@pytest.mark.parametrize("budget", [1, 10, 64, 1000, 10**6])
def test_batches_are_as_long_as_the_budget_allows(budget: int) -> None:
    draw = np.random.default_rng(budget)
    source, target = draw.integers(1, 90, 700), draw.integers(1, 70, 700)
    pool = np.lexsort((source, target))
    batches = batching._split_into_batches(pool, source[pool], target[pool], budget)
    assert [batch.tolist() for batch in batches] == cut_one_by_one(pool, source, target, budget)
