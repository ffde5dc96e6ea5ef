"""Slips of the fingers in words that the training text never had: a letter swapped, left out, doubled or mistyped."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, lru_cache

from nmt_cli.data.apostrophes import APOSTROPHES
from nmt_cli.data.known_words import WordSet
from nmt_cli.data.letter_case import LETTERS, MARKS, map_tokens

REMEMBERED_WORDS = 1 << 14  # a few hundred words are looked at for each that is not known
MIN_LETTERS = 3  # of a word that is corrected
MIN_LETTERS_TO_CHANGE = 4  # of shorter words, too many others are near: letters are swapped only
MAX_ENDING_LETTERS = 3
MIN_ENDING_WORDS, MIN_ENDING_SHARE = 10, 0.01  # so many words are known with and without an ending that is regular
# a part of a word is no word, nor is one with a hyphen that is not seen, nor the name of an entity
_BESIDE = rf"[\w{APOSTROPHES}{MARKS}&#\xad\u200b-\u200d-]"
_WORD = re.compile(rf"(?<!{_BESIDE}){LETTERS}(?!{_BESIDE})")


class TypoCorrector:
    """Replaces a word in lower case that no training line had by the most frequent word that is one slip away.

    An ending may well be an inflection that the training text lacks, so words that differ there alone are left as they
    are, and so is a known word with an ending that many have; like names, and like words whose first letter is another
    one, unless it has changed places with the next.
    """

    def __init__(self, usual_forms: Mapping[str, str], known_words: WordSet) -> None:
        """`usual_forms` are those of a `Truecaser`, by the lower case of words, the most frequent first."""
        self._ranks = {word: rank for rank, word in enumerate(usual_forms)}
        self._forms, self._known_words = usual_forms, known_words
        self._correction = lru_cache(REMEMBERED_WORDS)(self._find_correction)
        self._letters = "".join(sorted({letter for word in usual_forms for letter in word if letter.isalpha()}))

    def __call__(self, text: str, on_correction: Callable[[str, str], None] = lambda word, form: None) -> str:
        """The text with its typos corrected; `on_correction` is told each word and what it is read as."""

        def correct(match: re.Match[str]) -> str:
            word = match[0]
            form = self._correction(word)
            if form is None:
                return word
            on_correction(word, form)
            return form

        return map_tokens(text, lambda token: _WORD.sub(correct, token))

    def _find_correction(self, word: str) -> str | None:
        """The word that was meant; None where nothing is to be corrected, or nothing is near."""
        word = unicodedata.normalize("NFC", word)
        if len(word) < MIN_LETTERS or not word.islower() or self._is_known(word):
            return None
        if self._is_inflected(word):
            return None
        near = (candidate for candidate in self._one_slip_away(word) if candidate in self._ranks)
        best = min(near, key=self._ranks.__getitem__, default=None)
        return None if best is None else self._forms[best]

    def _is_inflected(self, word: str) -> bool:
        """Whether a word is a known one with a regular ending, which does not double its last letter."""
        return any(
            stem[-1] != ending[0] and ending in self._regular_endings and self._is_known(stem)
            for stem, ending in _endings(word)
        )

    def _is_known(self, word: str) -> bool:
        return word in self._known_words or word in self._ranks

    @cached_property
    def _regular_endings(self) -> frozenset[str]:
        counts = Counter(ending for word in self._ranks for stem, ending in _endings(word) if stem in self._ranks)
        least = max(MIN_ENDING_WORDS, MIN_ENDING_SHARE * len(self._ranks))
        return frozenset(ending for ending, count in counts.items() if count >= least)

    def _one_slip_away(self, word: str) -> Iterator[str]:
        """Words that one swap of neighbours, or one letter more, less or other, inside this one makes of it."""
        last = len(word) - 1
        for position in range(last):
            yield word[:position] + word[position + 1] + word[position] + word[position + 2 :]
        if len(word) < MIN_LETTERS_TO_CHANGE:
            return
        for position in range(1, last):
            before, letter, after = word[:position], word[position], word[position + 1 :]
            yield before + after
            for other in self._letters:
                yield before + other + letter + after
                yield before + other + after
        for other in self._letters:
            yield word[:last] + other + word[last]


def _endings(word: str) -> Iterator[tuple[str, str]]:
    """A word as a stem and an ending, in every way."""
    for position in range(max(MIN_LETTERS_TO_CHANGE, len(word) - MAX_ENDING_LETTERS), len(word)):
        yield word[:position], word[position:]
