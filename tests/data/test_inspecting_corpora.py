"""What nmt check measures of a corpus, without keeping what it does not report."""

from unittest.mock import patch

from nmt_cli.data.cleaning import PAIRS_PER_BLOCK
from nmt_cli.data.inspection import token_lengths
from nmt_cli.data.tokenization.encoding import WordCache
from nmt_cli.data.tokenization.tokenizer import TextTokenizer, TokenizerConfig
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.data.tokenization.training import train_tokenizer

TOKENIZER = train_tokenizer(lambda: ["The old man reads a book.", "zwei Häuser"] * 4, TokenizerConfig(vocab_size=300))
WORDS = ["The", "old", "man", "reads", "books.", "Häuser"]


def test_pairs_are_encoded_in_blocks_and_each_word_once() -> None:
    """The ids of all pairs at once took gigabytes, and encoding every line anew a third of the time of a check."""
    block_sizes: list[int] = []
    encoded_words: list[str] = []
    encode_block, encode = WordCache.encode, TextTokenizer.encode

    def encode_counted_block(cache: WordCache, lines: list[str]) -> list[bytes]:
        block_sizes.append(len(lines))
        return encode_block(cache, lines)

    def encode_counted_words(tokenizer: TextTokenizer, words: list[str]) -> list[list[int]]:
        encoded_words.extend(words)
        return encode(tokenizer, words)

    lines = [" ".join(WORDS[: number % 7]) for number in range(2 * PAIRS_PER_BLOCK + 1)]
    pairs = list(zip(lines, reversed(lines), strict=True))
    with (
        patch.object(WordCache, "encode", encode_counted_block),
        patch.object(TextTokenizer, "encode", encode_counted_words),
    ):
        source, target = token_lengths(Tokenizers(TOKENIZER, TOKENIZER), pairs)
    assert source.tolist() == [len(ids) for ids in TOKENIZER.encode(lines)] and target.tolist() == source.tolist()[::-1]
    assert block_sizes == 2 * [PAIRS_PER_BLOCK, PAIRS_PER_BLOCK, 1]
    assert sorted(encoded_words) == sorted(["", *WORDS])
    other = train_tokenizer(lambda: WORDS, TokenizerConfig(type="character", vocab_size=300))
    source, target = token_lengths(Tokenizers(TOKENIZER, other), [("The old man", "The old man")])
    assert [source[0], target[0]] == [len(each.encode(["The old man"])[0]) for each in (TOKENIZER, other)]
    empty = token_lengths(Tokenizers(TOKENIZER, TOKENIZER), [])
    assert [lengths.tolist() for lengths in empty] == [[], []]
