"""The scripts of languages by their codes, and which way they are written."""

import unicodedata

import pytest

from nmt_cli.data.language_codes import short_code
from nmt_cli.data.scripts import direction, script_of, scripts_of


@pytest.mark.parametrize(
    "code, scripts",
    [
        ("en", "LATIN"),
        ("xx", "LATIN"),
        ("qaa", ""),
        ("deu", "LATIN"),
        ("tir", "ETHIOPIC"),
        ("nqo", "NKO"),
        ("chr", "CHEROKEE"),
        ("kab", "LATIN TIFINAGH"),
        ("kab-Tfng", "TIFINAGH"),
        ("rus_Cyrl", "CYRILLIC"),
        ("pes_Arab", "ARABIC"),
        ("ff-Adlm", "ADLAM"),
        ("bm-Nkoo", "NKO"),
        ("tr-arab", "ARABIC"),
        ("sr", "CYRILLIC LATIN"),
    ],
)
def test_a_code_says_the_scripts(code: str, scripts: str) -> None:
    assert scripts_of(code) == set(scripts.split())


@pytest.mark.parametrize(
    "code, short", [("tir", "ti"), ("ger", "de"), ("deu", "de"), ("zho_Hant", "zh"), ("nqo", "nqo")]
)
def test_a_language_has_one_short_code(code: str, short: str) -> None:
    assert short_code(code) == short


@pytest.mark.parametrize(
    "codes, expected",
    [
        ("ar nqo syr rhg-Rohg pnb tr-Arab lad-Hebr bm-Nkoo ff_Adlm dv", "rtl"),
        ("en ar-Latn zh nqo-Latn vai qaa", "ltr"),
        ("ff ks az", "auto"),
    ],
)
def test_the_script_decides_the_direction(codes: str, expected: str) -> None:
    assert [direction(scripts_of(code)) for code in codes.split()] == [expected] * len(codes.split())


def test_the_direction_of_each_script_is_that_of_its_letters() -> None:
    for letter in ("ا", "א", "ܐ", "ࡀ", "ࠀ", "ހ", "ߊ", "𞤀", "𐴀", "𞠀", "𐬀"):
        assert unicodedata.bidirectional(letter) in ("R", "AL")
        assert direction([script_of(letter)]) == "rtl"
