"""Which neighbouring lines are translated together.

A model's arithmetic is not the same to the last bit in another batch, in bfloat16 by far. So how a
file is cut depends on its lines and on the machine alone, neither on the number of processes nor on
which of them is free; and what training makes of the test text is what `nmt translate` makes of it.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO

from nmt_cli.inference.lines import InputLine, read_blocks

MAX_BLOCK_LINES = 1024  # most lines of a block: enough to sort by length
MIN_BLOCK_HYPOTHESES = 384  # hypotheses that a block should begin with; fewer take longer each
MIN_PARALLEL_INPUT_BYTES = 8 << 10  # bytes waiting at the start from which several processes are worth it


class BlockPartitioner:
    """How an input is cut for so many `workers`, each of whose lines has `width` hypotheses."""

    def __init__(self, worker_count: int, beam_size: int) -> None:
        self.worker_count, self.min_efficient_lines = (worker_count, -(-MIN_BLOCK_HYPOTHESES // beam_size))
        self.lookahead_lines = (
            MAX_BLOCK_LINES * worker_count
        )  # lines looked at before a block is cut, if there are so many
        self._final_sizes: list[int] = []  # sizes of the last blocks, once they are decided

    def next_block_size(self, available_lines: int) -> int:
        """How many of the next `lines` lines, at most `ahead`, are a block.

        It is the share of one worker; so towards the end blocks become smaller, and all workers
        finish together. What is left for a few blocks of useful size is shared out evenly.
        """
        if not self._final_sizes and round(available_lines / self.min_efficient_lines) >= 2 * self.worker_count:
            return max(-(-available_lines // self.worker_count), self.min_efficient_lines)
        if not self._final_sizes:
            boundaries = [available_lines * worker // self.worker_count for worker in range(self.worker_count + 1)]
            self._final_sizes = [end - start for start, end in pairwise(boundaries) if end > start]
        return min(available_lines, self._final_sizes.pop())

    def read_blocks(self, stream: BinaryIO) -> Iterator[list[InputLine]]:
        """The lines of a stream in such blocks, as they arrive."""
        return read_blocks(stream, self.lookahead_lines, self.next_block_size)
