"""Marks of a list, and which of them a training text teaches."""

import pytest

from nmt_cli.data.list_marks import learn_list_marks, list_marks_end


@pytest.mark.parametrize(
    ("text", "known", "rest"),
    [
        ("- Clean it.", (), "Clean it."),
        ("- Clean it.", ("-",), "- Clean it."),
        ("> - 1. Clean it.", ("0.",), "1. Clean it."),
        ("118. Clean it.", ("0.",), "118. Clean it."),
        ("118) Clean it.", ("0.",), "Clean it."),
        ("(b) Clean it.", ("(a)",), "(b) Clean it."),
        ("-Clean it.", ("-",), "-Clean it."),
    ],
)
def test_a_mark_that_is_known_is_no_mark_to_be_cut(text: str, known: tuple[str, ...], rest: str) -> None:
    assert text[list_marks_end(text, known_marks=known) :] == rest


def test_a_mark_is_known_that_both_sides_of_enough_pairs_begin_with() -> None:
    pairs = [(f"{n}. a", f"{n}. b") for n in range(20)] + [("- a", "- b")] * 19 + [("• a", "b")] * 50
    assert learn_list_marks(pairs) == ("0.",)
    assert learn_list_marks([*pairs, ("- a", "- b")]) == ("-", "0.")
    assert learn_list_marks([*pairs, *[("a", "b")] * 4000]) == ()
    assert learn_list_marks([]) == ()
