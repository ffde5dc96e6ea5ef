"""Texts in which a mark stands in place of each part that must not change, so that nothing splits or rewrites it."""

import re
from collections.abc import Iterable, Sequence

from nmt_cli.data.protected_spans import PARAGRAPH_END, Span
from nmt_cli.data.scripts import UNSPACED_SCRIPTS
from nmt_cli.vocabulary import BREAK_MARK, SPAN_MARK

_LETTER = rf"[^\W{UNSPACED_SCRIPTS}\uac00-\ud7a3]"  # of a script with spaces around a name or a number
_NOT_IN_WORD_BEFORE, _NOT_IN_WORD_BEHIND = f"(?<!{_LETTER})", f"(?!{_LETTER})"
ANY_MARK = re.compile(f"[{SPAN_MARK}{BREAK_MARK}]")


def mask(text: str, spans: Sequence[Span]) -> tuple[str, tuple[str, ...]]:
    """A text with a SPAN_MARK in place of each span, or a BREAK_MARK where it ends a paragraph, and what they hide."""
    parts, position = [], 0
    for start, end in spans:
        is_break = PARAGRAPH_END.fullmatch(text, start, end)
        parts += [text[position:start], BREAK_MARK if is_break else SPAN_MARK]
        position = end
    return "".join([*parts, text[position:]]), tuple(text[start:end] for start, end in spans)


def mask_known(text: str, strings: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """A text in which each of these strings is masked wherever it has one, and the strings in their order."""
    return mask(text, [match.span() for match in literal_pattern(strings).finditer(text)])


def unmask(text: str, spans: Sequence[str]) -> str:
    """The text with its spans again."""
    if not spans:
        return text
    parts = ANY_MARK.split(text)
    return parts[0] + "".join(span + part for span, part in zip(spans, parts[1:], strict=True))


def literal_pattern(strings: Iterable[str]) -> re.Pattern[str]:
    """Matches any of some strings, the longest first, and no part of a word; nothing where there are none."""
    ordered = sorted(set(strings), key=lambda string: (-len(string), string))
    return re.compile("|".join(as_word(string, re.escape(string)) for string in ordered) or r"(?!)")


def as_word(string: str, pattern: str) -> str:
    """A pattern of a string, but for where it is part of a word; an escape like \\n may be followed by one."""
    before = _NOT_IN_WORD_BEFORE if string[0].isalnum() else ""
    return before + pattern + (_NOT_IN_WORD_BEHIND if string[-1].isalnum() and string[0] != "\\" else "")
