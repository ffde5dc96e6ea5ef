"""nmt tokenize and detokenize: text, visible pieces, and the same text again."""

import unicodedata
from pathlib import Path

import pytest

from nmt_cli.commands.tokenize import detokenize, open_normalizer, open_tokenizer, tokenize
from nmt_cli.data.tokenization.tokenizer import TextTokenizer, TokenizerConfig
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.data.tokenization.training import train_tokenizer
from nmt_cli.errors import DataError, UserError
from tests.conftest import Call

LINES = [
    "The old man reads a book.", "", " two  spaces ", "\ttab\r", "a\u2028b", "▁x ▁", "</s> <0x41>",
    "🙂 ﷽", "Größe", "x" * 500,
]  # fmt: skip


@pytest.fixture
def separate(tmp_path: Path, tokenizer: TextTokenizer) -> Path:
    other = train_tokenizer(lambda: ["nur Deutsch"], TokenizerConfig(vocab_size=300))
    Tokenizers(tokenizer, other).save(tmp_path)
    return tmp_path


def test_pieces_come_back_as_the_text(tokenizer: TextTokenizer) -> None:
    pieces = list(tokenize(LINES, tokenizer))
    assert list(detokenize(pieces, tokenizer)) == LINES


def test_each_line_gives_one_line_of_pieces(tokenizer: TextTokenizer) -> None:
    pieces = list(tokenize(LINES * 250, tokenizer))  # more than are encoded at once
    assert len(pieces) == 2500 and pieces == list(tokenize(LINES, tokenizer)) * 250
    assert not any("\n" in subwords for subwords in pieces)


def test_pieces_show_their_spaces(tokenizer: TextTokenizer) -> None:
    (line,) = tokenize(["The old"], tokenizer)
    assert line.startswith("▁") and line.replace(" ", "").replace("▁", " ") == " The old"


def test_an_unknown_piece_is_named_with_its_line(tokenizer: TextTokenizer) -> None:
    with pytest.raises(DataError) as caught:
        list(detokenize(["", "▁The zzz"], tokenizer))
    assert str(caught.value) == "line 2: 'zzz' is not a subword of this tokenizer"


def test_a_run_folder_and_a_file_give_the_same_tokenizer(tiny_run: Path, tokenizer: TextTokenizer) -> None:
    for path in (tiny_run, tiny_run / "tokenizer.json"):
        assert open_tokenizer(path, None).backend.to_str() == tokenizer.backend.to_str()
    assert open_tokenizer(tiny_run, "target").vocab_size == tokenizer.vocab_size


def test_where_the_sides_differ_a_side_must_be_chosen(separate: Path) -> None:
    with pytest.raises(UserError, match="source and target have different tokenizers: use --side"):
        open_tokenizer(separate, None)
    sizes = [open_tokenizer(separate, "source").vocab_size, open_tokenizer(separate, "target").vocab_size]
    assert sizes[0] > sizes[1]


def test_what_is_no_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such run folder or tokenizer file"):
        open_tokenizer(tmp_path / "none", None)
    with pytest.raises(DataError, match=r"no tokenizer.json here"):
        open_tokenizer(tmp_path, None)
    for content in ("", "[]", "{}", '{"model": {"type": "BPE"}}'):
        (tmp_path / "x.json").write_text(content)
        with pytest.raises(DataError, match=r"not a tokenizer|missing or damaged"):
            open_tokenizer(tmp_path / "x.json", None)


def test_a_piece_that_spells_a_line_feed_makes_no_second_line(tokenizer: TextTokenizer) -> None:
    assert list(detokenize(["▁a <0x0A> ▁b", "<0x0A>"], tokenizer)) == ["a  b", " "]


def test_a_run_s_text_is_normalised_unless_raw(nmt: Call, tiny_run: Path, tmp_path: Path) -> None:
    text = "  The\u00a0old  ma\u00adn: e\u0301\u200b, 🙂\ufeff "
    for arguments, expected in (((), "The old man: é, 🙂"), (("--raw",), text)):
        code, pieces, err = nmt("tokenize", tiny_run, *arguments, stdin=f"x\n{text}\n".encode())
        assert code == 0, err
        assert nmt("detokenize", tiny_run, stdin=pieces.encode())[1] == f"x\n{expected}\n"
    file_pieces = nmt("tokenize", tiny_run / "tokenizer.json", stdin=f"x\n{text}\n".encode())[1]
    assert nmt("detokenize", tiny_run, stdin=file_pieces.encode())[1] == f"x\n{unicodedata.normalize('NFC', text)}\n"


@pytest.mark.parametrize(
    "name, content", [("recipe.yaml", "corpus: [1]"), ("manifest.json", '{"corpus": {"normalization": 3}}')]
)
def test_a_folder_that_says_nothing_sensible_is_refused(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=rf"^{tmp_path / name}: damaged: corpus\.normalization is not what"):
        open_normalizer(tmp_path)


def test_a_folder_without_the_key_has_composed_letters_alone(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    normalizer = open_normalizer(tmp_path)
    assert normalizer is not None and normalizer("a\u00a0e\u0301") == "a\u00a0é"
