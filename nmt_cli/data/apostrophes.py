"""Marks that people type for an apostrophe, a glottal stop or an okina, and which of them a training text has where.

Keyboards lack most of them, so that one and the same word is typed with one mark or another (ʻāina, 'āina, ‘āina). A
model has learned the one that its training text has.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

PUNCTUATION_APOSTROPHES = "'’‘‛`´′＇׳՚"
LETTER_APOSTROPHES = "ʼʻʽʾʿʹꞌꞋ"  # that are letters to Unicode: no quotation marks
APOSTROPHES = PUNCTUATION_APOSTROPHES + LETTER_APOSTROPHES
"""All of them, for a class of a pattern."""
PLACES = ("inside", "start", "end")  # of a word
MIN_COUNT = 10  # at a place, of the mark that is read there in place of others
MAX_OTHER_SHARE = 0.01  # of that mark's count, of one that is read as it
_APOSTROPHE = re.compile(f"[{APOSTROPHES}‚]")
_RARE_APOSTROPHES = "`´′"  # signs of their own, which a text may have for another reason

ApostropheCounts = dict[str, dict[str, int]]


def count_apostrophes(lines: Iterable[str]) -> ApostropheCounts:
    """How often a text has each mark at each of the PLACES, without those that quote."""
    counts: dict[str, Counter[str]] = {place: Counter() for place in PLACES}
    for line in lines:
        for position, place in _apostrophes(line):
            counts[place][line[position]] += 1
    return {place: dict(sorted(marks.items())) for place, marks in counts.items()}


def add_counts(counts: ApostropheCounts, others: ApostropheCounts) -> ApostropheCounts:
    """The counts of two texts together."""
    sums = {place: Counter(counts.get(place)) + Counter(others.get(place)) for place in PLACES}
    return {place: dict(sorted(marks.items())) for place, marks in sums.items()}


def loaded_counts(content: Mapping[str, Mapping[str, object]]) -> ApostropheCounts:
    """Counts as a file has them; TypeError, ValueError or AttributeError where they are damaged."""
    return {place: {mark: int(str(count)) for mark, count in marks.items()} for place, marks in content.items()}


class UsualApostrophes:
    """Puts the mark that a training text has in place of those that it has not."""

    def __init__(self, counts: ApostropheCounts | None, characters: str) -> None:
        """`characters` are all that the text had; without counts, nothing else is known."""
        self._usual = (
            {place: _usual_of_counts(counts.get(place, {})) for place in PLACES}
            if counts is not None
            else _usual_of_characters(characters)
        )

    def __call__(self, text: str) -> str:
        """The text, as long as it was."""
        if not _APOSTROPHE.search(text):
            return text
        characters = list(text)
        for position, place in _apostrophes(text):
            characters[position] = self._usual[place].get(text[position], text[position])
        return "".join(characters)


def _usual_of_counts(counts: Mapping[str, int]) -> dict[str, str]:
    """The mark to be read for each that the text has hardly ever."""
    usual = max(counts, key=lambda mark: counts[mark], default="")
    if counts.get(usual, 0) < MIN_COUNT:
        return {}
    return {mark: usual for mark in APOSTROPHES if counts.get(mark, 0) <= MAX_OTHER_SHARE * counts[usual]}


def _usual_of_characters(characters: str) -> dict[str, dict[str, str]]:
    """The same by place, where the text has one mark only; beside a word that may quote, unless it is a letter."""
    known_marks = [mark for mark in APOSTROPHES if mark in characters]
    candidates = [mark for mark in known_marks if mark not in _RARE_APOSTROPHES]
    if len(candidates) != 1:
        return {place: {} for place in PLACES}
    usual = {mark: candidates[0] for mark in APOSTROPHES if mark not in known_marks}
    beside = usual if candidates[0] in LETTER_APOSTROPHES else {}
    return {"inside": usual, "start": beside, "end": beside}


def _apostrophes(text: str) -> Iterator[tuple[int, str]]:
    """Where marks are that belong to a word, and at which of the PLACES; not a pair that may quote."""
    opening: list[int] = []
    beside_words: dict[int, str] = {}
    for match in _APOSTROPHE.finditer(text):
        mark, position = match[0], match.start()
        before, after = _is_letter(text[position - 1 : position]), _is_letter(text[position + 1 : position + 2])
        if mark == "‚":
            opening.append(position)
        elif before and after:
            yield position, "inside"
        elif after:
            beside_words[position] = "start"
            if mark not in LETTER_APOSTROPHES:
                opening.append(position)
        elif before:
            beside_words[position] = "end"
            if mark not in LETTER_APOSTROPHES and opening:
                del beside_words[position]
                beside_words.pop(opening.pop(), None)
    yield from beside_words.items()


def _is_letter(character: str) -> bool:
    return bool(character) and unicodedata.category(character)[0] in "LM"
