"""One rule for each kind of bad pair: `nmt check` reports what `nmt prepare` drops.

A rule of characters looks at one pair; the rules of language and length compare a block of pairs with what is usual in
the corpus.
"""

import html
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from nmt_cli.data.filtering.config import FilterConfig
from nmt_cli.data.filtering.corpus_profile import LEARNED_FILTERS, CorpusProfile
from nmt_cli.data.filtering.shifts import shift_evidence
from nmt_cli.data.language_tags import ELEMENTS
from nmt_cli.data.numbers import missing_numbers
from nmt_cli.data.protected_spans import without_placeholders


class Pair(NamedTuple):
    """A pair as it is trained on, and as it came."""

    source: str
    target: str
    raw_source: str
    raw_target: str


_TAG = re.compile(rf"<\s*(/?)\s*({ELEMENTS})(?:\s[^<>]{{0,500}})?/?\s*>|<(!)--", re.IGNORECASE)
# UTF-8 that was read as cp1252 or Latin-1: a first byte, and what the second one looks like.
_SECOND = "\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
_MOJIBAKE = re.compile(
    f"Ã(?!»(?![a-z]))[{_SECOND}]|Â[\x80-\xbf]|â[\x80-\x84€‚ƒ„][{_SECOND}]|ï»¿|[a-zß-ÿ]Ã(?![A-ZÀ-Þ])"
    f"|(?:[ÐÑÎÏØÙÄÅÕÖ×][{_SECOND}]){{2,}}|[àáâãäåæçèéêë][{_SECOND}]{{2}}[àáâãäåæçèéêë][{_SECOND}]{{2}}|\ufffd"
)
_PART_OF_MOJIBAKE = re.compile(f"[Ã\ufffd{_SECOND}]")  # any of it has one
_ENTITY = re.compile(r"&(?:[a-zA-Z][a-zA-Z0-9]{1,30}|#\d{1,7}|#[xX][0-9a-fA-F]{1,6});")
_MOSES_ESCAPES = ("&apos;", "&quot;", "&amp;", "&lt;", "&gt;", "&#124;", "&#91;", "&#93;")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
_ADDRESS = re.compile(r"(?:https?://|www\.)[^\s<>\"“”„«»()]+|[^\s@<>()]{1,64}@[^\s@<>()]{1,255}\.\w{2,}", re.IGNORECASE)
_BRACKET = re.compile(r"[()\[\]{}（）［］【】]")
_BRACKET_FORMS = str.maketrans("（）［］", "()[]")
_DIGIT = re.compile(r"\d")
_NO_LETTER = re.compile(r"[\W_]+")


def _count_copied(pair: Pair) -> float:
    source, target = pair.source, pair.target
    if source != target:
        if source[:1].casefold() != target[:1].casefold() and source[:1].isalnum() and target[:1].isalnum():
            return 0
        source, target = (_NO_LETTER.sub("", text).casefold() for text in (source, target))
        if source != target:
            return 0
    return sum(map(str.isalpha, source))


def _count_mojibake(pair: Pair) -> float:
    texts = (pair.raw_source, pair.raw_target)
    return sum(len(_MOJIBAKE.findall(text)) for text in texts if not text.isascii() and _PART_OF_MOJIBAKE.search(text))


def _count_entities(pair: Pair, *, except_escapes: bool = False) -> float:
    """How many HTML entities a pair has, perhaps without those that tokenised text is written with."""
    if "&" not in pair.source and "&" not in pair.target:
        return 0
    entities: list[str] = [entity for text in (pair.source, pair.target) for entity in _ENTITY.findall(text)]
    return sum(html.unescape(e) != e and not (except_escapes and e in _MOSES_ESCAPES) for e in entities)


def _count_tags(pair: Pair) -> float:
    if "<" not in pair.source and "<" not in pair.target:
        return 0
    names = (
        [f"{closing}{name}{comment}".lower() for closing, name, comment in _TAG.findall(text)]
        for text in (pair.source, pair.target)
    )
    return _missing(*names)  # whatever their attributes, which may be translated


def _count_controls(pair: Pair) -> float:
    return sum(len(_CONTROL.findall(text)) for text in (pair.raw_source, pair.raw_target) if not text.isprintable())


def _count_numbers(pair: Pair) -> float:
    if _DIGIT.search(pair.source) is None or _DIGIT.search(pair.target) is None:
        return 0
    missing = missing_numbers(pair.source, pair.target)
    return min(len(missing), len(missing_numbers(pair.target, pair.source))) if missing else 0


def _count_addresses(pair: Pair) -> float:
    if not (_may_have_address(pair.source) or _may_have_address(pair.target)):
        return 0
    source, target = (
        [address.rstrip(".,;:!?").lower() for address in _ADDRESS.findall(text)] for text in (pair.source, pair.target)
    )
    return _missing(source, target)


def _may_have_address(text: str) -> bool:
    return "@" in text or "://" in text or "www." in text


def _count_brackets(pair: Pair) -> float:
    return _missing_brackets(pair.source, pair.target)


def _missing_brackets(first: str, second: str) -> int:
    brackets, other_brackets = _BRACKET.findall(first), _BRACKET.findall(second)
    if brackets == other_brackets:
        return 0
    return _missing(*("".join(marks).translate(_BRACKET_FORMS) for marks in (brackets, other_brackets)))


def lacks_only_placeholders(source: str, target: str) -> bool:
    """Whether all brackets that one side has and the other lacks are those of placeholders such as {0}."""
    outside = _missing_brackets(without_placeholders(source), without_placeholders(target))
    return outside == 0 < _missing_brackets(source, target)


def _missing(first: Sequence[str], second: Sequence[str]) -> int:
    """How many of one side the other lacks, whichever lacks more."""
    first_counts, second_counts = Counter(first), Counter(second)
    return max((first_counts - second_counts).total(), (second_counts - first_counts).total())


class Rule(NamedTuple):
    """A kind of bad pair."""

    name: str
    """Also of the key in corpus.filters."""
    description: str
    """What such pairs do, after a count: '3 pairs ...'."""
    recommended: float
    """The threshold to use where the filter is off by default."""
    count_in: Callable[[Pair], float] | None = None
    """How often it is in a pair, for a rule that looks at one pair alone; it is broken from the threshold on."""
    repair: str = ""
    """What repairs such text instead."""

    def limit(self, config: FilterConfig | None) -> float:
        """The threshold of a section, or else the recommended one."""
        limit: float | None = None if config is None else getattr(config, self.name)
        return self.recommended if limit is None else limit

    @property
    def key(self) -> str:
        """The key of the recipe that switches the filter on."""
        return f"corpus.filters.{self.name}"


RULES = (
    Rule("copies", "have a target that is their source", 15, _count_copied),
    Rule("script", "have a side in a script that the corpus hardly has on that side", 0.5),
    Rule(
        "mojibake",
        "have text in the wrong encoding",
        1,
        _count_mojibake,
        "corpus.normalization.mojibake: true repairs most",
    ),
    Rule("entities", "have HTML entities", 1, _count_entities, "corpus.normalization.entities: true decodes them"),
    Rule("markup", "have tags that the other side lacks", 1, _count_tags),
    Rule(
        "controls", "have control characters", 1, _count_controls, "corpus.normalization.invisible: true removes them"
    ),
    Rule("numbers", "have different numbers on the two sides", 1, _count_numbers),
    Rule("addresses", "have addresses that the other side lacks", 1, _count_addresses),
    Rule("brackets", "have brackets that the other side lacks", 1, _count_brackets),
    Rule("swapped", "have their sides swapped", 5.0),
    Rule("language", "have a side that is not in the language of that side", 9.5),
    Rule("shifted", "are in a stretch of sources that fit the targets before or after their own better", 0.5),
    Rule("length", "have a side that is too short for the other", 4.0),
)

FILTER_KEYS = {rule.name: rule.key for rule in RULES}


def every_filter(config: FilterConfig | None) -> FilterConfig:
    """The section with all filters on, those that it has off with their recommended threshold."""
    return FilterConfig.model_validate({rule.name: rule.limit(config) for rule in RULES})


class PairRules:
    """The rules of a `FilterConfig` that are on, or in an audit all, with what is usual in the corpus."""

    def __init__(self, config: FilterConfig, profile: CorpusProfile, *, audit: bool = False) -> None:
        self.profile, self.copies_are_meant = profile, config.copies is None
        config = every_filter(config) if audit else config
        self.limits: dict[str, float] = {
            rule.name: limit for rule in RULES if (limit := getattr(config, rule.name)) is not None
        }
        counts = {rule.name: rule.count_in for rule in RULES if rule.count_in and rule.name in self.limits}
        if "entities" in counts and profile.is_tokenized:
            counts["entities"] = partial(_count_entities, except_escapes=True)
        self._counters = [(name, count, self.limits[name]) for name, count in counts.items()]

    def problems(self, pairs: Sequence[Pair]) -> list[list[str]]:
        """The names of the rules that each pair breaks; `pairs` are neighbours in their text.

        Known tags are taken off sources. What is a copy or swapped is not also said to be in the wrong language, and
        copies that are meant are not compared with what is usual.
        """
        if self.profile.tags:
            pairs = [pair._replace(source=self.profile.untagged(pair.source)) for pair in pairs]
        problems = [[name for name, count, limit in self._counters if count(pair) >= limit] for pair in pairs]
        if pairs:
            for name, values in self._measures(pairs):
                for index in np.flatnonzero(np.asarray(values) > self.limits.get(name, np.inf)).tolist():
                    is_meant = self.copies_are_meant and pairs[index].source == pairs[index].target
                    is_said = name == "language" and {"copies", "swapped"} & {*problems[index]}
                    if not is_said and not (is_meant and name in LEARNED_FILTERS):
                        problems[index].append(name)
        return problems

    def _measures(self, pairs: Sequence[Pair]) -> Iterator[tuple[str, ArrayLike]]:
        """What the rules that look at a whole block, or know the corpus, say of each pair."""
        sources, targets = [pair.source for pair in pairs], [pair.target for pair in pairs]
        scripts, model, ratio = self.profile.scripts, self.profile.language_model, self.profile.length_ratio
        if "script" in self.limits and scripts is not None:
            yield "script", [scripts.foreign_share(*sides) for sides in zip(sources, targets, strict=True)]
        if model is not None and not self.limits.keys().isdisjoint(("swapped", "language")):
            misfits, odds = model.judge_pairs(sources, targets)
            yield "swapped", -odds
            yield "language", misfits
        if "shifted" in self.limits:
            yield "shifted", shift_evidence(sources, targets)
        if "length" in self.limits and ratio is not None:
            yield "length", ratio.distances(sources, targets)
