"""A text in which parts are replaced, and where what stands beside them is then."""

import re
from bisect import bisect_right
from collections.abc import Sequence

from nmt_cli.data.protected_spans import Span

Alignment = list[tuple[int, int]]  # (source word, target word), from 0
Edit = tuple[int, int, str]  # start, end and what is written there

WORD = re.compile(r"\S+")


class Edits:
    """A text in which some parts are replaced; none overlaps the next."""

    def __init__(self, original: str, edits: Sequence[Edit]) -> None:
        self.original, self.edits, self._written_starts = original, edits, []
        parts, position, length = [], 0, 0
        for start, end, replacement in edits:
            parts += [original[position:start], replacement]
            self._written_starts.append(length + start - position)
            length += start - position + len(replacement)
            position = end
        self.text = "".join([*parts, original[position:]])
        self._starts = [start for start, _, _ in edits]

    def move(self, offset: int) -> int:
        """The offset in the new text of an offset in the original; of a part that was replaced, its beginning."""
        number = bisect_right(self._starts, offset) - 1
        if number < 0:
            return offset
        _, end, replacement = self.edits[number]
        start = self._written_starts[number]
        return start if offset < end else start + len(replacement) + offset - end

    def written(self, number: int) -> Span:
        """Where what an edit has written stands in the new text, without spaces around it."""
        start, replacement = self._written_starts[number], self.edits[number][2]
        start += len(replacement) - len(replacement.lstrip(" "))
        return start, start + len(replacement.strip(" "))

    def removes(self, start: int, end: int) -> bool:
        """Whether all of a part of the original is gone."""
        number = bisect_right(self._starts, start) - 1
        return number >= 0 and self.edits[number][1] >= end and not self.edits[number][2]

    def move_targets(self, links: Alignment) -> Alignment:
        """Links to the words of the original as links to those of the new text; those to words that are gone are,
        too."""
        words, new_words = spans_of(WORD, self.original), word_starts(self.text)
        return [
            (source, word_at(new_words, self.move(words[target][0])))
            for source, target in links
            if target < len(words) and not self.removes(*words[target])
        ]


def spans_of(pattern: re.Pattern[str], text: str) -> list[Span]:
    """Where a text matches a pattern."""
    return [match.span() for match in pattern.finditer(text)]


def word_starts(text: str) -> list[int]:
    """Where the words of a text begin."""
    return [match.start() for match in WORD.finditer(text)]


def word_at(starts: Sequence[int], offset: int) -> int:
    """The index of the word that begins at or before an offset."""
    return max(0, bisect_right(starts, offset) - 1)
