"""Which neighbouring lines are translated together.

A model's arithmetic is not the same to the last bit in another batch, in bfloat16 by far. So how a
file is cut depends on its lines and on the machine alone, neither on the number of processes nor on
which of them is free; and what training makes of the test text is what `nmt translate` makes of it.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO

from nmt_cli.decoding.stream import InputLine, arriving_blocks

BLOCK = 1024  # most lines of a block: enough to sort by length
USEFUL = 384  # hypotheses that a block should begin with; fewer take longer each
WORTHWHILE = 8 << 10  # bytes waiting at the start from which several processes are worth it


class Division:
    """How an input is cut for so many `workers`, each of whose lines has `width` hypotheses."""

    def __init__(self, workers: int, width: int) -> None:
        self.workers, self.useful = workers, -(-USEFUL // width)
        self.ahead = BLOCK * workers  # lines looked at before a block is cut, if there are so many
        self._last: list[int] = []  # sizes of the last blocks, once they are decided

    def size(self, lines: int) -> int:
        """How many of the next `lines` lines, at most `ahead`, are a block.

        It is the share of one worker; so towards the end blocks become smaller, and all workers
        finish together. What is left for a few blocks of useful size is shared out evenly.
        """
        if not self._last and round(lines / self.useful) >= 2 * self.workers:
            return max(-(-lines // self.workers), self.useful)
        if not self._last:
            cuts = [lines * part // self.workers for part in range(self.workers + 1)]
            self._last = [end - first for first, end in pairwise(cuts) if end > first]
        return min(lines, self._last.pop())

    def blocks(self, stream: BinaryIO) -> Iterator[list[InputLine]]:
        """The lines of a stream in such blocks, as they arrive."""
        return arriving_blocks(stream, self.ahead, self.size)
