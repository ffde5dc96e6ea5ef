"""The scripts that languages are written in, and those of the letters of a text."""

import unicodedata
from collections import Counter
from functools import lru_cache

_SCRIPTS = """\
CYRILLIC ab av ba be bg ce cv kk ky mk mn os ru sr tg tt uk|ARABIC ar fa ps sd ug ur|DEVANAGARI bh hi mr ne sa|\
HEBREW he yi|ETHIOPIC am ti|BENGALI as bn|TIBETAN bo dz|THAANA dv|GREEK el|GUJARATI gu|ARMENIAN hy|CANADIAN iu|\
HIRAGANA ja|KATAKANA ja|CJK ja zh|BOPOMOFO zh|GEORGIAN ka|KHMER km|KANNADA kn|HANGUL ko|LAO lo|MALAYALAM ml|\
MYANMAR my|ORIYA or|GURMUKHI pa|SINHALA si|TAMIL ta|TELUGU te|THAI th"""
SCRIPTS: dict[str, set[str]] = {}
"""The scripts of each language, by the first words of the Unicode names of their letters; no entry: LATIN."""
for _name, *_codes in (entry.split() for entry in _SCRIPTS.split("|")):
    for _code in _codes:
        SCRIPTS.setdefault(_code, set()).add(_name)


def scripts_of(language: str) -> set[str]:
    """The scripts of a language, by its code."""
    return SCRIPTS.get(language.lower().replace("_", "-").split("-")[0], {"LATIN"})


def letter_scripts(text: str) -> Counter[str]:
    """How many letters of a text are of each script."""
    scripts: Counter[str] = Counter()
    for character, count in Counter(text).items():
        if character.isalpha():
            scripts[_script(character)] += count
    return scripts


@lru_cache(maxsize=1 << 16)
def _script(letter: str) -> str:
    return unicodedata.name(letter, "UNKNOWN").removeprefix("FULLWIDTH ").split(" ")[0].split("-")[0]
