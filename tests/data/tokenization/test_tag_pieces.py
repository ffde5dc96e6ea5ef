"""Tags of the training text are one piece each, however a line is cut; tokenizers without them are as before."""

from pathlib import Path

import pytest

from nmt_cli.data.tokenization.coverage import missing_characters
from nmt_cli.data.tokenization.encoding import WordCache
from nmt_cli.data.tokenization.subword_sampling import VariantEncoder
from nmt_cli.data.tokenization.tokenizer import TextTokenizer, TokenizerConfig
from nmt_cli.data.tokenization.training import train_tokenizer
from nmt_cli.errors import DataError
from tests.data.tokenization.test_encoding import KINDS, ODD, TEXT, by_cache

TAGS = ("<2de>", "<2zh-Hans>", ">>fr<<", "__nl__")
TAGGED = [f"{tag} {line}" for line in TEXT for tag in TAGS]


def trained(kind: str, *, size: int = 400, samples: int = 1) -> tuple[TextTokenizer, TokenizerConfig]:
    config = TokenizerConfig.model_validate(
        {"type": kind, "vocab_size": size, "subword_samples": samples, "subword_sampling": 0.3}
    )
    return train_tokenizer(lambda: TAGGED, config, tags=TAGS), config


@pytest.mark.parametrize("kind", KINDS)
def test_a_tag_is_one_piece_and_the_text_is_the_same(kind: str, tmp_path: Path) -> None:
    trained(kind)[0].save(tmp_path / "tokenizer.json")
    tokenizer = TextTokenizer.load(tmp_path / "tokenizer.json")
    assert tokenizer.tags == TAGS
    for tag in TAGS:
        (plain, tagged, alone, inside, glued) = tokenizer.encode(
            ["The old man", f"{tag} The old man", tag, f"The {tag} old man", f"{tag}man"]
        )
        piece = tokenizer.backend.token_to_id(f" {tag}")
        assert (tagged, alone) == ([piece, *plain], [piece]) and inside.count(piece) == 1
        assert piece not in glued
        assert tokenizer.encode_with_texts(f"{tag} man")[1][0] == f" {tag}"
    assert tokenizer.decode(tokenizer.encode(TAGGED[:4])) == TAGGED[:4]


@pytest.mark.parametrize("kind", KINDS)
def test_cached_words_have_the_ids_of_the_whole_line(kind: str) -> None:
    tokenizer, _ = trained(kind)
    cache = WordCache(tokenizer)
    assert cache.caches_words
    lines = [*ODD, *TAGGED, *(f"{tag}{line}" for tag in TAGS for line in ODD), *(f"{line}  {TAGS[0]}" for line in ODD)]
    assert by_cache(cache, lines) == tokenizer.encode(lines)


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_sampling_cuts_no_tag(kind: str) -> None:
    tokenizer, config = trained(kind, samples=3)
    encoder = VariantEncoder(tokenizer, config)
    for variant in (1, 2):
        sampled = encoder.encode(TAGGED, variant)
        assert [ids[0] for ids in sampled] == [ids[0] for ids in tokenizer.encode(TAGGED)]
        assert tokenizer.decode(sampled) == TAGGED and sampled != tokenizer.encode(TAGGED)


@pytest.mark.parametrize("kind", KINDS)
def test_the_other_pieces_are_learned_without_tags(kind: str) -> None:
    size = 400 if kind != "word" else 16
    plain = train_tokenizer(
        lambda: TEXT, TokenizerConfig.model_validate({"type": kind, "vocab_size": size - len(TAGS)})
    )
    assert {*trained(kind, size=size)[0].backend.get_vocab()} - {*plain.backend.get_vocab()} == {f" {t}" for t in TAGS}
    assert plain.tags == ()
    again = train_tokenizer(
        lambda: TEXT, TokenizerConfig.model_validate({"type": kind, "vocab_size": size - len(TAGS)}), tags=["<unk>"]
    )
    assert again.serialize() == plain.serialize()


def test_tags_are_counted_where_a_vocabulary_has_no_room() -> None:
    with pytest.raises(DataError, match=r"has no room for 4 specials, 256 bytes, 4 tags, the \d+ characters"):
        trained("bpe", size=266)


def test_the_letters_of_a_tag_are_no_letters_of_the_vocabulary() -> None:
    tokenizer = train_tokenizer(lambda: ["<2qx> ab cab"] * 9, TokenizerConfig(vocab_size=280), tags=["<2qx>"])
    assert missing_characters(tokenizer, ["<2qx> ab"] * 9) is None
    assert "(q x)" in str(missing_characters(tokenizer, ["<2qx> qx"] * 9))
