"""Train the unigram language model over subwords (Kudo 2018), the same way every time.

A segmentation of a word has the product of its pieces' probabilities. Training starts from too
many pieces, fits their probabilities with EM, and drops those that the likelihood misses least.

All texts lie one after another in one array of slots, an end mark after each. The slot of a
character is also the lattice node before it, and that of the end mark the node after the text.
Sums over edges run in the order of that array, so that equal input gives equal floats.
"""

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Counts = Mapping[str, int]
Ints = NDArray[np.int64]
Nodes = NDArray[np.int32]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

MAX_WORDS = 200_000
MAX_CHARACTERS = 2_000_000  # of all words used; bounds memory where a word is a sentence
END = 0  # mark after each text; characters are their code points + 1
SYMBOLS = 1 << 21  # more than there are code points
LEAST_COUNT = 0.5  # smaller expected counts are raised to it: digamma falls to -inf at 0


def train_unigram(
    word_counts: Counts,
    vocab_size: int,
    alphabet: Iterable[str],
    max_piece_length: int = 16,
    *,
    seed_factor: int = 10,
    shrink: float = 0.75,
    sub_iterations: int = 2,
) -> list[tuple[str, float]]:
    """Pieces and their natural log probabilities, best first, equals in order of code points.

    Every character of `alphabet` is a piece; longer ones have only such characters, and at most
    `max_piece_length` of them. There are exactly vocab_size pieces; fewer where the words have
    not so many substrings that occur twice, more where the alphabet alone is larger.
    Training starts from seed_factor * vocab_size pieces. EM runs `sub_iterations` times before
    each pruning, which keeps the share `shrink` of the pieces longer than one character.
    """
    characters = set(alphabet)
    if not characters:
        return []
    words = _parts(word_counts, characters)
    room = max(vocab_size - len(characters), 0)
    model = _Model(words, _seeds(words, characters, max_piece_length, seed_factor * room))
    while True:
        counts = model.fit(sub_iterations)
        longer = int(model.alive.sum()) - len(characters)
        if longer <= room:
            return model.best_first()
        model.prune(len(characters) + max(int(shrink * longer), room), counts)


def _parts(word_counts: Counts, alphabet: set[str]) -> dict[str, int]:
    """The most frequent words with their counts, cut where a character is not in the alphabet.

    Equally frequent ones are taken in order of CRC-32, then text: so that they are a sample.
    """
    parts: Counter[str] = Counter()
    room = MAX_CHARACTERS
    order = sorted(word_counts, key=lambda x: (-word_counts[x], zlib.crc32(x.encode()), x))
    for word in order[:MAX_WORDS]:
        room -= len(word)
        if room < 0:
            break
        for known, run in groupby(word, alphabet.__contains__):
            if known:
                parts["".join(run)] += word_counts[word]
    return parts


class _Texts(NamedTuple):
    """Texts one after another, each with an end mark."""

    joined: str  # NUL for the end marks
    symbols: Ints  # [slots], code points + 1, and END
    bounds: Ints  # [texts + 1], where each text starts, and the end of all

    @classmethod
    def laid_out(cls, texts: Sequence[str]) -> "_Texts":
        lengths = np.fromiter((len(text) + 1 for text in texts), np.int64, len(texts))
        bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        joined = "".join(f"{text}\0" for text in texts)
        symbols = np.frombuffer(joined.encode("utf-32-le"), np.uint32).astype(np.int64) + 1
        symbols[bounds[1:] - 1] = END
        return cls(joined, symbols, bounds)


class _Substrings(NamedTuple):
    """Substrings of one length, and where they occur; equal ones share a group."""

    length: int
    slots: Ints  # [occurrences], where each starts, ascending
    group: Ints  # [occurrences]
    groups: int

    @classmethod
    def single(cls, symbols: Ints) -> "_Substrings":
        """All characters."""
        slots = np.flatnonzero(symbols != END)
        found, group = np.unique(symbols[slots], return_inverse=True)
        return cls(1, slots, group, len(found))

    def longer(self, symbols: Ints, wanted: Mask) -> "_Substrings":
        """One character more, for the wanted groups and within the same text."""
        going_on = wanted[self.group] & (symbols[self.slots + self.length] != END)
        slots = self.slots[going_on]
        keys = self.group[going_on] * SYMBOLS + symbols[slots + self.length]
        found, group = np.unique(keys, return_inverse=True)
        return _Substrings(self.length + 1, slots, group, len(found))

    def group_at(self, slots: Ints) -> Ints:
        """The group at each of these slots, all of which must be there."""
        return self.group[np.searchsorted(self.slots, slots)]

    def one_slot_each(self) -> Ints:
        """A slot at which each group occurs, [groups]."""
        slots = np.zeros(self.groups, np.int64)
        slots[self.group] = self.slots
        return slots


def _seeds(words: Counts, alphabet: set[str], max_length: int, most: int) -> dict[str, int]:
    """The alphabet and the `most` best longer substrings that occur twice, with count * length."""
    worth = dict(_repeated(words, max_length, max(most, len(alphabet))))
    ranked = sorted((-value, piece) for piece, value in worth.items() if len(piece) > 1)
    chosen = [*alphabet, *(piece for _, piece in ranked[:most])]
    # in order of code points, which stable sorts keep where numbers are equal
    return {piece: worth.get(piece, 0) for piece in sorted(chosen)}


def _repeated(words: Counts, max_length: int, most: int) -> Iterator[tuple[str, int]]:
    """The `most` best substrings of each length, with ties, that occur twice; count * length."""
    texts = _Texts.laid_out(list(words))
    counts = np.repeat(np.fromiter(words.values(), np.float64, len(words)), np.diff(texts.bounds))
    level = _Substrings.single(texts.symbols)
    while len(level.slots) and level.length <= max_length:
        totals = np.bincount(level.group, counts[level.slots], level.groups).astype(np.int64)
        last = max(level.groups - most, 0)
        best = totals >= max(2, np.partition(totals, last)[last])
        slots = level.one_slot_each()[best].tolist()
        for slot, total in zip(slots, totals[best].tolist(), strict=True):
            yield texts.joined[slot : slot + level.length], total * level.length
        level = level.longer(texts.symbols, totals >= 2)


def _digamma(x: Floats) -> Floats:
    """The derivative of ln Gamma at x > 0, to 1e-10: by recurrence to x + 6, there asymptotic."""
    y = x + 6
    series = (1 / 12 - (1 / 120 - (1 / 252 - 1 / (240 * y**2)) / y**2) / y**2) / y**2
    return np.asarray(np.log(y) - 0.5 / y - series - sum(1 / (x + k) for k in range(6)))


class _Step(NamedTuple):
    """The edges that end equally many characters after the start of their texts."""

    edges: slice
    ends: Nodes  # [nodes]
    first: Ints  # [nodes], the first edge into each, counted within the step
    into: Ints  # [nodes], how many edges go into each


class _Lattice:
    """All segmentations of all texts. Edges are sorted by depth in the text, then end node."""

    def __init__(self, bounds: Ints, start: Nodes, length: Nodes, piece: Nodes) -> None:
        self.bounds = bounds  # [texts + 1]
        self.text = np.repeat(np.arange(len(bounds) - 1, dtype=np.int32), np.diff(bounds))
        end = start + length
        depth = end - bounds.astype(np.int32)[self.text[start]]
        order = np.argsort(depth * bounds[-1] + end, kind="stable").astype(np.int32)
        self.start, self.length, self.piece = start[order], length[order], piece[order]
        self._steps = list(self._split(end[order], depth[order]))

    @staticmethod
    def _split(end: Nodes, depth: Nodes) -> Iterator[_Step]:
        cuts = np.flatnonzero(np.diff(depth, prepend=-1, append=-1)).tolist()
        for begin, stop in pairwise(cuts):
            first = np.flatnonzero(np.diff(end[begin:stop], prepend=-1))
            into = np.diff(first, append=stop - begin)
            yield _Step(slice(begin, stop), end[begin:stop][first], first, into)

    def keep(self, edges: Mask) -> "_Lattice":
        return _Lattice(self.bounds, self.start[edges], self.length[edges], self.piece[edges])

    def expected(self, scores: Floats, counts: Floats) -> Floats:
        """The E-step: how often each piece is expected, [pieces], in texts seen `counts` times.

        `reached` is the forward probability log alpha, [nodes]. Backwards, the posterior of an edge
        is that of its end node times its share of the paths there: no second pass of logarithms.
        """
        reached = np.zeros(self.bounds[-1])
        share = scores[self.piece]
        for edges, ends, first, into in self._steps:
            paths = share[edges] + reached[self.start[edges]]
            top = np.maximum.reduceat(paths, first)
            likely = np.exp(paths - np.repeat(top, into))
            total = np.add.reduceat(likely, first)
            reached[ends] = top + np.log(total)
            share[edges] = likely / np.repeat(total, into)
        passed = np.zeros(self.bounds[-1])
        passed[self.bounds[1:] - 1] = counts
        for edges, ends, _, into in reversed(self._steps):
            share[edges] *= np.repeat(passed[ends], into)
            np.add.at(passed, self.start[edges], share[edges])
        return np.asarray(np.bincount(self.piece, share, len(scores)), np.float64)

    def best(self, scores: Floats) -> Floats:
        """Log probability of the best segmentation of each text, [texts]."""
        reached = np.zeros(self.bounds[-1])
        for edges, ends, first, _ in self._steps:
            paths = scores[self.piece[edges]] + reached[self.start[edges]]
            reached[ends] = np.maximum.reduceat(paths, first)
        return np.asarray(reached[self.bounds[1:] - 1])


def _lattices(pieces: Sequence[str], words: Sequence[str]) -> tuple[_Lattice, _Lattice]:
    """The lattice of the pieces, each longer one never as a whole, and that of the words.

    Both have the pieces, then the words, as their texts, but edges only in their own. A substring
    is a piece where it falls into one group with the piece's own spelling.
    """
    texts = _Texts.laid_out([*pieces, *words])
    spelled, lengths = texts.bounds[: len(pieces)], np.diff(texts.bounds)[: len(pieces)] - 1
    level = _Substrings.single(texts.symbols)
    found = []
    while len(level.slots):
        whole = np.flatnonzero(lengths == level.length)
        number = np.full(level.groups, -1, np.int32)
        number[level.group_at(spelled[whole])] = whole
        piece = number[level.group]
        hit = piece >= 0
        if level.length > 1:
            hit &= level.slots != spelled[piece]
        slots = level.slots[hit].astype(np.int32)
        found.append((slots, np.full(len(slots), level.length, np.int32), piece[hit]))
        unfinished = np.zeros(level.groups, np.bool_)
        unfinished[level.group_at(spelled[lengths > level.length])] = True
        level = level.longer(texts.symbols, unfinished)
    both = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    word = both[0] >= texts.bounds[len(pieces)]
    spelling, rest = ([column[edges] for column in both] for edges in (~word, word))
    return _Lattice(texts.bounds, *spelling), _Lattice(texts.bounds, *rest)


class _Model:
    """Pieces, of which fewer and fewer are alive, and their log probabilities."""

    def __init__(self, words: Counts, seeds: Counts) -> None:
        self.alive = np.ones(len(seeds), np.bool_)
        self._pieces = list(seeds)
        self._single = np.array([len(piece) == 1 for piece in seeds], np.bool_)
        self._scores = np.zeros(len(seeds))
        self._counts = np.array([0] * len(seeds) + list(words.values()), np.float64)
        self._spelling, self._words = _lattices(self._pieces, list(words))
        self._maximise(np.fromiter(seeds.values(), np.float64, len(seeds)))

    def fit(self, times: int) -> Floats:
        """EM; gives the expected counts of the last time, [pieces]."""
        for _ in range(times):
            expected = self._words.expected(self._scores, self._counts)
            self._maximise(expected)
        return expected

    def _maximise(self, expected: Floats) -> None:
        """The M-step, variational for a Dirichlet prior: ln p = digamma(count) - digamma(sum).

        It takes about half a count from every piece, and so prefers few frequent ones.
        """
        raised = np.maximum(expected[self.alive], LEAST_COUNT)
        self._scores[self.alive] = _digamma(raised) - _digamma(raised.sum(keepdims=True))

    def prune(self, size: int, expected: Floats) -> None:
        """Leave `size` pieces: all single characters, and those whose loss would cost most.

        Each occurrence of a lost piece costs the difference to the best other spelling of it.
        """
        loss = expected * (self._scores - self._spelling.best(self._scores)[: len(expected)])
        loss[self._single] = np.inf
        loss[~self.alive] = -np.inf
        self.alive[np.argsort(-loss, kind="stable")[size:]] = False
        self._words = self._words.keep(self.alive[self._words.piece])
        edges, text = self._spelling, self._spelling.text
        self._spelling = edges.keep(self.alive[edges.piece] & self.alive[text[edges.start]])

    def best_first(self) -> list[tuple[str, float]]:
        scored = zip(self._pieces, self._scores.tolist(), self.alive, strict=True)
        alive = [(piece, score) for piece, score, alive in scored if alive]
        return sorted(alive, key=lambda item: (-item[1], item[0]))
