"""Encoding of training text to ids, block by block; the result does not depend on the process that encodes a block.

A line without runs of spaces is a sequence of words with a space before each, and no piece reaches from one word into
the next. So the ids of a word are looked up if it was seen before, instead of encoding every line anew.
"""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tokenizers import models

from nmt_cli.data.augmentation import AugmentConfig, Augmenter, Columns
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.known_words import NewWordCollector
from nmt_cli.data.language_tags import split_tag
from nmt_cli.data.placeholders import PlaceholderMaker
from nmt_cli.data.tokenization.subword_sampling import VariantEncoder
from nmt_cli.data.tokenization.tokenizer import TextTokenizer, TokenizerConfig, build_backend
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers

MAX_CACHED_WORDS = 200_000  # words whose ids are cached; a full cache is cleared
ID_DTYPE = np.dtype(np.uint32)


class EncodedBlock(NamedTuple):
    """Pairs that are not too long, in columns: source and target of each variant in turn."""

    keep_mask: bytes  # a byte for each pair of the block: 0 for one that is too long
    ids: list[bytes]  # uint32, of all kept pairs, one string per column
    lengths: list[bytes]  # uint32, one for each kept pair, one string per column
    new_words: list[str]  # words of the kept sources that no earlier block had, and perhaps others
    characters: str  # every character of the kept sources
    placeholder_pairs: int  # how many pairs have placeholders


class WordCache:
    """`TextTokenizer.encode` with a cache of words; ids are bytes of uint32."""

    def __init__(self, tokenizer: TextTokenizer, max_words: int = MAX_CACHED_WORDS) -> None:
        self.tokenizer, self.max_words = tokenizer, max_words
        self.caches_words = _pre_tokenizes_like_ours(tokenizer)
        self._ids: dict[str, bytes] = {}

    def encode(self, lines: Sequence[str]) -> list[bytes]:
        """The ids of each line."""
        if not self.caches_words:
            return _as_bytes(self.tokenizer.encode(lines))
        # A line with runs of spaces, or other white space, stands as a whole for its only word.
        line_words = [words if (words := line.split(" ")) == line.split() else [line] for line in lines]
        if len(self._ids) > self.max_words:
            self._ids = {}
        new_words = list({word: None for words in line_words for word in words if word not in self._ids})
        self._ids.update(zip(new_words, _as_bytes(self.tokenizer.encode(new_words)), strict=True))
        return [b"".join([self._ids[word] for word in words]) for words in line_words]


def _pre_tokenizes_like_ours(tokenizer: TextTokenizer) -> bool:
    """Whether a tokenizer splits text into words as those trained here do; imported ones may not."""
    backends = (build_backend(models.BPE(), nfc=nfc, tags=tokenizer.tags) for nfc in (True, False))
    references = [json.loads(backend.to_str()) for backend in backends]
    content = json.loads(tokenizer.backend.to_str())
    keys = ("normalizer", "pre_tokenizer", "post_processor", "added_tokens")
    return any(all(content[key] == reference[key] for key in keys) for reference in references)


def _as_bytes(sequences: Sequence[Sequence[int]]) -> list[bytes]:
    return [np.array(ids, dtype=ID_DTYPE).tobytes() for ids in sequences]


def variant_count(config: TokenizerConfig, augment: AugmentConfig | None) -> int:
    """How many variants of the training text are prepared: segmentations, and copies that are augmented."""
    return max(config.subword_samples, 1 if augment is None else augment.copies)


class PairEncoder:
    """Encodes training pairs in every variant; the first variant is the best segmentation.

    With an `augmenter`, each variant is a copy of the text that it changes. All have the placeholders of the
    `placeholder_maker`. `tags` that sources begin with are no words of the text.
    """

    def __init__(
        self,
        tokenizers: Tokenizers,
        config: TokenizerConfig,
        max_length: int | None,
        augmenter: Augmenter | None = None,
        placeholder_maker: PlaceholderMaker | None = None,
        tags: Collection[str] = (),
    ) -> None:
        self.tokenizers = (tokenizers.source, tokenizers.target)
        self.caches = [WordCache(tokenizer) for tokenizer in self.tokenizers]
        sampled_tokenizers = self.tokenizers if config.subword_samples > 1 else ()
        self.variant_encoders = [VariantEncoder(tokenizer, config) for tokenizer in sampled_tokenizers]
        self.subword_samples, self.max_length, self.augmenter = config.subword_samples, max_length, augmenter
        self.variants = range(variant_count(config, None if augmenter is None else augmenter.config))
        self.collect_new_words = NewWordCollector()
        self.placeholder_maker, self.tags = placeholder_maker, tags

    def __call__(self, block: Columns) -> EncodedBlock:
        """The ids of the pairs that are not too long in any variant before they are augmented."""
        texts = block
        if self.placeholder_maker is not None:
            pairs = list(map(self.placeholder_maker, *block))
            texts = [source for source, _ in pairs], [target for _, target in pairs]
        columns = [column for variant in self.variants for column in self._encode_variant(texts, variant)]
        lengths = np.array([[len(ids) // ID_DTYPE.itemsize for ids in column] for column in columns], dtype=ID_DTYPE)
        keep_mask = (lengths <= (np.inf if self.max_length is None else self.max_length)).all(axis=0)
        kept_indices = np.flatnonzero(keep_mask).tolist()
        kept_sources = [split_tag(block[0][index], self.tags)[1] for index in kept_indices]
        return EncodedBlock(
            keep_mask.tobytes(),
            [b"".join([column[index] for index in kept_indices]) for column in columns],
            [column.tobytes() for column in lengths[:, keep_mask]],
            self.collect_new_words(kept_sources),
            "".join(set().union(*kept_sources)),
            sum(texts[0][index] != block[0][index] for index in kept_indices),
        )

    def _encode_variant(self, block: Columns, variant: int) -> list[list[bytes]]:
        """The ids of each side; a pair that would become too long by being augmented stays as it was."""
        columns = [self._encode(side, block[side], variant) for side in (0, 1)]
        changed_pairs = {} if self.augmenter is None else self.augmenter(block, variant)
        changed_columns = [
            self._encode(side, [pair[side] for pair in changed_pairs.values()], variant) for side in (0, 1)
        ]
        for index, *pair_ids in zip(changed_pairs, *changed_columns, strict=True):
            if self.max_length is None or max(map(len, pair_ids)) <= self.max_length * ID_DTYPE.itemsize:
                for column, ids in zip(columns, pair_ids, strict=True):
                    column[index] = ids
        return columns

    def _encode(self, side: int, lines: Sequence[str], variant: int) -> list[bytes]:
        sample = variant % self.subword_samples
        if sample:
            return _as_bytes(self.variant_encoders[side].encode(lines, sample))
        return self.caches[side].encode(lines)


def make_pair_encoder(
    folder: Path,
    config: TokenizerConfig,
    corpus: CorpusConfig,
    augment: AugmentConfig | None,
    tags: Collection[str],
    worker_index: int,
) -> PairEncoder:
    """The encoder that a worker process applies, with the tokenizers of a folder, to text with these tags."""
    augmenter = None if augment is None else Augmenter(augment, corpus, tags)
    placeholder_maker = PlaceholderMaker(corpus, tags) if corpus.placeholders else None
    return PairEncoder(Tokenizers.load(folder), config, corpus.max_length, augmenter, placeholder_maker, tags)
