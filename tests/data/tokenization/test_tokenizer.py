"""Text in is text out, for every tokenizer."""

import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli.data.tokenization.imported import ImportedTokenizer
from nmt_cli.data.tokenization.subword_sampling import VariantEncoder
from nmt_cli.data.tokenization.tokenizer import BYTE_TOKENS, META_SPACE, TextTokenizer, TokenizerConfig
from nmt_cli.data.tokenization.training import train_tokenizer
from nmt_cli.errors import DataError
from nmt_cli.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.conftest import examples

TEXT = [
    "The old man reads a book.", "the dogs don't see 1995 houses, do they?",
    "Größe: 3,5 km — „schön“", "ein Haus, zwei Häuser", "我喜欢读书。他也喜欢。", "今日は本を読みます。",
] * 4  # fmt: skip
KINDS = ["bpe", "unigram", "character"]
HARD = [
    "", " ", "  two  spaces  ", "\t tab \u00a0 nbsp \u3000 wide", "▁ ▁▁x▁", "</s> <s> <pad> <unk>",
    "<0x41><0xFF> <0x4", "<</s>>", "e\u0301 a\u0308\u0323", "\x00\x01\x7f", "a\r\u2028\u2029b",
    "🙂👩‍👩‍👧 𝕏 ﷽", "日本語テキスト", "\ufeffbom", "A" * 300, "ﬁ ① Å \u212b",
]  # fmt: skip


def trained(kind: str, **more: object) -> TextTokenizer:
    size = 420 if kind in KINDS else 60
    options = {"type": kind, "vocab_size": size, **more}
    return train_tokenizer(lambda: TEXT, TokenizerConfig.model_validate(options))


TRAINED = {kind: trained(kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", HARD)
def test_hard_text_comes_back_exactly(kind: str, text: str) -> None:
    tokenizer = TRAINED[kind]
    assert tokenizer.decode(tokenizer.encode([text])) == [unicodedata.normalize("NFC", text)]


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=40))
@examples(300)
def test_any_text_comes_back_exactly(kind: str, text: str) -> None:
    tokenizer = TRAINED[kind]
    assert tokenizer.decode(tokenizer.encode([text])) == [unicodedata.normalize("NFC", text)]


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.lists(st.sampled_from(["<", ">", "s", "/", "0x", "41", "▁", " ", "unk", "e\u0301"])))
@examples(300)
def test_text_that_spells_special_tokens_comes_back_exactly(kind: str, text: list[str]) -> None:
    tokenizer, line = TRAINED[kind], "".join(text)
    (ids,) = tokenizer.encode([line])
    assert all(i >= len(SPECIAL_TOKENS) for i in ids)
    assert tokenizer.decode([ids]) == [unicodedata.normalize("NFC", line)]


WORDS = trained("word")
KNOWN = sorted(word[1:] for word in WORDS.backend.get_vocab() if word.startswith(" "))


@given(words=st.lists(st.sampled_from(KNOWN), max_size=9))
@examples(100)
def test_known_words_come_back_exactly_from_a_word_tokenizer(words: list[str]) -> None:
    text = " ".join(words)
    assert len(KNOWN) > 20
    assert WORDS.decode(WORDS.encode([text])) == [text]


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=30))
@examples(100)
def test_visible_pieces_lead_back_to_the_ids(kind: str, text: str) -> None:
    tokenizer = TRAINED[kind]
    (ids,) = tokenizer.encode([text])
    printed = " ".join(tokenizer.ids_to_visible_tokens(ids))
    assert tokenizer.visible_tokens_to_ids(printed.split(" ") if printed else []) == ids


@pytest.mark.parametrize("kind", [*KINDS, "word"])
def test_training_twice_gives_the_same_file(kind: str, tmp_path: Path) -> None:
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    for file in files:
        trained(kind).save(file)
    assert files[0].read_bytes() == files[1].read_bytes()
    again = TextTokenizer.load(files[0])
    assert again.encode(TEXT) == TextTokenizer.load(files[1]).encode(TEXT)


@pytest.mark.parametrize("kind", KINDS)
def test_the_vocabulary_begins_with_specials_and_all_bytes(kind: str) -> None:
    backend = TRAINED[kind].backend
    reserved = [*SPECIAL_TOKENS, *BYTE_TOKENS]
    assert [backend.token_to_id(piece) for piece in reserved] == list(range(260))
    assert not any(META_SPACE in piece for piece in backend.get_vocab())


def test_rare_characters_below_the_coverage_are_spelled_in_bytes() -> None:
    text = ["aaaa bbbb" * 50, "q"]
    config = TokenizerConfig(vocab_size=300, character_coverage=0.99)
    tokenizer = train_tokenizer(lambda: text, config)
    (ids,) = tokenizer.encode(["q"])
    assert "<0x71>" in tokenizer.ids_to_tokens(ids)
    assert "q" not in tokenizer.backend.get_vocab()


def byte_ids(content: bytes) -> list[int]:
    return [len(SPECIAL_TOKENS) + byte for byte in content]


def imported() -> ImportedTokenizer:
    tokens = [piece.replace(" ", META_SPACE) for piece in TRAINED["bpe"].ids_to_tokens(range(420))]
    return ImportedTokenizer(TRAINED["bpe"].backend, tokens, Vocabulary(source_size=420, target_size=420, joint=True))


@pytest.mark.parametrize("tokenizer", [*TRAINED.values(), imported()], ids=[*KINDS, "imported"])
@pytest.mark.parametrize(
    "content, text",
    [
        (b"\xff", ""),
        ("🙂".encode()[:3], ""),
        ("é€".encode()[:-1], "é"),
        (b"\xe2A\xff\x80" + "🙂".encode(), "A🙂"),
        (b"\xc0\xaf\xed\xa0\x80!", "!"),
        ("\ufffd".encode() + b"\xff", "\ufffd"),
        (b"<0x41>\xff", "<0x41>"),
    ],
)
def test_bytes_that_form_no_character_are_left_out_of_the_text(
    content: bytes, text: str, tokenizer: TextTokenizer
) -> None:
    (the, book) = tokenizer.visible_tokens_to_ids(["▁", "b"])
    ids = [the, book, *byte_ids(content), the, book]
    assert tokenizer.decode([byte_ids(content), [book], ids]) == [text, "b", f"b{text} b"]
    assert tokenizer.decode_tokens(tokenizer.ids_to_tokens(ids)) == f"b{text} b"


def test_characters_whose_bytes_are_apart_are_left_out() -> None:
    first, second = byte_ids("é".encode())
    (book,) = TRAINED["bpe"].visible_tokens_to_ids(["b"])
    assert TRAINED["bpe"].decode([[first, book, second]]) == ["b"]


@given(content=st.binary(max_size=12))
@examples(300)
def test_bytes_are_read_as_python_reads_them(content: bytes) -> None:
    text = content.decode(errors="ignore")
    assert TRAINED["bpe"].decode([byte_ids(content)]) == [text.removeprefix(" ")]


def test_a_replacement_character_of_the_training_text_stays() -> None:
    tokenizer = train_tokenizer(lambda: ["caf\ufffd caf\ufffd"] * 9, TokenizerConfig(vocab_size=300))
    (ids,) = tokenizer.encode(["caf\ufffd"])
    assert not set(tokenizer.ids_to_tokens(ids)) & set(BYTE_TOKENS)
    assert tokenizer.decode([ids, [*ids, *byte_ids(b"\xff")]]) == ["caf\ufffd"] * 2


def test_text_without_spaces_needs_no_bytes_and_gets_no_sentence_as_a_piece() -> None:
    text = ["我喜欢读书也喜欢看电影和听音乐但是我不喜欢在雨中走路"] * 50 + ["他不喜欢读书"] * 20
    tokenizer = train_tokenizer(lambda: text, TokenizerConfig(vocab_size=400))
    pieces = tokenizer.ids_to_tokens(tokenizer.encode(text[:1])[0])
    assert not set(pieces) & set(BYTE_TOKENS)
    assert max(map(len, tokenizer.backend.get_vocab())) <= 20


def test_a_word_tokenizer_knows_words_and_unk() -> None:
    tokenizer = trained("word")
    (ids,) = tokenizer.encode(["The old zebra reads."])
    assert tokenizer.ids_to_tokens(ids) == [" The", " old", "<unk>", " reads", "."]
    assert tokenizer.decode(tokenizer.encode(["The old man reads a book."])) == [TEXT[0]]


def test_a_vocabulary_without_room_for_the_characters_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"265 has no room for .* characters .* longer subwords \(\d+\); use \d+ or more$"
    ):
        trained("bpe", vocab_size=265)
    with pytest.raises(DataError) as refused:
        trained("character", vocab_size=265)
    assert "longer" not in str(refused.value)
    enough = int(str(refused.value).split("use ")[1].split()[0])
    assert trained("character", vocab_size=enough).vocab_size <= enough


@pytest.mark.parametrize("placeholders", [False, True])
def test_what_has_no_room_in_a_vocabulary_adds_up_to_the_size_to_use(placeholders: bool) -> None:
    text = ["".join(chr(0x61 + number) for number in range(20))] * 9
    with pytest.raises(DataError) as refused:
        train_tokenizer(lambda: text, TokenizerConfig(vocab_size=270), placeholders=placeholders)
    numbers = map(int, re.findall(r"(?:, |and |for |the |\()(\d+)", str(refused.value)))
    assert sum(numbers) == int(str(refused.value).split("use ")[1].split()[0]) == 290 + 16 * placeholders


def test_a_large_alphabet_leaves_room_for_longer_pieces() -> None:
    rare = "".join(chr(0x4E00 + n) for n in range(100))
    text = ["ab abc abcd " * 100] * 100 + [rare]
    tokenizer = train_tokenizer(lambda: text, TokenizerConfig(vocab_size=300, character_coverage=1))
    assert tokenizer.decode(tokenizer.encode([rare])) == [rare]
    assert " abcd" in tokenizer.backend.get_vocab()


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_variants_are_other_encodings_of_the_same_text_decided_by_seed(kind: str) -> None:
    config = TokenizerConfig.model_validate(
        {"type": kind, "vocab_size": 420, "subword_samples": 3, "subword_sampling": 0.3}
    )
    tokenizer = TRAINED[kind]
    encoder = VariantEncoder(tokenizer, config)
    first, second = encoder.encode(TEXT, 1), encoder.encode(TEXT, 2)
    assert first == VariantEncoder(tokenizer, config).encode(TEXT, 1)
    assert first != second != tokenizer.encode(TEXT)
    for ids in (first, second):
        assert tokenizer.decode(ids) == [unicodedata.normalize("NFC", line) for line in TEXT]


@pytest.mark.parametrize("kind", ["character", "word"])
def test_variants_of_a_run_whose_tokenizer_knows_one_encoding_are_refused(kind: str) -> None:
    """training.init_from takes the type from that run, and the number of samples from the recipe."""
    config = TokenizerConfig.model_validate({"type": kind}).model_copy(update={"subword_samples": 2})
    tokenizer = train_tokenizer(lambda: TEXT, TokenizerConfig.model_validate({"type": kind, "vocab_size": 420}))
    with pytest.raises(DataError, match=rf"^tokenizer\.subword_samples: type {kind} has only one encoding"):
        VariantEncoder(tokenizer, config)


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(DataError, match="not a tokenizer file"):
        TextTokenizer.load(tmp_path / "x.json")
    with pytest.raises(DataError, match="missing or damaged: No such file"):
        TextTokenizer.load(tmp_path / "none.json")
