"""Which training pairs are kept: every filter counts what it drops and keeps examples of it."""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from nmt_cli.data.corpus import CorpusConfig
from nmt_cli.data.files import RawPair

Pair = tuple[str, str]

EXAMPLES = 5
SLACK = 10  # characters that the ratio limit ignores: 'Hm.' may well have a long translation
LINE_ENDS = str.maketrans("\n\r", "  ")  # JSON text may hold them


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


def normalize(text: str, config: CorpusConfig) -> str:
    """The form in which text is tokenised."""
    return unicodedata.normalize("NFC", text) if config.normalization == "nfc" else text


class Cleaner:
    """Decides pair by pair; remembers the pairs seen, as 8-byte hashes, to drop repetitions."""

    def __init__(self, config: CorpusConfig) -> None:
        self.config = config
        names = ["not UTF-8", "empty", "length ratio", "duplicate", "too long"]
        self.report: Report = {name: Dropped() for name in names}
        self._seen: set[bytes] = set()

    def clean(self, pairs: Iterable[RawPair], label: str) -> Iterator[Pair]:
        """The normalised pairs that pass all filters on text."""
        for raw in pairs:
            try:
                source = normalize(raw.source.decode().translate(LINE_ENDS).strip(), self.config)
                target = normalize(raw.target.decode().translate(LINE_ENDS).strip(), self.config)
            except UnicodeDecodeError:
                shown = (raw.source + b" ||| " + raw.target).decode(errors="replace")
                self.report["not UTF-8"].add(f"{label}:{raw.number}: {shown}")
                continue
            reason = self._reason(source, target)
            if reason is None:
                yield source, target
            else:
                self.report[reason].add(f"{label}:{raw.number}: {source} ||| {target}")

    def _reason(self, source: str, target: str) -> str | None:
        if not source or not target:
            return "empty"
        ratio = self.config.max_length_ratio
        short, long = sorted((len(source), len(target)))
        if ratio is not None and long > ratio * short + SLACK:
            return "length ratio"
        if self.config.deduplicate:
            both = f"{source}\n{target}".encode()
            key = hashlib.blake2b(both, digest_size=8).digest()
            if key in self._seen:
                return "duplicate"
            self._seen.add(key)
        return None
