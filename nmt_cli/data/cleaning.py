"""Filters of training pairs, each of which counts what it drops and keeps examples."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import NamedTuple

import numpy as np

from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.duplicates import SeenHashes
from nmt_cli.data.filtering.config import NO_FILTERS
from nmt_cli.data.filtering.corpus_profile import SAMPLE_PAIRS, CorpusProfile, even_sample
from nmt_cli.data.filtering.rules import RULES, Pair, PairRules
from nmt_cli.data.language_tags import find_language_tags
from nmt_cli.data.normalization import Normalizer
from nmt_cli.data.overlap import EvaluationText, Overlap, OverlapCounter, OverlapHashes, hash_pair, hash_text
from nmt_cli.data.segmentation_marks import MarkedLines
from nmt_cli.data.sources.base import RawPair
from nmt_cli.data.tokenization.tokenizer import batched
from nmt_cli.workers import MapFunction

TextPair = tuple[str, str]

MAX_EXAMPLES = 5
PAIR_MARK = " ||| "  # between the sides of a pair that is shown
NOT_UTF8 = "not UTF-8"
LENGTH_RATIO_SLACK_CHARS = 10  # added to the ratio limit: 'Hm.' may well have a long translation
PAIRS_PER_BLOCK = 5000  # pairs filtered together, in any process
LOW_SCORE = "low score"
OVERLAP = "in development or test text"
SEVERAL_TARGETS = "source with another target"  # no filter drops it
FILTER_NAMES = (
    LOW_SCORE, NOT_UTF8, "empty", "length ratio", *(rule.name for rule in RULES), OVERLAP, "duplicate", "too long"
)  # fmt: skip


@dataclass
class FilterStats:
    """What one filter dropped."""

    count: int = 0
    examples: list[str] = field(default_factory=list)
    by_text: dict[str, int] = field(default_factory=dict)  # by label, where it is known

    def add(self, example: str, label: str | None = None) -> None:
        """Count a pair, of the text with a label, and keep it as an example if it is among the first."""
        self.count += 1
        if label is not None:
            self.by_text[label] = self.by_text.get(label, 0) + 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(example if len(example) <= 200 else example[:200] + "…")


def exceeds_share(count: int, max_share: float, total: int) -> bool:
    """Whether more than a share of some pairs were counted: more than one, and by two standard deviations."""
    expected = max_share * total
    return count > max(1.0, expected + 2 * math.sqrt(expected))


NO_OVERLAP, NO_PROFILE = OverlapHashes(), CorpusProfile()
FilterReport = dict[str, FilterStats]
RawBlock = list[tuple[bytes, bytes, int]]  # RawPairs as plain tuples


class Problem(NamedTuple):
    """What is wrong with a pair."""

    name: str  # of a filter, whether it is on or not
    text: str
    line_number: int


@dataclass
class FilteredBlock:
    """What the filters decided about a block of pairs."""

    kept_pairs: list[tuple[str, str, int]] = field(default_factory=list)  # normalised source and target, line number
    dropped_pairs: list[Problem] = field(default_factory=list)
    pair_hashes: bytearray = field(default_factory=bytearray)  # 8 for each kept pair; empty if duplicates are kept
    overlaps: list[Overlap] = field(default_factory=list)  # of pairs that the development or test text has
    normalized: Counter[str] = field(default_factory=Counter)  # lines that each step of normalisation has changed
    marked: MarkedLines = field(default_factory=MarkedLines)  # of all pairs that are UTF-8
    problems: list[Problem] = field(default_factory=list)  # what every filter says, in an audit


class PairFilter:
    """The filters that look at one pair at a time, and so can run in several processes."""

    def __init__(
        self,
        config: CorpusConfig,
        hashes: OverlapHashes = NO_OVERLAP,
        profile: CorpusProfile = NO_PROFILE,
        *,
        audit: bool = False,
    ) -> None:
        """In an audit, all filters of content are asked, also those that are off and so drop nothing."""
        self.config, self.hashes, self.profile, self.audit = config, hashes, profile, audit
        self._normalizer = Normalizer(config.normalization)
        filters = config.filters or NO_FILTERS
        self._rules = PairRules(filters, profile, audit=audit)
        self._dropping = {*FILTER_NAMES} - {rule.name for rule in RULES if getattr(filters, rule.name) is None}

    def __call__(self, block: RawBlock) -> FilteredBlock:
        """Apply the filters to a block of pairs."""
        filtered = FilteredBlock()
        pairs = [self.decode(raw_source, raw_target) for raw_source, raw_target, _ in block]
        for raw_pair, pair, names in zip(block, pairs, self._problem_names(pairs), strict=True):
            raw_source, raw_target, line_number = raw_pair
            if pair is None:
                filtered.dropped_pairs.append(Problem(NOT_UTF8, _one_line(raw_source, raw_target), line_number))
                continue
            source, target = pair.source, pair.target
            filtered.marked.look_at(source, target, line_number)
            own_problems = [Problem(name, f"{source}{PAIR_MARK}{target}", line_number) for name in names]
            if self.audit:
                filtered.problems += own_problems
            if reason := next((problem for problem in own_problems if problem.name in self._dropping), None):
                filtered.dropped_pairs.append(reason)
                continue
            if self.hashes.sources and (overlap := self._find_overlap(source, target, line_number)) is not None:
                filtered.overlaps.append(overlap)
                if self.config.drop_overlap == "sources" or (overlap.pair_hash and self.config.drop_overlap == "pairs"):
                    filtered.dropped_pairs.append(Problem(OVERLAP, overlap.text, line_number))
                    continue
            filtered.kept_pairs.append((source, target, line_number))
            if self.config.deduplicate:
                filtered.pair_hashes += hash_pair(source, target)
        filtered.normalized, self._normalizer.counts = self._normalizer.counts, Counter()
        return filtered

    def decode(self, raw_source: bytes, raw_target: bytes) -> Pair | None:
        """A pair as it came and normalised; None if it is not UTF-8."""
        try:
            raw_texts = raw_source.decode(), raw_target.decode()
        except UnicodeDecodeError:
            return None
        source, target = map(self._normalize, raw_texts)
        return Pair(source, target, *((source, target) if self.config.normalization.mojibake else raw_texts))

    def _problem_names(self, pairs: Sequence[Pair | None]) -> list[list[str]]:
        """The names of the filters that object to each pair, of those that are asked."""
        names: list[list[str]] = [[] for _ in pairs]
        judged: dict[int, Pair] = {}
        for index, pair in enumerate(pairs):
            if pair is None:
                continue
            if (reason := self._drop_reason(self.profile.untagged(pair.source), pair.target)) is not None:
                names[index].append(reason)
            else:
                judged[index] = pair
        for index, problems in zip(judged, self._rules.problems(list(judged.values())), strict=True):
            names[index] = problems
        return names

    def _find_overlap(self, source: str, target: str, line_number: int) -> Overlap | None:
        text = self.profile.untagged(source)
        source_hash = hash_text(text)
        if source_hash not in self.hashes.sources:
            return None
        pair_hash = hash_pair(text, target)
        is_whole_pair = pair_hash in self.hashes.pairs
        return Overlap(source_hash, pair_hash if is_whole_pair else b"", line_number, f"{source}{PAIR_MARK}{target}")

    def _normalize(self, text: str) -> str:
        if "\n" in text or "\r" in text:  # JSON text may hold them
            text = text.replace("\n", " ").replace("\r", " ")
        return self._normalizer(text.strip())

    def _drop_reason(self, source: str, target: str) -> str | None:
        if not source or not target:
            return "empty"
        max_ratio = self.config.max_length_ratio
        shorter, longer = sorted((len(source), len(target)))
        if max_ratio is not None and longer > max_ratio * shorter + LENGTH_RATIO_SLACK_CHARS:
            return "length ratio"
        return None


def _one_line(raw_source: bytes, raw_target: bytes) -> str:
    """A pair as it came, with a space for any white space: JSON text may hold line feeds."""
    return PAIR_MARK.join(" ".join(raw.decode(errors="replace").split()) for raw in (raw_source, raw_target))


def make_pair_filter(
    config: CorpusConfig, hashes: OverlapHashes, profile: CorpusProfile, worker_index: int
) -> PairFilter:
    """The filter that a worker process applies."""
    return PairFilter(config, hashes, profile)


def measure_corpus(
    texts: Iterable[Iterable[RawPair]], config: CorpusConfig, *, tags_only: bool = False
) -> CorpusProfile:
    """What is usual in training text, or its language tags alone, from an evenly spaced sample of it, in which a
    repeated pair counts once."""
    decode = PairFilter(config).decode
    pairs = [decode(source, target) for source, target, _ in even_sample(chain.from_iterable(texts), SAMPLE_PAIRS)]
    usable = {(pair.source, pair.target): None for pair in pairs if pair is not None and pair.source and pair.target}
    if tags_only:
        return CorpusProfile(tags=find_language_tags(usable, config.tags))
    copies_are_meant = (config.filters or NO_FILTERS).copies is None
    return CorpusProfile.measure(
        config.languages, list(usable), copies_are_meant=copies_are_meant, declared_tags=config.tags
    )


class CorpusCleaner:
    """Applies all filters; remembers pairs as 8-byte hashes, to drop duplicates."""

    def __init__(
        self,
        config: CorpusConfig,
        evaluation_texts: Sequence[EvaluationText] = (),
        profile: CorpusProfile = NO_PROFILE,
        *,
        audit: bool = False,
    ) -> None:
        self.config, self.profile, self.audit = config, profile, audit
        self.problems: list[Problem] = []  # of an audit
        self._targets: dict[str, str] = {}  # the first one of each source, in an audit
        self.overlap = OverlapCounter(list(evaluation_texts))
        self.report: FilterReport = {name: FilterStats() for name in FILTER_NAMES}
        self.normalized: Counter[str] = Counter()
        self.marked = MarkedLines()
        self._seen_hashes = SeenHashes()

    def clean(
        self,
        pairs: Iterable[RawPair],
        label: str,
        apply_filter: MapFunction | None = None,
        keeps: Callable[[int], bool] | None = None,
    ) -> Iterator[TextPair]:
        """The normalised pairs that pass all filters.

        `apply_filter` applies a `PairFilter` to blocks, in any process; duplicates are found in this one, and those
        on lines that `keeps`, of the text's scores, does not keep.
        """
        if apply_filter is None:
            apply_filter = partial(map, PairFilter(self.config, self.overlap.hashes(), self.profile, audit=self.audit))
        if keeps is not None:
            pairs = self._cut(pairs, label, keeps)
        blocks: Iterator[RawBlock] = ([(*pair,) for pair in block] for block in batched(pairs, PAIRS_PER_BLOCK))
        for filtered in apply_filter(blocks):
            self.overlap.add(label, filtered.overlaps)
            self.normalized.update(filtered.normalized)
            self.marked.add(filtered.marked, label)
            self.problems += filtered.problems
            for problem in filtered.dropped_pairs:
                self._drop(label, problem)
            new_flags = self._new_flags(filtered)
            for (source, target, line_number), is_new in zip(filtered.kept_pairs, new_flags, strict=True):
                if is_new:
                    if self.audit and self._targets.setdefault(source, target) != target:
                        text = f"{source}{PAIR_MARK}{target}"
                        self.problems.append(Problem(SEVERAL_TARGETS, text, line_number))
                    yield source, target
                else:
                    self._drop(label, Problem("duplicate", f"{source}{PAIR_MARK}{target}", line_number))

    def _cut(self, pairs: Iterable[RawPair], label: str, keeps: Callable[[int], bool]) -> Iterator[RawPair]:
        for pair in pairs:
            if keeps(pair.line_number):
                yield pair
            else:
                self._drop(label, Problem(LOW_SCORE, _one_line(pair.source, pair.target), pair.line_number))

    def _drop(self, label: str, problem: Problem) -> None:
        self.report[problem.name].add(f"{label}:{problem.line_number}: {problem.text}", label)
        if self.audit and problem.name in (LOW_SCORE, NOT_UTF8, OVERLAP, "duplicate"):  # no list of problems has it
            self.problems.append(problem)

    def _new_flags(self, filtered: FilteredBlock) -> list[bool]:
        if not self.config.deduplicate:
            return [True] * len(filtered.kept_pairs)
        flags: list[bool] = self._seen_hashes.add(np.frombuffer(filtered.pair_hashes, dtype=np.uint64)).tolist()
        return flags
