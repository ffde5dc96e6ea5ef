"""Development and test pairs that the training text has, too: their scores say nothing about other text.

Texts are compared as 8-byte hashes of their normalised form, so memory depends on the development and test text alone.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.language_tags import split_tag
from nmt_cli.data.normalization import NormalizationConfig, Normalizer
from nmt_cli.data.sources.bad_rows import BadRows, is_too_many, other_encoding
from nmt_cli.data.sources.base import ParallelText
from nmt_cli.errors import DataError, pluralize

HASH_BYTES = 8
MIN_PAIRS = 100  # of a development or test text, below which scores are mostly chance
FEW_PAIRS = "scores of so few vary by chance"


def held_out_warning(count: int) -> str | None:
    """What to say where so many pairs are held out for development, if they are few."""
    if count >= MIN_PAIRS:
        return None
    verb = "is" if count == 1 else "are"
    return f"only {pluralize(count, 'pair')} {verb} held out: {FEW_PAIRS}; corpus.dev names more"


def decoded_pairs(parallel_text: ParallelText, bad_rows: BadRows) -> Iterator[tuple[str, str]]:
    """Pairs as text; invalid UTF-8 becomes U+FFFD, and line feeds, which JSON text may contain, become spaces.

    DataError if more pairs are not UTF-8 than bad rows are allowed.
    """
    count = invalid_count = 0
    for pair in parallel_text.read(bad_rows):
        texts = [text.replace(b"\n", b" ") for text in (pair.source, pair.target)]
        count += 1
        try:
            source, target = (text.decode() for text in texts)
        except UnicodeDecodeError:
            invalid_count += 1
            source, target = (text.decode(errors="replace") for text in texts)
        yield source, target
    if is_too_many(invalid_count, count, bad_rows.max_fraction):
        raise DataError(other_encoding(parallel_text.label, parallel_text.files, invalid_count, count))


def hash_text(text: str) -> bytes:
    """8 bytes that stand for a text."""
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=HASH_BYTES).digest()


def hash_pair(source: str, target: str) -> bytes:
    """8 bytes that stand for a pair."""
    return hash_text(f"{source}\n{target}")


class OverlapHashes(NamedTuple):
    """What training pairs are compared with: hashes of whole pairs, and of sources alone."""

    pairs: frozenset[bytes] = frozenset()
    sources: frozenset[bytes] = frozenset()


class Overlap(NamedTuple):
    """A training pair whose source is in the development or test text; `pair_hash` is empty if only that is."""

    source_hash: bytes
    pair_hash: bytes
    line_number: int
    text: str


@dataclass
class EvaluationText:
    """The development or test text, and what is remarkable about it."""

    split: str
    pairs: list[bytes] = field(default_factory=list)  # hashes
    sources: list[bytes] = field(default_factory=list)  # hashes
    blank: int = 0  # pairs with a side that is empty
    copies: int = 0  # pairs whose target is their source

    @classmethod
    def read(
        cls,
        split: str,
        pairs: Iterable[tuple[str, str]],
        normalization: NormalizationConfig,
        tags: Collection[str] = (),
    ) -> "EvaluationText":
        """Hashes and counts of pairs, normalised as training text is, whatever tag a source begins with."""
        text, normalize = cls(split), Normalizer(normalization)
        for raw_source, raw_target in pairs:
            source, target = normalize(raw_source.strip()), normalize(raw_target.strip())
            source = split_tag(source, tags)[1]
            text.blank += not (source and target)
            text.copies += source == target != ""
            text.pairs.append(hash_pair(source, target))
            text.sources.append(hash_text(source))
        return text

    def problems(self) -> list[str]:
        """What is to be said about the text itself."""
        count = len(self.pairs)
        counts = {
            "have a blank side": self.blank,
            "are the same text on both sides": self.copies,
            "repeat an earlier pair": count - len(set(self.pairs)),
        }
        problems = [f"{number:,} of {count:,} pairs {what}" for what, number in counts.items() if number]
        if 0 < count < MIN_PAIRS:
            problems.append(f"only {pluralize(count, 'pair')}: {FEW_PAIRS}")
        return problems


def read_evaluation_texts(
    texts_by_split: Mapping[str, Sequence[ParallelText]], config: CorpusConfig, tags: Collection[str]
) -> list[EvaluationText]:
    """What is to be known of the development and test text, by split, before training text is cleaned."""
    return [
        EvaluationText.read(
            split,
            chain.from_iterable(decoded_pairs(text, BadRows(config.max_bad_rows)) for text in texts),
            config.normalization,
            tags,
        )
        for split, texts in texts_by_split.items()
    ]


@dataclass
class OverlapCounter:
    """Counts what of development and test text the training text has."""

    texts: list[EvaluationText] = field(default_factory=list)
    examples: dict[bytes, str] = field(default_factory=dict)  # the first training pair of each hash that it has

    def hashes(self) -> OverlapHashes:
        """What training pairs are compared with."""
        pairs = frozenset(value for text in self.texts for value in text.pairs)
        return OverlapHashes(pairs, frozenset(value for text in self.texts for value in text.sources))

    def add(self, label: str, overlaps: Iterable[Overlap]) -> None:
        """Record training pairs of a text."""
        for overlap in overlaps:
            example = f"{label}:{overlap.line_number}: {overlap.text}"
            self.examples.setdefault(overlap.source_hash, example)
            if overlap.pair_hash:
                self.examples.setdefault(overlap.pair_hash, example)

    def report(self) -> list["OverlapCount"]:
        """The overlap of each text that has any."""
        counts = []
        for text in self.texts:
            pairs = [value for value in text.pairs if value in self.examples]
            sources = [value for value in text.sources if value in self.examples]
            if sources:
                example = self.examples[(pairs or sources)[0]]
                counts.append(OverlapCount(text.split, len(text.pairs), len(pairs), len(sources), example))
        return counts


class OverlapCount(NamedTuple):
    """How much of a development or test text the training text has."""

    split: str
    total: int
    pairs: int
    sources: int
    example: str

    def message(self) -> str:
        """The counts in words, with an example."""
        return (
            f"lines whose source is in the training text, too: {self.sources:,} of {self.total:,}; with the same "
            f"target: {self.pairs:,}; as in {self.example}"
        )
