"""Cutting a text file into shards: shard I of N holds the lines that begin in the I-th Nth of its bytes.

So a shard of plain text is found without reading the rest. A compressed file can only be read from the beginning:
shard I of N holds the I-th Nth of its lines, which are counted first.
"""

import hashlib
import io
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

from nmt_cli.data.sources.compression import ChunkStream, compression, open_decompressed
from nmt_cli.data.sources.files import BOM
from nmt_cli.errors import DataError, UserError

READ_SIZE_BYTES = 1 << 20
SAMPLE_COUNT, SAMPLE_BYTES = 64, 1 << 14  # blocks of a file that are hashed, and their size


class Shard(NamedTuple):
    """Shard `number` of `total`, from 1."""

    number: int
    total: int

    @property
    def name(self) -> str:
        """The stem of its file names: shard-003-of-100."""
        width = len(str(self.total))
        return f"shard-{self.number:0{width}}-of-{self.total}"

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"


def parse_shards(text: str) -> list[Shard]:
    """The shard of `I/N`, or all of `all/N`; UserError for anything else."""
    match = re.fullmatch(r"(all|[0-9]{1,9})/([0-9]{1,9})", text)
    count = int(match[2]) if match else 0
    if match and match[1] == "all" and count:
        return [Shard(number, count) for number in range(1, count + 1)]
    if not match or match[1] == "all" or not 1 <= int(match[1]) <= count:
        raise UserError(f"--shard {text}: write I/N, with I from 1 to N, or all/N")
    return [Shard(int(match[1]), count)]


class TextRange(NamedTuple):
    """The half-open range of a file that a shard holds, in bytes or lines, and the size of the file."""

    unit: Literal["bytes", "lines"]
    begin: int
    end: int
    total: int


def find_range(path: Path, shard: Shard) -> TextRange:
    """The range of a shard; DataError where the file cannot be read."""
    if compression(path):
        line_count = _count_lines(path)
        begin, end = (line_count * index // shard.total for index in (shard.number - 1, shard.number))
        return TextRange("lines", begin, end, line_count)
    with open_decompressed(path) as file:
        size = file.seek(0, io.SEEK_END)
        begin, end = (_next_line_start(file, size * index // shard.total) for index in (shard.number - 1, shard.number))
        return TextRange("bytes", begin, end, size)


def _next_line_start(file: BinaryIO, offset: int) -> int:
    """Where the first line at or after `offset` begins; the end of the file where there is none."""
    if offset == 0:
        return 0
    file.seek(offset - 1)
    while (block := file.readline(READ_SIZE_BYTES)) and not block.endswith(b"\n"):
        pass
    return file.tell()


def _count_lines(path: Path) -> int:
    newline_count, last_byte = 0, b"\n"
    with open_decompressed(path) as file:
        while block := file.read(READ_SIZE_BYTES):
            newline_count += block.count(b"\n")
            last_byte = block[-1:]
    return newline_count + (last_byte != b"\n")


def open_range(path: Path, text_range: TextRange, skip_lines: int) -> BinaryIO:
    """The text of a range as a stream, without its first `skip_lines` lines.

    Readers drop a byte order mark from line 1; only that of the file is one. So a range that begins elsewhere gets an
    additional mark, unless lines of it are skipped.
    """
    chunks = (
        _read_byte_range(path, text_range, skip_lines)
        if text_range.unit == "bytes"
        else _read_line_range(path, text_range, skip_lines)
    )
    stream: Any = io.BufferedReader(ChunkStream(chunks), READ_SIZE_BYTES)
    return stream  # type: ignore[no-any-return]


def _read_byte_range(path: Path, text_range: TextRange, skip_lines: int) -> Iterator[bytes]:
    with open_decompressed(path) as file:
        file.seek(text_range.begin)
        for _ in range(skip_lines):
            file.readline()
        offset = file.tell()
        if not skip_lines and 0 < offset < text_range.end:
            yield BOM
        while offset < text_range.end:
            block = file.read(min(READ_SIZE_BYTES, text_range.end - offset))
            if not block:
                raise DataError(f"{path}: the file has become shorter")
            offset += len(block)
            yield block


def _read_line_range(path: Path, text_range: TextRange, skip_lines: int) -> Iterator[bytes]:
    with open_decompressed(path) as file:
        start = text_range.begin + skip_lines
        if not skip_lines and 0 < start < text_range.end:
            yield BOM
        yield from islice(file, start, text_range.end)


def sample_hash(path: Path) -> str:
    """SHA-256 of the size and of 64 blocks of a file: a quick check that a file is the same.

    A difference outside these blocks goes unnoticed.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        size = file.seek(0, io.SEEK_END)
        digest.update(str(size).encode())
        for index in range(SAMPLE_COUNT):
            file.seek(max(0, size - SAMPLE_BYTES) * index // (SAMPLE_COUNT - 1))
            digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()
