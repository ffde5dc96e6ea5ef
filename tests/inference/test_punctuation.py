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
    assert added_stops([("a", "b."), ("a", "b"), ("a.", "b."), ("a 7", "b 7 ")]) == pytest.approx(1 / 3)
    assert added_stops([("नमस्ते", "b."), ("a", "नमस्ते")]) == 0.5
    assert added_stops([("a.", "b.")]) == 0.0
    assert added_stops([("a", "እናቴ።"), ("a", "እናቴ፡፡"), ("a", "እናቴ")]) == pytest.approx(2 / 3)


class Stopping(Echo):
    """Writes what it reads, and a stop after it."""

    def __init__(self, stop: int) -> None:
        super().__init__()
        self.stop = stop

    def search(self, sources: Any, config: SearchConfig, prefixes: Any = None) -> list[list[Hypothesis]]:
        return super().search([[*ids, self.stop] for ids in sources], config, prefixes)


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
