"""What a line is made of: sentences to translate, and what between them is copied as it is.

The pieces of a line and the white space after each, put together, are the line again without white space at its ends,
so that nothing is lost between them.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from nmt_cli.data.protected_spans import EMOJI, has_nothing_to_translate

# A mark of a list at the beginning of a line, and a bar between two texts.
LIST_MARK = re.compile(r"(?:[-–—*•·▪‣>#]+|\(?(?:(?P<number>\d{1,3}\.)|\d{1,3}\)|[A-Za-z]\))|\[\w{1,3}\])(?=\s+\S)\s+")
BAR = re.compile(r"(?:(?<=\s)|\A)[|¦‖│•·→⇒](?=\s)\s+")
SplitSentences = Callable[[str], list[str]]  # "".join of what it returns is the text


class Piece(NamedTuple):
    """A part of a line, without white space around it."""

    text: str
    separator: str = ""  # white space that follows it in the line
    is_copied: bool = False
    spans: tuple[str, ...] = ()  # what is protected in it, in the place of each SPAN_MARK of the text


def split_into_pieces(
    line: str,
    split_sentences: SplitSentences | None,
    *,
    clean: Callable[[str], str] = str,
    copies: bool,
    has_ordinals: bool = False,
) -> list[Piece]:
    """The pieces of a line; its leading and trailing white space is in none of them.

    With `copies`, a line that holds nothing to translate is one piece that is copied, exactly as it is. Otherwise the
    line is split after `clean`: into one piece without `split_sentences`; else into its sentences and, with `copies`,
    what lies between them and holds nothing to translate: the mark of a list (but no number with a period in a language
    that `has_ordinals`, where it may belong to the sentence), a bar or an emoji between two sentences, a number, an
    address.
    """
    text = line.strip()
    if text and copies and has_nothing_to_translate(text):
        return [Piece(text, is_copied=True)]
    text = clean(text).strip()
    if not text:
        return []
    if split_sentences is None:
        return [Piece(text)]
    pieces: list[Piece] = []
    for part, is_mark in _separate_marks(text, has_ordinals) if copies else [(text, False)]:
        for sentence in [part] if is_mark else split_sentences(part):
            content = sentence.rstrip()
            if content:
                is_copied = is_mark or (copies and has_nothing_to_translate(content))
                pieces.append(Piece(content, sentence[len(content) :], is_copied))
    return pieces


def _separate_marks(text: str, has_ordinals: bool) -> Iterator[tuple[str, bool]]:
    """Parts of a text, and whether each is a mark: of a list, a bar, or emoji at an edge of a sentence."""
    position = 0
    mark = LIST_MARK.match(text)
    if mark and not (has_ordinals and mark["number"]):
        yield mark[0], True
        position = mark.end()
    for bar in BAR.finditer(text, position):
        yield from _separate_emoji(text[position : bar.start()])
        yield bar[0], True
        position = bar.end()
    yield from _separate_emoji(text[position:])


def _separate_emoji(text: str) -> Iterator[tuple[str, bool]]:
    position = 0
    for emoji in EMOJI.finditer(text):
        before = text[position : emoji.start()].rstrip()
        if not before or before[-1] in ".!?…。！？" or emoji.end() == len(text):
            if position < emoji.start():
                yield text[position : emoji.start()], False
            yield emoji[0], True
            position = emoji.end()
    if position < len(text):
        yield text[position:], False
