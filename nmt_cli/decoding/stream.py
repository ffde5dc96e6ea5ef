"""Lines from a byte stream as they arrive, and their translations in the same order.

The reader runs in a thread of its own, so that lines typed one by one are answered one by one and
a file is taken in large blocks: whatever has arrived, up to a limit, is translated next.
"""

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MOST = 4096  # lines translated together
AHEAD = 2 * MOST  # lines read before anybody asked for them
USUAL = 1024  # characters: a longer line counts as several


@dataclass(frozen=True)
class InputLine:
    """A line of input, decoded; `damaged` where bytes were not UTF-8 and became U+FFFD."""

    number: int  # from 1
    text: str
    damaged: bool


class _Ahead(queue.Queue["InputLine | BaseException | None"]):
    """A queue whose size is the weight of its lines, so that long lines do not fill the memory."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self.weight = 0

    def _qsize(self) -> int:
        return self.weight

    def _put(self, item: "InputLine | BaseException | None") -> None:
        self.weight += _weight(item)
        super()._put(item)

    def _get(self) -> "InputLine | BaseException | None":
        item: InputLine | BaseException | None = super()._get()
        self.weight -= _weight(item)
        return item


def _weight(item: "InputLine | BaseException | None") -> int:
    """1 for a line of usual length."""
    return 1 + len(item.text) // USUAL if isinstance(item, InputLine) else 1


def arriving_blocks(stream: BinaryIO, most: int = MOST) -> Iterator[list[InputLine]]:
    """Lists of the lines that have arrived, waiting only for the first of each list.

    A list has at most `most` lines, fewer where they are long.
    """
    lines = _Ahead(AHEAD)
    threading.Thread(target=_read, args=(stream, lines), daemon=True).start()
    item: InputLine | BaseException | None
    while True:
        block: list[InputLine] = []
        item = lines.get()
        weight = 0
        while isinstance(item, InputLine):
            block.append(item)
            weight += _weight(item)
            if weight >= most or lines.empty():
                break
            item = lines.get()
        if block:
            yield block
        if isinstance(item, BaseException):
            raise item
        if item is None:
            return


def _read(stream: BinaryIO, lines: _Ahead) -> None:
    try:
        for number, raw in enumerate(iter(stream.readline, b""), 1):
            lines.put(decode_line(raw, number))
        lines.put(None)
    except BaseException as error:  # handed over to the main thread
        lines.put(error)


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
