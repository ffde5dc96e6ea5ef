"""Placeholders in training text: what both sides of a pair have is replaced by the same placeholder on both.

So a model learns to copy them, and to put them where what they stand for would stand.
"""

import random
import re
from collections import Counter
from collections.abc import Collection

from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.language_tags import split_tag
from nmt_cli.data.protected_spans import Span, find_emoji, find_spans, join_neighbours
from nmt_cli.vocabulary import SPAN_PLACEHOLDERS

MAX_WORDS = 3  # replaced in a pair
MIN_NAME_LETTERS = 3
MIN_LETTERS = 4  # of a small word that both sides have by chance more often than not
_WORD = re.compile(r"[^\W_]+(?:[-'’.][^\W_]+)*")


class PlaceholderMaker:
    """Replaces parts of pairs: words in corpus.placeholders of those that have any in common, and addresses and the
    like in all; what is drawn depends on corpus.seed and the pair alone."""

    def __init__(self, corpus: CorpusConfig, tags: Collection[str] = ()) -> None:
        """Of the `tags` that sources begin with nothing is replaced."""
        self.corpus, self.tags = corpus, tags

    def __call__(self, source: str, target: str) -> tuple[str, str]:
        """The pair with placeholders, or as it is."""
        rng = random.Random(f"{self.corpus.seed}:{source}\n{target}")
        tag, source = split_tag(source, self.tags)
        strings = {source[start:end] for start, end in _protected_spans(source, self.corpus.source)}
        strings &= {target[start:end] for start, end in _protected_spans(target, self.corpus.target)}
        if not strings and rng.random() < self.corpus.placeholders:
            words = sorted(_words_once(source) & _words_once(target))
            strings = set(rng.sample(words, min(len(words), rng.randint(1, MAX_WORDS))))
        if not strings or any(source.count(string) != target.count(string) for string in strings):
            return tag + source, target
        placeholders = rng.sample(SPAN_PLACEHOLDERS, len(SPAN_PLACEHOLDERS))
        occurrences = [string for string in sorted(strings) for _ in range(source.count(string))]
        for string, placeholder in zip(occurrences, placeholders, strict=False):
            source, target = (text.replace(string, placeholder, 1) for text in (source, target))
        return tag + source, target


def _protected_spans(text: str, language: str) -> list[Span]:
    return join_neighbours(text, [*find_spans(text, language=language), *find_emoji(text)])


def _words_once(text: str) -> set[str]:
    """The words that occur once in a text and look like names or numbers, or are long."""
    counts = Counter(match[0] for match in _WORD.finditer(text))
    return {word for word, count in counts.items() if count == 1 and _may_stay(word) and text.count(word) == 1}


def _may_stay(word: str) -> bool:
    return (
        len(word) >= MIN_LETTERS or (len(word) >= MIN_NAME_LETTERS and word[0].isupper()) or any(map(str.isdigit, word))
    )
