"""The stream of batches and its cursor."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from nmt_cli.data.batching import EpochBatches
from nmt_cli.data.prepared.store import PreparedData
from nmt_cli.errors import DataError
from nmt_cli.recipe.loader import build_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.preparation import prepare_recipe
from nmt_cli.training.batches import BatchIndex, BatchIterator, BatchPrefetcher, RankBatches, to_device
from tests.conftest import toy_content


def prepared(toy: Path, weight: float = 1.0) -> PreparedData:
    content = toy_content(toy / "text")
    content["corpus"]["train"] = [{"name": "train", "weight": weight}]
    return prepare_recipe(build_recipe(content), Reporter(quiet=True)).data


def test_an_epoch_has_every_pair_once_and_the_next_another_order(toy: Path) -> None:
    feed = BatchIterator(prepared(toy), 128, seed=1)
    first = np.concatenate(feed.epoch_schedule().batches)
    assert sorted(first.tolist()) == list(range(300))
    for _ in range(len(feed.epoch_schedule().batches) + 1):
        feed.next_micro_batches()
    assert feed.epoch == 1 and feed.next_batch == 1
    second = np.concatenate(feed.epoch_schedule().batches)
    assert sorted(second.tolist()) == list(range(300)) and first.tolist() != second.tolist()


def test_a_moved_cursor_goes_on_with_the_same_batches(toy: Path) -> None:
    data = prepared(toy)
    straight, moved = BatchIterator(data, 64, seed=1), BatchIterator(data, 64, seed=1)
    for _ in range(len(straight.epoch_schedule().batches) + 3):
        straight.next_micro_batches()
    moved.seek(straight.epoch, straight.next_batch)
    expected_batch, other = (straight.next_micro_batches().batches[0][1], moved.next_micro_batches().batches[0][1])
    assert np.array_equal(expected_batch.source.ids, other.source.ids)


def test_a_batch_reads_start_and_predicts_end(toy: Path) -> None:
    batch = to_device(BatchIterator(prepared(toy), 128, seed=1).next_micro_batches().batches[0][1], torch.device("cpu"))
    lengths = batch.target_out.lengths
    assert bool((batch.target_in.ids[:, 0] == 2).all())
    rows = torch.arange(len(lengths))
    assert bool((batch.target_out.ids[rows, lengths - 1] == 3).all())
    assert bool((batch.source.ids[rows, batch.source.lengths - 1] == 3).all())


def test_weights_that_leave_nothing_are_refused(toy: Path) -> None:
    with pytest.raises(DataError, match="the weights leave no pair for epoch 0"):
        BatchIterator(prepared(toy, weight=1e-7), 128, seed=1).next_micro_batches()


def pairs_of(share: RankBatches) -> dict[int, bytes]:
    return {number: batch.source.ids.tobytes() for number, batch in share.batches}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_any_number_of_processes_share_the_same_updates(toy: Path, count: int) -> None:
    data = prepared(toy)
    alone = BatchIterator(data, 64, seed=1, batches_per_update=4)
    feeds = [BatchIterator(data, 64, seed=1, batches_per_update=4) for _ in range(count)]
    for _ in range(len(alone.epoch_schedule().batches) // 4 + 3):  # into the next epoch
        whole = alone.next_micro_batches()
        parts = [feed.next_micro_batches(rank, count) for rank, feed in enumerate(feeds)]
        together = {n: ids for part in parts for n, ids in pairs_of(part).items()}
        assert together == pairs_of(whole) and list(pairs_of(whole)) == list(range(len(together)))
        real = sum(int(batch.target_out.lengths.sum()) for _, batch in whole.batches)
        assert {part.update_tokens for part in parts} == {whole.update_tokens} == {real}
        assert {part.batch_indices for part in parts} == {whole.batch_indices}
    assert alone.epoch == 1


def test_the_last_update_of_an_epoch_has_what_is_left_and_the_next_are_alike(toy: Path) -> None:
    feed = BatchIterator(prepared(toy), 32, seed=1, batches_per_update=8)
    whole, left = divmod(len(feed.epoch_schedule().batches), 8)
    assert left
    assert [len(feed.next_micro_batches().batches) for _ in range(whole + 1)] == [8] * whole + [left]
    for _ in range(3):
        sizes = [batch.source.ids.size for _, batch in feed.next_micro_batches().batches]
        assert max(sizes) < 1.6 * min(sizes)
    assert feed.epoch == 1


def test_what_was_set_aside_leaves_its_update_smaller_and_moves_no_other(toy: Path) -> None:
    data = prepared(toy)
    straight, feed = (BatchIterator(data, 64, seed=1, batches_per_update=4) for _ in range(2))
    feed.seek(0, 0, 4, [{"epoch": 0, "batch": number, "pairs": []} for number in (1, 4, 5, 6, 7)])
    first, second, third = (straight.next_micro_batches().batch_indices for _ in range(3))
    assert feed.next_micro_batches(0, 2).batch_indices == (first[0], *first[2:])
    assert feed.next_micro_batches(0, 2).batch_indices == third and len(second) == 4


def test_a_cursor_moved_into_a_later_epoch_finds_the_same_updates(toy: Path) -> None:
    data = prepared(toy)
    straight, moved = (BatchIterator(data, 32, seed=1, batches_per_update=8) for _ in range(2))
    while straight.epoch < 2 or straight.next_batch < 16:
        straight.next_micro_batches()
    moved.seek(straight.epoch, straight.next_batch, 8)
    assert pairs_of(moved.next_micro_batches()) == pairs_of(straight.next_micro_batches())


def test_what_is_read_ahead_is_the_same_and_says_where_the_stream_stands_after_it(toy: Path) -> None:
    data = prepared(toy)
    alone, ahead = (BatchIterator(data, 64, seed=1, batches_per_update=4) for _ in range(2))
    prefetcher = BatchPrefetcher(ahead, 1, 2)
    for _ in range(2 * len(alone.epoch_schedule().batches) // 4 + 3):  # into the third epoch
        expected, read = alone.next_micro_batches(1, 2), prefetcher.next()
        assert pairs_of(read) == pairs_of(expected)
        assert read.batch_indices == expected.batch_indices
        assert read.position == BatchIndex(alone.epoch, alone.next_batch)
    for future in prefetcher._pending:
        future.result()
    assert alone.epoch == 2 and (ahead.epoch, ahead.next_batch) > (alone.epoch, alone.next_batch)
    prefetcher.clear()
    ahead.seek(alone.epoch, alone.next_batch, 4)
    assert pairs_of(prefetcher.next()) == pairs_of(alone.next_micro_batches(1, 2))
    prefetcher.close()


def test_the_next_batches_are_read_while_one_is_computed_and_the_next_epoch_is_made_before_it_begins(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[int, str]] = []
    original = BatchIterator._make_schedule

    def record(feed: BatchIterator, epoch: int) -> EpochBatches:
        made.append((epoch, threading.current_thread().name.split("_")[0]))
        return original(feed, epoch)

    monkeypatch.setattr(BatchIterator, "_make_schedule", record)
    feed = BatchIterator(prepared(toy), 64, seed=1)
    prefetcher = BatchPrefetcher(feed, 0, 1)
    count = len(feed.epoch_schedule().batches)
    for number in range(2 * count):
        prefetcher.next()
        while len(prefetcher._pending) == prefetcher.UPDATES_AHEAD and not prefetcher._pending[-1].done():
            pass  # nobody asks for them
        assert all(future.done() for future in prefetcher._pending)
        if number == count // 2 + 1:
            assert (1, "nmt-epoch") in made
    prefetcher.close()
    assert made == [(0, threading.current_thread().name.split("_")[0]), (1, "nmt-epoch"), (2, "nmt-epoch")]


def test_what_goes_wrong_while_reading_ahead_is_raised_where_the_update_is_asked_for(toy: Path) -> None:
    prefetcher = BatchPrefetcher(BatchIterator(prepared(toy, weight=1e-7), 128, seed=1), 0, 1)
    with pytest.raises(DataError, match="the weights leave no pair for epoch 0"):
        prefetcher.next()
    prefetcher.close()
