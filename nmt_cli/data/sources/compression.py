"""Bytes out of files: decompressed by what a file begins with, whatever its name says."""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from codecs import getincrementaldecoder
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from nmt_cli.errors import DataError, error_reason

SUFFIXES = ("", ".gz", ".zst", ".xz", ".bz2", ".zip")
"""What may follow the name of a text, in the order in which files are looked for."""
FIRST_BYTES = {
    ".gz": (b"\x1f\x8b",),
    ".zst": (b"\x28\xb5\x2f\xfd", *(bytes([0x50 + number]) + b"\x2a\x4d\x18" for number in range(16))),
    ".xz": (b"\xfd7zXZ\0",),
    ".bz2": tuple(b"BZh%d1AY&SY" % level for level in range(1, 10)),
    ".zip": (b"PK\3\4", b"PK\5\6"),
}
READ_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError, zipfile.BadZipFile)
COMPRESSED_CHUNK_BYTES = 1 << 14
HEAD_BYTES = 4096
NOT_TEXT = ("README", "LICENSE", "LICENCE", "COPYING", "NOTICE", "INFO")  # files beside the texts of an archive


def compression(path: Path) -> str:
    """How a file is compressed, as the suffix that it should have; empty for plain text.

    A file whose suffix promises compression, but which begins neither with that nor with text, is damaged. DataError
    if it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return _compression(path, file)
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror}") from error


def _compression(path: Path, file: io.BufferedReader) -> str:
    """As `compression`, of a file that was just opened, perhaps a pipe: nothing of it is consumed."""
    head = file.peek(HEAD_BYTES)[:HEAD_BYTES]
    for suffix, beginnings in FIRST_BYTES.items():
        if head.startswith(beginnings):
            return suffix
    return path.suffix if path.suffix in SUFFIXES and not _is_text(head) else ""


def _is_text(head: bytes) -> bool:
    try:
        text = getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return "\0" not in text


@contextmanager
def open_decompressed(path: Path, member: str | None = None) -> Iterator[BinaryIO]:
    """Open a file or a pipe for reading bytes, decompressed; DataError if it cannot be read.

    Of a .zip it is `member` that is read, or else its only text.
    """
    try:
        with open(path, "rb") as file:
            suffix = _compression(path, file)
            if suffix == ".zip":
                with zipfile.ZipFile(file) as archive, _open_member(archive, path, member) as content:
                    yield io.BufferedReader(content)
            else:
                yield _decompress(file, suffix)
    except READ_ERRORS as error:
        advice = "; standard input is called /dev/stdin" if str(path) == "-" else ""
        raise DataError(f"{path}: cannot read: {error_reason(error)}{advice}") from error


def _decompress(file: BinaryIO, suffix: str) -> Any:
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=file)
    if suffix == ".xz":
        return lzma.LZMAFile(file)
    if suffix == ".bz2":
        return bz2.BZ2File(file)
    return io.BufferedReader(ChunkStream(_zstd_chunks(file))) if suffix == ".zst" else file


def _zstd_chunks(file: BinaryIO) -> Iterator[bytes]:
    """All frames of a .zst file; EOFError if the last one is truncated, which zstandard does not report."""
    frame = None
    while compressed := file.read(COMPRESSED_CHUNK_BYTES):
        while compressed:
            frame = frame or zstandard.ZstdDecompressor().decompressobj()
            yield frame.decompress(compressed)
            compressed = frame.unused_data
            frame = None if frame.eof else frame
    if frame is not None:
        raise EOFError("Compressed file ended before the end of its last frame")


class ChunkStream(io.RawIOBase):
    """A binary stream over the chunks of an iterator."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._remaining = chunks, b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as the next chunk goes; the number of bytes, 0 at the end."""
        while not self._remaining:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._remaining = chunk
        size = min(len(buffer), len(self._remaining))
        buffer[:size] = self._remaining[:size]
        self._remaining = self._remaining[size:]
        return size


def text_members(path: Path) -> list[str]:
    """The names of the texts in a .zip file, without what describes them; DataError if it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _text_members(archive)
    except READ_ERRORS as error:
        raise DataError(f"{path}: cannot read: {error}") from error


def _text_members(archive: zipfile.ZipFile) -> list[str]:
    names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    return [name for name in names if not _is_description(name)]


def _is_description(name: str) -> bool:
    base_name = name.rpartition("/")[2]
    return base_name.startswith(".") or name.startswith("__MACOSX/") or base_name.partition(".")[0].upper() in NOT_TEXT


def _open_member(archive: zipfile.ZipFile, path: Path, member: str | None) -> Any:
    names = _text_members(archive)
    if member is None and len(names) != 1:
        examples = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
        held = f"holds {len(names)} texts ({examples})" if names else "holds no text"
        raise DataError(f"{path}: {held}, not one: unpack what you need, or name the archive as {{name: {path.name}}}")
    try:
        return archive.open(member or names[0])
    except (RuntimeError, NotImplementedError, KeyError) as error:  # encrypted; an unknown method; no such member
        reason = " ".join(str(error).strip("'\"").split())
        raise DataError(f"{path}: cannot read: {reason}") from error
