"""Cleaned training text on its way through `prepare`, and which pairs of it are held out.

It lies in files while a folder is prepared. Held-out pairs are nobody's training text: neither the
model nor the tokenizer learns from them.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from numpy.random import PCG64, Generator

from nmt_cli.errors import DataError

CLEAN = "clean"  # name of the files, as `TextWriter` makes them
SIDES = ("source", "target")
HELD_OUT_SHARE, HELD_OUT_MOST = 0.01, 2000

Pair = tuple[str, str]


class CleanText:
    """clean.source.txt and clean.target.txt in `folder`; `held_out` counts lines from 0."""

    def __init__(self, folder: Path, held_out: frozenset[int]) -> None:
        self.folder, self.held_out = folder, held_out

    def pairs(self) -> Iterator[tuple[Pair, bool]]:
        """Each pair, and whether it is held out."""
        sides = (written_lines(self.folder, CLEAN, side) for side in SIDES)
        for number, (source, target) in enumerate(zip(*sides, strict=True)):
            yield (source, target), number in self.held_out

    def sample(self, side: str, most: int) -> Iterator[str]:
        """The training lines of a side, thinned out evenly to at most so many."""
        lines = sum(1 for _ in self._training(side))
        stride = max(1, -(-lines // most))
        return islice(self._training(side), 0, None, stride)

    def _training(self, side: str) -> Iterator[str]:
        lines = enumerate(written_lines(self.folder, CLEAN, side))
        return (line for number, line in lines if number not in self.held_out)

    def remove(self) -> None:
        """Delete the files."""
        for side in SIDES:
            (self.folder / f"{CLEAN}.{side}.txt").unlink()


def draw_held_out(total: int, seed: int) -> frozenset[int]:
    """Numbers of pairs to be held out of so many: 1 %, at least one and at most 2,000.

    DataError where nothing would be left.
    """
    if total < 2:
        raise DataError("corpus.train: one pair is too few to hold out a development part")
    count = min(HELD_OUT_MOST, max(1, int(total * HELD_OUT_SHARE)))
    draw = Generator(PCG64(seed))
    return frozenset(draw.choice(total, count, replace=False).tolist())


def written_lines(folder: Path, name: str, side: str) -> Iterator[str]:
    """Lines that a `TextWriter` wrote, where a byte order mark is text."""
    with open(folder / f"{name}.{side}.txt", encoding="utf-8", newline="\n") as file:
        yield from (line.removesuffix("\n") for line in file)
