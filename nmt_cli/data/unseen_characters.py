"""Which words of a line have a character that the source side of the training text never had."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from itertools import groupby

from nmt_cli.data.protected_spans import EMOJI, Span

# Scripts written without spaces, where a word cannot be told from its neighbours.
_UNSPACED = "\u0e00-\u109f\u1780-\u17ff\u2e80-\u2fff\u3005-\u3007\u3021-\ua4cf\uf900-\ufaff\U00020000-\U0003347f"
_SEPARATORS = '\\s!"#$%&(),/:;<=>?@\\[\\\\\\]^`{|}~«»“”„‟‘‚‹›–—…、。，！？：；（）「」『』'
_EMOJI_PARTS = "\u2600-\u27bf\u2b00-\u2bff\u20e3\ufe0e\ufe0f\U0001f000-\U0001faff"
_WORD = re.compile(f"[^{_SEPARATORS}{_UNSPACED}{_EMOJI_PARTS}]+")
_SIGNS = frozenset("#%&*@§¶†‡‰‱※")  # punctuation to Unicode, but no language's own
_UNSPACED_RUN = re.compile(f"[{_UNSPACED}]+")


class UnseenCharacters:
    """Finds them; a letter counts as seen if its capital or small form was."""

    def __init__(self, seen: Iterable[str]) -> None:
        self._seen = set(seen)
        self._seen.update(character.lower() for character in tuple(self._seen))
        self._categories: dict[str, str] = {}  # of characters that were looked at: L, S, or nothing for a seen one

    def words(self, line: str, normalize: Callable[[str], str]) -> list[Span]:
        """Where words are that have such a letter, mark or digit after `normalize`."""
        if (line.isascii() and self._seen.issuperset(line)) or not self._has(normalize(line), "L"):
            return []
        spans = []
        for match in _WORD.finditer(line):
            word = match[0].strip("-'’._*")
            if word and self._has(normalize(word), "L"):
                start = match.start() + match[0].index(word)
                spans.append((start, start + len(word)))
        for run in _UNSPACED_RUN.finditer(line):
            for is_unseen, positions in groupby(
                range(*run.span()), lambda position: self._has(normalize(line[position]) or line[position], "L")
            ):
                first, *others = positions
                if is_unseen:
                    spans.append((first, first + 1 + len(others)))
        return spans

    def signs(self, text: str) -> list[Span]:
        """Where symbols are that the training text never had, but for emoji."""
        if not self._has(text, "S"):
            return []
        return [
            (position, position + 1)
            for position, character in enumerate(text)
            if self._has(character, "S") and not EMOJI.match(character)
        ]

    def _has(self, text: str, kind: str) -> bool:
        """Whether a text has an unseen character of a kind: L (letters, marks and digits) or S (symbols)."""
        unseen = set(text) - self._seen
        return bool(unseen) and any(self._category(character) == kind for character in unseen)

    def _category(self, character: str) -> str:
        category = self._categories.get(character)
        if category is None:
            kind = unicodedata.category(character)
            category = {"L": "L", "M": "L", "N": "L", "S": "S", "Co": "S"}.get(kind if kind == "Co" else kind[0], "")
            if character in _SIGNS:
                category = "S"
            if character.lower() in self._seen:
                category = ""
            self._categories[character] = category
        return category
