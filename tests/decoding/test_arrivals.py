"""Lines read without a thread are the same lines."""

import io
import os

import pytest

from nmt_cli.decoding.arrivals import HELD, READ, TAKEN, Arrivals
from nmt_cli.decoding.stream import InputLine
from tests.decoding.test_stream import LINES


def lines_of(stream: io.BufferedIOBase, most: int = 1000) -> list[InputLine]:
    arrivals, found = Arrivals(stream), []  # type: ignore[arg-type]
    while not arrivals.ended or len(arrivals):
        if arrivals.wanted:
            arrivals.read()
        found += arrivals.take(most)
    return found


@pytest.mark.parametrize("raw, texts", LINES)
def test_a_line_ends_at_a_line_feed_and_nowhere_else(raw: bytes, texts: list[str]) -> None:
    found = lines_of(io.BytesIO(raw))
    assert [line.text for line in found] == texts
    assert [line.number for line in found] == list(range(1, len(texts) + 1))


def test_a_line_that_arrives_in_pieces_is_one_line() -> None:
    end, start = os.pipe()
    with os.fdopen(end, "rb") as stream, os.fdopen(start, "wb", buffering=0) as keyboard:
        arrivals = Arrivals(stream)
        for piece in (b"The \xc3", b"\xa4lteste", b" man\nand"):
            assert len(arrivals) == 0
            keyboard.write(piece)
            arrivals.read()
        assert [line.text for line in arrivals.take(9)] == ["The älteste man"]
        keyboard.close()
        arrivals.read()
        assert [line.text for line in arrivals.take(9)] == ["and"] and arrivals.ended


def test_no_more_is_held_than_fits_but_a_line_may_be_longer() -> None:
    arrivals = Arrivals(io.BytesIO(b"x\n" * (4 * HELD)))
    while arrivals.wanted:
        arrivals.read()
    assert HELD <= 2 * len(arrivals) <= HELD + READ
    long = Arrivals(io.BytesIO(b"x" * (3 * HELD) + b"\ny"))
    while long.wanted:
        long.read()
    assert [len(line.text) for line in long.take(9)] == [3 * HELD]


def test_a_block_of_long_lines_is_cut_by_its_size() -> None:
    lines = [b"x" * (TAKEN // 2)] * 5 + [b"y" * (2 * TAKEN)]
    arrivals = Arrivals(io.BytesIO(b"\n".join(lines)))
    sizes = []
    while arrivals.wanted or len(arrivals):
        while arrivals.wanted:
            arrivals.read()
        sizes.append(len(arrivals.take(100)))
    assert sizes == [1, 1, 1, 1, 1, 1]
