"""Repetition is counted alike in every script, in words, inside words, and in signs."""

import pytest

from nmt_cli.inference.repetition import Repetition

TABLE: list[tuple[str, dict[str, int]]] = [
    ("", {"words": 1, "letters": 1, "other": 1, "word_count": 0}),
    ("The old man reads a book.", {"words": 1, "long_words": 1, "letters": 1, "other": 1}),
    ("very very very good", {"words": 3, "long_words": 1, "word_count": 4}),
    ("Ha ha HA ha!", {"words": 4}),
    ("salad, salad, salad, salad", {"words": 3, "long_words": 3}),
    ("a b c a b c a b c a b", {"words": 3, "long_words": 3}),
    ("1 1 1 1 1", {"words": 1, "other": 5}),
    ("10 20 30 ; 10 20 30 ; 10 20 30 ;", {"words": 1, "other": 3}),
    ("1000000 and 100000000000", {"words": 1, "letters": 1, "other": 1}),
    ("wait ........", {"other": 8, "words": 1}),
    ("hahahahaha", {"letters": 5, "words": 1}),
    ("aaaaaaaaaaaa", {"letters": 12}),
    ("Mississippi", {"letters": 2}),
    ("哈哈哈哈", {"words": 4}),
    ("我喜欢我喜欢我喜欢", {"words": 3, "long_words": 3}),
    ("नमस्ते नमस्ते नमस्ते", {"words": 3}),
    ("___ ___", {"other": 6}),
]


@pytest.mark.parametrize("text, expected", TABLE)
def test_runs_are_counted_as_the_table_says(text: str, expected: dict[str, int]) -> None:
    repetition = Repetition.from_text(text)
    assert {key: getattr(repetition, key) for key in expected} == expected


def test_the_share_of_old_four_grams_tells_scattered_repetition() -> None:
    again = "in the middle of the road and the man in the middle of the road or in the middle of "
    assert Repetition.from_text(again).repeated_ngram_fraction > 0.2
    assert Repetition.from_text("one two three four five").repeated_ngram_fraction == 0.0
    assert Repetition.from_text("a b c d e f a b c d e f").repeated_ngram_fraction == pytest.approx(1 / 3)
