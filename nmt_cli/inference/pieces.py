"""What a line is made of: sentences to translate, and what between them is copied as it is.

The pieces of a line and the white space after each, put together, are the line again without white space at its ends,
so that nothing is lost between them.
"""

import re
from collections.abc import Callable, Container, Iterator
from functools import partial
from typing import NamedTuple

from nmt_cli.data.final_marks import FINAL_MARK
from nmt_cli.data.list_marks import list_marks_end
from nmt_cli.data.protected_spans import EMOJI, has_nothing_to_translate
from nmt_cli.inference.lines import LINE_BREAKS
from nmt_cli.inference.masks import unmask
from nmt_cli.vocabulary import BREAK_MARK

# A bar between two texts or at the end, and what ends a paragraph.
BAR = re.compile(rf"(?:(?<=\s)|\A)(?:[|¦‖│║┃｜•▪·→⇒]|\|{{2,3}}|//)(?:\s+|\Z)|{BREAK_MARK}\s*(?:{BREAK_MARK}\s*)*")
TABLE_ROW = re.compile(r"\|.*(?<!\\)\|\s*", re.DOTALL)  # of Markdown, whose bars need no space around them
_ROW_BAR = re.compile(rf"(?<!\\)\|+\s*|{BAR.pattern}")
_BAR_HINT = re.compile(rf"[|¦‖│║┃｜•▪·→⇒{BREAK_MARK}]|//")  # found in a quarter of the time
COLUMN_END = re.compile(r"\s*[\t-\r\x1c-\x1f\x85\u2028\u2029]\s*")
_ENDS_SENTENCE = re.compile(rf"{FINAL_MARK}\Z")
_LINE = re.compile(rf"[^{LINE_BREAKS}]+(?:[{LINE_BREAKS}]\s*)?")
SplitSentences = Callable[[str], list[str]]  # "".join of what it returns is the text
FindMarksEnd = Callable[..., int]  # list_marks_end of a run


class Piece(NamedTuple):
    """A part of a line, without white space around it."""

    text: str
    separator: str = ""  # white space that follows it in the line
    is_copied: bool = False
    spans: tuple[str, ...] = ()  # what is protected in it, in the place of each SPAN_MARK of the text

    @property
    def unmasked(self) -> str:
        """Its text with its spans."""
        return unmask(self.text, self.spans)


def split_into_pieces(
    line: str,
    split_sentences: SplitSentences | None,
    *,
    clean: Callable[[str], str] = str,
    copies: bool,
    has_ordinals: bool = False,
    known_marks: Container[str] = (),
) -> list[Piece]:
    """The pieces of a line; its leading and trailing white space is in none of them.

    With `copies`, a line that holds nothing to translate is one piece that is copied, exactly as it is. Otherwise the
    line is split after `clean`, at line breaks and then: into one piece without `split_sentences`; else into its
    sentences and, with `copies`, what lies between them and holds nothing to translate: the mark of a list (but none
    whose kind is among the `known_marks`, and no number with a period in a language that `has_ordinals`, where it may
    belong to the sentence), a bar, an emoji or a BREAK_MARK between two sentences, a number, an address. The columns of
    a table, between tabs, are apart as well.
    """
    text = line.strip()
    if text and copies and has_nothing_to_translate(text):
        return [Piece(text, is_copied=True)]
    text = clean(text).strip()
    if not text:
        return []
    find_marks_end = partial(list_marks_end, has_ordinals=has_ordinals, known_marks=known_marks)
    pieces: list[Piece] = []
    for part, is_mark in _parts(text, split_sentences, find_marks_end if copies else None):
        content = part.rstrip()
        if content:
            is_copied = is_mark or (copies and has_nothing_to_translate(content))
            pieces.append(Piece(content, part[len(content) :], is_copied))
        elif pieces:
            pieces[-1] = pieces[-1]._replace(separator=pieces[-1].separator + part)
    return pieces


def _parts(
    text: str, split_sentences: SplitSentences | None, find_marks_end: FindMarksEnd | None
) -> Iterator[tuple[str, bool]]:
    """Parts of a text, and whether each is copied as a mark; none goes on behind a line break.

    Without `find_marks_end`, nothing is copied.
    """
    for line_and_break in [text] if text.isprintable() else _LINE.findall(text):
        line = line_and_break.rstrip()
        if find_marks_end is not None and split_sentences is not None:
            yield from _separate(line, split_sentences, find_marks_end)
        else:
            yield from ((part, False) for part in ([line] if split_sentences is None else split_sentences(line)))
        yield line_and_break[len(line) :], False


def _separate(text: str, split_sentences: SplitSentences, find_marks_end: FindMarksEnd) -> Iterator[tuple[str, bool]]:
    """Parts of a text, and whether each is a mark: of a list, a bar, or emoji at an edge of a sentence."""
    for column in _columns(text):
        position = find_marks_end(column)
        yield column[:position], True
        bars = _ROW_BAR if TABLE_ROW.fullmatch(column, position) else BAR
        for bar in bars.finditer(column, position) if _BAR_HINT.search(column) else ():
            yield from _separate_sentences(column[position : bar.start()], split_sentences, find_marks_end)
            yield bar[0], True
            position = bar.end()
        yield from _separate_sentences(column[position:], split_sentences, find_marks_end)


def _columns(text: str) -> Iterator[str]:
    """The parts of a text between tabs and line ends; a single one before a small letter is a space."""
    ends = [] if text.isprintable() else list(COLUMN_END.finditer(text))
    position = 0
    for end in ends:
        if len(ends) > 1 or len(end[0]) > 1 or not text[end.end()].islower():
            yield text[position : end.end()]
            position = end.end()
    yield text[position:]


def _separate_sentences(
    text: str, split_sentences: SplitSentences, find_marks_end: FindMarksEnd
) -> Iterator[tuple[str, bool]]:
    for part, is_mark in _separate_emoji(text):
        for sentence in [part] if is_mark else split_sentences(part):
            end = 0 if is_mark else find_marks_end(sentence, has_ordinals=True)  # a number may be the sentence's
            yield sentence[:end], True
            yield sentence[end:], is_mark


def _separate_emoji(text: str) -> Iterator[tuple[str, bool]]:
    position = 0
    for emoji in () if text.isascii() else EMOJI.finditer(text):
        before, left = text[position : emoji.start()].rstrip(), text[: emoji.start()][-1:]
        # Between a sign and a letter without spaces ('-🙂a') a translation has no place for it.
        is_wedged = left != "" and not left.isspace() and not left.isalnum() and not emoji[0][-1].isspace()
        is_edge = not any(map(str.isalnum, before)) or _ENDS_SENTENCE.search(before) or emoji.end() == len(text)
        if is_edge or is_wedged:
            if position < emoji.start():
                yield text[position : emoji.start()], False
            yield emoji[0], True
            position = emoji.end()
    if position < len(text):
        yield text[position:], False
