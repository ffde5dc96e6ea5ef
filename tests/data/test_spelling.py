"""Typos in words that the training text never had."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli.data.known_words import WordSet
from nmt_cli.data.perturbation import KINDS
from nmt_cli.data.spelling import TypoCorrector
from tests.conftest import examples

FORMS = ["the", "with", "house", "horse", "sleeps", "children", "letter", "München", "quiet", "quite", "über"]
CORRECT = TypoCorrector({form.lower(): form for form in FORMS}, WordSet([*map(str.lower, FORMS), "hotse", "lettre"]))


def test_marks_belong_to_their_letters_and_no_part_of_a_word_is_corrected() -> None:
    forms = ["oríkẹ̀", "orílẹ̀", "lọ", "verstündlich"]
    correct = TypoCorrector({form: form for form in forms}, WordSet([*forms, "lọpọ̀"]))
    for text in ("orílẹ̀", "lọpọ̀", "ver\xadständlich", "ori\u0301le\u0323\u0300"):
        assert correct(text) == text
    assert correct("orlẹ̀ verständlich") == "orílẹ̀ verstündlich"
    adlam = TypoCorrector({"𞤺𞤫𞤪": "𞤺𞤫𞤪"}, WordSet())
    assert adlam("𞤫𞤺𞤪 𞤲𞤢\U0001e944𞤫𞤺𞤪") == "𞤺𞤫𞤪 𞤲𞤢\U0001e944𞤫𞤺𞤪"


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("the hosue", "the house"), ("a hourse", "a house"), ("chilren", "children"), ("childrenn", "children"),
        ("ohuse", "house"), ("teh dgo", "the dgo"), ("slepes", "sleeps"), ("münchen mnüchen", "münchen München"),
        ("ubre üebr", "ubre über"),
    ],
)  # fmt: skip
def test_a_slip_is_read_as_the_most_frequent_word_that_was_meant(typed: str, read: str) -> None:
    assert CORRECT(typed) == read


@pytest.mark.parametrize(
    "text",
    [
        "hotse lettre",  # rare, but known
        "mouse letters letted housed",  # another beginning; what may be an inflection
        "Hosue HOSUE iHosue",  # a name, an abbreviation
        "hosue's well-hosue hosue1",  # parts of words
        "&hosue; hosue&chilren; &#hosue; a&hosue",  # or of an entity
        "‘hosue hosue‘s so`hosue ´hosue hosueʻa hosueꞌs",
        "hosue@example.org http://hosue.org/hosue {hosue} /hosue/hosue",
        "thr tbe",  # too short
    ],
)
def test_what_may_be_meant_so_stays(text: str) -> None:
    assert CORRECT(text) == text


def test_a_known_word_with_a_regular_ending_stays() -> None:
    def correct(text: str, noun_count: int) -> str:
        nouns = [f"noun{letter}" for letter in "abcdefghijkl"[:noun_count]]
        forms = [*nouns, *(f"{noun}s" for noun in nouns), "shops", "stop", "pass", "passes"]
        return TypoCorrector({form: form for form in forms}, WordSet(forms))(text)

    assert correct("stops", 12) == "stops"
    assert correct("stops", 9) == "shops"  # as many words may have an ending by chance
    assert correct("sthops passs", 12) == "shops pass"  # no word, and a letter that was doubled


def test_each_correction_is_told() -> None:
    told: list[tuple[str, str]] = []
    assert CORRECT("hosue, chilren!  wiht", lambda *pair: told.append(pair)) == "house, children!  with"
    assert told == [("hosue", "house"), ("chilren", "children"), ("wiht", "with")]


@given(st.lists(st.sampled_from(FORMS), min_size=1), st.integers(0, 1 << 30))
@examples(40)
def test_known_words_stay_and_the_number_of_words_too(words: list[str], seed: int) -> None:
    text = " ".join(words)
    assert CORRECT(text) == text
    typed = KINDS["typos"](text, random.Random(seed))
    assert len(CORRECT(typed).split()) == len(typed.split()) == len(words)
