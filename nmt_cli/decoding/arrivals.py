"""Lines of a byte stream as they arrive, read without a thread.

`stream.arriving_blocks` has a thread that reads; a process that is forked must not have one. Here
whoever waits for something else as well asks with `readable` whether there is more to read.
"""

import io
import os
from collections import deque
from typing import BinaryIO

from nmt_cli.decoding.stream import InputLine, decode_line

READ = 1 << 16  # bytes read at a time
TAKEN = 1 << 18  # bytes of the lines that are taken at a time
HELD = 1 << 20  # bytes held before nothing more is read, unless they are all one line


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

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def wanted(self) -> bool:
        """Whether more should be read: the stream goes on, and not much is held."""
        return not self.ended and (self._held < HELD or not self._lines)

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
