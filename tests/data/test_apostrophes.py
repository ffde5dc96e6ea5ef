"""Apostrophes and okinas that are typed otherwise than in the training text."""

import pytest

from nmt_cli.data.apostrophes import APOSTROPHES, UsualApostrophes, add_counts, count_apostrophes

GUARANI = ["Mitã’i oipota so’o ógape."] * 10
HAWAIIAN = ["Ke ʻai nei ke kāne i ka iʻa."] * 10
ENGLISH = ["The dogs’ man doesn’t see ’em.", "He said ‘the man isn’t old’."] * 10


def read(line: str, training: list[str]) -> str:
    return UsualApostrophes(count_apostrophes(training), "".join(training))(line)


@pytest.mark.parametrize("mark", APOSTROPHES)
def test_a_mark_that_training_has_not_is_read_as_the_one_that_it_has(mark: str) -> None:
    assert read(f"Mitã{mark}i oipota so{mark}o ógape.", GUARANI) == GUARANI[0]
    assert read(f"Ke {mark}ai nei ke kāne i ka i{mark}a.", HAWAIIAN) == HAWAIIAN[0]


@pytest.mark.parametrize(
    ("line", "training"),
    [
        ("He said 'the man'.", ENGLISH),  # a quotation
        ("Er sagte ‚der Mann‘.", ["Hunde' bellen."] * 10),
        ("5'6 5´ ' '' `` x=`1` ′", ENGLISH),
        ("'Aina", GUARANI),  # training has no mark there
        ("Mitã'i", GUARANI[:4]),  # hardly anything is known
        ("so'o", [*GUARANI, "so'o"]),  # rare, but not very
        ("l'eau, aujourd'hui", ["l’eau", "l'eau"] * 20),
    ],
)
def test_what_may_be_meant_so_stays(line: str, training: list[str]) -> None:
    assert read(line, training) == line


def test_a_mark_that_is_very_rare_in_training_is_read_as_the_usual_one() -> None:
    assert read("so'o", [*GUARANI * 10, "so'o"]) == "so’o"


def test_marks_that_quote_are_not_counted() -> None:
    counts = count_apostrophes(ENGLISH[:2])
    assert counts == {"inside": {"’": 2}, "start": {"’": 1}, "end": {"’": 1}}
    both = add_counts(counts, count_apostrophes(["don't, dogs’"]))
    assert both == {"inside": {"'": 1, "’": 2}, "start": {"’": 1}, "end": {"’": 2}}


@pytest.mark.parametrize(
    ("line", "characters", "expected"),
    [
        ("so'o 'aina ta'", "abo’", "so’o 'aina ta'"),
        ("so'o ’aina", "aboʻ", "soʻo ʻaina"),
        ("so'o ‘aina’ aina’", "aboʻ", "soʻo ‘aina’ ainaʻ"),
        ("don’t", "dont'`", "don't"),
        ("don`t", "dont'`", "don`t"),  # that training had it is all that is known
        ("don´t", "dont'’", "don´t"),
        ("so'o", "", "so'o"),
    ],
)
def test_of_a_run_that_counted_none_only_what_leaves_no_choice_is_changed(
    line: str, characters: str, expected: str
) -> None:
    assert UsualApostrophes(None, characters)(line) == expected
