"""Text is the same to a model whichever way its invisible parts are written."""

import re
import sys
import unicodedata
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli.data import normalization
from nmt_cli.data.normalization import LEGACY, NormalizationConfig, Normalizer
from nmt_cli.data.text_profile import TextProfile
from nmt_cli.errors import UserError

PLAIN = "Tomorrow the old man buys a bicycle."
DEFAULT = Normalizer(NormalizationConfig())

SPACES = [chr(n) for n in range(sys.maxunicode + 1) if chr(n).isspace()]
INVISIBLE = "\xad\u200b\u200c\u200d\u2060\ufeff\u200e\u200f\u061c\u2068\u2069\u202a\u202e\x00\x07\x7f\x80\u180e\u034f"


@pytest.mark.parametrize("space", [*SPACES, "  ", " \t \u3000", "\r\n"], ids=ascii)
def test_white_space_of_every_kind_is_one_space(space: str) -> None:
    assert DEFAULT(PLAIN.replace(" man", f"{space}man")) == PLAIN
    assert DEFAULT(f"{space}{PLAIN}{space}") == PLAIN


@pytest.mark.parametrize("character", INVISIBLE, ids=ascii)
def test_characters_that_nobody_sees_go(character: str) -> None:
    for text in (f"Tomorrow the old man buys a bi{character}cycle.", character + PLAIN, PLAIN + character):
        assert DEFAULT(text) == PLAIN
    assert DEFAULT(character) == ""


@pytest.mark.parametrize(
    "text",
    [
        "👨‍👩‍👧‍👦", "👩🏽‍🚀", "🏳️‍🌈", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "می‌خواهم", "क्‍ष", "ශ්‍රී", "ക്‍", "ཨོཾ་མ་ཎི", "ไทย", "日本語、。", "naïve café", "a–b — c", "„so“ ’s", "ﬁ １",
    ],
)  # fmt: skip
def test_what_is_part_of_the_text_stays(text: str) -> None:
    assert DEFAULT(text) == text


def test_text_that_is_printable_is_not_searched_for_what_it_cannot_have() -> None:
    """Searching it was most of the time that a line of German took."""
    printable = "".join(filter(str.isprintable, map(chr, range(sys.maxunicode + 1))))
    assert set(normalization._DROPPED.findall(printable)) == {normalization._UNSEEN_MARK}
    assert normalization._SPACES.search(printable) is None and " " in printable
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_DROPPED", "_SPACES"):
            patch.setattr(normalization, name, None)
        assert DEFAULT("Die Brücke – „so“ 日本語 👩🏽") == "Die Brücke – „so“ 日本語 👩🏽"


STACKED = [
    chr(n)
    for n in range(sys.maxunicode + 1)
    if re.search("^(?!LAO).*(VIRAMA|HALANTA|PANGKON|ADEG ADEG|PAMAAEH)", unicodedata.name(chr(n), ""))
]
JOINED = "بܒވߓࡁ\u08a0ᠠ\ua840\U00010ac0\U00010b80\U00010d00\U00010f30\U00010fb0𞤀𞤢"


@pytest.mark.parametrize("letter", [*STACKED, *JOINED], ids=ascii)
def test_joiners_stay_in_every_script_whose_letters_are_joined_or_stacked(letter: str) -> None:
    assert len(STACKED) > 30
    for joiner in "\u200c\u200d":
        assert DEFAULT(f"{letter}{joiner}{letter}") == f"{letter}{joiner}{letter}"


def test_letters_are_composed() -> None:
    assert DEFAULT("Bru\u0308cke") == "Brücke"
    assert DEFAULT("u\xad\u0308") == "ü"  # what stood between them has gone


def test_options_change_what_is_part_of_the_text() -> None:
    every = NormalizationConfig(unicode="nfkc", entities=True, quotes=True, dashes=True)
    assert Normalizer(every)("Ｔｏ ﬁnd „it“ ‘so’ – M&auml;rz&nbsp;&#8212; a‑b") == "To find \"it\" 'so' – März – a-b"
    assert Normalizer(NormalizationConfig(unicode="none"))("u\u0308") == "u\u0308"
    assert Normalizer(NormalizationConfig(entities=True))("a &lt; b") == "a < b"
    quotes = NormalizationConfig(quotes=True)
    assert Normalizer(quotes)("soʼo, soʻo, so`o, so´o, soꞌo, so’o") == "so'o, so'o, so'o, so'o, so'o, so'o"
    assert Normalizer(quotes)("`so`") == "'so'"  # ASCII, too
    before = TextProfile(normalization=quotes).normalizer()
    assert before("soʼo, so`o, so’o") == "soʼo, so`o, so'o"
    assert TextProfile(normalization=quotes, apostrophes={}).normalizer()("soʼo") == "so'o"
    one_line = Normalizer(NormalizationConfig(entities=True, whitespace=False))
    assert one_line("a&#10;b&#13;c") == "a b c"


def test_runs_of_before_keep_their_way() -> None:
    text = " a\u00a0b\xad  c u\u0308 "
    assert Normalizer(LEGACY)(text) == unicodedata.normalize("NFC", text)


def test_what_was_done_is_counted() -> None:
    normalizer = Normalizer(NormalizationConfig())
    for text in (PLAIN, "a  b", "a\u00a0b\xad", "ü u\u0308"):
        normalizer(text)
    assert normalizer.counts == {"whitespace": 2, "invisible": 1, "unicode": 1}


@given(st.text())
def test_a_normalised_text_stays_as_it_is(text: str) -> None:
    once = DEFAULT(text)
    assert DEFAULT(once) == once


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_visible_ascii_keeps_every_character(text: str) -> None:
    assert DEFAULT(text) == " ".join(text.split())


def test_mojibake_is_repaired_by_its_package_before_all_other_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    repair = {"MÃ¤rz&nbsp;1": "März&nbsp;1", "straÃ\xado": "strao"}
    fake = SimpleNamespace(fix_encoding=lambda text: repair.get(text, text))
    monkeypatch.setitem(sys.modules, "ftfy", fake)
    normalizer = Normalizer(NormalizationConfig(mojibake=True, entities=True))
    assert normalizer("MÃ¤rz&nbsp;1") == "März 1"
    assert normalizer("straÃ\xado") == "strao"  # no soft hyphen was dropped from it before
    assert normalizer("März") == "März"
    assert normalizer.counts["mojibake"] == 2
    assert Normalizer(NormalizationConfig())("MÃ¤rz") == "MÃ¤rz"


def test_mending_mojibake_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ftfy", None)
    with pytest.raises(UserError, match=r"normalization\.mojibake: needs the extra: pip install .nmt-cli\[mojibake\]"):
        Normalizer(NormalizationConfig(mojibake=True))
