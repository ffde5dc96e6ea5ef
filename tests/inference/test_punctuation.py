"""No final stop comes out where none went in, unless the training text teaches to add one."""

from typing import Any

import pytest

from nmt_cli.data.text_profile import TextProfile, added_stops
from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Hypothesis
from nmt_cli.inference.punctuation import drop_added_stop
from tests.translators import Echo, echo


@pytest.mark.parametrize(
    "source, translation, expected",
    [
        ("bicycle", "Fahrrad.", "Fahrrad"),
        ("room 7", "Zimmer 7.", "Zimmer 7"),
        ("bicycle.", "Fahrrad.", "Fahrrad."),
        ("bicycle?", "Fahrrad.", "Fahrrad."),
        ("(bicycle)", "Fahrrad.", "Fahrrad."),
        ("the bicycle,", "das Fahrrad.", "das Fahrrad,"),
        ("and so", "und so ...", "und so ..."),
        ("自行车", "Fahrrad。", "Fahrrad"),
        ("नमस्ते", "Hallo.", "Hallo"),  # ends in a vowel sign
        ("hello", "नमस्ते।", "नमस्ते"),
        ("mother", "እናቴ።", "እናቴ"),
        ("mother", "እናቴ፡፡", "እናቴ"),
        ("mother.", "እናቴ።", "እናቴ።"),
        ("mother", "እናቴ::", "እናቴ"),
        ("ኣደይ ማይ ይደሊ::", "My mother wants water.", "My mother wants water."),
        ("ኣደይ ማይ ይደሊ:", "My mother wants water.", "My mother wants water:"),
        ("«ማይ ይደሊ»::", "He wants water.", "He wants water."),
        ("Մայրս ջուր է ուզում:", "My mother wants water.", "My mother wants water."),
        ("std::", "std.", "std:"),
        ("mother", "ម្ដាយ។", "ម្ដាយ"),
        ("mother", "အမေသည်။", "အမေသည်"),
        ("mother", "ماں۔", "ماں"),
        ("hello ❤\ufe0f", "Hallo.", "Hallo."),
        ("x", ".", "."),
        ("x", "", ""),
    ],
)
def test_a_stop_that_the_source_lacks_goes(source: str, translation: str, expected: str) -> None:
    assert drop_added_stop(source, translation) == expected


def test_training_text_says_whether_a_stop_is_added() -> None:
    pairs = [("a", "b."), ("a", "b"), ("a.", "b."), ("a 7", "b 7 "), ("a:", "b."), ("a:", "b:")]
    assert added_stops(pairs) == pytest.approx((1 / 3, 0.5))
    assert added_stops([("नमस्ते", "b."), ("a", "नमस्ते")]) == (0.5, 0.0)
    assert added_stops([("a.", "b."), ("እናቴ::", "b.")]) == (0.0, 0.0)
    assert added_stops([("a", "እናቴ።"), ("a", "እናቴ፡፡"), ("a", "እናቴ")])[0] == pytest.approx(2 / 3)


def test_a_mark_takes_the_place_of_the_stop_unless_the_training_text_has_a_stop_there() -> None:
    assert TextProfile().keeps_marks and TextProfile(replaced_marks=0.4).keeps_marks
    assert not TextProfile(replaced_marks=0.6).keeps_marks
    assert drop_added_stop("he said:", "er sagte.") == "er sagte:"
    assert drop_added_stop("he said:", "er sagte.", keeps_marks=False) == "er sagte."


class Stopping(Echo):
    """Writes what it reads, and a stop after it, or in place of its last tokens."""

    def __init__(self, stop: int, dropped: int = 0) -> None:
        super().__init__()
        self.stop, self.dropped = stop, dropped

    def search(self, sources: Any, config: SearchConfig, prefixes: Any = None) -> list[list[Hypothesis]]:
        return super().search([[*ids[: len(ids) - self.dropped], self.stop] for ids in sources], config, prefixes)


@pytest.mark.parametrize(
    "added, keep, expected",
    [(0.0, "auto", "a book"), (0.5, "auto", "a book."), (None, "auto", "a book."), (0.0, "none", "a book.")],
)
def test_a_run_follows_its_training_text(
    added: float | None, keep: str, expected: str, tokenizer: TextTokenizer
) -> None:
    engine = Stopping(tokenizer.encode(["book."])[0][-1])
    profile = TextProfile("en", "de", added_stops=added)
    translator = echo(tokenizer, profile, engine, keep=keep, repair_degenerate=False)
    assert translator.translate(["a book"])[0].text == expected
    assert translator.translate(["a book"], ["a book."])[0].text.startswith("a book.")
    assert translator.translate(["the U.S", "z. B"])[1].text == "z. B."  # an abbreviation of the target


@pytest.mark.parametrize("replaced, expected", [(0.0, "a book,"), (None, "a book,"), (1.0, "a book.")])
def test_a_comma_at_the_end_stays_unless_the_training_text_has_a_stop_there(
    replaced: float | None, expected: str, tokenizer: TextTokenizer
) -> None:
    engine = Stopping(tokenizer.encode(["book."])[0][-1], dropped=1)
    profile = TextProfile("en", "de", added_stops=0.0, replaced_marks=replaced)
    translator = echo(tokenizer, profile, engine, keep="auto", repair_degenerate=False)
    assert translator.translate(["a book,"])[0].text == expected
