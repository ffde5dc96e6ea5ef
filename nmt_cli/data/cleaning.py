"""Which training pairs are kept: every filter counts what it drops and keeps examples of it."""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from nmt_cli.data.corpus_settings import CorpusConfig
from nmt_cli.data.duplicates import SeenHashes
from nmt_cli.data.files import RawPair
from nmt_cli.data.tokenizer import batches
from nmt_cli.workers import Apply

Pair = tuple[str, str]

EXAMPLES = 5
SLACK = 10  # characters that the ratio limit ignores: 'Hm.' may well have a long translation
BLOCK = 5000  # pairs looked at together, in whatever process
FILTERS = ("not UTF-8", "empty", "length ratio", "duplicate", "too long")


@dataclass
class Dropped:
    """What one filter dropped."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        """Count one pair, and remember it if it is among the first."""
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(example if len(example) <= 200 else example[:200] + "…")


Report = dict[str, Dropped]
Block = list[tuple[bytes, bytes, int]]  # what RawPairs hold, in plain tuples


class Looked(NamedTuple):
    """A block of pairs, looked at one by one."""

    kept: list[tuple[str, str, int]]  # normalised source and target, line number
    dropped: list[tuple[str, str, int]]  # filter, text, line number
    hashes: bytes  # 8 bytes for each pair that is kept; empty where repetitions may stay


def normalize(text: str, config: CorpusConfig) -> str:
    """The form in which text is tokenised."""
    return unicodedata.normalize("NFC", text) if config.normalization == "nfc" else text


class Look:
    """The filters that need one pair only: what processes can do side by side."""

    def __init__(self, config: CorpusConfig) -> None:
        self.config = config

    def __call__(self, block: Block) -> Looked:
        """Sort out a block of pairs."""
        kept: list[tuple[str, str, int]] = []
        dropped: list[tuple[str, str, int]] = []
        hashes = bytearray()
        for raw_source, raw_target, number in block:
            try:
                source = self._normal(raw_source.decode())
                target = self._normal(raw_target.decode())
            except UnicodeDecodeError:
                shown = (raw_source + b" ||| " + raw_target).decode(errors="replace")
                dropped.append(("not UTF-8", shown, number))
                continue
            reason = self._reason(source, target)
            if reason is not None:
                dropped.append((reason, f"{source} ||| {target}", number))
                continue
            kept.append((source, target, number))
            if self.config.deduplicate:
                both = f"{source}\n{target}".encode()
                hashes += hashlib.blake2b(both, digest_size=8).digest()
        return Looked(kept, dropped, bytes(hashes))

    def _normal(self, text: str) -> str:
        if "\n" in text or "\r" in text:  # JSON text may hold them
            text = text.replace("\n", " ").replace("\r", " ")
        return normalize(text.strip(), self.config)

    def _reason(self, source: str, target: str) -> str | None:
        if not source or not target:
            return "empty"
        ratio = self.config.max_length_ratio
        short, long = sorted((len(source), len(target)))
        if ratio is not None and long > ratio * short + SLACK:
            return "length ratio"
        return None


def open_look(config: CorpusConfig, number: int) -> Look:
    """The work of a worker."""
    return Look(config)


class Cleaner:
    """Decides pair by pair; remembers the pairs seen, as 8-byte hashes, to drop repetitions."""

    def __init__(self, config: CorpusConfig) -> None:
        self.config = config
        self.report: Report = {name: Dropped() for name in FILTERS}
        self._seen = SeenHashes()

    def clean(
        self, pairs: Iterable[RawPair], label: str, work: Apply | None = None
    ) -> Iterator[Pair]:
        """The normalised pairs that pass all filters on text.

        `work` applies `Look` to blocks, in whatever process; what is seen is compared in this one.
        """
        blocks: Iterator[Block] = ([(*raw,) for raw in block] for block in batches(pairs, BLOCK))
        for one in work(blocks) if work else map(Look(self.config), blocks):
            for reason, text, number in one.dropped:
                self.report[reason].add(f"{label}:{number}: {text}")
            new = self._new(one)
            for (source, target, number), fresh in zip(one.kept, new, strict=True):
                if fresh:
                    yield source, target
                else:
                    self.report["duplicate"].add(f"{label}:{number}: {source} ||| {target}")

    def _new(self, looked: Looked) -> list[bool]:
        if not self.config.deduplicate:
            return [True] * len(looked.kept)
        found: list[bool] = self._seen.add(np.frombuffer(looked.hashes, dtype=np.uint64)).tolist()
        return found
