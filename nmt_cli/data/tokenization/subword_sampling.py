"""Sampled encodings of text, determined by a seed, for subword regularisation.

The tokenizers library has both methods, but draws BPE dropout from a generator without a seed.
"""

import random
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import exp, log

from nmt_cli.data.tokenization.imported import ImportedTokenizer
from nmt_cli.data.tokenization.tokenizer import BYTE_TOKENS, TextTokenizer, TokenizerConfig, model_dict
from nmt_cli.errors import DataError
from nmt_cli.vocabulary import SPECIAL_TOKENS

UNKNOWN_PENALTY = 10.0  # nats below the worst piece, for a character that is no piece
MAX_CACHED_WORDS = 1 << 16
MAX_CACHED_WORD_CHARS = 32  # longer words are mostly sentences without spaces, which do not come again

IncomingEdges = tuple[list[int], list[float]]  # where the last piece starts, and cumulative weights


class BpeDropout:
    """Byte-pair encoding that skips merges at random: BPE-dropout (Provilkov et al. 2020, alg. 1)."""

    def __init__(self, merges: Sequence[tuple[str, str]], dropout: float) -> None:
        """Merges, best first, and the probability of skipping one at each opportunity.

        0 gives ordinary BPE (Sennrich et al. 2016), 1 single characters.
        """
        self._ranks = {pair: rank for rank, pair in enumerate(merges)}
        self._no_rank = len(merges)
        self._dropout = dropout

    def segment(self, word: str, rng: random.Random) -> list[str]:
        """Pieces of the word; characters without a merge stay single."""
        subwords = list(word)
        no_rank, rank_of = self._no_rank, self._ranks.get
        ranks = [rank_of(pair, no_rank) for pair in pairwise(subwords)]
        while (index := self._choose_merge(ranks, rng)) is not None:
            subwords[index : index + 2] = [subwords[index] + subwords[index + 1]]
            del ranks[index]
            if index:
                ranks[index - 1] = rank_of((subwords[index - 1], subwords[index]), no_rank)
            if index < len(ranks):
                ranks[index] = rank_of((subwords[index], subwords[index + 1]), no_rank)
        return subwords

    def _choose_merge(self, ranks: list[int], rng: random.Random) -> int | None:
        """The leftmost of the best merges that are not skipped.

        Draws only for those better than the best so far: the others would not change the result.
        """
        best_rank, best_index = self._no_rank, None
        for index, rank in enumerate(ranks):
            if rank < best_rank and rng.random() >= self._dropout:
                best_rank, best_index = rank, index
        return best_index


class UnigramSampler:
    """Draws segmentations x of a word with P(x) proportional to p(x) ** alpha.

    Kudo 2018, eq. 9, over all segmentations instead of the l best, by forward filtering and backward sampling; p(x) is
    the product of the probabilities of the pieces.
    """

    def __init__(self, log_probabilities: Mapping[str, float], alpha: float) -> None:
        """Pieces with natural log probabilities; with alpha 0, all segmentations are equally likely.

        The greater alpha, the more likely the best segmentation.
        """
        self._scores = {subword: alpha * score for subword, score in log_probabilities.items()}
        self._unknown_score = alpha * (min(log_probabilities.values(), default=0.0) - UNKNOWN_PENALTY)
        self._max_subword_chars = max(map(len, log_probabilities), default=1)
        self._cache: dict[str, list[IncomingEdges]] = {}

    def segment(self, word: str, rng: random.Random) -> list[str]:
        """Pieces of the word; an unknown character is a piece of its own, unless a longer piece contains it."""
        edges = self._cache.get(word)
        if edges is None:
            edges = self._forward_filter(word)
            if len(word) <= MAX_CACHED_WORD_CHARS and len(self._cache) < MAX_CACHED_WORDS:
                self._cache[word] = edges
        subwords = []
        end = len(word)
        while end:
            starts, weights = edges[end - 1]
            choice = bisect_right(weights, rng.random() * weights[-1], hi=len(weights) - 1)
            start = starts[choice]
            subwords.append(word[start:end])
            end = start
        return subwords[::-1]

    def _forward_filter(self, word: str) -> list[IncomingEdges]:
        """For each position in the word from 1 to its length, the pieces that end there."""
        log_forward = [0.0]  # log of the sum over all ways, at each end
        edges = []
        for end in range(1, len(word) + 1):
            starts, log_weights = self._edges_into(word, end, log_forward)
            max_log_weight = max(log_weights)
            weights, total = [], 0.0
            for log_weight in log_weights:
                total += exp(log_weight - max_log_weight)
                weights.append(total)
            log_forward.append(max_log_weight + log(total))
            edges.append((starts, weights))
        return edges

    def _edges_into(self, word: str, end: int, log_forward: Sequence[float]) -> tuple[list[int], list[float]]:
        """Starts of the pieces that end at a position, and the log of the sum over all segmentations through each."""
        starts, log_weights = [], []
        for start in range(max(end - self._max_subword_chars, 0), end - 1):
            score = self._scores.get(word[start:end])
            if score is not None:
                starts.append(start)
                log_weights.append(log_forward[start] + score)
        starts.append(end - 1)
        log_weights.append(log_forward[end - 1] + self._scores.get(word[end - 1], self._unknown_score))
        return starts, log_weights


Segmenter = BpeDropout | UnigramSampler


class VariantEncoder:
    """Encodes lines by sampling; the result depends only on the number of the variant and the text."""

    def __init__(self, tokenizer: TextTokenizer, config: TokenizerConfig) -> None:
        """DataError for a tokenizer that knows one encoding of a text, be it imported or of the run to start from."""
        if isinstance(tokenizer, ImportedTokenizer):
            raise DataError("tokenizer.subword_samples: an imported tokenizer has only one encoding of a text: use 1")
        if errors := config.errors():
            raise DataError(f"tokenizer.{errors[0]}")
        self.tokenizer = tokenizer
        self._token_ids = tokenizer.backend.get_vocab()
        self._byte_ids = [self._token_ids[token] for token in BYTE_TOKENS]
        self._segmenter = _make_segmenter(tokenizer, config)
        self._tag_words = {f" {tag}" for tag in tokenizer.tags}

    def encode(self, lines: Sequence[str], variant: int) -> list[list[int]]:
        """Ids of each line in this variant, counted from 1."""
        return [self._encode(line, random.Random(f"{variant} {line}")) for line in lines]

    def _encode(self, line: str, rng: random.Random) -> list[int]:
        ids: list[int] = []
        for word in self.tokenizer.pre_tokenize(line):
            for subword in [word] if word in self._tag_words else self._segmenter.segment(word, rng):
                if subword in self._token_ids:
                    ids.append(self._token_ids[subword])
                else:
                    ids += (self._byte_ids[byte] for byte in subword.encode())
        return ids


def _make_segmenter(tokenizer: TextTokenizer, config: TokenizerConfig) -> Segmenter:
    content = model_dict(tokenizer.backend)
    if config.type == "unigram":
        reserved_count = len(SPECIAL_TOKENS) + len(BYTE_TOKENS)
        scores = {token: score for token, score in content["vocab"][reserved_count:] if token[1:] not in tokenizer.tags}
        return UnigramSampler(scores, config.subword_sampling)
    return BpeDropout([(left, right) for left, right in content["merges"]], config.subword_sampling)
