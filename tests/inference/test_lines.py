"""Lines as they arrive: one by one when typed, in blocks when there are many, none ever lost."""

import io
import os
import select
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nmt_cli.errors import DataError
from nmt_cli.inference.lines import (
    MAX_BLOCK_BYTES,
    MAX_BUFFERED_BYTES,
    MAX_LINES_PER_READ,
    READ_SIZE_BYTES,
    BlockPartitioner,
    BlockReader,
    InputLine,
    LineReader,
    decode_line,
    read_blocks,
)

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


def refuse_select(*_: object) -> Any:
    """As Windows does for all but sockets."""
    raise OSError(10038, "not a socket")


def flat(blocks: Iterator[list[InputLine]]) -> list[InputLine]:
    return [line for block in blocks for line in block]


@pytest.mark.parametrize("raw, texts", LINES)
def test_a_line_ends_at_a_line_feed_and_nowhere_else(raw: bytes, texts: list[str]) -> None:
    input_lines = flat(read_blocks(io.BytesIO(raw)))
    assert [line.text + line.ending for line in input_lines] == texts
    assert [line.number for line in input_lines] == list(range(1, len(texts) + 1))


def test_lines_that_are_not_utf8_are_marked_and_no_others() -> None:
    input_lines = flat(read_blocks(io.BytesIO("ü\n\ufffd\n".encode() + b"\xfc\nok\n\xe2\x82")))
    assert [line.number for line in input_lines if line.invalid_utf8] == [3, 5]


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_is_refused_before_any_line_is_read(codec: str, tmp_path: Path) -> None:
    content = ("one line\n" * READ_SIZE_BYTES).encode(codec)
    path = tmp_path / "text"
    path.write_bytes(content)
    with path.open("rb") as file:
        for stream in (io.BytesIO(content), file):
            blocks = iter(BlockReader(stream))
            with pytest.raises(DataError, match=rf"^input: {codec[:6].upper()} or binary, not UTF-8 text"):
                next(blocks)
    with pytest.raises(DataError, match="not UTF-8 text"):
        next(read_blocks(io.BytesIO(content)))


def test_a_byte_order_mark_goes_only_from_the_first_line() -> None:
    assert decode_line(b"\xef\xbb\xbfx\n", 1) == InputLine(1, "x", False)
    assert decode_line(b"\xef\xbb\xbfx\n", 2) == InputLine(2, "\ufeffx", False)


def test_what_follows_skipped_lines_is_no_beginning_of_a_text() -> None:
    reader = LineReader(io.BytesIO(b"\xff\xfea\x00b\n\xef\xbb\xbfb\n"), skipped_lines=7)
    reader.fill(2)
    first, second = reader.take(2)
    assert reader.error is None and first.invalid_utf8
    assert (first.number, second.number, second.text) == (8, 9, "\ufeffb")


@pytest.mark.parametrize("selects", [True, False])
def test_a_typed_line_is_answered_before_the_next_one_arrives(selects: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not selects:
        monkeypatch.setattr(select, "select", refuse_select)
    end, start = os.pipe()
    with os.fdopen(end, "rb") as stream, os.fdopen(start, "wb", buffering=0) as keyboard:
        blocks = read_blocks(stream)
        for word in (b"one", b"two", b"three"):
            keyboard.write(word[:2])
            keyboard.write(word[2:] + b"\n")
            assert [line.text for line in next(blocks)] == [word.decode()]
        keyboard.write(b"no line end")
        keyboard.close()
        assert [line.text for line in next(blocks)] == ["no line end"]
        assert list(blocks) == []


def test_a_big_file_comes_in_full_blocks() -> None:
    count = 3 * MAX_LINES_PER_READ
    stream = io.BytesIO(b"".join(b"%d\n" % n for n in range(1, count + 1)))
    blocks = list(read_blocks(stream))
    assert [len(block) for block in blocks] == [MAX_LINES_PER_READ] * 3
    assert [line.text for line in flat(iter(blocks))] == [str(n) for n in range(1, count + 1)]


def test_a_file_comes_in_full_blocks_where_select_knows_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text").write_bytes(b"some words\n" * (2 * MAX_LINES_PER_READ))
    monkeypatch.setattr(select, "select", refuse_select)
    with (tmp_path / "text").open("rb") as stream:
        assert [len(block) for block in read_blocks(stream)] == [MAX_LINES_PER_READ] * 2


def test_no_more_is_read_ahead_than_fits() -> None:
    stream = io.BytesIO(b"x\n" * (4 * MAX_LINES_PER_READ))
    next(read_blocks(stream, 10))
    assert stream.tell() == min(READ_SIZE_BYTES, 8 * MAX_LINES_PER_READ)


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_a_file_is_always_cut_in_the_same_way(kind: str, tmp_path: Path) -> None:
    raw = b"".join(b"%s\n" % (b"x" * (n % 400)) for n in range(9000))
    (tmp_path / "file").write_bytes(raw)
    available: list[int] = []

    class Thirds(BlockPartitioner):
        def next_block_size(self, available_lines: int) -> int:
            available.append(available_lines)
            return -(-available_lines // 3)

    partitioner = Thirds(1, 1)
    partitioner.lookahead_lines = 1000
    with (tmp_path / "file").open("rb", buffering=0) if kind == "file" else io.BytesIO(raw) as stream:
        blocks = list(BlockReader(stream, partitioner))
    assert available[:20] == [1000] * 20 and len(blocks[0].lines) == 334
    assert sum(len(block.lines) for block in blocks) == 9000


@pytest.mark.parametrize("most", [1, 2, 7])
def test_blocks_are_no_longer_than_asked_for(most: int) -> None:
    blocks = list(read_blocks(io.BytesIO(b"x\n" * 20), most))
    assert all(1 <= len(block) <= most for block in blocks) and sum(map(len, blocks)) == 20


class Broken(io.BytesIO):
    """A file that fails after its first lines."""

    def read(self, size: int | None = -1) -> bytes:
        block = super().read(size)
        if not block:
            raise OSError("the disk is gone")
        return block


def test_an_error_of_the_reader_reaches_who_asked_after_the_lines_before_it() -> None:
    input_lines = []
    with pytest.raises(OSError, match="the disk is gone"):
        for block in read_blocks(Broken(b"a\nb\n")):
            input_lines += block
    assert [line.text for line in input_lines] == ["a", "b"]


def test_a_line_that_arrives_in_pieces_is_one_line() -> None:
    end, start = os.pipe()
    with os.fdopen(end, "rb") as stream, os.fdopen(start, "wb", buffering=0) as keyboard:
        arrivals = LineReader(stream)
        for piece in (b"The \xc3", b"\xa4lteste", b" man\nand"):
            assert len(arrivals) == 0
            keyboard.write(piece)
            arrivals.read()
        assert [line.text for line in arrivals.take(9)] == ["The älteste man"]
        keyboard.close()
        arrivals.read()
        assert [line.text for line in arrivals.take(9)] == ["and"] and arrivals.at_eof


def test_a_pipe_that_does_not_block_is_waited_for() -> None:
    end, start = os.pipe()
    os.set_blocking(end, False)
    with os.fdopen(end, "rb") as stream, os.fdopen(start, "wb") as keyboard:
        arrivals = LineReader(stream)
        typed = threading.Timer(0.05, lambda: (keyboard.write(b"a\n"), keyboard.close()))
        typed.start()
        arrivals.fill(2)
        typed.join()
        arrivals.fill(2)
        assert [line.text for line in arrivals.take(9)] == ["a"] and arrivals.error is None


def test_no_more_is_held_than_fits_but_a_line_may_be_longer() -> None:
    arrivals = LineReader(io.BytesIO(b"x\n" * (4 * MAX_BUFFERED_BYTES)))
    while arrivals.should_read:
        arrivals.read()
    assert MAX_BUFFERED_BYTES <= 2 * len(arrivals) <= MAX_BUFFERED_BYTES + READ_SIZE_BYTES
    long = LineReader(io.BytesIO(b"x" * (3 * MAX_BUFFERED_BYTES) + b"\ny"))
    while long.should_read:
        long.read()
    assert [len(line.text) for line in long.take(9)] == [3 * MAX_BUFFERED_BYTES]


def test_a_block_of_long_lines_is_cut_by_its_size() -> None:
    lines = [b"x" * (MAX_BLOCK_BYTES // 2)] * 5 + [b"y" * (2 * MAX_BLOCK_BYTES)]
    arrivals = LineReader(io.BytesIO(b"\n".join(lines)))
    sizes = []
    while arrivals.should_read or len(arrivals):
        while arrivals.should_read:
            arrivals.read()
        sizes.append(len(arrivals.take(100)))
    assert sizes == [1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("raw", [b"\0" * 50, b"a\0\0\0\0b", b"\0", b"a\0", b"one\0\0two\0\0\0", b"\0\0ab\0\0cd"])
def test_nuls_in_other_places_than_those_of_utf_16_are_text(raw: bytes) -> None:
    assert [line.text for line in flat(read_blocks(io.BytesIO(raw + b"\nx\n")))] == [raw.decode(), "x"]
