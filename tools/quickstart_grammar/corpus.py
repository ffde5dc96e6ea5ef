"""The corpus: sentence pairs drawn from the grammar, and their division into three parts.

A sentence belongs to a part by its sequence of lemmas alone.  Sentences that differ only in
inflection (the dog sees, the dogs saw) therefore never face each other across the divide, and no
matter how many sentences are drawn, with whatever seed, each belongs where it always did.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Literal, NamedTuple

from tools.quickstart_grammar.english import join
from tools.quickstart_grammar.grammar import Sentence, rules, sentences

Part = Literal["train", "dev", "test"]

# Of 256 lemma sequences, this many are for the development and the test part each.
SHARE = 8


class Pair(NamedTuple):
    """An English sentence, its German translation, and the lemmas of the English."""

    source: str
    target: str
    lemmas: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Corpus:
    """The three parts of a corpus, which share no sentence and no sequence of lemmas."""

    train: list[Pair]
    dev: list[Pair]
    test: list[Pair]


def count_sentences() -> int:
    """How many sentence pairs the grammar derives, computed from its rules."""
    return sentences().size


def draw_pairs(seed: int, rule: str | None = None) -> Iterator[Pair]:
    """Draw pairs forever, repetitions included; with a name, from one sentence type alone."""
    rng = Random(seed)
    domain = sentences() if rule is None else rules()[rule][1]
    while True:
        yield _write(domain.draw(rng))


def generate(count: int = 100, seed: int = 1, rule: str | None = None) -> list[Pair]:
    """Draw pairs with different source sentences; the same seed gives the same pairs."""
    return list(islice(_distinct(draw_pairs(seed, rule)), count))


def corpus(train: int = 30000, dev: int = 500, test: int = 500, seed: int = 1) -> Corpus:
    """Draw a corpus with parts of the given sizes."""
    parts: dict[Part, list[Pair]] = {"train": [], "dev": [], "test": []}
    sizes: dict[Part, int] = {"train": train, "dev": dev, "test": test}
    missing = train + dev + test
    pairs = _distinct(draw_pairs(seed))
    while missing:
        pair = next(pairs)
        part = part_of(pair.lemmas)
        if len(parts[part]) < sizes[part]:
            parts[part].append(pair)
            missing -= 1
    return Corpus(parts["train"], parts["dev"], parts["test"])


def to_tsv(drawn: Corpus) -> str:
    """One line per pair: split, source and target, separated by tabs."""
    splits = {"train": drawn.train, "dev": drawn.dev, "test": drawn.test}
    return "".join(f"{split}\t{pair.source}\t{pair.target}\n" for split, pairs in splits.items() for pair in pairs)


def part_of(lemmas: tuple[str, ...]) -> Part:
    """The part that a sequence of lemmas belongs to, by a hash that is the same everywhere."""
    digest = hashlib.blake2b(" ".join(lemmas).encode(), digest_size=1).digest()[0]
    if digest < SHARE:
        return "test"
    return "dev" if digest < 2 * SHARE else "train"


def _distinct(pairs: Iterator[Pair]) -> Iterator[Pair]:
    seen: set[str] = set()
    for pair in pairs:
        if pair.source not in seen:
            seen.add(pair.source)
            yield pair


def _write(sentence: Sentence) -> Pair:
    phrase, mark = sentence
    english, german = join(phrase.english), phrase.german
    return Pair(
        english[0].upper() + english[1:] + mark,
        german[0].upper() + german[1:] + mark,
        tuple(word.lemma for word in phrase.english),
    )
