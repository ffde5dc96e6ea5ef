"""The corpus: sentence pairs drawn from the grammar and split into train, dev and test.

The sequence of lemmas alone decides the split. Sentences that differ only in inflection (the dog
sees, the dogs saw) are therefore always in the same split, whatever the seed and the sizes.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Literal, NamedTuple

from tools.quickstart_grammar.english import join
from tools.quickstart_grammar.grammar import rules, sentences
from tools.quickstart_grammar.phrases import Sentence
from tools.quickstart_grammar.utterances import fixed_phrases

Split = Literal["train", "dev", "test"]

HELD_OUT_HASHES = 8  # of 256 hash values, for dev and test each


class Pair(NamedTuple):
    """An English sentence, its German translation, and the lemmas of the English."""

    source: str
    target: str
    lemmas: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Corpus:
    """The three splits of a corpus, which share no sentence and no sequence of lemmas."""

    train: list[Pair]
    dev: list[Pair]
    test: list[Pair]


def count_sentences() -> int:
    """The number of sentence pairs that the grammar derives, computed from its rules."""
    return sentences().size


def draw_pairs(seed: int, rule: str | None = None) -> Iterator[Pair]:
    """Endless random pairs, with repetitions; with `rule`, of that sentence type only."""
    rng = Random(seed)
    domain = sentences() if rule is None else rules()[rule][1]
    while True:
        yield written(domain.draw(rng))


def generate(count: int = 100, seed: int = 1, rule: str | None = None) -> list[Pair]:
    """Random pairs with different source sentences; the same seed gives the same pairs."""
    return list(islice(_distinct(draw_pairs(seed, rule)), count))


def corpus(train: int = 60000, dev: int = 500, test: int = 500, seed: int = 1) -> Corpus:
    """Draw a corpus with splits of the given sizes."""
    splits: dict[Split, list[Pair]] = {"train": [], "dev": [], "test": []}
    sizes: dict[Split, int] = {"train": train, "dev": dev, "test": test}
    missing = train + dev + test
    pairs = _distinct(draw_pairs(seed))
    while missing:
        pair = next(pairs)
        split = split_of(pair.lemmas)
        if len(splits[split]) < sizes[split]:
            splits[split].append(pair)
            missing -= 1
    return Corpus(splits["train"], splits["dev"], splits["test"])


def to_tsv(drawn: Corpus) -> str:
    """One line per pair: split, source and target, separated by tabs."""
    splits = {"train": drawn.train, "dev": drawn.dev, "test": drawn.test}
    return "".join(f"{split}\t{pair.source}\t{pair.target}\n" for split, pairs in splits.items() for pair in pairs)


def split_of(lemmas: tuple[str, ...]) -> Split:
    """The split that a sequence of lemmas belongs to, by a hash that is the same on every machine.

    One or two words and fixed phrases are for training: nothing else says what they mean.
    """
    if len(lemmas) <= 2 or lemmas in fixed_phrases():
        return "train"
    digest = hashlib.blake2b(" ".join(lemmas).encode(), digest_size=1).digest()[0]
    if digest < HELD_OUT_HASHES:
        return "test"
    return "dev" if digest < 2 * HELD_OUT_HASHES else "train"


def _distinct(pairs: Iterator[Pair]) -> Iterator[Pair]:
    seen: set[str] = set()
    for pair in pairs:
        if pair.source not in seen:
            seen.add(pair.source)
            yield pair


def written(sentence: Sentence) -> Pair:
    """The pair as it is written, with capitals and marks."""
    phrase, mark, is_capitalized = sentence
    texts = [join(phrase.english), phrase.german]
    if is_capitalized or texts[0][0].isupper():  # I am sorry
        texts = [text[0].upper() + text[1:] for text in texts]
    source, target = (text + mark for text in texts)
    return Pair(source, target, tuple(word.lemma for word in phrase.english))
