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

MOST = 4096  # lines of a block
READ = 1 << 16  # bytes read at a time
TAKEN = 1 << 18  # bytes of the lines that are taken at a time
HELD = 1 << 20  # bytes held before nothing more is read, unless they are all one line


@dataclass(frozen=True)
class InputLine:
    """A line of input, decoded; `damaged` where bytes were not UTF-8 and became U+FFFD."""

    number: int  # from 1
    text: str
    damaged: bool


class Arrivals:
    """What has arrived of a stream and has not been taken yet."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        try:
            self.handle: int | None = stream.fileno()
        except (io.UnsupportedOperation, AttributeError):  # bytes in memory
            self.handle = None
        self.ended = False
        self._lines: deque[bytes] = deque()
        self._rest: list[bytes] = []  # of a line whose end has not arrived
        self._held = 0
        self._number = 0
        self._problem: OSError | None = None

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def wanted(self) -> bool:
        """Whether more should be read: the stream goes on, and not much is held."""
        return not self.ended and (self._held < HELD or not self._lines)

    def readable(self) -> bool:
        """Whether reading would not have to wait."""
        return self.handle is None or bool(select.select([self.handle], [], [], 0)[0])

    def gather(self, lines: int) -> None:
        """Read until so many lines are held or no more is there; only for the first line wait.

        An error of the stream is raised when the lines before it have been taken.
        """
        while self.wanted and len(self) < lines and (not len(self) or self.readable()):
            try:
                self.read()
            except OSError as error:
                self.ended, self._problem = True, error
        if self._problem is not None and not len(self):
            raise self._problem

    def read(self) -> None:
        """Take what is there, waiting where there is nothing."""
        block = self.stream.read(READ) if self.handle is None else os.read(self.handle, READ)
        if not block:
            self.ended = True
            last = b"".join(self._rest)
            self._lines.extend([last] if last else [])
            self._rest = []
            return
        self._held += len(block)
        first, *others = block.split(b"\n")
        self._rest.append(first)
        if others:
            self._lines.append(b"".join(self._rest))
            self._lines.extend(others[:-1])
            self._rest = [others[-1]]

    def take(self, most: int) -> list[InputLine]:
        """At most so many lines, and at most `TAKEN` bytes of them unless it is a single one."""
        taken: list[InputLine] = []
        size = 0
        while self._lines and len(taken) < most:
            size += len(self._lines[0]) + 1
            if taken and size > TAKEN:
                break
            raw = self._lines.popleft()
            self._held -= len(raw) + 1
            self._number += 1
            taken.append(decode_line(raw, self._number))
        return taken


def arriving_blocks(
    stream: BinaryIO, most: int = MOST, size: Callable[[int], int] = lambda lines: lines
) -> Iterator[list[InputLine]]:
    """Lists of the lines that have arrived, waiting only for the first of each list.

    At most `most` lines are looked at, of which `size` says how many make a list: of a file always
    the same. A list has fewer where lines are long.
    """
    arrivals = Arrivals(stream)
    while True:
        arrivals.gather(most)
        if not len(arrivals):
            return
        yield arrivals.take(size(min(len(arrivals), most)))


def decode_line(raw: bytes, number: int) -> InputLine:
    """A line without its line feed; a byte order mark at the very start is dropped."""
    raw = raw.removesuffix(b"\n")
    if number == 1:
        raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        return InputLine(number, raw.decode(), False)
    except UnicodeDecodeError:
        return InputLine(number, raw.decode(errors="replace"), True)


def one_line(text: str) -> str:
    """Line feeds, which byte pieces can spell, become spaces: one line in, one line out."""
    return text.replace("\n", " ")
