"""Repetition in text, counted in the same way in a source and in its translation.

Words are what letters and digits form; each other visible character, and each character of scripts
that are written without spaces, is a word of its own. So '1000000' repeats nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

UNSPACED = r"\u0e00-\u109f\u1780-\u17ff\u2e80-\ua4cf"
WORD = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+|[^\w\s]|_")
LONGEST_UNIT = 64  # words of a repeated stretch
LONG_WORD = 10  # characters from which a word can repeat something by itself ('hahahahaha')
GRAM = 4  # words


@dataclass(frozen=True)
class Repetition:
    """How a text repeats itself; 1 is not at all."""

    words: int  # most repetitions in a row of a stretch that holds a letter
    long_words: int  # the same of a stretch of at least two words
    letters: int  # most repetitions in a row inside a word
    other: int  # of a stretch of digits and signs only
    old: float  # share of 4-grams of words that had been there before
    count: int  # words

    @classmethod
    def of(cls, text: str) -> "Repetition":
        """Count them."""
        words = WORD.findall(text.casefold())
        runs = _runs(words)
        inside = [run for word in words if _can_repeat(word) for run in _runs(word)]
        return cls(
            words=max((run.repeats for run in runs if run.lettered), default=1),
            long_words=max(
                (run.repeats for run in runs if run.lettered and run.size > 1), default=1
            ),
            letters=max((run.repeats for run in inside if run.lettered), default=1),
            other=max((run.repeats for run in runs if not run.lettered), default=1),
            old=_old_share(words),
            count=len(words),
        )


class _Run(NamedTuple):
    repeats: int
    size: int  # items in the repeated unit
    lettered: bool


def _can_repeat(word: str) -> bool:
    return len(word) >= LONG_WORD and not word.isdigit() and len(set(word)) <= len(word) // 2


def _runs(items: Sequence[str]) -> list[_Run]:
    """The longest run of each size of unit, with and without letters."""
    if len(items) - len(set(items)) < 2:  # nothing can be there three times in a row
        return []
    found = []
    for size in range(1, min(LONGEST_UNIT, len(items) // 2) + 1):
        best = {True: 0, False: 0}
        length = 0
        lettered = False
        for place in range(size, len(items)):
            length = length + 1 if items[place] == items[place - size] else 0
            if length == size:  # the same unit goes on as long as the run does
                lettered = any(map(str.isalpha, items[place - size + 1 : place + 1]))
            if length >= size and length > best[lettered]:
                best[lettered] = length
        found += [_Run(length // size + 1, size, kind) for kind, length in best.items() if length]
        if max(best.values()) + size == len(items):
            break  # all of it is one run: longer units repeat less often
    return found


def _old_share(words: list[str]) -> float:
    grams = [tuple(words[first : first + GRAM]) for first in range(len(words) - GRAM + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0
