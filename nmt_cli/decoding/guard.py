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

from nmt_cli.decoding.hypothesis import Hypothesis, SearchConfig
from nmt_cli.decoding.repetition import Repetition

Flaw = Literal["empty", "short", "loop", "run_on"]

WEIGHTS: dict[Flaw, int] = {"empty": 8, "short": 4, "loop": 3, "run_on": 2}
MEANINGS: dict[Flaw, str] = {
    "empty": "empty",
    "short": "much shorter than its source",
    "loop": "repeating itself",
    "run_on": "running on without an end",
}
BANNED_GRAM = 3  # pieces
LEAST_BEAM = 5
NOT_A_WORD = re.compile(r"[\W_]+")

# In characters of an alphabet, see `_amount`.
LONG_TIMES, LONG_SLACK = 4, 40
SHORT_TIMES, SHORT_FROM = 8, 60
OFTEN = {"words": 4, "long_words": 3, "letters": 5, "other": 8}  # repetitions that make a loop
OLD_SHARE, OLD_FROM = 0.4, 24  # 4-grams there before, in a translation of so many words


class Draft(NamedTuple):
    """A hypothesis and its text."""

    hypothesis: Hypothesis
    text: str


class Task(NamedTuple):
    """What a draft is to translate."""

    source: str
    pieces: int
    prefix: str  # the beginning that was asked for


@dataclass(frozen=True)
class Verdict:
    """What the guard found in the best draft, and what is left in the one that was taken."""

    found: tuple[Flaw, ...]
    left: tuple[Flaw, ...]
    mended: bool
    """A draft with fewer flaws than the best one was taken."""

    @property
    def warning(self) -> str:
        """One line for people."""
        said = f"the translation was found {_listed(self.found)}"
        if not self.mended:
            return f"{said}; no better one was found"
        rest = f", which is {_listed(self.left)}" if self.left else ""
        return f"{said}; another one was taken{rest}"

    def record(self) -> dict[str, object]:
        """The verdict as an object for --jsonl."""
        return {"found": list(self.found), "left": list(self.left), "mended": self.mended}


Again = Callable[[list[int], SearchConfig], list[list[Draft]]]  # numbers of tasks to their drafts


def guarded(
    tasks: Sequence[Task], drafts: list[list[Draft]], config: SearchConfig, again: Again
) -> tuple[list[list[Draft]], list[Verdict | None]]:
    """The drafts of each task with flawed ones mended, and a verdict where the best was flawed.

    Samples are judged, but not drawn again: their text depends on the seed alone.
    """
    found = [flaws(task, some) for task, some in zip(tasks, drafts, strict=True)]
    flawed = [number for number, some in enumerate(found) if some]
    verdicts: list[Verdict | None] = [None] * len(tasks)
    result = list(drafts)
    seconds = {} if config.sampling else _search_again(flawed, tasks, found, config, again)
    for number in flawed:
        ranked = _ranked(tasks[number], drafts[number], seconds.get(number, []), config)
        left = flaws(tasks[number], ranked)
        mended = _weight(left) < _weight(found[number])
        if mended:
            result[number] = ranked
        verdicts[number] = Verdict(found[number], left if mended else found[number], mended)
    return result, verdicts


def merged(verdicts: Sequence[Verdict | None]) -> Verdict | None:
    """The verdict on a line from those on its parts; None where nothing was found."""
    some = [verdict for verdict in verdicts if verdict is not None]
    if not some:
        return None
    found = {flaw: None for verdict in some for flaw in verdict.found}
    left = {flaw: None for verdict in some for flaw in verdict.left}
    return Verdict(tuple(found), tuple(left), any(verdict.mended for verdict in some))


def flaws(task: Task, drafts: Sequence[Draft]) -> tuple[Flaw, ...]:
    """What is wrong with the first draft."""
    text = drafts[0].text if drafts else ""
    if not text.strip():
        says = any(one.isprintable() and not one.isspace() for one in task.source)
        return ("empty",) if says else ()
    found: list[Flaw] = []
    if loops(f"{task.source} {task.prefix}", text):
        found.append("loop")
    given = _amount(task.source) + _amount(task.prefix)
    if drafts[0].hypothesis.forced or _amount(text) > LONG_TIMES * given + LONG_SLACK:
        found.append("run_on")
    told, retold = (_amount(NOT_A_WORD.sub("", one)) for one in (task.source, text))
    if told >= SHORT_FROM and SHORT_TIMES * retold < told:
        found.append("short")
    return tuple(found)


def _amount(text: str) -> int:
    """How much a text says: characters, those of Chinese, Japanese and Korean as three each."""
    return len(text) + 2 * sum(unicodedata.east_asian_width(one) in "WF" for one in text)


def loops(source: str, text: str) -> bool:
    """Whether the text repeats itself in a way that its source does not account for."""
    here = Repetition.of(text)
    if here.old == 0.0 and max(here.words, here.letters, here.other) < min(OFTEN.values()):
        return False
    there = Repetition.of(source)
    wordy = max(there.words, there.letters)
    accounted = {"words": wordy, "long_words": wordy, "letters": wordy, "other": there.other}
    for kind, often in OFTEN.items():
        count = getattr(here, kind)
        if count >= often and count > 1.5 * accounted[kind] + 1:
            return True
    return here.count >= OLD_FROM and here.old > max(OLD_SHARE, there.old + OLD_SHARE / 2)


def _search_again(
    flawed: list[int],
    tasks: Sequence[Task],
    found: list[tuple[Flaw, ...]],
    config: SearchConfig,
    again: Again,
) -> dict[int, list[Draft]]:
    """New drafts for the flawed ones, in searches with the same shortest length."""
    groups: dict[int, list[int]] = defaultdict(list)
    for number in flawed:
        pieces = tasks[number].pieces
        shortest = 1 if "short" not in found[number] else max(1, pieces // 3)
        if config.max_length is not None:
            shortest = min(shortest, config.max_length)
        groups[max(config.min_length, shortest)].append(number)
    seconds: dict[int, list[Draft]] = {}
    for shortest, numbers in groups.items():
        drafts = again(numbers, _stricter(config, shortest))
        seconds |= dict(zip(numbers, drafts, strict=True))
    return seconds


def _stricter(config: SearchConfig, shortest: int) -> SearchConfig:
    beam = max(config.beam, LEAST_BEAM)
    gram = min(config.no_repeat_ngram or BANNED_GRAM, BANNED_GRAM)
    changed = {"beam": beam, "n_best": beam, "no_repeat_ngram": gram, "min_length": shortest}
    return config.model_copy(update=changed)


def _ranked(
    task: Task, first: list[Draft], second: list[Draft], config: SearchConfig
) -> list[Draft]:
    """The n best of both searches: by flaws, then by score; each text once."""
    ranks = [(_weight(flaws(task, [one])), one) for one in [*first, *second]]
    ranks.sort(key=lambda rank: (rank[0], -rank[1].hypothesis.score))
    texts: dict[str, Draft] = {}
    for _, draft in ranks:
        texts.setdefault(draft.text, draft)
    return list(texts.values())[: config.n_best]


def _weight(some: Sequence[Flaw]) -> int:
    return sum(WEIGHTS[flaw] for flaw in some)


def _listed(some: Sequence[Flaw]) -> str:
    return " and ".join(MEANINGS[flaw] for flaw in some)
