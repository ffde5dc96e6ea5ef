"""Long lines are cut at sentence ends, else at spaces, else anywhere; nothing is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli.decoding.segments import split_line


def words(texts: list[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def characters(texts: list[str]) -> list[int]:
    return [len(text) + 1 for text in texts]  # as if each began with a space


TABLE: list[tuple[str, int, list[str]]] = [
    ("a b c", 3, ["a b c"]),
    ("a b c. d e. f", 3, ["a b c.", "d e. f"]),
    ("a b. c d. e f.", 4, ["a b. c d.", "e f."]),
    ("a! b? c… d. e", 2, ["a! b?", "c… d.", "e"]),
    ("a b c d e", 2, ["a b", "c d", "e"]),
    ("a. b c d e f. g", 3, ["a.", "b c d", "e f.", "g"]),
    ("3.5 is a number. b", 4, ["3.5 is a number.", "b"]),
]


@pytest.mark.parametrize("text, limit, parts", TABLE)
def test_lines_are_cut_where_the_table_says(text: str, limit: int, parts: list[str]) -> None:
    assert split_line(text, limit, words) == parts


def test_chinese_is_cut_after_its_full_stops() -> None:
    assert split_line("我喜欢。他也喜欢。好！", 7, characters) == ["我喜欢。", "他也喜欢。", "好！"]


def test_a_word_longer_than_the_limit_is_cut_anywhere() -> None:
    assert split_line("ab " + "x" * 10, 5, lambda some: [len(one) for one in some]) == [
        "ab", "xxxxx", "xxxxx",
    ]  # fmt: skip


@given(text=st.text("ab .!？。", max_size=60), limit=st.integers(2, 12))
def test_parts_fit_and_together_are_the_line(text: str, limit: int) -> None:
    parts = split_line(text.strip(), limit, characters)
    assert all(size <= limit for size in characters(parts))
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert [part for part in parts if not part.strip()] == ([] if text.strip() else [""])


def test_ten_thousand_words_are_cut_in_few_measurements() -> None:
    calls = []

    def measure(texts: list[str]) -> list[int]:
        calls.append(len(texts))
        return words(texts)

    parts = split_line("word " * 10_000, 256, measure)
    assert words(parts) == [256] * 39 + [16] and len(calls) == 3
