"""Marks that a text begins with: of a list, a quotation, a comment, or the dash of a speaker."""

import re
from collections import Counter
from collections.abc import Container, Iterable

_NUMBER = r"\d{1,3}(?:\.\d{1,3})*\.|\d{1,3}(?:\.\d{1,3}){2,4}|[ivx]{2,5}\.|[IVX]{2,5}\."
LIST_MARK = re.compile(
    rf"(?:[-–—*•·▪‣>#+]+|//+!?|/\*+|\(?(?:(?P<number>{_NUMBER})|\d{{1,3}}\)|[A-Za-z]\)|[ivx]{{2,5}}\))|"
    r"\[(?:\w{1,3}| )\])"
    r"(?=\s+\S)\s+|[–—](?=[^\W\d_])|-(?=[A-ZÀ-ÖØ-Þ¿¡])"
)
MIN_SHARE, MIN_LINES = 0.005, 20  # of the training pairs, at least, begin with a mark that a model knows


def list_marks_end(text: str, *, has_ordinals: bool = False, known_marks: Container[str] = ()) -> int:
    """Where the marks end that a text begins with, several as in '> - 1. text'.

    They end before one whose kind is among the `known_marks`, and, in a language that `has_ordinals`, before a number
    with a period, which may belong to the sentence.
    """
    position = 0
    while mark := LIST_MARK.match(text, position):
        if (has_ordinals and mark["number"]) or _kind(mark[0]) in known_marks:
            break
        position = mark.end()
    return position


def learn_list_marks(pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Kinds of marks that both sides of so many training pairs begin with that a model knows them, sorted."""
    kinds: Counter[str] = Counter()
    pair_count = 0
    for source, target in pairs:
        pair_count += 1
        mark = LIST_MARK.match(source)
        if mark and target.startswith(mark[0]):
            kinds[_kind(mark[0])] += 1
    return tuple(sorted(kind for kind, count in kinds.items() if count >= max(MIN_LINES, MIN_SHARE * pair_count)))


def _kind(mark: str) -> str:
    """A mark without the space behind it, whatever its number or letter is."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", mark.rstrip()))
