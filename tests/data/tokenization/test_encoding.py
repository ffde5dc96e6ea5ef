"""Looking words up gives the ids that cutting the whole line gives, for any text."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, pre_tokenizers

from nmt_cli.data.tokenization.encoding import PairEncoder, WordCache
from nmt_cli.data.tokenization.tokenizer import TextTokenizer, TokenizerConfig
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.data.tokenization.training import train_tokenizer
from tests.conftest import examples

ODD = [
    "", " ", "  ", "a", " a", "a ", "a  b", "The old man", "<s> </s> <0x41> x<pad>", "don't 1995!",
    "a\u00a0b", "a\u2028b c", "a\tb", "\u0301 \u0301a e\u0301", "ein Haus, zwei Häuser — „schön“",
    "▁ ▁a", "我喜欢 读书。", "\x1c a \x85", "🙂 🙂🙂", "a \u200b b", "< s>",
]  # fmt: skip
TEXT = ["The old man reads a book.", "zwei Häuser — „schön“", "我喜欢读书。", "<s> in text"] * 4
KINDS = ["bpe", "unigram", "character", "word"]


@pytest.fixture(scope="module", params=KINDS)
def any_tokenizer(request: pytest.FixtureRequest) -> TextTokenizer:
    config = TokenizerConfig(type=request.param, vocab_size=360)
    return train_tokenizer(lambda: TEXT, config, nfc=request.param != "bpe")


def by_cache(cache: WordCache, lines: list[str]) -> list[list[int]]:
    return [np.frombuffer(ids, dtype=np.uint32).tolist() for ids in cache.encode(lines)]


def test_odd_lines_have_the_same_ids(any_tokenizer: TextTokenizer) -> None:
    cache = WordCache(any_tokenizer)
    assert cache.caches_words
    for _ in range(2):  # the second time all words are known
        assert by_cache(cache, ODD) == any_tokenizer.encode(ODD)


@examples(200)
@given(st.lists(st.text(st.sampled_from("ab <s>/pd0x41\u0301é \u3000\x1f1.,'我"), max_size=20)))
def test_any_text_has_the_same_ids(lines: list[str]) -> None:
    for tokenizer in TOKENIZERS:
        assert by_cache(WordCache(tokenizer), lines) == tokenizer.encode(lines)


TOKENIZERS = [train_tokenizer(lambda: TEXT, TokenizerConfig(type=kind, vocab_size=360)) for kind in ("bpe", "unigram")]


def test_the_words_remembered_are_bounded() -> None:
    cache = WordCache(TOKENIZERS[0], max_words=10)
    for first in range(0, 100, 5):
        lines = [f"w{n} w{n + 1}" for n in range(first, first + 5)]
        assert by_cache(cache, lines) == TOKENIZERS[0].encode(lines)
        assert len(cache._ids) <= 10 + 6


def test_a_tokenizer_that_cuts_elsewhere_is_asked_for_whole_lines() -> None:
    other = Tokenizer.from_str(TOKENIZERS[0].backend.to_str())
    other.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer = TextTokenizer(other)
    cache = WordCache(tokenizer)
    assert not cache.caches_words
    assert by_cache(cache, ODD) == tokenizer.encode(ODD)


def test_pairs_too_long_in_any_variant_are_left_out_of_every_column() -> None:
    tokenizers = Tokenizers(TOKENIZERS[0], TOKENIZERS[0])
    config = TokenizerConfig(vocab_size=360, subword_samples=2, subword_sampling=0.5)
    sources = ["The old man", "a", "book " * 30, "The"]
    targets = ["zwei", "Häuser " * 30, "b", "old"]
    encoded = PairEncoder(tokenizers, config, 40)((sources, targets))
    assert list(encoded.keep_mask) == [1, 0, 0, 1]
    assert len(encoded.ids) == len(encoded.lengths) == 4
    for ids, lengths in zip(encoded.ids, encoded.lengths, strict=True):
        sizes = np.frombuffer(lengths, dtype=np.uint32)
        assert len(sizes) == 2 and 4 * sizes.sum() == len(ids)
    first = np.frombuffer(encoded.ids[0], dtype=np.uint32).tolist()
    assert first == [i for ids in TOKENIZERS[0].encode(["The old man", "The"]) for i in ids]
    assert sorted(encoded.new_words) == ["man", "old", "the"]
    assert PairEncoder(tokenizers, config, None)((sources, targets)).keep_mask == b"\1\1\1\1"


def test_words_of_pairs_too_long_are_told_when_a_shorter_pair_has_them() -> None:
    tokenizers = Tokenizers(TOKENIZERS[0], TOKENIZERS[0])
    encode = PairEncoder(tokenizers, TokenizerConfig(vocab_size=360), 20)
    assert encode((["An odd word " * 30, "Old"], ["a", "b"])).new_words == ["old"]
    assert encode((["odd", "Old"], ["a", "b"])).new_words == ["odd"]
