"""A guard against nonsense: translations that loop, run on, or say nothing.

They are found by comparing the translation with its source, so that a source that repeats itself
may be translated by a text that does. What is found is searched for once more, with repeated
n-grams banned and a wider beam, and the better of all hypotheses is taken. Search scores cannot
tell which is better (a loop is probable at each of its steps), so flaws count first.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Hypothesis
from nmt_cli.inference.repetition import Repetition

Issue = Literal["empty", "short", "loop", "run_on"]

ISSUE_SEVERITY: dict[Issue, int] = {"empty": 8, "short": 4, "loop": 3, "run_on": 2}
ISSUE_DESCRIPTIONS: dict[Issue, str] = {
    "empty": "empty",
    "short": "much shorter than its source",
    "loop": "repeating itself",
    "run_on": "running on without an end",
}
RETRY_NO_REPEAT_NGRAM = 3  # pieces
RETRY_MIN_BEAM_SIZE = 5
NON_WORD_CHARACTERS = re.compile(r"[\W_]+")

# In characters of an alphabet, see `_script_adjusted_length`.
MAX_LENGTH_RATIO, MAX_LENGTH_MARGIN = 4, 40
MAX_SHORTENING_RATIO, SHORT_CHECK_MIN_LENGTH = 8, 60
REPETITION_THRESHOLDS = {"words": 4, "long_words": 3, "letters": 5, "other": 8}  # repetitions that make a loop
MAX_REPEATED_NGRAM_FRACTION, NGRAM_CHECK_MIN_WORDS = (
    0.4,
    24,
)  # 4-grams there before, in a translation of so many words


class DecodedHypothesis(NamedTuple):
    """A hypothesis and its text."""

    hypothesis: Hypothesis
    text: str


class SourceText(NamedTuple):
    """What a draft is to translate."""

    text: str
    token_count: int
    prefix: str  # the beginning that was asked for


@dataclass(frozen=True)
class Diagnosis:
    """What the guard found in the best draft, and what is left in the one that was taken."""

    issues: tuple[Issue, ...]
    remaining_issues: tuple[Issue, ...]
    replaced: bool
    """A draft with fewer flaws than the best one was taken."""

    @property
    def warning(self) -> str:
        """One line for people."""
        finding = f"the translation was found {_describe_issues(self.issues)}"
        if not self.replaced:
            return f"{finding}; no better one was found"
        remainder = f", which is {_describe_issues(self.remaining_issues)}" if self.remaining_issues else ""
        return f"{finding}; another one was taken{remainder}"

    def record(self) -> dict[str, object]:
        """The verdict as an object for --jsonl."""
        return {"issues": list(self.issues), "remaining": list(self.remaining_issues), "resolved": self.replaced}


SearchAgain = Callable[[list[int], SearchConfig], list[list[DecodedHypothesis]]]  # numbers of tasks to their drafts


def repair_degenerate(
    sources: Sequence[SourceText],
    hypotheses: list[list[DecodedHypothesis]],
    config: SearchConfig,
    search_again: SearchAgain,
) -> tuple[list[list[DecodedHypothesis]], list[Diagnosis | None]]:
    """The drafts of each task with flawed ones mended, and a verdict where the best was flawed.

    Samples are judged, but not drawn again: their text depends on the seed alone.
    """
    issues = [
        find_issues(source, source_hypotheses) for source, source_hypotheses in zip(sources, hypotheses, strict=True)
    ]
    degenerate = [index for index, source_issues in enumerate(issues) if source_issues]
    diagnoses: list[Diagnosis | None] = [None] * len(sources)
    result = list(hypotheses)
    retried = {} if config.sampling else _search_again(degenerate, sources, issues, config, search_again)
    for index in degenerate:
        candidates = _preference(sources[index], hypotheses[index], retried.get(index, []), config)
        remaining = find_issues(sources[index], candidates)
        improved = _severity(remaining) < _severity(issues[index])
        if improved:
            result[index] = candidates
        diagnoses[index] = Diagnosis(issues[index], remaining if improved else issues[index], improved)
    return result, diagnoses


def merge_diagnoses(diagnoses: Sequence[Diagnosis | None]) -> Diagnosis | None:
    """The verdict on a line from those on its parts; None where nothing was found."""
    present = [diagnosis for diagnosis in diagnoses if diagnosis is not None]
    if not present:
        return None
    issues = {issue: None for diagnosis in present for issue in diagnosis.issues}
    remaining = {issue: None for diagnosis in present for issue in diagnosis.remaining_issues}
    return Diagnosis(tuple(issues), tuple(remaining), any(diagnosis.replaced for diagnosis in present))


def find_issues(source: SourceText, hypotheses: Sequence[DecodedHypothesis]) -> tuple[Issue, ...]:
    """What is wrong with the first draft."""
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
    """How much a text says: characters, those of Chinese, Japanese and Korean as three each."""
    return len(text) + 2 * sum(unicodedata.east_asian_width(character) in "WF" for character in text)


def is_repetitive(source: str, text: str) -> bool:
    """Whether the text repeats itself in a way that its source does not account for."""
    target_repetition = Repetition.from_text(text)
    if target_repetition.repeated_ngram_fraction == 0.0 and max(
        target_repetition.words, target_repetition.letters, target_repetition.other
    ) < min(REPETITION_THRESHOLDS.values()):
        return False
    source_repetition = Repetition.from_text(source)
    source_word_repeats = max(source_repetition.words, source_repetition.letters)
    source_repeats = {
        "words": source_word_repeats,
        "long_words": source_word_repeats,
        "letters": source_word_repeats,
        "other": source_repetition.other,
    }
    for kind, threshold in REPETITION_THRESHOLDS.items():
        count = getattr(target_repetition, kind)
        if count >= threshold and count > 1.5 * source_repeats[kind] + 1:
            return True
    return target_repetition.word_count >= NGRAM_CHECK_MIN_WORDS and target_repetition.repeated_ngram_fraction > max(
        MAX_REPEATED_NGRAM_FRACTION, source_repetition.repeated_ngram_fraction + MAX_REPEATED_NGRAM_FRACTION / 2
    )


def _search_again(
    degenerate: list[int],
    sources: Sequence[SourceText],
    issues: list[tuple[Issue, ...]],
    config: SearchConfig,
    search_again: SearchAgain,
) -> dict[int, list[DecodedHypothesis]]:
    """New drafts for the flawed ones, in searches with the same shortest length."""
    indices_by_min_length: dict[int, list[int]] = defaultdict(list)
    for index in degenerate:
        source_length = sources[index].token_count
        min_length = 1 if "short" not in issues[index] else max(1, source_length // 3)
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


def _preference(
    source: SourceText, first: list[DecodedHypothesis], second: list[DecodedHypothesis], config: SearchConfig
) -> list[DecodedHypothesis]:
    """The n best of both searches: by flaws, then by score; each text once."""
    ranked = [(_severity(find_issues(source, [hypothesis])), hypothesis) for hypothesis in [*first, *second]]
    ranked.sort(key=lambda entry: (entry[0], -entry[1].hypothesis.score))
    unique: dict[str, DecodedHypothesis] = {}
    for _, hypothesis in ranked:
        unique.setdefault(hypothesis.text, hypothesis)
    return list(unique.values())[: config.n_best]


def _severity(issues: Sequence[Issue]) -> int:
    return sum(ISSUE_SEVERITY[issue] for issue in issues)


def _describe_issues(issues: Sequence[Issue]) -> str:
    return " and ".join(ISSUE_DESCRIPTIONS[issue] for issue in issues)
