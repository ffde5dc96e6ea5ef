"""Updates made of batches of similar cost, dealt to processes."""

import numpy as np
import pytest

from nmt_cli.data.grouping import TARGET_POSITION_COST, assign_to_rank, batch_costs, group_by_cost


def batches(count: int, seed: int = 1) -> tuple[list[np.ndarray], np.ndarray]:
    """`count` batches of one pair each, with costs at random."""
    prices = np.random.default_rng(seed).random(count) * 100
    return [np.array([number]) for number in range(count)], prices


def numbers(order: list[np.ndarray]) -> list[int]:
    return [int(batch[0]) for batch in order]


def test_a_batch_costs_its_padded_positions_the_target_more() -> None:
    source, target = np.array([3, 5, 2]), np.array([4, 4, 7])
    order = [np.array([0, 1]), np.array([2])]
    assert batch_costs(source, target, order).tolist() == pytest.approx(
        [2 * (5 + 4 * TARGET_POSITION_COST), 2 + 7 * TARGET_POSITION_COST]
    )


def test_batches_of_an_update_cost_about_the_same() -> None:
    order, prices = batches(403)
    batch_order = numbers(group_by_cost(order, prices, 4, [1, 0]))
    assert sorted(batch_order) == list(range(403))
    groups = prices[batch_order[:400]].reshape(100, 4)
    assert float((groups.max(1) - groups.min(1)).mean()) < 2.0  # 60 where they come at random
    assert float(np.corrcoef(groups[:-1, 0], groups[1:, 0])[0, 1]) < 0.3  # updates themselves mix


def test_the_order_is_decided_by_its_key() -> None:
    order, prices = batches(40)
    first, same, other = (numbers(group_by_cost(order, prices, 4, [1, e])) for e in (0, 0, 1))
    assert first == same != other


def test_an_epoch_smaller_than_an_update_keeps_all_its_batches() -> None:
    order, prices = batches(4)
    assert sorted(numbers(group_by_cost(order, prices, 8, [1, 0]))) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "size, count, expected",
    [
        (2, 1, [[0, 1]]),
        (2, 2, [[0], [1]]),
        (8, 2, [[0, 3, 4, 7], [1, 2, 5, 6]]),
        (5, 3, [[0], [1, 4], [2, 3]]),
        (2, 3, [[0], [1], []]),
    ],
)
def test_batches_are_dealt_in_turn_and_back(size: int, count: int, expected: list[list[int]]) -> None:
    assert [assign_to_rank(size, rank, count) for rank in range(count)] == expected
