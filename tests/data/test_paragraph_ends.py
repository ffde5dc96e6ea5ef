"""Which ends of paragraphs the training text has inside its lines."""

import pytest

from nmt_cli.data.paragraph_ends import inner_paragraph_ends, learn_paragraph_ends


@pytest.mark.parametrize(
    "text, ends",
    [
        (r"It is gone.\nTry again.", [r"\n"]),
        (r"It is gone.\n\nTry again.\n", [r"\n", r"\n"]),
        ("<p>One<br>two</p>", ["<br>"]),
        (r"See C:\new\folder.", []),
        (r"\n It is gone.\n", []),
        ("One", []),
    ],
)
def test_ends_of_paragraphs_inside_a_line(text: str, ends: list[str]) -> None:
    assert inner_paragraph_ends(text) == ends


def test_those_are_known_that_both_sides_have_in_many_lines() -> None:
    pairs = [(r"It is gone.\nTry again.", r"Es ist weg.\nNoch einmal.")] * 20
    assert learn_paragraph_ends(pairs) == (r"\n",)
    assert learn_paragraph_ends(pairs[1:]) == ()
    assert learn_paragraph_ends([*pairs, *[("a", "b")] * 4000]) == ()
    assert learn_paragraph_ends([(source, "Es ist weg.") for source, _ in pairs]) == ()
    assert learn_paragraph_ends([*pairs, *[("a<br>b", "c<br>d")] * 30]) == ("<br>", r"\n")
