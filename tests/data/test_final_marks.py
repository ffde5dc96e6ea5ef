"""The marks that end a sentence, in all scripts."""

import re
import unicodedata

import pytest

from nmt_cli.data.final_marks import (
    COLONS,
    COMMAS,
    FINAL_MARK,
    FINAL_MARKS,
    FULL_STOPS,
    UNSPACED_COLONS,
    UNSPACED_COMMAS,
    without_full_stop,
)

KINDS_OF_MARKS = ("FULL STOP", "DANDA", "QUESTION MARK", "EXCLAMATION MARK", "INTERROBANG")
OTHERS = "¡¿⸘՜՞\u037e𞥞𞥟"  # at the beginning of a sentence, inside a word, and the one that is composed to a semicolon


def test_each_is_punctuation_and_there_once() -> None:
    assert all(unicodedata.category(mark) == "Po" for mark in FINAL_MARKS)
    assert len(set(FINAL_MARKS)) == len(FINAL_MARKS) and set(FULL_STOPS) < set(FINAL_MARKS)


def test_all_marks_that_unicode_calls_so_end_a_sentence() -> None:
    marks = (
        character
        for character in map(chr, range(0x20000))
        if unicodedata.category(character) == "Po"
        and any(kind in unicodedata.name(character) for kind in KINDS_OF_MARKS)
    )
    assert set(marks) - set(FINAL_MARKS) == set(OTHERS)
    assert set("།༎𑅁܀׃៚፨꘎꧉᙮߹") < set(FINAL_MARKS)
    assert set("၊꧈᭞᜵,;:·§").isdisjoint(FINAL_MARKS)


def test_all_colons_semicolons_and_commas_part_clauses() -> None:
    clause_marks = COLONS + UNSPACED_COLONS + COMMAS + UNSPACED_COMMAS
    others = "՝⸲⸴⹉⁝𑑚"  # inside a word, and of editions
    marks = (
        character
        for character in map(chr, range(0x11800))
        if unicodedata.category(character) == "Po" and re.search("COLON|COMMA", unicodedata.name(character))
    )
    assert set(marks) - set(clause_marks) == set(others)
    assert len(set(clause_marks)) == len(clause_marks) and set(clause_marks).isdisjoint(FINAL_MARKS)


@pytest.mark.parametrize("stop", [*".。।॥།។။።۔։᙮፨꧉𑅁܀", "፡፡"])
def test_a_full_stop_is_taken_off(stop: str) -> None:
    assert without_full_stop(f"x{stop}") == "x"


@pytest.mark.parametrize("text, stem", [("ይደሊ::", "ይደሊ"), ("«ይደሊ»::", "«ይደሊ»"), ("Բարև:", "Բարև"), ("है|", "है")])
def test_a_full_stop_that_is_typed_with_other_marks_is_one(text: str, stem: str) -> None:
    assert without_full_stop(text) == stem
    assert re.search(rf"{FINAL_MARK}\Z", text)


@pytest.mark.parametrize("text", ["", "x", "x?", "x！", "x፧", "x፡", "x::", "x:", "x|", "ይደሊ:", "Բարև::"])
def test_nothing_else_is(text: str) -> None:
    assert without_full_stop(text) == text
