"""Lines of a byte stream as they arrive.

They are read without a thread, since a process that is forked must not have one: whoever waits for
something else as well asks with `readable` whether there is more to read.
"""

import io
import os
import select
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAX_LINES_PER_READ = 4096  # lines of a block
READ_SIZE_BYTES = 1 << 16  # bytes read at a time
MAX_BLOCK_BYTES = 1 << 18  # bytes of the lines that are taken at a time
MAX_BUFFERED_BYTES = 1 << 20  # bytes held before nothing more is read, unless they are all one line


@dataclass(frozen=True)
class InputLine:
    """A line of input, decoded; `damaged` where bytes were not UTF-8 and became U+FFFD."""

    number: int  # from 1
    text: str
    invalid_utf8: bool


class NonblockingReader:
    """What has arrived of a stream and has not been taken yet."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        try:
            self.fd: int | None = stream.fileno()
        except (io.UnsupportedOperation, AttributeError):  # bytes in memory
            self.fd = None
        self.at_eof = False
        self._lines: deque[bytes] = deque()
        self._partial_line: list[bytes] = []  # of a line whose end has not arrived
        self._buffered_bytes = 0
        self._line_number = 0
        self._deferred_error: OSError | None = None

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def should_read(self) -> bool:
        """Whether more should be read: the stream goes on, and not much is held."""
        return not self.at_eof and (self._buffered_bytes < MAX_BUFFERED_BYTES or not self._lines)

    def readable(self) -> bool:
        """Whether reading would not have to wait."""
        return self.fd is None or bool(select.select([self.fd], [], [], 0)[0])

    def buffer_lines(self, line_count: int) -> None:
        """Read until so many lines are held or no more is there; only for the first line wait.

        An error of the stream is raised when the lines before it have been taken.
        """
        while self.should_read and len(self) < line_count and (not len(self) or self.readable()):
            try:
                self.read()
            except OSError as error:
                self.at_eof, self._deferred_error = True, error
        if self._deferred_error is not None and not len(self):
            raise self._deferred_error

    def read(self) -> None:
        """Take what is there, waiting where there is nothing."""
        data = self.stream.read(READ_SIZE_BYTES) if self.fd is None else os.read(self.fd, READ_SIZE_BYTES)
        if not data:
            self.at_eof = True
            last_line = b"".join(self._partial_line)
            self._lines.extend([last_line] if last_line else [])
            self._partial_line = []
            return
        self._buffered_bytes += len(data)
        line_end, *following_lines = data.split(b"\n")
        self._partial_line.append(line_end)
        if following_lines:
            self._lines.append(b"".join(self._partial_line))
            self._lines.extend(following_lines[:-1])
            self._partial_line = [following_lines[-1]]

    def pop_lines(self, max_lines: int) -> list[InputLine]:
        """At most so many lines, and at most `TAKEN` bytes of them unless it is a single one."""
        lines: list[InputLine] = []
        byte_count = 0
        while self._lines and len(lines) < max_lines:
            byte_count += len(self._lines[0]) + 1
            if lines and byte_count > MAX_BLOCK_BYTES:
                break
            raw = self._lines.popleft()
            self._buffered_bytes -= len(raw) + 1
            self._line_number += 1
            lines.append(decode_line(raw, self._line_number))
        return lines


def read_blocks(
    stream: BinaryIO, max_lines: int = MAX_LINES_PER_READ, block_size: Callable[[int], int] = lambda lines: lines
) -> Iterator[list[InputLine]]:
    """Lists of the lines that have arrived, waiting only for the first of each list.

    At most `most` lines are looked at, of which `size` says how many make a list: of a file always
    the same. A list has fewer where lines are long.
    """
    reader = NonblockingReader(stream)
    while True:
        reader.buffer_lines(max_lines)
        if not len(reader):
            return
        yield reader.pop_lines(block_size(min(len(reader), max_lines)))


def decode_line(raw: bytes, number: int) -> InputLine:
    """A line without its line feed; a byte order mark at the very start is dropped."""
    raw = raw.removesuffix(b"\n")
    if number == 1:
        raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        return InputLine(number, raw.decode(), False)
    except UnicodeDecodeError:
        return InputLine(number, raw.decode(errors="replace"), True)


def to_single_line(text: str) -> str:
    """Line feeds, which byte pieces can spell, become spaces: one line in, one line out."""
    return text.replace("\n", " ")
