"""Text in capitals is translated as it is usually written, and gets its capitals back."""

from dataclasses import replace
from typing import Any

import pytest

from nmt_cli.data.letter_case import CaseShares, Truecaser
from nmt_cli.data.normalization import NormalizationConfig
from nmt_cli.data.text_profile import TextProfile
from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from nmt_cli.decoding.engine import Hypothesis
from tests.translators import Echo, echo

FORMS = {word: word for word in ("the", "old", "man", "reads", "a", "book", "dogs")}
PROFILE = TextProfile("en", "de", NormalizationConfig(), truecaser=Truecaser(FORMS | {"anna": "Anna"}))


def given(tokenizer: TextTokenizer, line: str, profile: TextProfile = PROFILE, **options: Any) -> list[str]:
    """What the model reads of a line."""
    (plan,) = echo(tokenizer, profile, **options).planner.plan([line])
    return tokenizer.decode([unit.source_ids for unit in plan.units if unit.given is None])


def translated(tokenizer: TextTokenizer, line: str, profile: TextProfile = PROFILE, **options: Any) -> str:
    """The translation by a model that gives back what it reads."""
    return echo(tokenizer, profile, **options).translate([line])[0].text


@pytest.mark.parametrize("profile", [PROFILE, replace(PROFILE, truecaser=Truecaser())])
def test_a_line_in_capitals_is_translated_in_its_usual_case(profile: TextProfile, tokenizer: TextTokenizer) -> None:
    line = "THE OLD MAN READS.  Two dogs see it. WHO IS IT?"
    assert given(tokenizer, line, profile) == ["The old man reads.", "Two dogs see it.", "Who is it?"]
    assert translated(tokenizer, line, profile) == line


def test_names_keep_their_capital(tokenizer: TextTokenizer) -> None:
    assert given(tokenizer, "THE OLD MAN SEES ANNA.") == ["The old man sees Anna."]


def test_a_title_is_put_back_only_where_the_target_language_has_titles(tokenizer: TextTokenizer) -> None:
    title, sentence = "The Old Man Reads A Book", "The old man reads a book"
    assert given(tokenizer, title) == [sentence]
    assert translated(tokenizer, title) == sentence
    assert translated(tokenizer, title, replace(PROFILE, target_language="en")) == title


LOWER = replace(PROFILE, source_case=CaseShares(lower=0.01), target_truecaser=Truecaser(FORMS | {"anna": "Anna"}))


@pytest.mark.parametrize(
    "line, read",
    [
        ("the old man reads a book.", "The old man reads a book."),
        ("“the old man” sees Dana", "“The old man” sees Dana"),
        ("anna sees the old man, old anna.", "Anna sees the old man, old Anna."),  # no capital: names get theirs
        ("old anna sees Dana.", "Old anna sees Dana."),
        ("see mr. dana vs. anna", "See mr. dana vs. Anna"),  # no sentence ends there
        ("x.y is old", "x.y is old"),
        ("old/new dogs", "Old/new dogs"),
        ("iPhone sees a dog", "iPhone sees a dog"),
        ("2 dogs", "2 dogs"),
    ],
)
def test_a_small_letter_at_the_beginning_is_a_capital_to_the_model(
    line: str, read: str, tokenizer: TextTokenizer
) -> None:
    assert given(tokenizer, line, LOWER, keep="none") == [read]
    assert given(tokenizer, line, replace(LOWER, source_case=CaseShares()), keep="none") == [line]  # never measured


def test_a_translation_begins_as_its_source_unless_its_first_word_has_a_capital_anyway(
    tokenizer: TextTokenizer,
) -> None:
    assert translated(tokenizer, "the old man sees. dogs see, too.", LOWER) == "the old man sees. dogs see, too."
    assert translated(tokenizer, "anna sees.", LOWER) == "Anna sees."
    assert translated(tokenizer, "dana sees.", LOWER) == "Dana sees."  # a word that nobody knows
    assert translated(tokenizer, "the old man", replace(LOWER, target_truecaser=Truecaser())) == "The old man"
    (translation,) = echo(tokenizer, LOWER).translate(["the old man"], ["The"])
    assert translation.text.startswith("The")


@pytest.mark.parametrize(
    "line, read",
    [
        ("the old man sees. dogs see. anna, too.", "The old man sees. Dogs see. Anna, too."),
        ("the old man sees Dana. Dogs see.", "The old man sees Dana. Dogs see."),
        ("THE OLD MAN SEES. DOGS SEE.", "The old man sees. Dogs see."),
    ],
)
def test_sentences_that_are_translated_together_begin_as_they_do_in_the_source(
    line: str, read: str, tokenizer: TextTokenizer
) -> None:
    profile = replace(LOWER, target_truecaser=Truecaser(FORMS | {"anna": "Anna", "see": "see"}))
    assert given(tokenizer, line, profile, split="none") == [read]
    assert translated(tokenizer, line, profile, split="none") == line.replace(" anna", " Anna")
    (translation,) = echo(tokenizer, LOWER, split="none").translate([line], ["Who? "])
    assert translation.text.startswith("Who?")


def test_a_slip_of_the_shift_key_is_not_read(tokenizer: TextTokenizer) -> None:
    assert given(tokenizer, "THe old MAn", LOWER) == ["The old man"]
    assert given(tokenizer, "the oLD Man", LOWER) == ["The old Man"]
    assert given(tokenizer, "THe old MAn", LOWER, case="none") == ["THe old MAn"]


def test_what_is_shown_of_a_sentence_is_what_the_model_reads_and_writes(tokenizer: TextTokenizer) -> None:
    planner = echo(tokenizer, LOWER).planner
    assert planner.read_form(planner.whole_unit(" the old  man ")) == "The old man"
    for source, translation, written in (
        ("the old man", "the dogs", "The dogs"),
        ("the man. dogs", "the dogs. the man", "The dogs. The man"),
        ("the man. Dogs", "the dogs. Dogs", "The dogs. Dogs"),
        ("THE OLD MAN", "THE DOGS", "The dogs"),
        ("The old man", "the dogs", "the dogs"),
    ):
        assert planner.casing.written_form(source, translation) == written


def test_the_best_stays_first_where_another_candidate_has_the_same_text_once_its_case_is_restored(
    tokenizer: TextTokenizer,
) -> None:
    class Variants(Echo):
        def search(self, sources: list[list[int]], config: Any, prefixes: Any = None) -> list[list[Hypothesis]]:
            texts = ["The old man", "The old dog", "The OLD man"]
            return [
                [Hypothesis(ids, -rank - 1.0, -1.0) for rank, ids in enumerate(tokenizer.encode(texts))]
                for _ in sources
            ]

    opened = echo(tokenizer, PROFILE, Variants(), n_best=3, beam=3)
    for line, parts in (("THE OLD MAN", 1), ("THE OLD MAN. THE OLD MAN.", 2)):
        (translation,) = opened.translate([line])
        assert translation.text == " ".join(["THE OLD MAN"] * parts)
        assert len({candidate.text for candidate in translation.candidates}) == len(translation.candidates) > 1


def test_a_model_that_knows_capitals_is_given_them(tokenizer: TextTokenizer) -> None:
    line = "THE OLD MAN READS."
    assert given(tokenizer, line, replace(PROFILE, source_case=CaseShares(upper=0.2))) == [line]
    assert given(tokenizer, line, case="none") == [line]
    assert given(tokenizer, line, case="none", split="long", keep="none") == [line]
    (plan,) = echo(tokenizer, PROFILE).with_search(case="none").planner.plan([line])
    assert plan.units[0].read_text == line and tokenizer.decode([plan.units[0].source_ids]) == [line]


def test_a_line_with_words_that_training_has_in_capitals_alone_is_given_as_it_is(tokenizer: TextTokenizer) -> None:
    profile = replace(PROFILE, capitals_words=("STOP", "WARNING"))
    line = "WARNING: STOP THE OLD MAN."
    assert given(tokenizer, line) == ["Warning: stop the old man."]  # a run that did not learn such words
    assert given(tokenizer, line, profile) == [line] == [translated(tokenizer, line, profile)]
    assert given(tokenizer, "THE OLD MAN READS.", profile) == ["The old man reads."]
    assert given(tokenizer, "STOP THE OLD MAN AND THE DOGS.", profile) == ["Stop the old man and the dogs."]


def test_addresses_prefixes_and_tokens_of_long_lines(tokenizer: TextTokenizer) -> None:
    line = "THE OLD MAN READS https://example.org/a NOW."
    assert given(tokenizer, line) == ["The old man reads now."]
    assert given(tokenizer, line, keep="none") == ["The old man reads https://example.org/a now."]
    assert translated(tokenizer, line) == line
    long = " ".join(["THE OLD MAN READS A BOOK"] * 20)
    assert translated(tokenizer, long, max_source_length=30) == long
    (translation,) = echo(tokenizer).translate(["THE OLD MAN READS."], ["The old"])
    assert translation.text.startswith("The old") and translation.text[7:] == translation.text[7:].upper()
