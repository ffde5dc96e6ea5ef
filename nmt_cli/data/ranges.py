"""Parts of a text file: shard I of N holds the lines that begin in the I-th Nth of its bytes.

So a shard of plain text is found without reading the rest. A compressed file can only be read from
its beginning; its shards are the I-th Nth of its lines, which one pass counts.
"""

import hashlib
import io
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

from nmt_cli.data.files import BOM, opened
from nmt_cli.errors import DataError, UserError

BLOCK = 1 << 20
SAMPLES, SAMPLE = 64, 1 << 14  # places of a file that its sample is taken from, and their size


class Shard(NamedTuple):
    """One of `total` parts of a file, numbered from 1."""

    number: int
    total: int

    @property
    def name(self) -> str:
        """The name of its files: shard-003-of-100."""
        width = len(str(self.total))
        return f"shard-{self.number:0{width}}-of-{self.total}"

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"


def parse_shards(text: str) -> list[Shard]:
    """The shard of `I/N`, or all of `all/N`; UserError for anything else."""
    found = re.fullmatch(r"(all|[0-9]{1,9})/([0-9]{1,9})", text)
    count = int(found[2]) if found else 0
    if found and found[1] == "all" and count:
        return [Shard(number, count) for number in range(1, count + 1)]
    if not found or found[1] == "all" or not 1 <= int(found[1]) <= count:
        raise UserError(f"--shard {text}: write I/N, with I from 1 to N, or all/N")
    return [Shard(int(found[1]), count)]


class TextRange(NamedTuple):
    """What a shard holds: from `begin` to before `end`, of `total`, in bytes or lines."""

    unit: Literal["bytes", "lines"]
    begin: int
    end: int
    total: int


def find_range(path: Path, shard: Shard) -> TextRange:
    """The shard's part of a file; DataError where that cannot be read."""
    if path.suffix in (".gz", ".zst"):
        lines = _count_lines(path)
        begin, end = (lines * n // shard.total for n in (shard.number - 1, shard.number))
        return TextRange("lines", begin, end, lines)
    with opened(path) as file:
        size = file.seek(0, io.SEEK_END)
        begin, end = (
            _next_line(file, size * n // shard.total) for n in (shard.number - 1, shard.number)
        )
        return TextRange("bytes", begin, end, size)


def _next_line(file: BinaryIO, place: int) -> int:
    """Where the first line begins at `place` or behind it; the end of the file where none does."""
    if place == 0:
        return 0
    file.seek(place - 1)
    while (block := file.readline(BLOCK)) and not block.endswith(b"\n"):
        pass
    return file.tell()


def _count_lines(path: Path) -> int:
    lines, last = 0, b"\n"
    with opened(path) as file:
        while block := file.read(BLOCK):
            lines += block.count(b"\n")
            last = block[-1:]
    return lines + (last != b"\n")


def open_range(path: Path, part: TextRange, skip: int) -> BinaryIO:
    """The text of a part as a stream, without its first `skip` lines.

    A byte order mark counts at the beginning of the file only. Elsewhere the stream begins with
    another one: whoever reads a stream takes the first one off.
    """
    chunks = _bytes_of(path, part, skip) if part.unit == "bytes" else _lines_of(path, part, skip)
    stream: Any = io.BufferedReader(_Chunks(chunks), BLOCK)
    return stream  # type: ignore[no-any-return]


def _bytes_of(path: Path, part: TextRange, skip: int) -> Iterator[bytes]:
    with opened(path) as file:
        file.seek(part.begin)
        for _ in range(skip):
            file.readline()
        place = file.tell()
        if 0 < place < part.end:
            yield BOM
        while place < part.end:
            block = file.read(min(BLOCK, part.end - place))
            if not block:
                raise DataError(f"{path}: it has become shorter")
            place += len(block)
            yield block


def _lines_of(path: Path, part: TextRange, skip: int) -> Iterator[bytes]:
    with opened(path) as file:
        first = part.begin + skip
        if 0 < first < part.end:
            yield BOM
        yield from islice(file, first, part.end)


class _Chunks(io.RawIOBase):
    """A stream of what an iterator gives."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            following = next(self._chunks, None)
            if following is None:
                return 0
            self._rest = following
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def sample_hash(path: Path) -> str:
    """SHA-256 of the size and of 64 places of a file: cheap to compare, whatever its size.

    Two files of the same size that differ elsewhere only have the same one.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        size = file.seek(0, io.SEEK_END)
        digest.update(str(size).encode())
        for number in range(SAMPLES):
            file.seek(max(0, size - SAMPLE) * number // (SAMPLES - 1))
            digest.update(file.read(SAMPLE))
    return digest.hexdigest()
