"""Text files as lines: plain, .gz or .zst; a line ends at a line feed and nowhere else."""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import zstandard

from nmt_cli.errors import DataError

COMPRESSIONS = ("", ".gz", ".zst")
BOM = b"\xef\xbb\xbf"
UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")  # of UTF-16; that of UTF-32 starts with the first
COMPRESSED_CHUNK_BYTES = 1 << 14  # compressed bytes read at a time


class RawPair(NamedTuple):
    """A source and target line as bytes, and where they stand."""

    source: bytes
    target: bytes
    line_number: int  # line number, from 1


def find_file(path: Path) -> Path | None:
    """The path itself, or with .gz or .zst behind it, whichever is a file."""
    for suffix in COMPRESSIONS:
        candidate = path.with_name(path.name + suffix)
        if candidate.is_file():
            return candidate
    return None


@contextmanager
def open_decompressed(path: Path) -> Iterator[BinaryIO]:
    """The file's bytes, decompressed by its ending; DataError names what is wrong with it."""
    try:
        with open(path, "rb") as file:
            if path.suffix == ".gz":
                yield gzip.GzipFile(fileobj=file)  # type: ignore[misc]
            elif path.suffix == ".zst":
                yield io.BufferedReader(_ZstdReader(file))
            else:
                yield file
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path}: cannot read: {reason}") from error


class _ZstdReader(io.RawIOBase):
    """All frames of a .zst file; EOFError where the last is cut off: zstandard lets that pass."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._compressed = self._decompressed = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._decompressed:
            compressed = self._compressed or self._file.read(COMPRESSED_CHUNK_BYTES)
            if not compressed and self._frame is not None:
                raise EOFError("Compressed file ended before the end of its last frame")
            if not compressed:
                return 0
            frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            self._decompressed = frame.decompress(compressed)
            self._compressed = frame.unused_data
            self._frame = None if frame.eof else frame
        size = min(len(buffer), len(self._decompressed))
        buffer[:size] = self._decompressed[:size]
        self._decompressed = self._decompressed[size:]
        return size


def read_lines(path: Path) -> Iterator[bytes]:
    """Each line without its line feed; a byte order mark at the start is dropped.

    DataError for UTF-16, which would else pass for text with a NUL before each letter.
    """
    with open_decompressed(path) as file:
        first_line = file.readline()
        if first_line.startswith(UTF16_BOMS) or 3 * first_line.count(b"\0") > len(first_line):
            raise DataError(f"{path}: UTF-16 or binary, not UTF-8 text; iconv -t UTF-8 converts it")
        first_line = first_line.removeprefix(BOM)
        for line in chain([first_line] if first_line else [], file):
            yield line.removesuffix(b"\n")


def read_two_files(source: Path, target: Path) -> Iterator[RawPair]:
    """Pairs of lines; DataError where one file has more lines than the other."""
    end_of_file = object()
    source_lines, target_lines = read_lines(source), read_lines(target)
    line_number = 0
    while True:
        source_line, target_line = next(source_lines, end_of_file), next(target_lines, end_of_file)
        if source_line is end_of_file and target_line is end_of_file:
            return
        if not isinstance(source_line, bytes) or not isinstance(target_line, bytes):
            remaining = sum(1 for _ in (target_lines if source_line is end_of_file else source_lines)) + 1
            line_counts = (
                (line_number, line_number + remaining)
                if source_line is end_of_file
                else (line_number + remaining, line_number)
            )
            raise DataError(
                f"{source} has {line_counts[0]:,} lines and {target} has {line_counts[1]:,}: "
                "line i of one must be the translation of line i of the other"
            )
        line_number += 1
        yield RawPair(source_line, target_line, line_number)


def read_tsv(path: Path) -> Iterator[RawPair]:
    """Pairs from the first two tab-separated columns; DataError where a line has only one."""
    for line_number, line in enumerate(read_lines(path), 1):
        columns = line.split(b"\t")
        if len(columns) < 2:
            raise DataError(f"{path}:{line_number}: no tab in the line; a TSV has source<TAB>target")
        yield RawPair(columns[0], columns[1], line_number)


def read_jsonl(path: Path, source: str, target: str) -> Iterator[RawPair]:
    """Pairs from JSON objects with the keys `source` and `target`, or else literally "source" and
    "target"; within {"translation": {}} too.

    Bytes that are not UTF-8 stay as they are, as in the other readers: what uses the pair decides.
    """
    for line_number, line in enumerate(read_lines(path), 1):
        text, error_handler = _decode_json_line(line)
        try:
            item = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}:{line_number}: not JSON: {error}") from error
        if isinstance(item, dict) and isinstance(item.get("translation"), dict):
            item = item["translation"]
        item = item if isinstance(item, dict) else {}
        keys = (source, target) if source in item or target in item else ("source", "target")
        texts = [item.get(key) for key in keys]
        if not isinstance(texts[0], str) or not isinstance(texts[1], str):
            raise DataError(
                f'{path}:{line_number}: needs the texts "{source}" and "{target}" (or "source" and "target")'
            )
        source_line, target_line = (_encode_text(str(text), error_handler) for text in texts)
        yield RawPair(source_line, target_line, line_number)


def _decode_json_line(line: bytes) -> tuple[str, str]:
    """A line of JSON, and how its texts become the bytes that they were."""
    try:
        return line.decode(), "surrogatepass"
    except UnicodeDecodeError:
        return line.decode("utf-8", "surrogateescape"), "surrogateescape"


def _encode_text(text: str, error_handler: str) -> bytes:
    try:
        return text.encode("utf-8", error_handler)
    except UnicodeEncodeError:  # half of a pair of surrogates, spelled out in JSON
        return text.encode("utf-8", "surrogatepass")
