"""A word is called unknown only where the training text certainly did not have it."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt_cli.data import known_words as module
from nmt_cli.data.known_words import (
    MAX_FILE_BYTES,
    NewWordCollector,
    WordSet,
    normalized_words,
    unknown_words,
    word_files,
)
from nmt_cli.errors import DataError

TEXT = "L'homme blue-eyed naïve, the old man reads 3 books!"
MANY = [f"{a}{b}{c}{d}" for a in "abcdefgh" for b in "ijkl" for c in "mnop" for d in "qrst"]


def unknown_in(line: str, text: str = TEXT) -> list[str]:
    return unknown_words(line, [WordSet(normalized_words(text))])


@pytest.mark.parametrize(
    "line, words",
    [
        (TEXT, []),
        ("THE OLD MAN READS Books", []),
        ("nai\u0308ve NAÏVE", []),
        ("the frobnicate, old quux (Frobnicate)!", ["frobnicate", "quux"]),
        ("l’homme l'ordinateur blue blue-green the-old", ["l'ordinateur", "blue-green"]),
        ("l‘homme l`ordinateur l´homme l´hiver ‘naïve’", ["l`ordinateur", "l´hiver"]),
        ("ʻāina", ["ʻāina"]),
        ("'quux' -quux-- books--quux’s", ["quux", "quux’s"]),
        ("1995 3.14 ½ IV2 x", ["IV", "x"]),
        ("", []),
        (" ❤️ … \u0301 🙂 𝟛", []),
        ("我喜欢读书。 カレー Tシャツ ภาษาไทย ພາສາ ភាសា မြန်မာ", []),
        ("books꒐ man㈱", []),
        ("हिन्दी 한국어 café", ["हिन्दी", "한국어", "café"]),
    ],
)
def test_words_are_told_as_they_stand_each_once(line: str, words: list[str]) -> None:
    assert unknown_in(line) == words


def test_case_and_accents_are_compared_by_unicode() -> None:
    assert unknown_in("STRASSE straße e\u0301tude İ हिन्दी", "Straße étude i\u0307 हिन्दी") == []
    assert unknown_in("भाष", "भाषा") == ["भाष"]  # a mark makes another word


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(
        "aéßİ\u0301\u0338\u0345<='’-·\u00ad\u200c\ufe0f\u3099ー我シ꒐㈱ 1")), max_size=12))
)  # fmt: skip
def test_what_was_in_the_text_is_never_told(lines: list[str]) -> None:
    new = NewWordCollector(max_remembered=3)
    words = WordSet()
    for line in lines:
        words.add(new([line]))
    assert all(unknown_words(line, [words]) == [] for line in lines)
    assert set(words._words) == set(normalized_words(" ".join(lines)))


def test_words_are_given_once_while_they_are_remembered() -> None:
    new = NewWordCollector(max_remembered=4)
    assert sorted(new(["The old man.", "the Old"])) == ["man", "old", "the"]
    assert new(["The old man."]) == []
    assert new(["a b"]) and new(["The"]) == ["the"]  # too many: all were forgotten


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the file could have 1 KiB."""
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 1024)


def test_a_list_is_sorted_text(tmp_path: Path) -> None:
    WordSet(normalized_words("zwei Häuser und zwei Äpfel")).save(tmp_path)
    assert word_files(tmp_path) == [tmp_path / "words.source.txt"]
    assert (tmp_path / "words.source.txt").read_text("utf-8") == "häuser\nund\nzwei\näpfel\n"
    loaded = WordSet.load(tmp_path)
    assert loaded is not None and "zwei" in loaded and "drei" not in loaded


def test_text_that_just_fits_stays_text(little: None, tmp_path: Path) -> None:
    fitting = MANY[:204]  # of 5 bytes each
    WordSet([*fitting, *fitting, "abc"]).save(tmp_path)
    assert (tmp_path / "words.source.txt").stat().st_size == 1024
    WordSet([*fitting, "abcd"]).save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["words.source.bloom"]


def test_more_words_become_a_filter_that_has_them_all(little: None, tmp_path: Path) -> None:
    WordSet(MANY).save(tmp_path)
    assert word_files(tmp_path) == [tmp_path / "words.source.bloom"]
    assert (tmp_path / "words.source.bloom").stat().st_size == 1024
    loaded = WordSet.load(tmp_path)
    assert loaded is not None and all(word in loaded for word in MANY)
    missed = sum(f"z{word}" in loaded for word in MANY)
    assert missed < 0.05 * len(MANY)  # 0.1 % are expected
    WordSet(reversed(MANY)).save(tmp_path / "..")
    again = (tmp_path / ".." / "words.source.bloom").read_bytes()
    assert again == (tmp_path / "words.source.bloom").read_bytes()


@pytest.mark.parametrize("sizes", [(10, 20), (10, 512), (512, 10), (300, 512), (150, 100)])
def test_the_words_of_two_texts_are_in_their_union(little: None, sizes: tuple[int, int]) -> None:
    first, other = MANY[: sizes[0]], [word.upper() for word in MANY[-sizes[1] :]]
    union = WordSet(first).union(WordSet(other))
    assert all(word in union for word in (*first, *other))
    assert (union._bloom_filter is None) == (sum(sizes) * 5 <= 1024)
    missed = sum(f"z{word}" in union for word in MANY)
    assert missed < 0.05 * len(MANY)


def test_a_word_is_unknown_to_several_where_it_is_to_all() -> None:
    texts = [WordSet(["old"]), WordSet(["man"])]
    assert unknown_words("old man reads", texts) == ["reads"]


@pytest.mark.parametrize(
    "name, content, problem",
    [
        ("words.source.txt", b"caf\xe9\n", "not UTF-8 text"),
        ("words.source.txt", b"ab\n" * MAX_FILE_BYTES, "more than 1,048,576 bytes"),
        ("words.source.bloom", b"\0" * (MAX_FILE_BYTES - 1), "not 1,048,576 bytes"),
        ("words.source.bloom", b"\0" * (MAX_FILE_BYTES + 1), "not 1,048,576 bytes"),
    ],
)
def test_a_damaged_file_is_named(name: str, content: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as error:
        WordSet.load(tmp_path)
    assert str(error.value) == f"{tmp_path / name}: damaged: {problem}; delete it to do without"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "words.source.txt").mkdir()
    with pytest.raises(DataError, match="damaged: Is a directory; delete it to do without"):
        WordSet.load(tmp_path)


def test_no_file_is_no_list(tmp_path: Path) -> None:
    assert WordSet.load(tmp_path) is None and word_files(tmp_path) == []
