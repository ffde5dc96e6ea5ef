"""Where a span belongs in a translation in which it is missing, and the spaces beside it or where it was."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from nmt_cli.data.final_marks import FINAL_MARKS, without_full_stop
from nmt_cli.data.protected_spans import Span
from nmt_cli.data.scripts import PHRASED_SCRIPTS, UNSPACED_SCRIPTS
from nmt_cli.inference.text_edits import Edit, spans_of
from nmt_cli.vocabulary import SPAN_MARK

UNSPACED = re.compile(f"[{UNSPACED_SCRIPTS}]")
_MARKS = "".join(
    character for character in map(chr, range(0xE00, 0x1800)) if unicodedata.category(character) in ("Mn", "Mc")
)
# What is never torn: a letter of such a script with the vowels and marks around it, the letters stacked under it and
# those that are silent or close its syllable; a syllable of Tibetan, a word in Katakana, or else a word.
_CLUSTER = (
    rf"[เ-ไເ-ໄ]?[{UNSPACED_SCRIPTS}](?:[\u1039\u17d2][{UNSPACED_SCRIPTS}]|[{_MARKS}\u3099\u309aะาำๅๆະາຳຽໆ]|"
    rf"[{PHRASED_SCRIPTS}][{_MARKS}]?[\u0e4c\u0ecc\u103a\u17cd])*"
)
CLUSTER_OR_WORD = re.compile(
    rf"[\u0f00-\u0fff]+?(?:\u0f0b|(?![\u0f00-\u0fff]))|[ァ-ヺー]+|{_CLUSTER}|[^\s{UNSPACED_SCRIPTS}]+"
)
_INSIDE_PHRASE = re.compile(rf"(?<=[{PHRASED_SCRIPTS}])(?=[{PHRASED_SCRIPTS}])")
STOPS = f",;:，{FINAL_MARKS}"
_BEFORE_WORDS = (*FINAL_MARKS, ":", ";", ",", ")", "]")  # a space follows
QUOTES = "\"'“”„‟«»‘’‚‹›「」『』《》〈〉"
_MARKS_ALIKE = str.maketrans(dict.fromkeys(FINAL_MARKS, ".") | dict.fromkeys(QUOTES, '"'))
_CONTROL_CHARACTERS = frozenset(c for c in map(chr, (*range(0x20), *range(0x7F, 0xA0))) if not c.isspace())
_SPACED = tuple("-–—&+=/*")  # with a space before them, unless they belong to a word
_CLOSING = tuple(f")]}}»”’\"'{STOPS}")
_OPENING = tuple("([{<«„“‚‘¿¡「『（【《〈［")
_OPENING_END = re.compile(rf"[{re.escape(''.join(_OPENING))}]|(?<!\S)[\"']")
_SPACED_OPENING = tuple(mark for mark in _OPENING if mark < "\u3000")  # with a space before them
_OPENING_TAG = re.compile(r"<\w[^<>]*(?<!/)>\Z")
_ENDS_BEFORE = re.compile(rf"[{STOPS})\]»”“’\"']*(?:\s|\Z)")  # what may follow a word
_BEGINS_AFTER = re.compile(r"(?:\A|\s)[(\[«„“‚‘\"'¿¡]*\Z")
LEADING_PUNCTUATION = re.compile(r"[^\w\s]+")


@dataclass(frozen=True, eq=False)
class HiddenSpan:
    """What must come out: a span or, where punctuation between several belongs to them, a few."""

    text: str
    masked: str  # with a SPAN_MARK in place of each span
    parts: tuple[str, ...]  # the spans in it
    placeholder: str  # that stands for it in what the model reads; empty: nothing does
    source_start: int  # offsets in the source text
    source_end: int
    read_start: int  # offset of its placeholder, or of where it was, in what the model reads
    left: str  # the characters that stand directly before and behind it, or nothing
    right: str
    begins_word: bool  # it stands in the word behind it: '(' is before it or, if it is glued to what follows, "l'"
    is_last: bool  # nothing is behind it that is read
    is_stop: bool  # a full stop is read in its place

    @cached_property
    def is_glued_left(self) -> bool:
        """Whether it belongs to the word before it, as a closing tag does."""
        return is_in_word(self.left) or (self.text.startswith("</") and is_letter(self.left))

    @cached_property
    def is_glued_right(self) -> bool:
        """Whether it belongs to the word behind it, as an opening tag does."""
        return is_in_word(self.right) or (_OPENING_TAG.search(self.text) is not None and self.right.isalnum())

    def stands_alike(self, source: str, before: str, behind: str) -> bool:
        """Whether it stands between these parts of a translation as in its source: as a word, or glued to one."""
        is_left = _stands_alike(self.left, before[-1:], is_apart=_BEGINS_AFTER.search(before) is not None)
        is_right = _stands_alike(self.right, behind[:1], is_apart=_ENDS_BEFORE.match(behind) is not None)
        is_left = is_left or _same_marks(source[: self.source_start][::-1], before[::-1])
        return is_left and (is_right or _same_marks(source[self.source_end :], behind))

    @cached_property
    def is_before_mark(self) -> bool:
        """Whether punctuation follows it, without a space."""
        return is_mark(self.right)

    @cached_property
    def closes(self) -> bool:
        """Whether it belongs to the punctuation before it, as the second mark of '“Yes,” he said' does."""
        return bool(self.left) and not is_letter(self.left) and not self.right and self.text.startswith(_CLOSING)


def _stands_alike(in_source: str, written: str, *, is_apart: bool) -> bool:
    """Whether what is written beside a span joins it as its neighbour in the source does, or keeps apart from it."""
    if is_letter(in_source):
        return is_letter(written)
    return is_apart or (written == in_source and written not in STOPS)


def _same_marks(in_source: str, written: str) -> bool:
    """Whether the same punctuation and then a letter, or none, follow beside a span on both sides; one mark that ends a
    sentence is like another, and so are quotation marks."""
    marks, written_marks = (re.match(r"[^\w\s]*", text)[0] for text in (in_source, written))  # type: ignore[index]
    is_alike = is_letter(in_source[len(marks) :][:1]) == is_letter(written[len(written_marks) :][:1])
    return bool(marks) and is_alike and marks.translate(_MARKS_ALIKE) == written_marks.translate(_MARKS_ALIKE)


def is_letter(character: str) -> bool:
    """Whether a character is a letter, a mark on one or a digit; False for none."""
    return character.isalnum() or (bool(character) and unicodedata.category(character).startswith("M"))


def is_mark(character: str) -> bool:
    """Whether a character is a punctuation mark or a symbol; False for none."""
    return bool(character.strip()) and not is_letter(character) and character not in _CONTROL_CHARACTERS


def is_in_word(character: str) -> bool:
    """Whether a character is part of a word that has spaces around it; so are control characters that were not
    dropped."""
    return (is_letter(character) or character in _CONTROL_CHARACTERS) and not UNSPACED.match(character)


class Gaps:
    """The places of a translation at which a span can be inserted."""

    def __init__(self, text: str, first: int, blocked: Sequence[Span]) -> None:
        """`first` is the first offset that is allowed, and none inside the `blocked` parts is."""
        self.text, self._first, self._blocked = text, first, blocked
        self.words = spans_of(CLUSTER_OR_WORD, text)
        self._has_spaces = bool(re.search(r"\S\s+\S", text))

    def is_inside_phrase(self, position: int) -> bool:
        """Whether a place is inside a phrase of a script without spaces between words, in a text of several phrases."""
        return self._has_spaces and bool(_INSIDE_PHRASE.match(self.text, position))

    def position(self, gap: int, span: HiddenSpan) -> int | None:
        """Where a span is written before word `gap`: behind the word on its left, or directly before that on its right.

        None where it may not be.
        """
        words = self.words
        if gap < len(words) and (gap == 0 or span.begins_word or (span.is_glued_right and not span.is_glued_left)):
            start, end = words[gap]
            opening = LEADING_PUNCTUATION.match(self.text, start, end) if span.begins_word else None
            is_opened = opening and (opening.end() < end or (opening[0] in _OPENING and UNSPACED.match(self.text, end)))
            position = opening.end() if opening and is_opened else start
        elif gap == 0:
            position = len(self.text)
        else:
            start, position = words[gap - 1]
            if span.is_before_mark or (gap == len(words) and not span.is_last):
                stops = _trailing_punctuation(self.text[start:position])
                own = stops.rfind(span.right) if span.right else 0
                if span.right in tuple(FINAL_MARKS):  # before the '!!' of ',!!' in 'Hello, {name}!!'
                    own = len(stops[: own + 1].rstrip(span.right))
                position += max(0, own) - len(stops)
        is_allowed = position >= self._first and not any(start < position < end for start, end in self._blocked)
        return position if is_allowed else None


def _trailing_punctuation(word: str) -> str:
    """The punctuation at the end of a word, not the marks on its last letter."""
    end = len(word)
    while end and not is_letter(word[end - 1]) and word[end - 1] != "_":
        end -= 1
    return word[end:]


def removal(text: str, start: int, end: int, behind: int, earlier: Sequence[Edit]) -> Edit:
    """An edit that removes a part, with a space that would be left over beside it; letters around it get one.

    Later edits remove what is between `end` and `behind`, too; `earlier` are those before it.
    """
    first = earlier[-1][1] if earlier else 0
    left, right = text[max(first, start - 1) : start], text[end : end + 1]
    following = text[behind : behind + 1]
    is_before_space = right.isspace() and following.isspace()
    is_before_word = following in (*_OPENING, SPAN_MARK) or following.isalnum() or following in _CONTROL_CHARACTERS
    if left.isspace() and not is_before_space and not is_before_word:
        return start - 1, end, ""
    if right.isspace() and (start == 0 or text[start - 1].isspace() or _OPENING_END.match(text, start - 1)):
        return start, end + 1, ""
    is_inside = (is_in_word(left) or left in _BEFORE_WORDS) and is_in_word(following) and not right.isspace()
    return start, end, " " if is_inside else ""


def replaced(text: str, position: int, span: HiddenSpan, count: int) -> Span:
    """What gives way to a span, the only one at this position: the space that stood for one with none around it."""
    if span.is_stop and (stem := without_full_stop(text[:position])) != text[:position]:
        return len(stem), position
    is_inside = span.is_glued_right and (span.is_glued_left or span.left in _BEFORE_WORDS)
    if is_inside and count == 1 and text[position : position + 1] == " ":
        return position, position + 1
    if is_inside and count == 1 and text[position - 1 : position] == " ":
        return position - 1, position
    return position, position


def with_spaces(text: str, position: int, span: HiddenSpan, span_text: str) -> str:
    """What is written at a position, with the spaces that are needed around it."""
    left, right = text[max(0, position - 1) : position], text[position : position + 1]
    follows_stop = span.left and not is_letter(span.left) and not is_letter(left)  # as '.</p>' does
    follows_unspaced = UNSPACED.match(left) and (span.is_glued_right or UNSPACED.match(span.left))
    is_attached = span.is_glued_left or span.closes or follows_stop or follows_unspaced
    is_opened = left in _OPENING and span.left
    needs_left = left and not left.isspace() and not is_opened and not is_attached
    is_apart = right.isalnum() or right in _SPACED_OPENING or (not span.right and right in _SPACED)
    precedes_unspaced = UNSPACED.match(right) and (span.is_glued_left or UNSPACED.match(span.right))
    needs_right = right and is_apart and not span.is_glued_right and not precedes_unspaced
    return " " * bool(needs_left) + span_text + " " * bool(needs_right)
