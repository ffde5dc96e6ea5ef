"""What is done to text to see whether a model still translates it."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli.data.perturbation import KINDS, TYPO_RATE, perturb_lines

LINE = "The old man's dog reads a naïve book."

EXPECTED = {
    "upper": "THE OLD MAN'S DOG READS A NAÏVE BOOK.",
    "title": "The Old Man's Dog Reads A Naïve Book.",
    "lower": "the old man's dog reads a naïve book.",
    "no-stop": "The old man's dog reads a naïve book",
    "no-accents": "The old man's dog reads a naive book.",
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_letters_and_stops_change_as_named(kind: str) -> None:
    assert list(perturb_lines([LINE], kind)) == [EXPECTED[kind]]


def test_a_title_has_capitals_at_the_beginning_of_words_alone() -> None:
    line = "hawai‘i ha`awina mba´e ʻāina 𞤬𞤢𞥄𞤪𞤭"
    assert list(perturb_lines([line], "title")) == ["Hawai‘i Ha`awina Mba´e ʻĀina 𞤊𞤢𞥄𞤪𞤭"]


def test_a_stop_before_a_closing_quotation_mark_goes_too() -> None:
    assert list(perturb_lines(['He said: "Go!"', "So?!", "U.S.", "Dr. No", "「好。」", "?"], "no-stop")) == [
        'He said: "Go"', "So", "U.S", "Dr. No", "「好」", "?",
    ]  # fmt: skip


@pytest.mark.parametrize("stop", [*"።፧។။۔།։॥", "፡፡"])
def test_final_marks_of_all_scripts_go(stop: str) -> None:
    assert list(perturb_lines([f"a b{stop}"], "no-stop")) == ["a b"]
    assert list(perturb_lines(["ማይ::", "a::"], "no-stop")) == ["ማይ", "a::"]


@pytest.mark.parametrize("text", ["बच्चा हिन्दी", "བོད་ཡིག", "អ្នក", "ئاپام", "မိုးရွာသည်", "שָׁלוֹם", "が한국", "й їжак ў", "≠"])
def test_marks_that_are_no_accents_stay(text: str) -> None:
    assert list(perturb_lines([text], "no-accents")) == [text]


def test_accents_of_greek_and_cyrillic_go_too() -> None:
    assert list(perturb_lines(["Άλφα ΐ Việt ёж Ё́ замо́к"], "no-accents")) == ["Αλφα ι Viet еж Е замок"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_blank_line_stays_one(kind: str) -> None:
    assert all(not line.strip() for line in perturb_lines(["", " ", "\t"], kind))


@pytest.mark.parametrize("kind", KINDS)
@given(lines=st.lists(st.text(), max_size=4))
def test_a_line_changes_alike_whatever_follows_it(kind: str, lines: list[str]) -> None:
    changed = list(perturb_lines(lines, kind, seed=3))
    assert len(changed) == len(lines)
    assert list(perturb_lines(lines[:2], kind, seed=3)) == changed[:2]


def test_about_every_tenth_word_has_a_typo_and_short_words_none() -> None:
    lines = [LINE] * 4000
    changed = sum(
        before != after
        for line in perturb_lines(lines, "typos")
        for before, after in zip(LINE.split(), line.split(), strict=True)
    )
    long_words = sum(len(word.rstrip(".")) >= 3 for word in LINE.split())
    assert changed / (len(lines) * long_words) == pytest.approx(TYPO_RATE, abs=0.01)
    assert all(" a " in line for line in perturb_lines(lines, "typos"))


def test_the_seed_decides() -> None:
    assert list(perturb_lines([LINE] * 50, "typos", 1)) != list(perturb_lines([LINE] * 50, "typos", 2))


def test_spaces_and_addresses_are_inserted() -> None:
    (spaced,) = perturb_lines([LINE], "spaces")
    assert spaced != LINE and spaced.split() == LINE.split()
    (addressed,) = perturb_lines([LINE], "address")
    assert set(LINE.split()) < set(addressed.split()) and "example.org" in addressed


def test_random_state_is_not_shared() -> None:
    state = random.getstate()
    list(perturb_lines([LINE], "typos"))
    assert random.getstate() == state
