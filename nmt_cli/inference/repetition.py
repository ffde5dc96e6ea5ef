"""Repetition in text, counted in the same way in a source and in its translation.

Words are what letters and digits form; each other visible character, and each character of scripts
that are written without spaces, is a word of its own. So '1000000' repeats nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

UNSPACED_SCRIPTS = r"\u0e00-\u109f\u1780-\u17ff\u2e80-\ua4cf"
WORD = re.compile(rf"[{UNSPACED_SCRIPTS}]|[^\W_{UNSPACED_SCRIPTS}]+|[^\w\s]|_")
MAX_UNIT_WORDS = 64  # words of a repeated stretch
MIN_REPETITIVE_WORD_LENGTH = 10  # characters from which a word can repeat something by itself ('hahahahaha')
NGRAM_SIZE = 4  # words


@dataclass(frozen=True)
class Repetition:
    """How a text repeats itself; 1 is not at all."""

    words: int  # most repetitions in a row of a stretch that holds a letter
    long_words: int  # the same of a stretch of at least two words
    letters: int  # most repetitions in a row inside a word
    other: int  # of a stretch of digits and signs only
    repeated_ngram_fraction: float  # share of 4-grams of words that had been there before
    word_count: int  # words

    @classmethod
    def from_text(cls, text: str) -> "Repetition":
        """Count them."""
        words = WORD.findall(text.casefold())
        runs = _find_runs(words)
        within_word_runs = [run for word in words if _can_repeat(word) for run in _find_runs(word)]
        return cls(
            words=max((run.repeats for run in runs if run.has_letters), default=1),
            long_words=max((run.repeats for run in runs if run.has_letters and run.unit_size > 1), default=1),
            letters=max((run.repeats for run in within_word_runs if run.has_letters), default=1),
            other=max((run.repeats for run in runs if not run.has_letters), default=1),
            repeated_ngram_fraction=_repeated_ngram_fraction(words),
            word_count=len(words),
        )


class _RepeatedRun(NamedTuple):
    repeats: int
    unit_size: int  # items in the repeated unit
    has_letters: bool


def _can_repeat(word: str) -> bool:
    return len(word) >= MIN_REPETITIVE_WORD_LENGTH and not word.isdigit() and len(set(word)) <= len(word) // 2


def _find_runs(items: Sequence[str]) -> list[_RepeatedRun]:
    """The longest run of each size of unit, with and without letters."""
    if len(items) - len(set(items)) < 2:  # nothing can be there three times in a row
        return []
    runs = []
    for unit_size in range(1, min(MAX_UNIT_WORDS, len(items) // 2) + 1):
        longest_by_kind = {True: 0, False: 0}
        length = 0
        has_letters = False
        for position in range(unit_size, len(items)):
            length = length + 1 if items[position] == items[position - unit_size] else 0
            if length == unit_size:  # the same unit goes on as long as the run does
                has_letters = any(map(str.isalpha, items[position - unit_size + 1 : position + 1]))
            if length >= unit_size and length > longest_by_kind[has_letters]:
                longest_by_kind[has_letters] = length
        runs += [
            _RepeatedRun(length // unit_size + 1, unit_size, with_letters)
            for with_letters, length in longest_by_kind.items()
            if length
        ]
        if max(longest_by_kind.values()) + unit_size == len(items):
            break  # all of it is one run: longer units repeat less often
    return runs


def _repeated_ngram_fraction(words: list[str]) -> float:
    ngrams = [tuple(words[start : start + NGRAM_SIZE]) for start in range(len(words) - NGRAM_SIZE + 1)]
    return 1 - len(set(ngrams)) / len(ngrams) if ngrams else 0.0
