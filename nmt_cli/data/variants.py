"""Other encodings of the same text, drawn by seed, for subword regularisation."""

import random
from collections.abc import Sequence

from nmt_cli.data.imported import ImportedTokenizer
from nmt_cli.data.subword_sampling import BpeDropout, Segmenter, UnigramSampler
from nmt_cli.data.tokenizer import BYTE_PIECES, TextTokenizer, TokenizerConfig, model_content
from nmt_cli.errors import DataError


class VariantEncoder:
    """Encodes lines in a randomly sampled way; variant and text decide how.

    DataError for variants of an imported tokenizer.
    """

    def __init__(self, tokenizer: TextTokenizer, config: TokenizerConfig) -> None:
        if config.variants > 1 and isinstance(tokenizer, ImportedTokenizer):
            raise DataError("tokenizer.variants: an imported tokenizer cuts text in one way: use 1")
        self.tokenizer = tokenizer
        self._ids = tokenizer.backend.get_vocab()
        self._bytes = [self._ids.get(piece, 1) for piece in BYTE_PIECES]
        self._segmenter = _segmenter(tokenizer, config) if config.variants > 1 else None

    def encode(self, lines: Sequence[str], variant: int) -> list[list[int]]:
        """Ids of each line in this variant, counted from 1."""
        return [self._encode(line, random.Random(f"{variant} {line}")) for line in lines]

    def _encode(self, line: str, draw: random.Random) -> list[int]:
        assert self._segmenter is not None
        ids: list[int] = []
        for word in self.tokenizer.words(line):
            for piece in self._segmenter.segment(word, draw):
                if piece in self._ids:
                    ids.append(self._ids[piece])
                else:
                    ids += (self._bytes[byte] for byte in piece.encode())
        return ids


def _segmenter(tokenizer: TextTokenizer, config: TokenizerConfig) -> Segmenter:
    content = model_content(tokenizer)
    if config.type == "unigram":
        skip = 4 + len(BYTE_PIECES)
        return UnigramSampler(dict(map(tuple, content["vocab"][skip:])), config.sampling)
    return BpeDropout([(left, right) for left, right in content["merges"]], config.sampling)
