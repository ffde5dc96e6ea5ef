"""Splitting lines that are longer than a model can read, and joining the translations of the segments.

A line is split at sentence ends; a sentence that is still too long at commas and the like, then at spaces, then between
characters. Only the white space around a split is lost.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from nmt_cli.data.final_marks import (
    CLOSERS,
    COLONS,
    COMMAS,
    FINAL_MARKS,
    TYPED_STOP,
    UNSPACED_COLONS,
    UNSPACED_COMMAS,
    UNSPACED_MARKS,
    UNSPACED_TYPED,
)
from nmt_cli.data.protected_spans import PARAGRAPH_END, Span
from nmt_cli.data.scripts import OTHER_IDEOGRAPHS, PHRASED_SCRIPTS
from nmt_cli.inference.lines import LINE_BREAKS

# A mark followed by a space, and one that needs none.
SENTENCE_END = re.compile(
    rf"(?:(?<=[{FINAL_MARKS}])|(?<=(?:{UNSPACED_TYPED})))[{CLOSERS}]*\s+|"
    rf"(?:(?<=[{UNSPACED_MARKS}])|(?<=(?:{UNSPACED_TYPED})))(?![{UNSPACED_MARKS}{TYPED_STOP}:])[{CLOSERS}]*"
)
CLAUSE_END = re.compile(rf"(?<=[{COMMAS}{COLONS}])\s+|(?<=[{UNSPACED_COMMAS}{UNSPACED_COLONS}])")
ENDS = re.compile(f"[\t{LINE_BREAKS}]")  # of a column of a table, or of a line
SPACE = re.compile(r"\s+")
BOUNDARY_PATTERNS = (SENTENCE_END, CLAUSE_END, SPACE)
SENTENCES, CLAUSES, WORDS, CHARACTERS = range(4)  # levels at which a text is split
MIN_SEGMENT_TOKENS = 8  # a shorter sentence is joined with the next one: it may end in an abbreviation ('Mr. Smith')
ZERO_WIDTH_JOINER, VARIATION_SELECTORS = "\u200d", range(0xFE00, 0xFE10)  # inside emoji

_CJK = rf"\u2e80-\u312f\u3190-\ua4cf\uff00-\uffef{OTHER_IDEOGRAPHS}"  # without spaces between sentences, either
CJK, UNSPACED = re.compile(f"[{_CJK}]"), re.compile(rf"[{_CJK}{PHRASED_SCRIPTS}]")

TokenCounter = Callable[[list[str]], list[int]]  # number of tokens of each text


@dataclass(frozen=True)
class Segment:
    """A part of a line, without surrounding white space."""

    text: str
    separator: str = " "
    """White space that follows it; none where the next segment continues without any."""
    is_copied: bool = False
    """Whether it is its own translation."""


def split_line(text: str, max_tokens: int, count_tokens: TokenCounter) -> list[Segment]:
    """Segments of at most `max_tokens` tokens, in order; only a single character may have more.

    A line that is too long is split into single sentences where possible, since most models are trained on those.
    """
    if count_tokens([text])[0] <= max_tokens:
        return [Segment(text)]
    spans = _strip_spans(text, _pack_units(text, (0, len(text)), max_tokens, count_tokens, SENTENCES))
    token_counts = count_tokens([text[start:end] for start, end in spans])
    fitting_spans: list[Span] = []
    for span, token_count in zip(spans, token_counts, strict=True):  # joined units may have more tokens than the sum
        fitting_spans += (
            [span]
            if token_count <= max_tokens
            else _slice_characters(text, _grapheme_boundaries(text, span), max_tokens, count_tokens)
        )
    return list(make_segments(text, fitting_spans))


def split_at_clauses(text: str, max_tokens: int, count_tokens: TokenCounter) -> list[Segment]:
    """Segments of whole clauses, as many together as have at most `max_tokens` tokens; a longer clause stays whole."""
    spans = _pack_units(text, (0, len(text)), max_tokens, count_tokens, CLAUSES, last_level=CLAUSES)
    return list(make_segments(text, spans))


def spaced_translations(segments: Sequence[Segment], translations: Sequence[str]) -> list[str]:
    """The translations of the segments of a line, each with the spacing that stood before it.

    Between two that are translated, a single space is left out where the target is written without spaces. Between one
    that is copied and one that is not, it stays, since it may be what makes a mark of a list one; where the source has
    none because it is written without spaces, there is one unless the target is, too. The spacing behind a translation
    that is empty is left out unless it ends a column of a table or a line.
    """
    parts: list[str] = []
    separator, before, text_before = "", None, ""
    for segment, text in zip(segments, translations, strict=True):
        if not text:
            parts.append("")
            separator += segment.separator if ENDS.search(segment.separator) else ""
            continue
        if before is None:
            separator = separator if ENDS.search(separator) else ""
        elif before.is_copied or segment.is_copied:
            separator = separator or " " * _needs_space(before, segment, text_before, text)
        elif separator == " " and (_in_scripts(CJK, text_before[-1]) or _in_scripts(CJK, text[0])):
            separator = ""
        parts.append(separator + text)
        separator, before, text_before = segment.separator, segment, text
    return parts


def _needs_space(left: Segment, right: Segment, left_text: str, right_text: str) -> bool:
    """Whether the target needs a space between what is copied and what is not, where the source has none."""
    if left.is_copied == right.is_copied or PARAGRAPH_END.match((left if left.is_copied else right).text):
        return False
    source, target = (right.text[0], right_text[0]) if left.is_copied else (left.text[-1], left_text[-1])
    return _in_scripts(UNSPACED, source) and not _in_scripts(UNSPACED, target)


def _pack_units(
    text: str, span: Span, max_tokens: int, count_tokens: TokenCounter, level: int, last_level: int = CHARACTERS
) -> list[Span]:
    """Spans of neighbouring units of a level; a unit that is too long is split at the next level, up to the last."""
    if level == CHARACTERS:
        return _slice_characters(text, _grapheme_boundaries(text, span), max_tokens, count_tokens)
    units = list(_split_at(text, span, BOUNDARY_PATTERNS[level]))
    token_counts = count_tokens([text[start:end].strip() for start, end in units])
    min_tokens = min(MIN_SEGMENT_TOKENS, max_tokens) if level == SENTENCES else max_tokens
    packed: list[Span] = []
    last_token_count = max_tokens  # tokens in the last span; max_tokens where nothing may be added to it
    for unit, token_count in zip(units, token_counts, strict=True):
        if token_count > max_tokens and level < last_level:
            packed += _pack_units(text, unit, max_tokens, count_tokens, level + 1, last_level)
            last_token_count = max_tokens
        elif last_token_count >= min_tokens or last_token_count + token_count > max_tokens:
            packed.append(unit)
            last_token_count = token_count
        else:
            packed[-1] = (packed[-1][0], unit[1])
            last_token_count += token_count
    return packed


def _split_at(text: str, span: Span, boundary: re.Pattern[str]) -> Iterator[Span]:
    start, end = span
    for match in boundary.finditer(text, start, end):
        if start < match.end() < end:
            yield start, match.end()
            start = match.end()
    yield start, end


def _slice_characters(text: str, bounds: Sequence[int], max_tokens: int, count_tokens: TokenCounter) -> list[Span]:
    """Spans of as many units as fit, where unit i is text[bounds[i] : bounds[i + 1]]."""
    spans: list[Span] = []
    position, count, unit_count = 0, max_tokens, len(bounds) - 1
    while position < unit_count:
        count = _fitting_unit_count(text, bounds, position, count, max_tokens, count_tokens)
        start, end = bounds[position], bounds[position + count]
        if count == 1 and end - start > 1 and count_tokens([text[start:end]])[0] > max_tokens:
            spans += _slice_characters(text, range(start, end + 1), max_tokens, count_tokens)  # stacked accents
        else:
            spans.append((start, end))
        position += count
    return spans


def _fitting_unit_count(
    text: str, bounds: Sequence[int], first: int, count: int, max_tokens: int, count_tokens: TokenCounter
) -> int:
    """How many of the units from `first` on fit, to within a factor of 2; at least one. `count` is a guess."""
    start, remaining = bounds[first], len(bounds) - 1 - first
    count = min(count, remaining)
    token_count = count_tokens([text[start : bounds[first + count]]])[0]
    while token_count > max_tokens and count > 1:
        count = max(1, min(count - 1, count * max_tokens // token_count))
        token_count = count_tokens([text[start : bounds[first + count]]])[0]
    while 2 * token_count <= max_tokens and count < remaining:
        larger_count = min(2 * count, remaining)
        token_count = count_tokens([text[start : bounds[first + larger_count]]])[0]
        if token_count > max_tokens:
            break
        count = larger_count
    return count


def _grapheme_boundaries(text: str, span: Span) -> list[int]:
    """Where characters begin that do not combine with the previous one; followed by the end of the span."""
    start, end = span
    bounds = [start]
    for position in range(start + 1, end):
        character = text[position]
        continues_cluster = (
            ZERO_WIDTH_JOINER in (character, text[position - 1]) or ord(character) in VARIATION_SELECTORS
        )
        if not continues_cluster and unicodedata.combining(character) == 0:
            bounds.append(position)
    return [*bounds, end]


def _strip_spans(text: str, spans: Sequence[Span]) -> list[Span]:
    """The spans without surrounding white space; blank spans are dropped."""
    stripped = []
    for start, end in spans:
        content = text[start:end]
        without_leading, without_trailing = len(content.lstrip()), len(content.rstrip())
        if without_leading:
            stripped.append((end - without_leading, start + without_trailing))
    return stripped


def make_segments(text: str, spans: Sequence[Span]) -> Iterator[Segment]:
    """The segments of a text that lie in these parts of it; parts that are blank have none.

    Where the script of the text has no space between two of them, the target may need one.
    """
    spans = _strip_spans(text, spans)
    for index, (start, end) in enumerate(spans):
        next_start = spans[index + 1][0] if index + 1 < len(spans) else len(text)
        separator = text[end:next_start]
        is_inside = not separator and index + 1 < len(spans)
        if is_inside and any(_in_scripts(UNSPACED, character) for character in text[end - 1 : end + 1]):
            separator = " "  # in the target; inside a word there is none
        yield Segment(text[start:end], separator)


def _in_scripts(scripts: re.Pattern[str], character: str) -> bool:
    return scripts.match(character) is not None
