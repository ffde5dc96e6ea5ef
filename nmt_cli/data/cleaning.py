"""Filters of training pairs, each of which counts what it drops and keeps examples."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.duplicates import SeenHashes
from nmt_cli.data.filtering.config import NO_FILTERS
from nmt_cli.data.filtering.corpus_profile import SAMPLE_PAIRS, CorpusProfile, EvenSample
from nmt_cli.data.filtering.rules import RULES, Pair, PairRules
from nmt_cli.data.normalization import Normalizer
from nmt_cli.data.overlap import EvaluationText, Overlap, OverlapCounter, OverlapHashes, hash_pair, hash_text
from nmt_cli.data.sources.base import RawPair
from nmt_cli.data.tokenization.tokenizer import batched
from nmt_cli.workers import MapFunction

TextPair = tuple[str, str]

MAX_EXAMPLES = 5
LENGTH_RATIO_SLACK_CHARS = 10  # added to the ratio limit: 'Hm.' may well have a long translation
PAIRS_PER_BLOCK = 5000  # pairs filtered together, in any process
OVERLAP = "in development or test text"
FILTER_NAMES = (
    "not UTF-8", "empty", "length ratio", *(rule.name for rule in RULES), OVERLAP, "duplicate", "too long"
)  # fmt: skip


@dataclass
class FilterStats:
    """What one filter dropped."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        """Count a pair, and keep it as an example if it is among the first."""
        self.count += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(example if len(example) <= 200 else example[:200] + "…")


NO_OVERLAP, NO_PROFILE = OverlapHashes(), CorpusProfile()
FilterReport = dict[str, FilterStats]
RawBlock = list[tuple[bytes, bytes, int]]  # RawPairs as plain tuples


class FilteredBlock(NamedTuple):
    """What the filters decided about a block of pairs."""

    kept_pairs: list[tuple[str, str, int]]  # normalised source and target, line number
    dropped_pairs: list[tuple[str, str, int]]  # filter, text, line number
    pair_hashes: bytes  # 8 bytes for each kept pair; empty if duplicates are kept
    overlaps: list[Overlap] = []  # noqa: RUF012 (never changed) of pairs that the development or test text has
    normalized: dict[str, int] = {}  # noqa: RUF012 (never changed) lines that each step of normalisation has changed


class PairFilter:
    """The filters that look at one pair at a time, and so can run in several processes."""

    def __init__(
        self, config: CorpusConfig, hashes: OverlapHashes = NO_OVERLAP, profile: CorpusProfile = NO_PROFILE
    ) -> None:
        self.config, self.hashes = config, hashes
        self._normalizer = Normalizer(config.normalization)
        self._rules = PairRules(config.filters or NO_FILTERS, profile)

    def __call__(self, block: RawBlock) -> FilteredBlock:
        """Apply the filters to a block of pairs."""
        kept_pairs: list[tuple[str, str, int]] = []
        dropped_pairs: list[tuple[str, str, int]] = []
        pair_hashes = bytearray()
        overlaps: list[Overlap] = []
        pairs = [self.decode(raw_source, raw_target) for raw_source, raw_target, _ in block]
        reasons = self._drop_reasons(pairs)
        for raw_pair, pair, reason in zip(block, pairs, reasons, strict=True):
            line_number = raw_pair[2]
            if pair is None:
                text = (raw_pair[0] + b" ||| " + raw_pair[1]).decode(errors="replace")
                dropped_pairs.append(("not UTF-8", text, line_number))
                continue
            source, target = pair.source, pair.target
            if reason is not None:
                dropped_pairs.append((reason, f"{source} ||| {target}", line_number))
                continue
            if self.hashes.sources and (overlap := self._find_overlap(source, target, line_number)) is not None:
                overlaps.append(overlap)
                if self.config.drop_overlap == "sources" or (overlap.pair_hash and self.config.drop_overlap == "pairs"):
                    dropped_pairs.append((OVERLAP, overlap.text, line_number))
                    continue
            kept_pairs.append((source, target, line_number))
            if self.config.deduplicate:
                pair_hashes += hash_pair(source, target)
        normalized, self._normalizer.counts = dict(self._normalizer.counts), Counter()
        return FilteredBlock(kept_pairs, dropped_pairs, bytes(pair_hashes), overlaps, normalized)

    def decode(self, raw_source: bytes, raw_target: bytes) -> Pair | None:
        """A pair as it came and normalised; None if it is not UTF-8."""
        try:
            raw_texts = raw_source.decode(), raw_target.decode()
        except UnicodeDecodeError:
            return None
        source, target = map(self._normalize, raw_texts)
        return Pair(source, target, *((source, target) if self.config.normalization.mojibake else raw_texts))

    def _drop_reasons(self, pairs: Sequence[Pair | None]) -> list[str | None]:
        """Why each pair is dropped; None for one that is kept or not UTF-8."""
        reasons = [None if pair is None else self._drop_reason(pair.source, pair.target) for pair in pairs]
        judged = {
            index: pair
            for index, (pair, reason) in enumerate(zip(pairs, reasons, strict=True))
            if pair is not None and reason is None
        }
        for index, problems in zip(judged, self._rules.problems(list(judged.values())), strict=True):
            reasons[index] = problems[0] if problems else None
        return reasons

    def _find_overlap(self, source: str, target: str, line_number: int) -> Overlap | None:
        source_hash = hash_text(source)
        if source_hash not in self.hashes.sources:
            return None
        pair_hash = hash_pair(source, target)
        is_whole_pair = pair_hash in self.hashes.pairs
        return Overlap(source_hash, pair_hash if is_whole_pair else b"", line_number, f"{source} ||| {target}")

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


def make_pair_filter(
    config: CorpusConfig, hashes: OverlapHashes, profile: CorpusProfile, worker_index: int
) -> PairFilter:
    """The filter that a worker process applies."""
    return PairFilter(config, hashes, profile)


def measure_corpus(texts: Iterable[Iterable[RawPair]], config: CorpusConfig) -> CorpusProfile:
    """What is usual in training text, from an evenly spaced sample of it; nothing without a filter that asks."""
    if config.filters is None:
        return NO_PROFILE
    sample, decode = EvenSample(SAMPLE_PAIRS), PairFilter(config).decode
    for text in texts:
        sample.add_from(text)
    pairs = [decode(source, target) for source, target, _ in sample.items]
    usable = [(pair.source, pair.target) for pair in pairs if pair is not None and pair.source and pair.target]
    return CorpusProfile.measure(config.languages, usable)


class CorpusCleaner:
    """Applies all filters; remembers pairs as 8-byte hashes, to drop duplicates."""

    def __init__(
        self, config: CorpusConfig, evaluation_texts: Sequence[EvaluationText] = (), profile: CorpusProfile = NO_PROFILE
    ) -> None:
        self.config, self.profile = config, profile
        self.overlap = OverlapCounter(list(evaluation_texts))
        self.report: FilterReport = {name: FilterStats() for name in FILTER_NAMES}
        self.normalized: Counter[str] = Counter()
        self._seen_hashes = SeenHashes()

    def clean(
        self, pairs: Iterable[RawPair], label: str, apply_filter: MapFunction | None = None
    ) -> Iterator[TextPair]:
        """The normalised pairs that pass all filters.

        `apply_filter` applies a `PairFilter` to blocks, in any process; duplicates are found in this one.
        """
        blocks: Iterator[RawBlock] = ([(*pair,) for pair in block] for block in batched(pairs, PAIRS_PER_BLOCK))
        for filtered in (
            apply_filter(blocks)
            if apply_filter
            else map(PairFilter(self.config, self.overlap.hashes(), self.profile), blocks)
        ):
            self.overlap.add(label, filtered.overlaps)
            self.normalized.update(filtered.normalized)
            for reason, text, line_number in filtered.dropped_pairs:
                self.report[reason].add(f"{label}:{line_number}: {text}")
            new_flags = self._new_flags(filtered)
            for (source, target, line_number), is_new in zip(filtered.kept_pairs, new_flags, strict=True):
                if is_new:
                    yield source, target
                else:
                    self.report["duplicate"].add(f"{label}:{line_number}: {source} ||| {target}")

    def _new_flags(self, filtered: FilteredBlock) -> list[bool]:
        if not self.config.deduplicate:
            return [True] * len(filtered.kept_pairs)
        flags: list[bool] = self._seen_hashes.add(np.frombuffer(filtered.pair_hashes, dtype=np.uint64)).tolist()
        return flags
