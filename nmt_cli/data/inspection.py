"""What a corpus is like, found out in seconds: counts, bytes that are not text, lengths."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from nmt_cli.data.cleaning import Cleaner, Pair, Report
from nmt_cli.data.corpus import Corpus, TextPart
from nmt_cli.data.corpus_settings import CorpusConfig
from nmt_cli.data.files import RawPair
from nmt_cli.data.prepared import Tokenizers

Lengths = NDArray[np.int64]


@dataclass
class PartFacts:
    """What was found out about one part of a corpus."""

    label: str
    pairs: int = 0  # all that it has
    read: int = 0  # of them looked at closely, from the beginning
    damaged: list[int] = field(default_factory=list)  # first lines that are not UTF-8
    dropped: Report = field(default_factory=dict)
    clean: list[Pair] = field(default_factory=list)


def inspect(part: TextPart, config: CorpusConfig, most: int) -> PartFacts:
    """Count the pairs of a part and look closely at the first `most` of them.

    DataError where the files cannot be read or their lines do not pair.
    """
    facts, cleaner = PartFacts(part.label), Cleaner(config)
    pairs = part.read()
    facts.clean = list(cleaner.clean(_counted(islice(pairs, most), facts), part.label))
    facts.dropped = {name: one for name, one in cleaner.report.items() if one.count}
    facts.read = facts.pairs
    deque(_counted(pairs, facts), maxlen=0)
    return facts


def _counted(pairs: Iterator[RawPair], facts: PartFacts) -> Iterator[RawPair]:
    for pair in pairs:
        facts.pairs += 1
        if len(facts.damaged) < 3 and not (_is_text(pair.source) and _is_text(pair.target)):
            facts.damaged.append(pair.number)
        yield pair


def _is_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def inspect_all(corpus: Corpus, config: CorpusConfig, most: int) -> dict[str, list[PartFacts]]:
    """The same for every part, by its role: train, dev, test."""
    roles: dict[str, list[TextPart]] = {"train": corpus.train}
    roles |= {
        "dev": [corpus.dev] if corpus.dev else [],
        "test": [corpus.test] if corpus.test else [],
    }
    return {role: [inspect(part, config, most) for part in some] for role, some in roles.items()}


def piece_lengths(tokenizers: Tokenizers, pairs: list[Pair]) -> tuple[Lengths, Lengths]:
    """Pieces of each source and target, without an end of sentence."""
    source = tokenizers.source.encode([pair[0] for pair in pairs])
    target = tokenizers.target.encode([pair[1] for pair in pairs])
    return np.array(list(map(len, source))), np.array(list(map(len, target)))
