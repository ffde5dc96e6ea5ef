"""Characters that a vocabulary lacks."""

from nmt_cli.data.tokenization.coverage import missing_characters
from nmt_cli.data.tokenization.tokenizer import TokenizerConfig
from nmt_cli.data.tokenization.training import train_tokenizer


def test_the_share_of_missing_characters_is_said_with_the_most_frequent_ones() -> None:
    tokenizer = train_tokenizer(lambda: ["ab cab"] * 9, TokenizerConfig(vocab_size=270))
    assert missing_characters(tokenizer, ["abc cab", ""]) is None
    missing = "60.00% of the characters are not in the vocabulary (ы ж)"
    assert missing_characters(tokenizer, ["ab ыы ж"]) == f"{missing}: they are spelled in bytes"
    without_bytes = train_tokenizer(lambda: ["ab cab"] * 9, TokenizerConfig(type="word", vocab_size=270))
    assert missing_characters(without_bytes, ["ab ыы ж"]) == f"{missing}: it has no bytes, so they are lost"
    assert missing_characters(tokenizer, ["a" * 20_000 + "ы"]) is None
    many = str(missing_characters(tokenizer, ["".join(map(chr, range(0x430, 0x44F)))]))
    assert many.startswith("100.00% of") and many.endswith("(а б в г д е ж з и й …): they are spelled in bytes")
