"""Filters of training pairs, each of which counts what it drops and keeps examples."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.duplicates import SeenHashes
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
FILTER_NAMES = ("not UTF-8", "empty", "length ratio", OVERLAP, "duplicate", "too long")


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


NO_OVERLAP = OverlapHashes()
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

    def __init__(self, config: CorpusConfig, hashes: OverlapHashes = NO_OVERLAP) -> None:
        self.config, self.hashes = config, hashes
        self._normalizer = Normalizer(config.normalization)

    def __call__(self, block: RawBlock) -> FilteredBlock:
        """Apply the filters to a block of pairs."""
        kept_pairs: list[tuple[str, str, int]] = []
        dropped_pairs: list[tuple[str, str, int]] = []
        pair_hashes = bytearray()
        overlaps: list[Overlap] = []
        for raw_source, raw_target, line_number in block:
            try:
                source = self._normalize(raw_source.decode())
                target = self._normalize(raw_target.decode())
            except UnicodeDecodeError:
                text = (raw_source + b" ||| " + raw_target).decode(errors="replace")
                dropped_pairs.append(("not UTF-8", text, line_number))
                continue
            reason = self._drop_reason(source, target)
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


def make_pair_filter(config: CorpusConfig, hashes: OverlapHashes, worker_index: int) -> PairFilter:
    """The filter that a worker process applies."""
    return PairFilter(config, hashes)


class CorpusCleaner:
    """Applies all filters; remembers pairs as 8-byte hashes, to drop duplicates."""

    def __init__(self, config: CorpusConfig, evaluation_texts: Sequence[EvaluationText] = ()) -> None:
        self.config = config
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
            apply_filter(blocks) if apply_filter else map(PairFilter(self.config, self.overlap.hashes()), blocks)
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
