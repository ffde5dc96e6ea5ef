"""Text files: plain, .gz or .zst, as lines or as pairs of lines. A line ends at a line feed and nowhere else."""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import zstandard
from pydantic import Field

from nmt_cli.config import Section
from nmt_cli.data.sources.base import Languages, MissingTextError, ParallelText, RawPair, TextSource
from nmt_cli.errors import DataError

COMPRESSION_SUFFIXES = ("", ".gz", ".zst")
BOM = b"\xef\xbb\xbf"
UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
UTF32_BOMS = (b"\xff\xfe\0\0", b"\0\0\xfe\xff")
COMPRESSED_CHUNK_BYTES = 1 << 14


class ParallelTextConfig(Section):
    """One parallel corpus: a name, two files, or one file with both sides."""

    name: str | None = None
    """Base name: the files <root>/<name>.<source> and <root>/<name>.<target> (.gz, .zst)."""
    source: str | None = None
    """File of the source side."""
    target: str | None = None
    """File of the target side."""
    tsv: str | None = None
    """File with source<TAB>target on each line."""
    jsonl: str | None = None
    """File with an object on each line, its keys the two languages or "source" and "target"."""
    weight: float = Field(default=1.0, gt=0, le=1000)
    """How often each pair is seen in an epoch; the fraction is drawn by training.seed."""

    def errors(self) -> list[str]:
        """An entry must say in exactly one way where its text is."""
        file_pair = [self.source, self.target]
        if any(file_pair) != all(file_pair):
            return ["source and target go together"]
        format_count = sum((self.name is not None, any(file_pair), self.tsv is not None, self.jsonl is not None))
        if format_count != 1:
            return ["needs exactly one of name, source + target, tsv, jsonl"]
        return []


@dataclass(frozen=True)
class FileSource(TextSource):
    """Text in files, under their plain names or compressed."""

    config: ParallelTextConfig
    languages: Languages

    def locate(self, split: str, root: Path) -> ParallelText:
        """The files, labelled by the name of the first."""
        names = self._file_names()
        paths = [find_file(root / expand_user(name)) for name in names]
        missing = [name for name, path in zip(names, paths, strict=True) if path is None]
        if missing:
            raise MissingTextError(f"no file {' and '.join(missing)} (nor .gz, .zst)")
        files = tuple(path for path in paths if path is not None)
        return ParallelText(names[0], files, lambda: self._read(files))

    def _file_names(self) -> list[str]:
        if self.config.name is not None:
            return [f"{self.config.name}.{language}" for language in self.languages]
        names = (self.config.source, self.config.target, self.config.tsv, self.config.jsonl)
        return [name for name in names if name is not None]

    def _read(self, files: tuple[Path, ...]) -> Iterator[RawPair]:
        if self.config.tsv is not None:
            return read_tsv(files[0])
        if self.config.jsonl is not None:
            return read_jsonl(files[0], *self.languages)
        return read_two_files(files[0], files[1])


def expand_user(name: str) -> Path:
    """The path with ~ and ~user replaced by the home folder; DataError if there is no such user."""
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise DataError(f"corpus: {name}: there is no such user") from error


def find_file(path: Path) -> Path | None:
    """The first of path, path.gz and path.zst that is a file, or None."""
    candidates = [path.with_name(path.name + suffix) for suffix in COMPRESSION_SUFFIXES]
    return next((candidate for candidate in candidates if candidate.is_file()), None)


@contextmanager
def open_decompressed(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading bytes, decompressed according to its suffix; DataError if it cannot be read."""
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
    """Reads all frames of a .zst file; EOFError if the last one is truncated, which zstandard does not report."""

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
    """Each line of a file without its line feed; see `read_stream_lines`."""
    with open_decompressed(path) as file:
        yield from read_stream_lines(file, str(path))


def read_stream_lines(stream: BinaryIO, label: str) -> Iterator[bytes]:
    """Each line without its line feed; a byte order mark at the start is dropped. DataError for UTF-16 and UTF-32."""
    first_line = stream.readline()
    reject_wide_encodings(first_line, label)
    first_line = first_line.removeprefix(BOM)
    for line in chain([first_line] if first_line else [], stream):
        yield line.removesuffix(b"\n")


def reject_wide_encodings(first_line: bytes, label: str, *, binary: bool = True) -> None:
    """DataError where the first line is UTF-16 or UTF-32, which as UTF-8 would be text full of NULs.

    With `binary`, also where more than a third of it is NULs in any order; without, such a line is text.
    """
    has_bom = first_line.startswith(UTF16_BOMS + UTF32_BOMS)
    is_binary = binary and 3 * first_line.count(b"\0") > len(first_line)
    if not has_bom and not is_binary and not any(_has_nul_columns(first_line, width) for width in (2, 4)):
        return
    is_utf32 = first_line.startswith(UTF32_BOMS) or b"\0\0\0" in first_line
    encoding = "UTF-32" if is_utf32 else "UTF-16"
    byte_order = "" if has_bom else "BE" if first_line.startswith(b"\0") else "LE"
    raise DataError(
        f"{label}: {encoding} or binary, not UTF-8 text; iconv -f {encoding}{byte_order} -t UTF-8 converts it"
    )


def _has_nul_columns(line: bytes, width: int) -> bool:
    """Whether, of characters of `width` bytes, one byte is never NUL and each of the others mostly is."""
    columns = [line[column::width] for column in range(width)]
    letter_columns = [column for column in columns if 0 not in column]
    mostly_nul = [column for column in columns if 2 * column.count(0) > len(column)]
    return len(line) >= 4 * width and len(letter_columns) == 1 and len(mostly_nul) == width - 1


def read_two_files(source: Path, target: Path) -> Iterator[RawPair]:
    """Pairs of lines; DataError if one file has more lines than the other."""
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
    """Pairs from the first two tab-separated columns; DataError if a line has only one."""
    for line_number, line in enumerate(read_lines(path), 1):
        columns = line.split(b"\t")
        if len(columns) < 2:
            raise DataError(f"{path}:{line_number}: no tab in the line; a TSV has source<TAB>target")
        yield RawPair(columns[0], columns[1], line_number)


def read_jsonl(path: Path, source: str, target: str) -> Iterator[RawPair]:
    """Pairs from JSON objects with two languages as keys, or else "source" and "target".

    The object may also be the value of the key "translation". As in the other readers, invalid UTF-8 is passed on
    unchanged.
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
    """A decoded line, and the error handler with which `encode` restores its bytes."""
    try:
        return line.decode(), "surrogatepass"
    except UnicodeDecodeError:
        return line.decode("utf-8", "surrogateescape"), "surrogateescape"


def _encode_text(text: str, error_handler: str) -> bytes:
    try:
        return text.encode("utf-8", error_handler)
    except UnicodeEncodeError:  # an escaped lone surrogate
        return text.encode("utf-8", "surrogatepass")
