"""Translation of lines by several processes: blocks handed out, translations in order.

What crosses between processes is text and numbers in plain lists.
"""

import os
import stat
import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

from nmt_cli.decoding.blocks import Division
from nmt_cli.decoding.guard import Verdict
from nmt_cli.decoding.stream import Arrivals, InputLine
from nmt_cli.decoding.translation import Candidate, Translation
from nmt_cli.decoding.translator import Translator
from nmt_cli.errors import DataError
from nmt_cli.workers import AHEAD, Workers

Plain = tuple[list[tuple[Any, ...]], list[str], tuple[Any, ...] | None, int]
"""Of a line: candidates, warnings, the guard's verdict, and how many pieces were not read."""


class Block(NamedTuple):
    """Neighbouring lines and, perhaps, the beginnings of their translations."""

    first: int  # line number, from 1
    texts: list[str]
    prefixes: list[str] | None


class Work:
    """What a worker does with a block."""

    def __init__(self, translator: Translator) -> None:
        self.translator = translator

    def __call__(self, block: Block) -> list[Plain]:
        """The translations of the block's lines, as plain values."""
        found = self.translator.translate(block.texts, block.prefixes)
        return [_plain(one) for one in found]


def _plain(one: Translation) -> Plain:
    candidates = [(c.text, c.score, c.log_probability, c.alignment) for c in one.candidates]
    judged = one.verdict
    verdict = None if judged is None else (judged.found, judged.left, judged.mended)
    return candidates, one.warnings, verdict, one.lost


def _whole(candidates: list[Any], warnings: list[str], verdict: Any, lost: int) -> Translation:
    judged = None if verdict is None else Verdict(*verdict)
    return Translation([Candidate(*one) for one in candidates], warnings, judged, lost)


def describe(block: Block) -> str:
    """The lines of a block, for a message."""
    last = block.first + len(block.texts) - 1
    return f"line {last}" if last == block.first else f"lines {block.first} to {last}"


def waiting_bytes(stream: BinaryIO) -> int:
    """How much can be read at once: the rest of a file, what a pipe holds; 0 where unknown."""
    try:
        status = os.fstat(stream.fileno())
        if stat.S_ISREG(status.st_mode):
            return status.st_size - os.lseek(stream.fileno(), 0, os.SEEK_CUR)
        import fcntl  # not on every system
        import termios

        answer = fcntl.ioctl(stream.fileno(), termios.FIONREAD, struct.pack("i", 0))
    except (ImportError, OSError, ValueError, AttributeError):
        return 0
    return int(struct.unpack("i", answer)[0])


def translate_in_order(
    workers: Workers[Block, list[Plain]],
    stream: BinaryIO,
    starts: Iterator[str] | None,
    short: DataError,
    division: Division,
) -> Iterator[tuple[InputLine, Translation]]:
    """Each line with its translation, in order, as soon as it and all before it are done.

    `starts` are the beginnings of the translations; where they are too few, `short` is raised after
    all lines that have one.
    At most `AHEAD` blocks a worker are held.
    """
    arrivals = Arrivals(stream)
    blocks: dict[int, list[InputLine]] = {}
    given = taken = 0
    over = False
    while True:
        while taken in workers.results:
            found = workers.results.pop(taken)
            for line, plain in zip(blocks.pop(taken), found, strict=True):
                yield line, _whole(*plain)
            taken += 1
        free = workers.idle and given - taken < AHEAD * len(workers)
        if free and len(arrivals) and not over:
            if len(arrivals) < division.ahead and _read_or_collect(workers, arrivals, 0):
                continue  # more has arrived
            block = arrivals.take(division.size(min(len(arrivals), division.ahead)))
            some = None if starts is None else list(islice(starts, len(block)))
            if some is not None and len(some) < len(block):
                block, over = block[: len(some)], True
            if block:
                blocks[given] = block
                workers.give(given, Block(block[0].number, [one.text for one in block], some))
                given += 1
        elif over and taken == given:
            raise short
        elif over:
            workers.collect(timeout=None)
        elif arrivals.ended and not len(arrivals) and taken == given:
            return
        else:
            _read_or_collect(workers, arrivals, None)


def _read_or_collect(
    workers: Workers[Block, list[Plain]], arrivals: Arrivals, timeout: float | None
) -> bool:
    """Wait for input or a result, at most `timeout` seconds; whether input came."""
    if not arrivals.wanted:
        workers.collect(timeout=timeout)
    elif arrivals.handle is None or workers.collect([arrivals.handle], timeout):
        arrivals.read()
        return True
    return False
