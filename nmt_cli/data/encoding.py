"""Training text to ids, block by block, in whatever process; the bytes do not depend on which.

A line without runs of spaces is a sequence of words with a space before each, and no piece reaches
from one into the next (`tokenizer.WORDS`). So the ids of a word that was seen before are looked up
instead of cutting every line anew.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tokenizers import models

from nmt_cli.data.prepared import Tokenizers
from nmt_cli.data.tokenizer import TextTokenizer, TokenizerConfig, frame
from nmt_cli.data.variants import VariantEncoder
from nmt_cli.data.words import NewWords

WORDS_KEPT = 200_000  # words whose ids are remembered; then all are forgotten
ID = np.dtype(np.uint32)

Block = tuple[list[str], list[str]]  # sources and targets


class Encoded(NamedTuple):
    """Pairs that are not too long, column by column: source and target of each variant in turn."""

    kept: bytes  # a byte for each pair of the block: 0 for one that is too long
    ids: list[bytes]  # uint32, of all kept pairs, a string a column
    lengths: list[bytes]  # uint32, one for each kept pair, a string a column
    words: list[str]  # of the kept sources, those that no block before had and perhaps others


class WordCache:
    """`TextTokenizer.encode` with a memory for words; ids come as bytes of uint32."""

    def __init__(self, tokenizer: TextTokenizer, most: int = WORDS_KEPT) -> None:
        self.tokenizer, self.most = tokenizer, most
        self.by_words = _cuts_at_spaces(tokenizer)
        self._ids: dict[str, bytes] = {}

    def encode(self, lines: Sequence[str]) -> list[bytes]:
        """The ids of each line."""
        if not self.by_words:
            return _as_bytes(self.tokenizer.encode(lines))
        split = [line.split(" ") for line in lines]
        plain = [words == line.split() for words, line in zip(split, lines, strict=True)]
        known = self._known([words for words, one in zip(split, plain, strict=True) if one])
        others = [line for line, one in zip(lines, plain, strict=True) if not one]
        odd = iter(_as_bytes(self.tokenizer.encode(others)))
        return [
            b"".join([known[word] for word in words]) if one else next(odd)
            for words, one in zip(split, plain, strict=True)
        ]

    def _known(self, lines: list[list[str]]) -> dict[str, bytes]:
        """A table with the words of all these lines."""
        if len(self._ids) > self.most:
            self._ids = {}
        new = list({word: None for words in lines for word in words if word not in self._ids})
        self._ids.update(zip(new, _as_bytes(self.tokenizer.encode(new)), strict=True))
        return self._ids


def _cuts_at_spaces(tokenizer: TextTokenizer) -> bool:
    """Whether it looks for pieces as those do that are trained here; imported ones may not."""
    frames = [json.loads(frame(models.BPE(), nfc=nfc).to_str()) for nfc in (True, False)]
    content = json.loads(tokenizer.backend.to_str())
    keys = ("normalizer", "pre_tokenizer", "post_processor", "added_tokens")
    return any(all(content[key] == one[key] for key in keys) for one in frames)


def _as_bytes(sequences: Sequence[Sequence[int]]) -> list[bytes]:
    return [np.array(ids, dtype=ID).tobytes() for ids in sequences]


class Encode:
    """Encodes training pairs in every variant, the first of which is always the best."""

    def __init__(
        self, tokenizers: Tokenizers, config: TokenizerConfig, max_length: int | None
    ) -> None:
        self.sides = (tokenizers.source, tokenizers.target)
        self.caches = [WordCache(side) for side in self.sides]
        self.samplers = [VariantEncoder(side, config) for side in self.sides]
        self.variants, self.max_length = range(config.variants), max_length
        self.new_words = NewWords()

    def __call__(self, block: Block) -> Encoded:
        """The ids of the pairs that are not too long in any variant."""
        columns = [
            _as_bytes(self.samplers[side].encode(block[side], variant))
            if variant
            else self.caches[side].encode(block[side])
            for variant in self.variants
            for side in (0, 1)
        ]
        sizes = [np.array([len(ids) // ID.itemsize for ids in one], dtype=ID) for one in columns]
        kept = np.ones(len(block[0]), dtype=bool)
        if self.max_length is not None:
            for lengths in sizes:
                kept &= lengths <= self.max_length
        chosen = np.flatnonzero(kept).tolist()
        return Encoded(
            kept.tobytes(),
            [b"".join([column[place] for place in chosen]) for column in columns],
            [lengths[kept].tobytes() for lengths in sizes],
            self.new_words(block[0][place] for place in chosen),
        )


def open_encoder(
    folder: Path, config: TokenizerConfig, max_length: int | None, number: int
) -> Encode:
    """The work of a worker, with the tokenizers of a folder."""
    return Encode(Tokenizers.load(folder), config, max_length)
