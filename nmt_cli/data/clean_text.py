"""Cleaned training text in temporary files while data are prepared, and which of its pairs are held out.

Neither the model nor the tokenizer is trained on held-out pairs.
"""

from collections.abc import Collection, Iterator
from itertools import groupby, islice
from operator import methodcaller
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt_cli.data import SIDES
from nmt_cli.data.language_tags import split_tag
from nmt_cli.data.overlap import hash_text
from nmt_cli.errors import DataError

CLEAN_TEXT_NAME = "clean"  # name of the files, as `TextWriter` makes them
HELD_OUT_FRACTION, MAX_HELD_OUT_PAIRS = 0.01, 2000
SMALL_HELD_OUT_FRACTION, FEW_HELD_OUT_PAIRS = 0.05, 200  # where 1 % would be fewer: scores of a handful say nothing


class CleanText:
    """clean.source.txt and clean.target.txt in `folder`; `held_out` counts lines from 0."""

    def __init__(self, folder: Path, held_out: frozenset[int] = frozenset()) -> None:
        self.folder, self.held_out = folder, held_out

    def pairs(self) -> Iterator[tuple[tuple[str, str], bool]]:
        """Each pair, and whether it is held out."""
        side_lines = (read_written_lines(self.folder, CLEAN_TEXT_NAME, side) for side in SIDES)
        for index, (source, target) in enumerate(zip(*side_lines, strict=True)):
            yield (source, target), index in self.held_out

    def sample(self, side: str, max_lines: int) -> Iterator[str]:
        """At most `max_lines` training lines of a side, evenly spaced."""
        line_count = sum(1 for _ in self._training_lines(side))
        stride = max(1, -(-line_count // max_lines))
        return islice(self._training_lines(side), 0, None, stride)

    def _training_lines(self, side: str) -> Iterator[str]:
        lines = enumerate(read_written_lines(self.folder, CLEAN_TEXT_NAME, side))
        return (line for index, line in lines if index not in self.held_out)

    def remove(self) -> None:
        """Delete the files."""
        for side in SIDES:
            (self.folder / f"{CLEAN_TEXT_NAME}.{side}.txt").unlink()


def held_out_count(pair_count: int) -> int:
    """How many of so many pairs are held out for development: 1 % and at most 2,000, of small corpora 5 % and at most
    200."""
    few = min(FEW_HELD_OUT_PAIRS, int(pair_count * SMALL_HELD_OUT_FRACTION))
    return max(1, min(MAX_HELD_OUT_PAIRS, max(int(pair_count * HELD_OUT_FRACTION), few)))


class SourceKeys(NamedTuple):
    """Two numbers for the source of each clean pair, as if drawn at random, but the same for the same seed and text."""

    texts: NDArray[np.uint64]  # of the source without its language tag
    lines: NDArray[np.uint64]  # of the whole source; the same array where there are no tags


def draw_held_out(keys: SourceKeys, *, unrepeated_only: bool) -> frozenset[int]:
    """Indices of the pairs to hold out: those with the smallest keys of the text.

    They depend on the sources alone, so that texts which share most of their pairs hold out almost the same ones. With
    `unrepeated_only` a text is held out with all of its tags, which may be more pairs than `held_out_count` where
    there would be none otherwise, and only if no two of its pairs have the same one; none if there are none. DataError
    if no pair would be left. Takes up to 30 bytes per pair.
    """
    pair_count = len(keys.texts)
    if pair_count < 2:
        raise DataError("corpus.train: one pair is too few to hold out development text")
    count = held_out_count(pair_count)
    order = np.argsort(keys.texts, kind="stable")
    if not unrepeated_only:
        return frozenset(order[:count].tolist())
    held_out: list[int] = []
    for _, group in groupby(map(int, order), key=keys.texts.__getitem__):
        indices = list(group)
        if len(indices) == pair_count or len({*keys.lines[indices].tolist()}) < len(indices):
            continue
        if held_out and len(held_out) + len(indices) > count:
            break
        held_out += indices
    return frozenset(held_out)


def source_keys(folder: Path, seed: int, tags: Collection[str]) -> SourceKeys:
    """The keys of the clean pairs, whose sources may begin with one of the tags."""
    texts, lines = bytearray(), bytearray()
    for line in read_written_lines(folder, CLEAN_TEXT_NAME, "source"):
        texts += hash_text(f"{seed}\n{split_tag(line, tags)[1]}")
        if tags:
            lines += hash_text(f"{seed}\n{line}")
    text_keys = np.frombuffer(texts, dtype=np.uint64)
    return SourceKeys(text_keys, np.frombuffer(lines, dtype=np.uint64) if tags else text_keys)


def read_written_lines(folder: Path, name: str, side: str) -> Iterator[str]:
    """Lines that a `TextWriter` wrote; a byte order mark is part of the text."""
    with open(folder / f"{name}.{side}.txt", encoding="utf-8", newline="\n") as file:
        yield from map(methodcaller("removesuffix", "\n"), file)
