"""A line is cut where its sentences end, and every character of it is in one piece or after it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli.inference.pieces import Piece, split_into_pieces
from nmt_cli.vocabulary import BREAK_MARK


def split_at_stops(text: str) -> list[str]:
    """A plain rule: a stop and white space."""
    return [part for part in re.split(r"(?<=[.!?] )(?=\S)", text) if part]


def texts(line: str) -> list[str]:
    return [
        f"={piece.text}" if piece.is_copied else piece.text
        for piece in split_into_pieces(line, split_at_stops, copies=True)
    ]


@pytest.mark.parametrize(
    "line, expected",
    [
        ("", []),
        ("  ", []),
        ("One. Two.", ["One.", "Two."]),
        ("7", ["=7"]),
        ("http://a.b/c", ["=http://a.b/c"]),
        ("- One. Two.", ["=-", "One.", "Two."]),
        ("1. One.", ["=1.", "One."]),
        ("a) One.", ["=a)", "One."]),
        ("(2) One.", ["=(2)", "One."]),
        ("One | two", ["One", "=|", "two"]),
        ("One. 😆 Two.", ["One.", "=😆", "Two."]),
        ("एक। 😆 दो", ["एक।", "=😆", "दो"]),
        ("One 🚲.", ["One 🚲."]),
        ("😀 One 👨‍👩‍👧", ["=😀", "One", "=👨‍👩‍👧"]),
        ("One. ... Two.", ["One.", "=...", "Two."]),
        ("-5 degrees", ["-5 degrees"]),
        ("One. - Two. 3. four", ["One.", "=-", "Two.", "=3.", "four"]),
        ("–One. –Two.", ["=–", "One.", "=–", "Two."]),
        ("-One -v two", ["=-", "One -v two"]),
        ("> > - [ ] one", ["=> > - [ ]", "one"]),
        ("II. One", ["=II.", "One"]),
        ("iv) one", ["=iv)", "one"]),
        ("1.2.3 One", ["=1.2.3", "One"]),
        ("1.2 One", ["1.2 One"]),
        ("+ one // two ||| three ║ four", ["=+", "one", "=//", "two", "=|||", "three", "=║", "four"]),
        ("| Open file | Save file |", ["=|", "Open file", "=|", "Save file", "=|"]),
        ("Next →", ["Next", "=→"]),
        ("|One|Two words||7|", ["=|", "One", "=|", "Two words", "=||", "=7", "=|"]),
        (r"|One \| two | - three|", ["=|", r"One \| two", "=|", "=-", "three", "=|"]),
        ("|---|:---:|", ["=|---|:---:|"]),
        ("|x| is positive", ["|x| is positive"]),
        ("yes|no", ["yes|no"]),
        ("One\tTwo", ["One", "Two"]),
        ("One\t7\ttwo\t\t- three", ["One", "=7", "two", "=-", "three"]),
        ("One\u2028Two", ["One", "Two"]),
        ("One\ttwo", ["One\ttwo"]),  # a space
        ("One\ttwo 🚲\nthree. Four", ["One\ttwo", "=🚲", "three.", "Four"]),
        (f"One{BREAK_MARK}{BREAK_MARK} two", ["One", f"={BREAK_MARK}{BREAK_MARK}", "two"]),
        ("J. Smith came", ["J.", "Smith came"]),
    ],
)
def test_lines_are_cut_into_what_is_translated_and_what_is_copied(line: str, expected: list[str]) -> None:
    assert texts(line) == expected


def test_spacing_between_pieces_is_theirs() -> None:
    pieces = split_into_pieces("a.\t| b", split_at_stops, copies=True)
    assert [(piece.text, piece.separator) for piece in pieces] == [("a.", "\t"), ("|", " "), ("b", "")]


def test_what_stands_between_cells_is_kept() -> None:
    pieces = split_into_pieces("|One | two|  three|", split_at_stops, copies=True)
    assert [(piece.text, piece.separator) for piece in pieces] == [
        ("|", ""), ("One", " "), ("|", " "), ("two", ""), ("|", "  "), ("three", ""), ("|", ""),
    ]  # fmt: skip


def test_without_copies_and_sentences_a_line_is_one_piece() -> None:
    assert split_into_pieces("- 7. 8", None, copies=False) == [Piece("- 7. 8")]
    assert split_into_pieces("7", split_at_stops, copies=False) == [Piece("7")]
    expected = [Piece("One.", " \r\n\n "), Piece("two")]
    assert split_into_pieces("One. \r\n\n two", None, copies=False) == expected
    assert split_into_pieces("One. \r\n\n two", split_at_stops, copies=False) == expected


@given(st.text(alphabet=st.sampled_from(f"a .|-–B1)😀\u200d!?\t\n\u2028\u00a0é。{BREAK_MARK}")))
def test_no_character_is_lost(line: str) -> None:
    for copies in (True, False):
        pieces = split_into_pieces(line, split_at_stops, copies=copies)
        assert "".join(piece.text + piece.separator for piece in pieces) == line.strip()
