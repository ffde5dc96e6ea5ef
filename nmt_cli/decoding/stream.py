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


@dataclass(frozen=True)
class InputLine:
    """A line of input, decoded; `damaged` where bytes were not UTF-8 and became U+FFFD."""

    number: int  # from 1
    text: str
    damaged: bool


def arriving_blocks(stream: BinaryIO, most: int = MOST) -> Iterator[list[InputLine]]:
    """Lists of the lines that have arrived, waiting only for the first of each list."""
    lines: queue.Queue[InputLine | BaseException | None] = queue.Queue(AHEAD)
    threading.Thread(target=_read, args=(stream, lines), daemon=True).start()
    item: InputLine | BaseException | None
    while True:
        block: list[InputLine] = []
        item = lines.get()
        while isinstance(item, InputLine):
            block.append(item)
            if len(block) == most or lines.empty():
                break
            item = lines.get()
        if block:
            yield block
        if isinstance(item, BaseException):
            raise item
        if item is None:
            return


def _read(stream: BinaryIO, lines: "queue.Queue[InputLine | BaseException | None]") -> None:
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
