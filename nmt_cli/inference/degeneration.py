"""Detecting and repairing degenerate translations: those that loop, run on, are empty or far too short.

A translation is compared with its source, since the translation of a repetitive source may be repetitive. Degenerate
ones are searched again, with repeated n-grams banned and a wider beam, and the best hypothesis of both searches is
taken: the one with the least severe issues, then the one with the best score. Scores alone do not tell, since each
step of a loop is probable.
"""

import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nmt_cli.data.scripts import UNSPACED_SCRIPTS
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Hypothesis

Issue = Literal["empty", "short", "loop", "run_on"]

ISSUE_SEVERITY: dict[Issue, int] = {"empty": 8, "short": 4, "loop": 3, "run_on": 2}
ISSUE_DESCRIPTIONS: dict[Issue, str] = {
    "empty": "empty",
    "short": "much shorter than its source",
    "loop": "repeating itself",
    "run_on": "running on without an end",
}
RETRY_NO_REPEAT_NGRAM = 3  # tokens
RETRY_MIN_BEAM_SIZE = 5
NON_WORD_CHARACTERS = re.compile(r"[\W_]+")

# In alphabetic characters: see `_script_adjusted_length`.
MAX_LENGTH_RATIO, MAX_LENGTH_MARGIN = 4, 40
MAX_SHORTENING_RATIO, SHORT_CHECK_MIN_LENGTH = 8, 60
REPETITION_THRESHOLDS = {"words": 4, "long_words": 3, "letters": 5, "other": 8}  # repetitions that make a loop
MIN_REPEATED_WORDS = 3  # fewer words that occurred before cannot reach any of these, but for letters within a word
MAX_REPEATED_NGRAM_FRACTION, NGRAM_CHECK_MIN_WORDS = 0.4, 24  # of 4-grams, in translations of at least 24 words

WORD = re.compile(rf"[{UNSPACED_SCRIPTS}]|[^\W_{UNSPACED_SCRIPTS}]+|[^\w\s]|_")
FIRST_WIDE_CHARACTER = "\u1100"  # what comes before it has one column
MAX_UNIT_WORDS = 64  # words in a repeated unit
MIN_REPETITIVE_WORD_LENGTH = 10  # characters of a word that may repeat a part of itself ('hahahahaha')
NGRAM_SIZE = 4  # words


class DecodedHypothesis(NamedTuple):
    """A hypothesis and its text."""

    hypothesis: Hypothesis
    text: str
    tokens: list[str] | None = None
    """Its tokens where text of the source took the place of some; None: those of its ids."""


class SourceText(NamedTuple):
    """What a hypothesis translates."""

    text: str
    token_count: int
    prefix: str  # that the translation must begin with


@dataclass(frozen=True)
class Diagnosis:
    """The issues of the best hypothesis, and those that remain in the one that was taken."""

    issues: tuple[Issue, ...]
    remaining_issues: tuple[Issue, ...]
    replaced: bool
    """A hypothesis with less severe issues was taken."""

    @property
    def warning(self) -> str:
        """A line for the user."""
        description = f"the translation was {_describe_issues(self.issues)}"
        if not self.replaced:
            return f"{description}; no better one was found"
        remainder = f", which is {_describe_issues(self.remaining_issues)}" if self.remaining_issues else ""
        return f"{description}; it was replaced by a better one{remainder}"

    def record(self) -> dict[str, object]:
        """The diagnosis as an object for --jsonl."""
        return {
            "issues": list(self.issues),
            "remaining": list(self.remaining_issues),
            "resolved": self.replaced and not self.remaining_issues,
        }


SearchAgain = Callable[[list[int], SearchConfig], list[list[DecodedHypothesis]]]  # from indices of sources


def repair_degenerate(
    sources: Sequence[SourceText],
    hypotheses: list[list[DecodedHypothesis]],
    config: SearchConfig,
    search_again: SearchAgain,
) -> tuple[list[list[DecodedHypothesis]], list[Diagnosis | None]]:
    """The hypotheses of each source, repaired where possible, and a diagnosis where the best one was degenerate.

    Samples are diagnosed, but stay as they are: none is drawn again or left out.
    """
    issues = [
        find_issues(source, source_hypotheses) for source, source_hypotheses in zip(sources, hypotheses, strict=True)
    ]
    degenerate = [index for index, source_issues in enumerate(issues) if source_issues]
    diagnoses: list[Diagnosis | None] = [None] * len(sources)
    result = list(hypotheses)
    retried = {} if config.sampling else _search_again(degenerate, sources, issues, config, search_again)
    for index in degenerate:
        candidates = hypotheses[index]
        if not config.sampling:
            candidates = _rank(sources[index], candidates, retried[index], config)
        remaining = find_issues(sources[index], candidates)
        improved = _severity(remaining) < _severity(issues[index])
        if improved:
            result[index] = candidates
        diagnoses[index] = Diagnosis(issues[index], remaining if improved else issues[index], improved)
    return result, diagnoses


def merge_diagnoses(diagnoses: Sequence[Diagnosis | None]) -> Diagnosis | None:
    """The diagnosis of a line from those of its segments; None where there is none."""
    present = [diagnosis for diagnosis in diagnoses if diagnosis is not None]
    if not present:
        return None
    issues = {issue: None for diagnosis in present for issue in diagnosis.issues}
    remaining = {issue: None for diagnosis in present for issue in diagnosis.remaining_issues}
    return Diagnosis(tuple(issues), tuple(remaining), any(diagnosis.replaced for diagnosis in present))


def find_issues(source: SourceText, hypotheses: Sequence[DecodedHypothesis]) -> tuple[Issue, ...]:
    """The issues of the first hypothesis."""
    text = hypotheses[0].text if hypotheses else ""
    if not text.strip():
        has_visible_text = any(character.isprintable() and not character.isspace() for character in source.text)
        return ("empty",) if has_visible_text else ()
    issues: list[Issue] = []
    if is_repetitive(f"{source.text} {source.prefix}", text):
        issues.append("loop")
    input_length = _script_adjusted_length(source.text) + _script_adjusted_length(source.prefix)
    if (
        hypotheses[0].hypothesis.truncated
        or _script_adjusted_length(text) > MAX_LENGTH_RATIO * input_length + MAX_LENGTH_MARGIN
    ):
        issues.append("run_on")
    source_length, target_length = (
        _script_adjusted_length(NON_WORD_CHARACTERS.sub("", side_text)) for side_text in (source.text, text)
    )
    if source_length >= SHORT_CHECK_MIN_LENGTH and MAX_SHORTENING_RATIO * target_length < source_length:
        issues.append("short")
    return tuple(issues)


def _script_adjusted_length(text: str) -> int:
    """Length in characters, of which those of Chinese, Japanese and Korean count as three."""
    if text.isascii() or max(text) < FIRST_WIDE_CHARACTER:
        return len(text)
    return len(text) + 2 * sum(unicodedata.east_asian_width(character) in "WF" for character in text)


def is_repetitive(source: str, text: str) -> bool:
    """Whether the text repeats itself more than its source accounts for."""
    words = WORD.findall(text.casefold())
    if len(words) - len(set(words)) < MIN_REPEATED_WORDS and not any(map(_can_repeat, words)):
        return False
    target = Repetition.from_text(text)
    loops = [kind for kind, threshold in REPETITION_THRESHOLDS.items() if getattr(target, kind) >= threshold]
    repeats_ngrams = (
        target.word_count >= NGRAM_CHECK_MIN_WORDS and target.repeated_ngram_fraction > MAX_REPEATED_NGRAM_FRACTION
    )
    if not loops and not repeats_ngrams:
        return False
    source_repetition = Repetition.from_text(source)
    word_repeats = max(source_repetition.words, source_repetition.letters)  # 'ha ha ha' may become 'hahaha'
    for kind in loops:
        source_count = source_repetition.other if kind == "other" else word_repeats
        if getattr(target, kind) > 1.5 * source_count + 1:
            return True
    allowed_fraction = source_repetition.repeated_ngram_fraction + MAX_REPEATED_NGRAM_FRACTION / 2
    return repeats_ngrams and target.repeated_ngram_fraction > allowed_fraction


def _search_again(
    degenerate: list[int],
    sources: Sequence[SourceText],
    issues: list[tuple[Issue, ...]],
    config: SearchConfig,
    search_again: SearchAgain,
) -> dict[int, list[DecodedHypothesis]]:
    """New hypotheses for the degenerate ones; those with the same minimum length are searched together."""
    indices_by_min_length: dict[int, list[int]] = defaultdict(list)
    for index in degenerate:
        min_length = 1 if "empty" in issues[index] else 0
        if "short" in issues[index]:
            min_length = max(1, sources[index].token_count // 3)
        if config.max_length is not None:
            min_length = min(min_length, config.max_length)
        indices_by_min_length[max(config.min_length, min_length)].append(index)
    retried: dict[int, list[DecodedHypothesis]] = {}
    for min_length, indices in indices_by_min_length.items():
        hypotheses = search_again(indices, _retry_config(config, min_length))
        retried |= dict(zip(indices, hypotheses, strict=True))
    return retried


def _retry_config(config: SearchConfig, min_length: int) -> SearchConfig:
    beam_size = max(config.beam, RETRY_MIN_BEAM_SIZE)
    ngram_size = min(config.no_repeat_ngram or RETRY_NO_REPEAT_NGRAM, RETRY_NO_REPEAT_NGRAM)
    updates = {"beam": beam_size, "n_best": beam_size, "no_repeat_ngram": ngram_size, "min_length": min_length}
    return config.model_copy(update=updates)


def _rank(
    source: SourceText, first: list[DecodedHypothesis], second: list[DecodedHypothesis], config: SearchConfig
) -> list[DecodedHypothesis]:
    """The n best of both searches, by severity, then by score, where there is one; each text once."""

    def rank(hypothesis: DecodedHypothesis) -> tuple[int, float]:
        score = hypothesis.hypothesis.score
        return _severity(find_issues(source, [hypothesis])), math.inf if math.isnan(score) else -score

    unique: dict[str, DecodedHypothesis] = {}
    for hypothesis in sorted([*first, *second], key=rank):
        unique.setdefault(hypothesis.text, hypothesis)
    return list(unique.values())[: config.n_best]


def _severity(issues: Sequence[Issue]) -> int:
    return sum(ISSUE_SEVERITY[issue] for issue in issues)


def _describe_issues(issues: Sequence[Issue]) -> str:
    return " and ".join(ISSUE_DESCRIPTIONS[issue] for issue in issues)


@dataclass(frozen=True)
class Repetition:
    """How often a text repeats itself in a row; 1: not at all.

    Words are runs of letters and digits; any other visible character, and each character of a script written without
    spaces, is a word by itself. So '1000000' repeats nothing.
    """

    words: int  # of words, at least one of which has a letter
    long_words: int  # of two or more words, at least one of which has a letter
    letters: int  # of letters within a word
    other: int  # of digits and punctuation only
    repeated_ngram_fraction: float  # share of 4-grams of words that occur earlier in the text
    word_count: int

    @classmethod
    def from_text(cls, text: str) -> "Repetition":
        """Count the repetitions of a text."""
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
            if length == unit_size:  # the unit stays the same as long as the run lasts
                has_letters = any(map(str.isalpha, items[position - unit_size + 1 : position + 1]))
            if length >= unit_size and length > longest_by_kind[has_letters]:
                longest_by_kind[has_letters] = length
        runs += [
            _RepeatedRun(length // unit_size + 1, unit_size, with_letters)
            for with_letters, length in longest_by_kind.items()
            if length
        ]
        if max(longest_by_kind.values()) + unit_size == len(items):
            break  # the whole text is one run: longer units repeat less often
    return runs


def _repeated_ngram_fraction(words: list[str]) -> float:
    ngrams = [tuple(words[start : start + NGRAM_SIZE]) for start in range(len(words) - NGRAM_SIZE + 1)]
    return 1 - len(set(ngrams)) / len(ngrams) if ngrams else 0.0
