"""Lines as they arrive: one by one when typed, in blocks when there are many, none ever lost."""

import io
import os
import threading
from collections.abc import Iterator

import pytest

from nmt_cli.decoding.stream import AHEAD, MOST, USUAL, InputLine, arriving_blocks, decode_line

LINES: list[tuple[bytes, list[str]]] = [
    (b"", []),
    (b"\n", [""]),
    (b"a", ["a"]),
    (b"a\n", ["a"]),
    (b"a\nb", ["a", "b"]),
    (b"a\n\n", ["a", ""]),
    (b"a\r\nb\r", ["a\r", "b\r"]),
    ("a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\n".encode(), ["a\u2028b\u2029c\x85d\x0be\x0cf\x1cg"]),
    (b"\x00\x1a\x04\n\x7f", ["\x00\x1a\x04", "\x7f"]),
    (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", ["a", "\ufeffb"]),
    (b"\xef\xbb\xbf", [""]),
    (b" a \n\t\n", [" a ", "\t"]),
    (b"a\xff\n\xc3\x28\n\xed\xa0\x80\nb", ["a\ufffd", "\ufffd(", "\ufffd\ufffd\ufffd", "b"]),
]


def flat(blocks: Iterator[list[InputLine]]) -> list[InputLine]:
    return [line for block in blocks for line in block]


@pytest.mark.parametrize("raw, texts", LINES)
def test_a_line_ends_at_a_line_feed_and_nowhere_else(raw: bytes, texts: list[str]) -> None:
    found = flat(arriving_blocks(io.BytesIO(raw)))
    assert [line.text for line in found] == texts
    assert [line.number for line in found] == list(range(1, len(texts) + 1))


def test_lines_that_are_not_utf8_are_marked_and_no_others() -> None:
    found = flat(arriving_blocks(io.BytesIO("ü\n\ufffd\n".encode() + b"\xfc\nok\n\xe2\x82")))
    assert [line.number for line in found if line.damaged] == [3, 5]


def test_a_byte_order_mark_goes_only_from_the_first_line() -> None:
    assert decode_line(b"\xef\xbb\xbfx\n", 1) == InputLine(1, "x", False)
    assert decode_line(b"\xef\xbb\xbfx\n", 2) == InputLine(2, "\ufeffx", False)


def test_a_typed_line_is_answered_before_the_next_one_arrives() -> None:
    end, start = os.pipe()
    with os.fdopen(end, "rb") as stream, os.fdopen(start, "wb", buffering=0) as keyboard:
        blocks = arriving_blocks(stream)
        for word in (b"one", b"two", b"three"):
            keyboard.write(word[:2])
            keyboard.write(word[2:] + b"\n")
            assert [line.text for line in next(blocks)] == [word.decode()]
        keyboard.write(b"no line end")
        keyboard.close()
        assert [line.text for line in next(blocks)] == ["no line end"]
        assert list(blocks) == []


class Counted(io.BytesIO):
    """A file that says when so many of its lines have been read."""

    def __init__(self, content: bytes, wanted: int) -> None:
        super().__init__(content)
        self.wanted, self.reached = wanted, threading.Event()

    def readline(self, size: int | None = -1) -> bytes:
        self.wanted -= 1
        if self.wanted == 0:
            self.reached.set()
        return super().readline(size)


def test_a_big_file_comes_in_full_blocks_while_somebody_works_on_the_first() -> None:
    count = 3 * AHEAD
    stream = Counted(b"".join(b"%d\n" % n for n in range(1, count + 1)), AHEAD)
    blocks = arriving_blocks(stream)
    first = next(blocks)
    assert stream.reached.wait(10)
    second = next(blocks)
    assert len(first) <= MOST and len(second) == MOST
    rest = flat(blocks)
    assert [line.text for line in first + second + rest] == [str(n) for n in range(1, count + 1)]


def test_no_more_is_read_ahead_than_fits() -> None:
    stream = Counted(b"x\n" * (4 * AHEAD), 3 * AHEAD)
    next(arriving_blocks(stream))
    assert not stream.reached.wait(0.3)


@pytest.mark.parametrize("most", [1, 2, 7])
def test_blocks_are_no_longer_than_asked_for(most: int) -> None:
    blocks = list(arriving_blocks(io.BytesIO(b"x\n" * 20), most))
    assert all(1 <= len(block) <= most for block in blocks) and sum(map(len, blocks)) == 20


class Broken(io.BytesIO):
    """A file that fails after its first line."""

    def readline(self, size: int | None = -1) -> bytes:
        line = super().readline(size)
        if not line:
            raise OSError("the disk is gone")
        return line


def test_an_error_of_the_reader_reaches_who_asked_after_the_lines_before_it() -> None:
    found = []
    with pytest.raises(OSError, match="the disk is gone"):
        for block in arriving_blocks(Broken(b"a\nb\n")):
            found += block
    assert [line.text for line in found] == ["a", "b"]


def test_long_lines_count_as_several_so_that_they_do_not_fill_the_memory() -> None:
    long = b"x" * (64 * USUAL) + b"\n"
    stream = Counted(long * 1000, 2 + 2 * AHEAD // 64)
    blocks = arriving_blocks(stream)
    first = next(blocks)
    assert not stream.reached.wait(0.3)
    found = [first, *blocks]
    assert max(map(len, found)) <= MOST // 64
    assert sum(map(len, found)) == 1000


def test_a_line_longer_than_everything_read_ahead_comes_through() -> None:
    line = b"x" * (2 * AHEAD * USUAL) + b"\n"
    found = flat(arriving_blocks(io.BytesIO(line + b"a\n" + line)))
    assert [len(one.text) for one in found] == [len(line) - 1, 1, len(line) - 1]
