"""Fonts that have the characters of a text: matplotlib's own first, then those of this machine.

matplotlib looks up each character in a list of font families; this module makes the list.
"""

import unicodedata
from functools import lru_cache
from typing import Any

DEFAULT_FAMILY = "DejaVu Sans"
PREFERRED_FAMILIES = ("Noto Sans", "Source Han", "WenQuanYi", "Droid Sans", "Hiragino", "Microsoft", "Arial")
EXCLUDED_FAMILIES = ("Last Resort", "LastResort", "Emoji")  # a box for every character; coloured images


def font_families(text: str) -> list[str]:
    """Families that together have all characters of `text` that any installed font has."""
    return [DEFAULT_FAMILY, *_find_families(_not_in_default(text))[0]]


def missing_characters(text: str) -> str:
    """The characters of `text` that no installed font has, each once, sorted."""
    return "".join(sorted(_find_families(_not_in_default(text))[1]))


def escape_controls(text: str) -> str:
    """The text with control characters, which are invisible or change the direction of writing, as `<U+200E>`.

    Joiners are kept, since Persian and Hindi need them.
    """
    return "".join(
        f"<U+{ord(character):04X}>"
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in "\u200c\u200d\u00ad"
        else character
        for character in text
    )


def truncate(text: str, max_characters: int) -> str:
    """The text, or its beginning and an ellipsis, of at most `max_characters` characters."""
    return text if len(text) <= max_characters else text[: max_characters - 1] + "…"


def _not_in_default(text: str) -> frozenset[str]:
    """Characters that the default font lacks."""
    from matplotlib import font_manager

    path = font_manager.findfont(DEFAULT_FAMILY, fallback_to_default=True)
    covered = _code_points(path)
    return frozenset(character for character in set(text) if character > " " and ord(character) not in covered)


@lru_cache(maxsize=64)
def _find_families(characters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Families of other fonts that have some of these characters, and the characters that none has."""
    from matplotlib import font_manager

    remaining, names = set(characters), list[str]()
    fonts = font_manager.fontManager.ttflist if characters else []
    for font in sorted(fonts, key=_preference):
        if remaining and font.name not in names and not any(word in font.name for word in EXCLUDED_FAMILIES):
            covered = {character for character in remaining if ord(character) in _code_points(font.fname)}
            if covered:
                names.append(font.name)
                remaining -= covered
    return tuple(names), frozenset(remaining)


def _preference(font: Any) -> tuple[bool, bool, str, str]:
    """Sort key: upright, regular fonts first, of families that cover many scripts."""
    regular = font.style == "normal" and font.weight in (400, "normal", "regular")
    return (not regular, not font.name.startswith(PREFERRED_FAMILIES), font.name, font.fname)


@lru_cache(maxsize=4096)
def _code_points(path: str) -> frozenset[int]:
    """The code points of a font file; none if it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError, ValueError):
        return frozenset()
