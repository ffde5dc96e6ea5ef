"""Text files as lines. A line ends at a line feed and nowhere else."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from nmt_cli.data.sources.compression import SUFFIXES, open_decompressed
from nmt_cli.errors import DataError

BOM = b"\xef\xbb\xbf"
UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
UTF32_BOMS = (b"\xff\xfe\0\0", b"\0\0\xfe\xff")
MAX_SEARCHED_BYTES = 1 << 20  # of a first line, in which line ends are looked for


def expand_user(name: str) -> Path:
    """The path with ~ and ~user replaced by the home folder; DataError if there is no such user."""
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise DataError(f"corpus: {name}: there is no such user") from error


def find_file(path: Path) -> Path | None:
    """The path, or else the first one with a suffix of a compressed file, that is a file; None if there is none."""
    candidates = (path.with_name(path.name + suffix) for suffix in SUFFIXES)
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def read_lines(path: Path, member: str | None = None) -> Iterator[bytes]:
    """Each line of a file, or of a member of a .zip, without its line feed; see `read_stream_lines`."""
    with open_decompressed(path, member) as file:
        yield from read_stream_lines(file, str(path) if member is None else f"{path}/{member}")


def read_stream_lines(stream: BinaryIO, label: str) -> Iterator[bytes]:
    """Each line without its line feed; a byte order mark at the start is dropped.

    DataError for UTF-16 and UTF-32, and where lines end with a carriage return alone.
    """
    first_line = stream.readline(MAX_SEARCHED_BYTES)
    reject_wide_encodings(first_line, label)
    if not first_line.endswith(b"\n"):
        if b"\r" in first_line.rstrip(b"\r"):
            raise DataError(f"{label}: its lines end with CR alone, not with LF; tr '\\r' '\\n' converts it")
        first_line += stream.readline()
    first_line = first_line.removeprefix(BOM)
    for line in chain([first_line] if first_line else [], stream):
        yield line.removesuffix(b"\n")


def decoded_lines(lines: Iterable[bytes], label: object) -> Iterator[str]:
    """The text of each line; DataError, with the number of the line, for one that is not UTF-8."""
    for number, line in enumerate(lines, 1):
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            raise DataError(f"{label}:{number}: not UTF-8 text") from error


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
        f"{label}: {encoding} or binary, not UTF-8 text: save it as UTF-8, or iconv -f {encoding}{byte_order} -t UTF-8"
        " converts it"
    )


def _has_nul_columns(line: bytes, width: int) -> bool:
    """Whether, of characters of `width` bytes, one byte is never NUL and each of the others mostly is."""
    columns = [line[column::width] for column in range(width)]
    letter_columns = [column for column in columns if 0 not in column]
    mostly_nul = [column for column in columns if 2 * column.count(0) > len(column)]
    return len(line) >= 4 * width and len(letter_columns) == 1 and len(mostly_nul) == width - 1
