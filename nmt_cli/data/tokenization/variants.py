"""Sampled encodings of the same text, determined by a seed, for subword regularisation."""

import random
from collections.abc import Sequence

from nmt_cli.data.tokenization.imported import ImportedTokenizer
from nmt_cli.data.tokenization.subword_sampling import BpeDropout, Segmenter, UnigramSampler
from nmt_cli.data.tokenization.tokenizer import BYTE_TOKENS, TextTokenizer, TokenizerConfig, model_dict
from nmt_cli.errors import DataError


class VariantEncoder:
    """Encodes lines by sampling; the result depends only on the number of the variant and the text.

    DataError for variants of an imported tokenizer.
    """

    def __init__(self, tokenizer: TextTokenizer, config: TokenizerConfig) -> None:
        if config.subword_samples > 1 and isinstance(tokenizer, ImportedTokenizer):
            raise DataError("tokenizer.subword_samples: an imported tokenizer cuts text in one way: use 1")
        self.tokenizer = tokenizer
        self._token_ids = tokenizer.backend.get_vocab()
        self._byte_ids = [self._token_ids.get(token, 1) for token in BYTE_TOKENS]
        self._segmenter = _make_segmenter(tokenizer, config) if config.subword_samples > 1 else None

    def encode(self, lines: Sequence[str], variant: int) -> list[list[int]]:
        """Ids of each line in this variant, counted from 1."""
        return [self._encode(line, random.Random(f"{variant} {line}")) for line in lines]

    def _encode(self, line: str, rng: random.Random) -> list[int]:
        assert self._segmenter is not None
        ids: list[int] = []
        for word in self.tokenizer.pre_tokenize(line):
            for subword in self._segmenter.segment(word, rng):
                if subword in self._token_ids:
                    ids.append(self._token_ids[subword])
                else:
                    ids += (self._byte_ids[byte] for byte in subword.encode())
        return ids


def _make_segmenter(tokenizer: TextTokenizer, config: TokenizerConfig) -> Segmenter:
    content = model_dict(tokenizer)
    if config.type == "unigram":
        reserved_count = 4 + len(BYTE_TOKENS)
        return UnigramSampler(dict(map(tuple, content["vocab"][reserved_count:])), config.subword_sampling)
    return BpeDropout([(left, right) for left, right in content["merges"]], config.subword_sampling)
