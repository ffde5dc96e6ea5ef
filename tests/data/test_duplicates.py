"""New or not, as a set of all hashes would tell."""

import random

import numpy as np
import pytest

from nmt_cli.data.duplicates import SeenHashes


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_the_answers_are_those_of_a_set(block: int) -> None:
    draw = random.Random(block)
    hashes = [draw.randrange(3000) << 40 for _ in range(5000)]
    hashes += [0, 2**64 - 1, 2**64 - 1, 0]
    seen, expected = SeenHashes(), []
    seen_hashes: set[int] = set()
    for hash_value in hashes:
        expected.append(hash_value not in seen_hashes)
        seen_hashes.add(hash_value)
    results = []
    for first in range(0, len(hashes), block):
        results += seen.add(np.array(hashes[first : first + block], dtype=np.uint64)).tolist()
    assert results == expected and sum(map(len, seen._runs)) == len(seen_hashes)


def test_a_million_hashes_take_few_runs_and_eight_bytes_each() -> None:
    seen = SeenHashes()
    for first in range(0, 1_000_000, 5000):
        hashes = np.arange(first, first + 5000, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        assert seen.add(hashes).all()
    assert sum(map(len, seen._runs)) == 1_000_000 and len(seen._runs) < 12
    assert sum(run.nbytes for run in seen._runs) == 8_000_000


def test_nothing_is_nothing() -> None:
    assert SeenHashes().add(np.array([], dtype=np.uint64)).tolist() == []
