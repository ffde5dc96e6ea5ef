"""Processes find those of their own start; threads over a store in memory stand for them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from torch.distributed import HashStore, Store

from nmt_cli.distributed.rendezvous import join_generation, open_generation


@pytest.fixture
def store() -> Store:
    store = HashStore()
    store.set_timeout(timedelta(seconds=30))
    return store


def test_all_processes_agree_on_the_start_though_rank_0_comes_last(store: Store) -> None:
    with ThreadPoolExecutor(3) as pool:
        for expected in (1, 2, 3):
            others = [pool.submit(join_generation, store, rank) for rank in (1, 2)]
            assert pool.submit(open_generation, store, 3).result(30) == expected
            assert [other.result(30) for other in others] == [expected, expected]


def test_a_process_that_died_before_it_entered_leaves_nobody_behind(store: Store) -> None:
    """Rank 0 of the first start waited for it in vain."""
    store.add("starts", 1)
    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(join_generation, store, 1)
        while not store.check(["here/1/1"]):
            assert not other.done()
        assert open_generation(store, 2) == 2
        assert other.result(30) == 2


def test_a_welcome_to_the_dead_is_none_to_the_living(store: Store) -> None:
    store.add("starts", 1)
    store.set("welcome/1/1", "whoever was rank 1 in the first start")
    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(join_generation, store, 1)
        assert open_generation(store, 2) == 2
        assert other.result(30) == 2
