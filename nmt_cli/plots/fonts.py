"""Fonts that know the letters of a text: matplotlib's own first, then those of this machine.

matplotlib looks for each letter in a list of families, but does not make the list.
"""

import unicodedata
from functools import lru_cache
from typing import Any

OWN = "DejaVu Sans"
LIKELY = ("Noto Sans", "Source Han", "WenQuanYi", "Droid Sans", "Hiragino", "Microsoft", "Arial")
UNFIT = ("Last Resort", "LastResort", "Emoji")  # boxes for all letters; coloured pictures


def families(text: str) -> list[str]:
    """Families that between them know all letters of `text` that any font here knows."""
    return [OWN, *_search(_unknown(text))[0]]


def missing(text: str) -> str:
    """The letters of `text` that no font here knows, each once, in order."""
    return "".join(sorted(_search(_unknown(text))[1]))


def visible(text: str) -> str:
    """The text with control characters, which would draw nothing or turn the line, spelled out.

    Joiners stay: Persian and Hindi need them.
    """
    return "".join(
        f"<U+{ord(letter):04X}>"
        if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        and letter not in "\u200c\u200d\u00ad"
        else letter
        for letter in text
    )


def shortened(text: str, most: int) -> str:
    """The text, or its beginning and an ellipsis: at most so many letters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _unknown(text: str) -> frozenset[str]:
    """Letters that the first font lacks."""
    from matplotlib import font_manager

    path = font_manager.findfont(OWN, fallback_to_default=True)
    known = _letters(path)
    return frozenset(letter for letter in set(text) if letter > " " and ord(letter) not in known)


@lru_cache(maxsize=64)
def _search(wanted: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Families of other fonts that know some of these letters, and the letters that none knows."""
    from matplotlib import font_manager

    left, found = set(wanted), list[str]()
    fonts = font_manager.fontManager.ttflist if wanted else []
    for font in sorted(fonts, key=_rank):
        if left and font.name not in found and not any(word in font.name for word in UNFIT):
            known = {letter for letter in left if ord(letter) in _letters(font.fname)}
            if known:
                found.append(font.name)
                left -= known
    return tuple(found), frozenset(left)


def _rank(font: Any) -> tuple[bool, bool, str, str]:
    """Upright, regular fonts of makers that cover many letters first."""
    plain = font.style == "normal" and font.weight in (400, "normal", "regular")
    return (not plain, not font.name.startswith(LIKELY), font.name, font.fname)


@lru_cache(maxsize=4096)
def _letters(path: str) -> frozenset[int]:
    """The code points that a font file has; none where it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError, ValueError):
        return frozenset()
