"""What is known of a language's abbreviations: a list, and what a training text teaches.

Learning is that of Kiss and Strunk, Unsupervised Multilingual Sentence Boundary Detection (Computational
Linguistics 32:4, 2006), section 3: an abbreviation is a word that a period nearly always follows, that is
short, and that often has periods inside. Sentence starters are those of their section 4.3.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal, get_args

from nmt_cli.fs import atomic_write_text, damaged_file

EVERY_LANGUAGE = "*"
AbbreviationKind = Literal["title", "number", "word", "middle", "end", "unit"]
WordKind = Literal["starter", "speech", "ordinal", "counted", "lettered", "heading", "continuing"]
ABBREVIATION_KINDS: tuple[AbbreviationKind, ...] = get_args(AbbreviationKind)
WORD_KINDS: tuple[WordKind, ...] = get_args(WordKind)

ABBREVIATION_SCORE = 0.3  # Kiss and Strunk's threshold for the scaled log likelihood ratio
STARTER_SCORE = 30  # and the one for sentence starters
PERIOD_GIVEN_ABBREVIATION = 0.99  # P(period | abbreviation) in their alternative hypothesis
MIN_ABBREVIATION_COUNT = 2  # of a word with a period in the middle of a line; rarer ones are chance
MIN_STARTER_COUNT = 5  # at the start of lines, and inside of them in lower case
MAX_LEARNED_STARTERS = 300

_AROUND_WORD = "\"'“”„‘’‚«»‹›()[]{}<>¿¡,;:!?…*_-–—"
_LETTERS = re.compile(r"[^\W\d_]")
_ABBREVIATION = re.compile(r"[^\W\d_]+(?:[.'’/-]+[^\W\d_]+)*")


@dataclass(frozen=True)
class LearnedWords:
    """What a training text teaches: a part of a run, saved as a text file of it."""

    abbreviations: tuple[str, ...] = ()
    """In lower case, without the last period, the surest first."""
    starters: tuple[str, ...] = ()
    """Words that sentences begin with far more often than others do."""

    def union(self, other: "LearnedWords") -> "LearnedWords":
        """The words of two texts, first those of this one."""
        return LearnedWords(
            tuple(dict.fromkeys(self.abbreviations + other.abbreviations)),
            tuple(dict.fromkeys(self.starters + other.starters)),
        )

    def save(self, path: Path) -> None:
        """Write a line for each word: its kind and itself."""
        lines = [f"abbreviation {word}" for word in self.abbreviations] + [f"starter {word}" for word in self.starters]
        atomic_write_text(path, "".join(line + "\n" for line in lines))

    @classmethod
    def load(cls, path: Path) -> "LearnedWords":
        """Read what `save` wrote; DataError if it is missing or damaged."""
        try:
            lines = path.read_text("utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise damaged_file(path, error) from error
        words: dict[str, list[str]] = {"abbreviation": [], "starter": []}
        for line in lines:
            kind, _, word = line.partition(" ")
            if word and kind in words:
                words[kind].append(word)
        return cls(tuple(words["abbreviation"]), tuple(words["starter"]))


@dataclass(frozen=True)
class LanguageWords:
    """The list's words of a language; abbreviations.txt explains the kinds."""

    abbreviations: dict[str, AbbreviationKind]
    sets: dict[WordKind, frozenset[str]]


@cache
def _list_lines() -> list[str]:
    text = resources.files("nmt_cli.data.sentences").joinpath("abbreviations.txt").read_text("utf-8")
    return [line for line in text.split("\n") if line.strip() and not line.startswith("#")]


def listed_languages() -> list[str]:
    """The languages that the list has words of."""
    return sorted({line.split(" ", 1)[0] for line in _list_lines()} - {EVERY_LANGUAGE})


@cache
def list_of(language: str) -> LanguageWords:
    """The words of a language and those of every language; a language that isn't listed has the latter."""
    abbreviations: dict[str, AbbreviationKind] = {}
    sets: dict[WordKind, set[str]] = {kind: set() for kind in WORD_KINDS}
    for line in _list_lines():
        line_language, kind, *words = line.split()
        if line_language not in (EVERY_LANGUAGE, language):
            continue
        if kind in ABBREVIATION_KINDS:  # a later line of the language wins
            abbreviations.update(dict.fromkeys(words, kind))
        else:
            assert kind in WORD_KINDS, line
            sets[kind].update(words)
    return LanguageWords(abbreviations, {kind: frozenset(words) for kind, words in sets.items()})


def learn_words(lines: Iterable[str]) -> LearnedWords:
    """Learn abbreviations and sentence starters from a text, a sentence or some in a line.

    Unlike in the paper, the last word of a line counts on neither side: the period there ends a sentence,
    as that of an abbreviation may do, too. The first words of lines are the sentence starts that are sure.
    """
    first_tokens, tokens = Counter[str](), Counter[str]()  # as they are written
    for line in lines:
        if words := line.split():
            first_tokens[words[0]] += 1
            tokens.update(words[:-1])
    with_period, without_period, first = Counter[str](), Counter[str](), Counter[str]()
    inside: Counter[str] = Counter()  # in lower case, which names never are
    for token, count in first_tokens.items():
        first[token.strip(_AROUND_WORD).lower()] += count
    for token, count in tokens.items():
        word = token.lstrip(_AROUND_WORD).rstrip("\"'”’»)],;:")
        if word.endswith(".") and not word.endswith(".."):
            with_period[word[:-1].lower()] += count
        else:
            word = word.strip(_AROUND_WORD)
            without_period[word.lower()] += count
            if word.islower():
                inside[word] += count
    starters = [word for word in _find_starters(first, without_period) if inside[word] >= MIN_STARTER_COUNT]
    return LearnedWords(tuple(_find_abbreviations(with_period, without_period)), tuple(starters[:MAX_LEARNED_STARTERS]))


def _find_abbreviations(with_period: Counter[str], without_period: Counter[str]) -> list[str]:
    periods = with_period.total()
    total = periods + without_period.total()
    scores: dict[str, float] = {}
    for word, period_count in with_period.items():
        if period_count < MIN_ABBREVIATION_COUNT or not _ABBREVIATION.fullmatch(word):
            continue
        other_count = without_period[word]
        ratio = _abbreviation_ratio(period_count, other_count, periods / total)
        length = len(word.replace(".", ""))
        inner_periods = word.count(".")
        scaled = ratio * math.exp(-length) * (inner_periods + 1) * float(length) ** -min(other_count, 300)
        if scaled >= ABBREVIATION_SCORE:
            scores[word] = scaled
    return sorted(scores, key=lambda word: (-scores[word], word))


def _abbreviation_ratio(period_count: int, other_count: int, period_share: float) -> float:
    """-2 log(P(H0)/P(HA)): the period is as frequent as anywhere, or always there (equations 5 to 7)."""
    if period_share >= 1.0:
        return 0.0
    chance = period_count * math.log(period_share) + other_count * math.log(1 - period_share)
    sure = period_count * math.log(PERIOD_GIVEN_ABBREVIATION) + other_count * math.log(1 - PERIOD_GIVEN_ABBREVIATION)
    return -2 * (chance - sure)


def _find_starters(first: Counter[str], without_period: Counter[str]) -> list[str]:
    """Words that are more frequent at the start of a line than elsewhere, by the log likelihood ratio (equation 9)."""
    lines, total = first.total(), without_period.total()
    if total <= lines:
        return []
    scores: dict[str, float] = {}
    for word, first_count in first.items():
        if not _LETTERS.search(word) or "." in word or first_count < MIN_STARTER_COUNT:
            continue
        all_count = max(without_period[word], first_count)
        if first_count / lines > all_count / total:
            score = _dunning(lines, first_count, total, all_count)
            if score >= STARTER_SCORE:
                scores[word] = score
    return sorted(scores, key=lambda word: (-scores[word], word))


def _dunning(lines: int, first_count: int, total: int, all_count: int) -> float:
    def log_binomial(successes: float, trials: float, chance: float) -> float:
        if chance in (0.0, 1.0):
            return 0.0
        return successes * math.log(chance) + (trials - successes) * math.log(1 - chance)

    inner = total - lines
    inner_count = min(all_count - first_count, inner)
    together = (first_count + inner_count) / (lines + inner)
    apart = log_binomial(first_count, lines, first_count / lines) + log_binomial(
        inner_count, inner, inner_count / inner
    )
    same = log_binomial(first_count, lines, together) + log_binomial(inner_count, inner, together)
    return 2 * (apart - same)
