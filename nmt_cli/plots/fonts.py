"""Fonts that know the letters of a text: matplotlib's own first, then those of this machine.

matplotlib looks for each letter in a list of families, but does not make the list.
"""

import unicodedata
from functools import lru_cache
from typing import Any

DEFAULT_FAMILY = "DejaVu Sans"
PREFERRED_FAMILIES = ("Noto Sans", "Source Han", "WenQuanYi", "Droid Sans", "Hiragino", "Microsoft", "Arial")
EXCLUDED_FAMILIES = ("Last Resort", "LastResort", "Emoji")  # boxes for all letters; coloured pictures


def font_families(text: str) -> list[str]:
    """Families that between them know all letters of `text` that any font here knows."""
    return [DEFAULT_FAMILY, *_find_families(_not_in_default(text))[0]]


def missing_characters(text: str) -> str:
    """The letters of `text` that no font here knows, each once, in order."""
    return "".join(sorted(_find_families(_not_in_default(text))[1]))


def escape_controls(text: str) -> str:
    """The text with control characters, which would draw nothing or turn the line, spelled out.

    Joiners stay: Persian and Hindi need them.
    """
    return "".join(
        f"<U+{ord(character):04X}>"
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in "\u200c\u200d\u00ad"
        else character
        for character in text
    )


def truncate(text: str, max_characters: int) -> str:
    """The text, or its beginning and an ellipsis: at most so many letters."""
    return text if len(text) <= max_characters else text[: max_characters - 1] + "…"


def _not_in_default(text: str) -> frozenset[str]:
    """Letters that the first font lacks."""
    from matplotlib import font_manager

    path = font_manager.findfont(DEFAULT_FAMILY, fallback_to_default=True)
    covered = _code_points(path)
    return frozenset(character for character in set(text) if character > " " and ord(character) not in covered)


@lru_cache(maxsize=64)
def _find_families(characters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Families of other fonts that know some of these letters, and the letters that none knows."""
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
    """Upright, regular fonts of makers that cover many letters first."""
    regular = font.style == "normal" and font.weight in (400, "normal", "regular")
    return (not regular, not font.name.startswith(PREFERRED_FAMILIES), font.name, font.fname)


@lru_cache(maxsize=4096)
def _code_points(path: str) -> frozenset[int]:
    """The code points that a font file has; none where it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError, ValueError):
        return frozenset()
