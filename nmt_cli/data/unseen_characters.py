"""Which words of a line have a character that the source side of the training text never had."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from html.entities import html5
from itertools import groupby

from nmt_cli.data.final_marks import CLOSERS, FINAL_MARKS, FULL_STOPS, OWN_MARKS, TYPED_STOP, UNSPACED_MARKS
from nmt_cli.data.protected_spans import EMOJI, Span
from nmt_cli.data.scripts import OTHER_IDEOGRAPHS, PHRASED_SCRIPTS, script_of
from nmt_cli.vocabulary import SPAN_MARK

# Where a word cannot be told from its neighbours: without the punctuation of Chinese and Japanese.
_UNSPACED = rf"{PHRASED_SCRIPTS}\u2e80-\u2fff\u3005-\u3007\u3021-\ua4cf{OTHER_IDEOGRAPHS}"
_SEPARATORS = '\\s!"#$%&(),/:;<=>?@\\[\\\\\\]^`{|}~«»“”„‟‘‚‹›–—…、，：；（）「」『』'
_EMOJI_PARTS = "\u2600-\u27bf\u2b00-\u2bff\u20e3\ufe0e\ufe0f\U0001f000-\U0001faff"
_WORD = re.compile(f"[^{_SEPARATORS}{OWN_MARKS}{UNSPACED_MARKS}{TYPED_STOP}{_UNSPACED}{_EMOJI_PARTS}]+")
_SIGNS = frozenset("#%&*@§¶†‡‰‱※")  # punctuation to Unicode, but no language's own
_LANGUAGES_OWN = frozenset("¿¡")  # what other languages do not write at all
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z]\w{1,20});", re.IGNORECASE)
_FULL_STOP = re.compile(rf"(?<![{FINAL_MARKS}])(?:[{''.join(FULL_STOPS)}]|{TYPED_STOP})(?=[{CLOSERS}]*(?:\s|\Z))")
MIN_ENTITY_COUNT = 3  # in the training text
_UNSPACED_RUN = re.compile(f"[{_UNSPACED}]+")


def learn_entities(lines: Iterable[str]) -> tuple[str, ...]:
    """The HTML entities that a text has so often that a model knows them, sorted."""
    counts = Counter(entity for line in lines if "&" in line for entity in _ENTITY.findall(line))
    return tuple(sorted(entity for entity, count in counts.items() if count >= MIN_ENTITY_COUNT))


class UnseenCharacters:
    """Finds them; a letter counts as seen if its capital or small form was."""

    def __init__(self, seen: Iterable[str], known_entities: Collection[str] | None = None) -> None:
        """`known_entities` are those that the training text had; None where that is not known."""
        self._seen, self._known_entities = set(seen), known_entities
        self._seen.update(character.lower() for character in tuple(self._seen))
        self._full_stops = [stop for stop in FULL_STOPS if stop in self._seen]
        self._categories: dict[str, str] = {}  # of characters that were looked at

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
        """Where symbols and punctuation are that the training text never had, but for emoji, and for punctuation inside
        a word, which belongs to it."""
        if not self._has(text, "SP"):
            return []
        spans = []
        for position, character in enumerate(text):
            neighbours = text[position - 1 : position], text[position + 1 : position + 2]
            is_inside_word = SPAN_MARK not in neighbours and all(map(str.isalnum, neighbours))
            if self._has(character, "S" if is_inside_word else "SP") and not EMOJI.match(character):
                spans.append((position, position + 1))
        return spans

    def replace_full_stops(self, text: str) -> str:
        """The text with a full stop that the training text had in place of each that it never had."""

        def replace(match: re.Match[str]) -> str:
            return (self.lacks(match[0]) and self.full_stop_after(text[: match.start()])) or match[0]

        return _FULL_STOP.sub(replace, text) if self._has(text, "P") else text

    def full_stop_after(self, text: str) -> str:
        """The full stop that the training text had for the script of a text's last letter; else a period or another
        one that it had, or nothing."""
        script = next((script_of(character) for character in reversed(text) if character.isalpha()), "")
        return max(self._full_stops, key=lambda stop: script_of(stop) == script, default="")

    def entities(self, line: str, normalize: Callable[[str], str]) -> list[Span]:
        """Where HTML entities are that the training text hardly had, if `normalize` leaves them; all if it never had an
        &."""
        if "&" not in line:
            return []
        has_none = self.lacks("&")
        return [m.span() for m in _ENTITY.finditer(line) if has_none or self._is_unknown_entity(m[0], normalize)]

    def _is_unknown_entity(self, entity: str, normalize: Callable[[str], str]) -> bool:
        if self._known_entities is None or entity in self._known_entities or normalize(entity) != entity:
            return False
        return entity[1] == "#" or entity[1:] in html5

    def knows(self, text: str) -> bool:
        """Whether the training text had every letter, digit, mark and symbol of a text."""
        return not self._has(text, "LSP")

    def lacks(self, character: str) -> bool:
        """Whether the training text never had this punctuation or symbol."""
        return self._has(character, "SP")

    def is_punctuation(self, text: str) -> bool:
        """Whether a text is nothing but punctuation that the training text never had."""
        return all(self._category(character) == "P" for character in text)

    def _has(self, text: str, kinds: str) -> bool:
        """Whether a text has an unseen character of one of these kinds: L (letters, marks and digits), S (symbols) or P
        (punctuation)."""
        unseen = set(text) - self._seen
        return bool(unseen) and any(self._category(character) in kinds for character in unseen)

    def _category(self, character: str) -> str:
        """The kind of an unseen character; "-" if it is none of them."""
        category = self._categories.get(character)
        if category is None:
            kind = unicodedata.category(character)
            category = {"L": "L", "M": "L", "N": "L", "S": "S", "P": "P"}.get(kind[0], "-")
            if character in _SIGNS or kind == "Co":
                category = "S"
            if character in _LANGUAGES_OWN or character.lower() in self._seen:
                category = "-"
            self._categories[character] = category
        return category
