"""The marks that end a sentence, in all scripts."""

import unicodedata

import pytest

from nmt_cli.data.final_marks import FINAL_MARKS, FULL_STOPS, without_full_stop


def test_each_is_punctuation_and_there_once() -> None:
    assert all(unicodedata.category(mark) == "Po" for mark in FINAL_MARKS)
    assert len(set(FINAL_MARKS)) == len(FINAL_MARKS) and set(FULL_STOPS) < set(FINAL_MARKS)


@pytest.mark.parametrize("stop", [*".。।॥།។။።۔։", "፡፡"])
def test_a_full_stop_is_taken_off(stop: str) -> None:
    assert without_full_stop(f"x{stop}") == "x"


@pytest.mark.parametrize("text", ["", "x", "x?", "x！", "x፧", "x፡"])
def test_nothing_else_is(text: str) -> None:
    assert without_full_stop(text) == text
