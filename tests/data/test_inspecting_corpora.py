"""What nmt check measures of a corpus, without keeping what it does not report."""

from types import SimpleNamespace
from typing import Any

from nmt_cli.data.cleaning import PAIRS_PER_BLOCK
from nmt_cli.data.inspection import token_lengths


def test_pairs_are_encoded_in_blocks() -> None:
    """The ids of all pairs at once took gigabytes."""
    block_sizes: list[int] = []

    def encode(lines: list[str]) -> list[list[int]]:
        block_sizes.append(len(lines))
        return [[0] * len(line) for line in lines]

    side = SimpleNamespace(encode=encode)
    tokenizers: Any = SimpleNamespace(source=side, target=side)
    pairs = [("a" * (number % 7), "b" * (number % 5)) for number in range(2 * PAIRS_PER_BLOCK + 1)]
    source, target = token_lengths(tokenizers, pairs)
    assert source.tolist() == [len(pair[0]) for pair in pairs] and target.tolist() == [len(pair[1]) for pair in pairs]
    assert block_sizes == 2 * [PAIRS_PER_BLOCK, PAIRS_PER_BLOCK, 1]
    assert [lengths.tolist() for lengths in token_lengths(tokenizers, [])] == [[], []]
