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
END_MARK = 0  # mark after each text; characters are their code points + 1
SYMBOL_COUNT = 1 << 21  # more than there are code points
SEED_FACTOR, KEPT_SHARE, EM_ITERATIONS = 10, 0.75, 2
MIN_EXPECTED_COUNT = 0.5  # smaller expected counts are raised to it: digamma falls to -inf at 0


def train_unigram(
    word_counts: Counts, vocab_size: int, alphabet: Iterable[str], max_subword_length: int = 16
) -> list[tuple[str, float]]:
    """Pieces and their natural log probabilities, best first, equals in order of code points.

    Every character of `alphabet` is a piece; longer ones have only such characters, and at most
    `max_subword_length` of them. There are exactly vocab_size pieces; fewer where the words have
    not so many substrings that occur twice, more where the alphabet alone is larger.
    Training starts from SEED_FACTOR times as many pieces. EM runs EM_ITERATIONS times before
    each pruning, which keeps the share KEPT_SHARE of the pieces longer than one character.
    """
    characters = set(alphabet)
    if not characters:
        return []
    words = _select_words(word_counts, characters)
    max_longer_subwords = max(vocab_size - len(characters), 0)
    model = _UnigramModel(
        words, _seed_subwords(words, characters, max_subword_length, SEED_FACTOR * max_longer_subwords)
    )
    while True:
        counts = model.fit(EM_ITERATIONS)
        longer_count = int(model.is_alive.sum()) - len(characters)
        if longer_count <= max_longer_subwords:
            return model.sorted_by_score()
        model.prune(len(characters) + max(int(KEPT_SHARE * longer_count), max_longer_subwords), counts)


def _select_words(word_counts: Counts, alphabet: set[str]) -> dict[str, int]:
    """The most frequent words with their counts, cut where a character is not in the alphabet.

    Equally frequent ones are taken in order of CRC-32, then text: so that they are a sample.
    """
    selected_counts: Counter[str] = Counter()
    remaining_characters = MAX_CHARACTERS
    order = sorted(word_counts, key=lambda x: (-word_counts[x], zlib.crc32(x.encode()), x))
    for word in order[:MAX_WORDS]:
        remaining_characters -= len(word)
        if remaining_characters < 0:
            break
        for in_alphabet, run in groupby(word, alphabet.__contains__):
            if in_alphabet:
                selected_counts["".join(run)] += word_counts[word]
    return selected_counts


class _ConcatenatedTexts(NamedTuple):
    """Texts one after another, each with an end mark."""

    joined: str  # NUL for the end marks
    symbols: Ints  # [slots], code points + 1, and END
    bounds: Ints  # [texts + 1], where each text starts, and the end of all

    @classmethod
    def concatenate(cls, texts: Sequence[str]) -> "_ConcatenatedTexts":
        lengths = np.fromiter((len(text) + 1 for text in texts), np.int64, len(texts))
        bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        joined = "".join(f"{text}\0" for text in texts)
        symbols = np.frombuffer(joined.encode("utf-32-le"), np.uint32).astype(np.int64) + 1
        symbols[bounds[1:] - 1] = END_MARK
        return cls(joined, symbols, bounds)


class _Substrings(NamedTuple):
    """Substrings of one length, and where they occur; equal ones share a group."""

    length: int
    slots: Ints  # [occurrences], where each starts, ascending
    group_ids: Ints  # [occurrences]
    group_count: int

    @classmethod
    def characters(cls, symbols: Ints) -> "_Substrings":
        slots = np.flatnonzero(symbols != END_MARK)
        unique_symbols, group_ids = np.unique(symbols[slots], return_inverse=True)
        return cls(1, slots, group_ids, len(unique_symbols))

    def extend(self, symbols: Ints, group_mask: Mask) -> "_Substrings":
        """One character more, for the wanted groups and within the same text."""
        is_extendable = group_mask[self.group_ids] & (symbols[self.slots + self.length] != END_MARK)
        slots = self.slots[is_extendable]
        keys = self.group_ids[is_extendable] * SYMBOL_COUNT + symbols[slots + self.length]
        unique_keys, group_ids = np.unique(keys, return_inverse=True)
        return _Substrings(self.length + 1, slots, group_ids, len(unique_keys))

    def group_ids_at(self, slots: Ints) -> Ints:
        """The group at each of these slots, all of which must be there."""
        return self.group_ids[np.searchsorted(self.slots, slots)]

    def representative_slots(self) -> Ints:
        """A slot at which each group occurs, [groups]."""
        slots = np.zeros(self.group_count, np.int64)
        slots[self.group_ids] = self.slots
        return slots


def _seed_subwords(words: Counts, alphabet: set[str], max_length: int, max_longer_subwords: int) -> dict[str, int]:
    """The alphabet and the `max_longer_subwords` best longer substrings that occur twice, with count * length."""
    scores = dict(_repeated_substrings(words, max_length, max(max_longer_subwords, len(alphabet))))
    ranked = sorted((-score, subword) for subword, score in scores.items() if len(subword) > 1)
    seeds = [*alphabet, *(subword for _, subword in ranked[:max_longer_subwords])]
    # in order of code points, which stable sorts keep where numbers are equal
    return {subword: scores.get(subword, 0) for subword in sorted(seeds)}


def _repeated_substrings(words: Counts, max_length: int, max_per_length: int) -> Iterator[tuple[str, int]]:
    """The `max_per_length` best substrings of each length, with ties, that occur twice; count * length."""
    texts = _ConcatenatedTexts.concatenate(list(words))
    counts = np.repeat(np.fromiter(words.values(), np.float64, len(words)), np.diff(texts.bounds))
    substrings = _Substrings.characters(texts.symbols)
    while len(substrings.slots) and substrings.length <= max_length:
        occurrence_counts = np.bincount(substrings.group_ids, counts[substrings.slots], substrings.group_count).astype(
            np.int64
        )
        threshold_index = max(substrings.group_count - max_per_length, 0)
        is_best = occurrence_counts >= max(2, np.partition(occurrence_counts, threshold_index)[threshold_index])
        slots = substrings.representative_slots()[is_best].tolist()
        for slot, occurrence_count in zip(slots, occurrence_counts[is_best].tolist(), strict=True):
            yield (texts.joined[slot : slot + substrings.length], occurrence_count * substrings.length)
        substrings = substrings.extend(texts.symbols, occurrence_counts >= 2)


def _digamma(x: Floats) -> Floats:
    """The derivative of ln Gamma at x > 0, to 1e-10: by recurrence to x + 6, there asymptotic."""
    y = x + 6
    series = (1 / 12 - (1 / 120 - (1 / 252 - 1 / (240 * y**2)) / y**2) / y**2) / y**2
    return np.asarray(np.log(y) - 0.5 / y - series - sum(1 / (x + k) for k in range(6)))


class _LatticeStep(NamedTuple):
    """The edges that end equally many characters after the start of their texts."""

    edges: slice
    end_nodes: Nodes  # [nodes]
    first_edges: Ints  # [nodes], the first edge into each, counted within the step
    in_degrees: Ints  # [nodes], how many edges go into each


class _Lattice:
    """All segmentations of all texts. Edges are sorted by depth in the text, then end node."""

    def __init__(self, bounds: Ints, edge_starts: Nodes, edge_lengths: Nodes, subword: Nodes) -> None:
        self.bounds = bounds  # [texts + 1]
        self.text_of_slot = np.repeat(np.arange(len(bounds) - 1, dtype=np.int32), np.diff(bounds))
        end = edge_starts + edge_lengths
        depth = end - bounds.astype(np.int32)[self.text_of_slot[edge_starts]]
        order = np.argsort(depth * bounds[-1] + end, kind="stable").astype(np.int32)
        self.start, self.length, self.edge_subwords = (edge_starts[order], edge_lengths[order], subword[order])
        self._steps = list(self._split_by_depth(end[order], depth[order]))

    @staticmethod
    def _split_by_depth(end: Nodes, depth: Nodes) -> Iterator[_LatticeStep]:
        boundaries = np.flatnonzero(np.diff(depth, prepend=-1, append=-1)).tolist()
        for begin, stop in pairwise(boundaries):
            first_edges = np.flatnonzero(np.diff(end[begin:stop], prepend=-1))
            in_degrees = np.diff(first_edges, append=stop - begin)
            yield _LatticeStep(slice(begin, stop), end[begin:stop][first_edges], first_edges, in_degrees)

    def select_edges(self, edges: Mask) -> "_Lattice":
        return _Lattice(self.bounds, self.start[edges], self.length[edges], self.edge_subwords[edges])

    def expected_counts(self, scores: Floats, counts: Floats) -> Floats:
        """The E-step: how often each piece is expected, [pieces], in texts seen `counts` times.

        `log_forward` is the forward probability log alpha, [nodes]. Backwards, the posterior of an edge
        is that of its end node times its share of the paths there: no second pass of logarithms.
        """
        log_forward = np.zeros(self.bounds[-1])
        edge_posteriors = scores[self.edge_subwords]
        for edges, end_nodes, first_edges, in_degrees in self._steps:
            path_scores = edge_posteriors[edges] + log_forward[self.start[edges]]
            max_scores = np.maximum.reduceat(path_scores, first_edges)
            relative_weights = np.exp(path_scores - np.repeat(max_scores, in_degrees))
            weight_sums = np.add.reduceat(relative_weights, first_edges)
            log_forward[end_nodes] = max_scores + np.log(weight_sums)
            edge_posteriors[edges] = relative_weights / np.repeat(weight_sums, in_degrees)
        node_posteriors = np.zeros(self.bounds[-1])
        node_posteriors[self.bounds[1:] - 1] = counts
        for edges, end_nodes, _, in_degrees in reversed(self._steps):
            edge_posteriors[edges] *= np.repeat(node_posteriors[end_nodes], in_degrees)
            np.add.at(node_posteriors, self.start[edges], edge_posteriors[edges])
        return np.asarray(np.bincount(self.edge_subwords, edge_posteriors, len(scores)), np.float64)

    def best_scores(self, scores: Floats) -> Floats:
        """Log probability of the best segmentation of each text, [texts]."""
        best_node_scores = np.zeros(self.bounds[-1])
        for edges, end_nodes, first_edges, _ in self._steps:
            path_scores = scores[self.edge_subwords[edges]] + best_node_scores[self.start[edges]]
            best_node_scores[end_nodes] = np.maximum.reduceat(path_scores, first_edges)
        return np.asarray(best_node_scores[self.bounds[1:] - 1])


def _build_lattices(subwords: Sequence[str], words: Sequence[str]) -> tuple[_Lattice, _Lattice]:
    """The lattice of the pieces, each longer one never as a whole, and that of the words.

    Both have the pieces, then the words, as their texts, but edges only in their own. A substring
    is a piece where it falls into one group with the piece's own spelling.
    """
    texts = _ConcatenatedTexts.concatenate([*subwords, *words])
    spelling_starts, lengths = (texts.bounds[: len(subwords)], np.diff(texts.bounds)[: len(subwords)] - 1)
    substrings = _Substrings.characters(texts.symbols)
    edge_blocks = []
    while len(substrings.slots):
        complete_subwords = np.flatnonzero(lengths == substrings.length)
        subword_by_group = np.full(substrings.group_count, -1, np.int32)
        subword_by_group[substrings.group_ids_at(spelling_starts[complete_subwords])] = complete_subwords
        subword_ids = subword_by_group[substrings.group_ids]
        is_edge = subword_ids >= 0
        if substrings.length > 1:
            is_edge &= substrings.slots != spelling_starts[subword_ids]
        slots = substrings.slots[is_edge].astype(np.int32)
        edge_blocks.append((slots, np.full(len(slots), substrings.length, np.int32), subword_ids[is_edge]))
        unfinished_groups = np.zeros(substrings.group_count, np.bool_)
        unfinished_groups[substrings.group_ids_at(spelling_starts[lengths > substrings.length])] = True
        substrings = substrings.extend(texts.symbols, unfinished_groups)
    edge_columns = [np.concatenate(blocks) for blocks in zip(*edge_blocks, strict=True)]
    is_word_edge = edge_columns[0] >= texts.bounds[len(subwords)]
    spelling_edges, word_edges = ([column[edges] for column in edge_columns] for edges in (~is_word_edge, is_word_edge))
    return _Lattice(texts.bounds, *spelling_edges), _Lattice(texts.bounds, *word_edges)


class _UnigramModel:
    """Pieces, of which fewer and fewer are alive, and their log probabilities."""

    def __init__(self, words: Counts, seeds: Counts) -> None:
        self.is_alive = np.ones(len(seeds), np.bool_)
        self._subwords = list(seeds)
        self._is_character = np.array([len(subword) == 1 for subword in seeds], np.bool_)
        self._scores = np.zeros(len(seeds))
        self._text_counts = np.array([0] * len(seeds) + list(words.values()), np.float64)
        self._spelling_lattice, self._word_lattice = _build_lattices(self._subwords, list(words))
        self._maximise(np.fromiter(seeds.values(), np.float64, len(seeds)))

    def fit(self, iterations: int) -> Floats:
        """EM; gives the expected counts of the last time, [pieces]."""
        for _ in range(iterations):
            expected_counts = self._word_lattice.expected_counts(self._scores, self._text_counts)
            self._maximise(expected_counts)
        return expected_counts

    def _maximise(self, expected_counts: Floats) -> None:
        """The M-step, variational for a Dirichlet prior: ln p = digamma(count) - digamma(sum).

        It takes about half a count from every piece, and so prefers few frequent ones.
        """
        clipped_counts = np.maximum(expected_counts[self.is_alive], MIN_EXPECTED_COUNT)
        self._scores[self.is_alive] = _digamma(clipped_counts) - _digamma(clipped_counts.sum(keepdims=True))

    def prune(self, size: int, expected_counts: Floats) -> None:
        """Leave `size` pieces: all single characters, and those whose loss would cost most.

        Each occurrence of a lost piece costs the difference to the best other spelling of it.
        """
        loss = expected_counts * (
            self._scores - self._spelling_lattice.best_scores(self._scores)[: len(expected_counts)]
        )
        loss[self._is_character] = np.inf
        loss[~self.is_alive] = -np.inf
        self.is_alive[np.argsort(-loss, kind="stable")[size:]] = False
        self._word_lattice = self._word_lattice.select_edges(self.is_alive[self._word_lattice.edge_subwords])
        lattice, text_of_slot = self._spelling_lattice, self._spelling_lattice.text_of_slot
        self._spelling_lattice = lattice.select_edges(
            self.is_alive[lattice.edge_subwords] & self.is_alive[text_of_slot[lattice.start]]
        )

    def sorted_by_score(self) -> list[tuple[str, float]]:
        scored = zip(self._subwords, self._scores.tolist(), self.is_alive, strict=True)
        alive_subwords = [(subword, score) for subword, score, is_alive in scored if is_alive]
        return sorted(alive_subwords, key=lambda item: (-item[1], item[0]))
