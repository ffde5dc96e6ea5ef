"""The stream of batches and its cursor."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nmt_cli.commands.prepare import prepare_recipe
from nmt_cli.data.prepared import PreparedData
from nmt_cli.errors import DataError
from nmt_cli.recipe import build_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.training.feed import BatchFeed, to_tensors
from tests.conftest import toy_content


def prepared(toy: Path, weight: float = 1.0) -> PreparedData:
    content = toy_content(toy / "text")
    content["corpus"]["train"] = [{"name": "train", "weight": weight}]
    return prepare_recipe(build_recipe(content), Reporter(quiet=True)).data


def test_an_epoch_has_every_pair_once_and_the_next_another_order(toy: Path) -> None:
    feed = BatchFeed(prepared(toy), 128, seed=1)
    first = np.concatenate(feed.plan().order)
    assert sorted(first.tolist()) == list(range(300))
    for _ in range(len(feed.plan().order) + 1):
        feed.next()
    assert feed.epoch == 1 and feed.index == 1
    second = np.concatenate(feed.plan().order)
    assert sorted(second.tolist()) == list(range(300)) and first.tolist() != second.tolist()


def test_a_moved_cursor_goes_on_with_the_same_batches(toy: Path) -> None:
    data = prepared(toy)
    straight, moved = BatchFeed(data, 64, seed=1), BatchFeed(data, 64, seed=1)
    for _ in range(len(straight.plan().order) + 3):
        straight.next()
    moved.move_to(straight.epoch, straight.index)
    one, other = straight.next(), moved.next()
    assert np.array_equal(one.source.ids, other.source.ids)


def test_a_batch_reads_start_and_predicts_end(toy: Path) -> None:
    batch = to_tensors(BatchFeed(prepared(toy), 128, seed=1).next(), torch.device("cpu"))
    lengths = batch.target_out.lengths
    assert bool((batch.target_in.ids[:, 0] == 2).all())
    rows = torch.arange(len(lengths))
    assert bool((batch.target_out.ids[rows, lengths - 1] == 3).all())
    assert bool((batch.source.ids[rows, batch.source.lengths - 1] == 3).all())
    assert batch.tokens == int(lengths.sum())


def test_weights_that_leave_nothing_are_refused(toy: Path) -> None:
    with pytest.raises(DataError, match="the weights leave no pair for epoch 0"):
        BatchFeed(prepared(toy, weight=1e-7), 128, seed=1).next()
