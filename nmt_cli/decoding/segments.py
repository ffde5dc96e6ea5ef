"""Lines longer than a model can read: cut into segments, and their translations put together.

A line is cut at sentence ends; a sentence that is still too long at commas and the like, then at
spaces, then between characters. Every character but the white space around a cut is in a segment.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

# Marks that a space follows: also those of Hindi and its neighbours, Urdu, Arabic, Armenian and
# Amharic. Marks that need none: of Chinese and Japanese, Burmese and Khmer.
SENTENCE_END = re.compile(
    r"(?<=[.!?…।॥۔؟։።])[\"'”’»)\]]*\s+|(?<=[。！？။។])(?![。！？။។])[”’」』）]*"
)
CLAUSE_END = re.compile(r"(?<=[,;:،؛၊])\s+|(?<=[、，；：])")
SPACE = re.compile(r"\s+")
CUTS = (SENTENCE_END, CLAUSE_END, SPACE)
ENOUGH = 8  # pieces: a shorter sentence takes the next one along ('Mr. Smith' has one too many)
JOINER, VARIANTS = "\u200d", range(0xFE00, 0xFE10)  # inside emoji

# Scripts written without spaces: the first three do without them between sentences, too.
CJK = (range(0x2E80, 0xA4D0), range(0xF900, 0xFB00), range(0xFF00, 0xFFF0))
ASTRAL_CJK = range(0x20000, 0x33480)
UNSPACED = (range(0x0E00, 0x1100), range(0x1780, 0x1800))  # Thai, Lao, Tibetan, Burmese; Khmer

Measure = Callable[[list[str]], list[int]]  # pieces of each text
Span = tuple[int, int]


@dataclass(frozen=True)
class Segment:
    """A part of a line, without white space around it."""

    text: str
    inside_word: bool = False
    """It goes on with a word that the segment before it began."""


def split_line(text: str, limit: int, measure: Measure) -> list[Segment]:
    """Segments of at most `limit` pieces, in order.

    A line that has to be cut is cut into its sentences, since most models know only single ones.
    Only a character that has more pieces than `limit` is left longer than that.
    """
    if measure([text])[0] <= limit:
        return [Segment(text)]
    spans = _without_blanks(text, _packed(text, (0, len(text)), limit, measure, 0))
    sizes = measure([text[first:end] for first, end in spans])
    fitting: list[Span] = []
    for span, size in zip(spans, sizes, strict=True):  # joined, units may have more pieces
        fitting += [span] if size <= limit else _sliced(text, _clusters(text, span), limit, measure)
    return list(_segments(text, _without_blanks(text, fitting)))


def rejoin(segments: Sequence[Segment], translations: Sequence[str]) -> str:
    """The translation of a line from those of its segments.

    A space goes between two of them, but not where the target is written without any, nor inside
    a word.
    """
    whole = ""
    for segment, text in zip(segments, translations, strict=True):
        if whole and text:
            glued = segment.inside_word or _in(CJK, whole[-1]) or _in(CJK, text[0])
            whole += "" if glued else " "
        whole += text
    return whole


def _packed(text: str, span: Span, limit: int, measure: Measure, level: int) -> list[Span]:
    """Spans of neighbouring units of this level: sentences, clauses, words."""
    if level == len(CUTS):
        return _sliced(text, _clusters(text, span), limit, measure)
    units = list(_units(text, span, CUTS[level]))
    sizes = measure([text[first:end].strip() for first, end in units])
    enough = min(ENOUGH, limit) if level == 0 else limit
    parts: list[Span] = []
    filled = limit  # pieces in the last part; full where nothing may be added to it
    for unit, size in zip(units, sizes, strict=True):
        if size > limit:
            parts += _packed(text, unit, limit, measure, level + 1)
            filled = limit
        elif filled >= enough or filled + size > limit:
            parts.append(unit)
            filled = size
        else:
            parts[-1] = (parts[-1][0], unit[1])
            filled += size
    return parts


def _units(text: str, span: Span, cut: re.Pattern[str]) -> Iterator[Span]:
    first, last = span
    for match in cut.finditer(text, first, last):
        if first < match.end() < last:
            yield first, match.end()
            first = match.end()
    yield first, last


def _sliced(text: str, bounds: Sequence[int], limit: int, measure: Measure) -> list[Span]:
    """Spans of as many units as fit; unit i is text[bounds[i] : bounds[i + 1]]."""
    parts: list[Span] = []
    here, count, last = 0, limit, len(bounds) - 1
    while here < last:
        count = _fitting(text, bounds[here:], min(count, last - here), limit, measure)
        first, end = bounds[here], bounds[here + count]
        if count == 1 and end - first > 1 and measure([text[first:end]])[0] > limit:
            parts += _sliced(text, range(first, end + 1), limit, measure)  # a tower of accents
        else:
            parts.append((first, end))
        here += count
    return parts


def _fitting(text: str, bounds: Sequence[int], count: int, limit: int, measure: Measure) -> int:
    """How many of the first units fit, to within a factor of 2; at least one."""
    size = measure([text[bounds[0] : bounds[count]]])[0]
    while size > limit and count > 1:
        count = max(1, min(count - 1, count * limit // size))
        size = measure([text[bounds[0] : bounds[count]]])[0]
    while 2 * size <= limit and count < len(bounds) - 1:
        more = min(2 * count, len(bounds) - 1)
        size = measure([text[bounds[0] : bounds[more]]])[0]
        if size > limit:
            break
        count = more
    return count


def _clusters(text: str, span: Span) -> list[int]:
    """Where characters begin that do not combine with the one before; the span's end is last."""
    first, end = span
    bounds = [first]
    for place in range(first + 1, end):
        character = text[place]
        joined = JOINER in (character, text[place - 1]) or ord(character) in VARIANTS
        if not joined and unicodedata.combining(character) == 0:
            bounds.append(place)
    return [*bounds, end]


def _without_blanks(text: str, spans: list[Span]) -> list[Span]:
    """The spans without white space around them, and without those of white space only."""
    found = []
    for first, end in spans:
        inside = text[first:end]
        left, right = len(inside.lstrip()), len(inside.rstrip())
        if left:
            found.append((end - left, first + right))
    return found


def _segments(text: str, spans: list[Span]) -> Iterator[Segment]:
    before = 0
    for number, (first, end) in enumerate(spans):
        touching = number > 0 and first == before
        sides = (text[first - 1], text[first]) if touching else ()
        spaced = not any(_in((*CJK, *UNSPACED), side) for side in sides)
        yield Segment(text[first:end], touching and spaced)
        before = end


def _in(scripts: Sequence[range], character: str) -> bool:
    return any(ord(character) in script for script in (*scripts, ASTRAL_CJK))
