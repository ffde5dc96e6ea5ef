"""Segment words into subwords at random, as a seed decides (subword regularisation).

The tokenizers library has both methods too, but draws BPE dropout from a generator without a seed.
"""

import random
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import exp, log
from typing import Protocol

UNKNOWN_PENALTY = 10.0  # nats below the worst piece, for a character that is no piece
CACHED_WORDS = 1 << 16
CACHED_LENGTH = 32  # longer words are mostly sentences without spaces, which do not come again

Paths = tuple[list[int], list[float]]  # where the last piece starts, and cumulative weights


class Segmenter(Protocol):
    """Cuts words into pieces."""

    def segment(self, word: str, rng: random.Random) -> list[str]:
        """Pieces that together spell the word; the draws from rng decide which."""
        ...


class BpeDropout:
    """Byte-pair encoding that now and then overlooks a merge (Provilkov et al. 2020, alg. 1)."""

    def __init__(self, merges: Sequence[tuple[str, str]], rate: float) -> None:
        """Merges, best first, and the probability to overlook one, each time it is possible.

        0 gives ordinary BPE (Sennrich et al. 2016) and 1 single characters.
        """
        self._ranks = {pair: rank for rank, pair in enumerate(merges)}
        self._none = len(merges)
        self._rate = rate

    def segment(self, word: str, rng: random.Random) -> list[str]:
        """Pieces; characters that no merge knows stay alone."""
        pieces = list(word)
        none, rank_of = self._none, self._ranks.get
        ranks = [rank_of(pair, none) for pair in pairwise(pieces)]
        while (at := self._merge(ranks, rng)) is not None:
            pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
            del ranks[at]
            if at:
                ranks[at - 1] = rank_of((pieces[at - 1], pieces[at]), none)
            if at < len(ranks):
                ranks[at] = rank_of((pieces[at], pieces[at + 1]), none)
        return pieces

    def _merge(self, ranks: list[int], rng: random.Random) -> int | None:
        """The leftmost of the best merges not overlooked.

        Draws only for those better than the best so far: the others would not change the result.
        """
        best, found = self._none, None
        for at, rank in enumerate(ranks):
            if rank < best and rng.random() >= self._rate:
                best, found = rank, at
        return found


class UnigramSampler:
    """Draws segmentations x of a word with P(x) proportional to p(x) ** alpha.

    Kudo 2018, eq. 9, over all segmentations and not the l best, by forward filtering and backward
    sampling; p(x) is the product of the pieces' probabilities.
    """

    def __init__(self, pieces: Mapping[str, float], alpha: float) -> None:
        """Pieces with natural log probabilities; alpha 0 finds all segmentations equally likely.

        The greater alpha, the surer the best segmentation.
        """
        self._scores = {piece: alpha * score for piece, score in pieces.items()}
        self._unknown = alpha * (min(pieces.values(), default=0.0) - UNKNOWN_PENALTY)
        self._longest = max(map(len, pieces), default=1)
        self._cache: dict[str, list[Paths]] = {}

    def segment(self, word: str, rng: random.Random) -> list[str]:
        """Pieces; a character that is none can only be alone, unless it is in a longer one."""
        paths = self._cache.get(word)
        if paths is None:
            paths = self._paths(word)
            if len(word) <= CACHED_LENGTH and len(self._cache) < CACHED_WORDS:
                self._cache[word] = paths
        pieces = []
        end = len(word)
        while end:
            starts, weights = paths[end - 1]
            drawn = bisect_right(weights, rng.random() * weights[-1], hi=len(weights) - 1)
            start = starts[drawn]
            pieces.append(word[start:end])
            end = start
        return pieces[::-1]

    def _paths(self, word: str) -> list[Paths]:
        """For each end in the word, 1 to its length, the ways to get there."""
        reached = [0.0]  # log of the sum over all ways, at each end
        paths = []
        for end in range(1, len(word) + 1):
            starts, values = self._pieces_to(word, end, reached)
            top = max(values)
            weights, total = [], 0.0
            for value in values:
                total += exp(value - top)
                weights.append(total)
            reached.append(top + log(total))
            paths.append((starts, weights))
        return paths

    def _pieces_to(
        self, word: str, end: int, reached: Sequence[float]
    ) -> tuple[list[int], list[float]]:
        """Starts of the pieces that end there, and log of all ways through each."""
        starts, values = [], []
        for start in range(max(end - self._longest, 0), end - 1):
            score = self._scores.get(word[start:end])
            if score is not None:
                starts.append(start)
                values.append(reached[start] + score)
        starts.append(end - 1)
        values.append(reached[end - 1] + self._scores.get(word[end - 1], self._unknown))
        return starts, values
