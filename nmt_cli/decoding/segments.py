"""Lines longer than a model can read, cut at sentence ends, at spaces, or anywhere."""

import re
from collections.abc import Callable

SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])")
SPACE = re.compile(r"\s+")

Measure = Callable[[list[str]], list[int]]  # pieces of each text


def split_line(text: str, limit: int, measure: Measure) -> list[str]:
    """Parts of at most `limit` pieces, in order; as few cuts as sentence ends allow."""
    if measure([text])[0] <= limit:
        return [text]
    return _packed(text, limit, measure, [SENTENCE_END, SPACE])


def _packed(text: str, limit: int, measure: Measure, cuts: list[re.Pattern[str]]) -> list[str]:
    units = [unit for unit in cuts[0].split(text) if unit] if cuts else list(text)
    sizes = measure(units)
    parts: list[str] = []
    current, filled = "", 0
    joiner = " " if cuts else ""
    for unit, size in zip(units, sizes, strict=True):
        if size > limit and cuts:
            parts += [current] if current else []
            parts += _packed(unit, limit, measure, cuts[1:])
            current, filled = "", 0
        elif current and filled + size > limit:
            parts.append(current)
            current, filled = unit, size
        else:
            current = current + joiner + unit if current else unit
            filled += size
    return [*parts, current] if current else parts
