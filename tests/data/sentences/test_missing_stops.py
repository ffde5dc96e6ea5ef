"""Sentences without a stop between them are told by words that begin the lines of the training text."""

import pytest

from nmt_cli.data.sentences.missing_stops import learn_line_starters, split_at_missing_stops

STARTERS = ("A", "In", "The", "Two")


def test_words_that_often_begin_lines_and_are_small_inside_them_are_learned() -> None:
    often = ("The man is here.", "Anna sees a dog.", "two dogs sleep.")
    lines = [*often * 50, *["Rarely seen."] * 5, "", " "]
    forms = {"the": "the", "anna": "Anna", "two": "two", "rarely": "rarely"}
    assert learn_line_starters(lines, forms) == ("The",)
    assert learn_line_starters(lines * 5, forms) == ("Rarely", "The")
    assert learn_line_starters([*lines * 5, *["3 dogs"] * 5000], forms) == ("The",)  # a share of all lines
    assert learn_line_starters([], forms) == ()


@pytest.mark.parametrize(
    "parts",
    [
        ["Two men wearing black in a city ", "The man in yellow waves. "],
        ["a dog on a lawn  ", "Two ladies look at the sea ", "A man is waiting"],
        ["She sleeps The man is waiting."],  # two words are no sentence
        ["He visits his aunt in The Hague on Monday."],  # a name
        ["They work in the Two towers of it."],  # the word before belongs to it
        ["He reads The old man and others."],  # one that is short
        ["They all sleep, A man is waiting."],  # after a comma
        ["THE MEN SLEEP IN THE CITY THE MAN IS HERE"],
        ["The Men In Black And The Dogs in it"],
        ["der Mann sieht einen Ö The man is waiting"],
        ["Two men sit there Some others are waiting"],
        [""],
    ],
)
def test_a_sentence_is_split_before_them_only(parts: list[str]) -> None:
    assert split_at_missing_stops("".join(parts), STARTERS) == parts
    assert split_at_missing_stops("".join(parts), ()) == ["".join(parts)]
