"""What ends a paragraph inside a line: `\\n`, `<br>` and the like."""

from collections import Counter
from collections.abc import Iterable

from nmt_cli.data.protected_spans import PARAGRAPH_END, find_spans

MIN_SHARE, MIN_LINES = 0.005, 20  # of the training pairs, at least, have one that a model knows


def inner_paragraph_ends(text: str) -> list[str]:
    """What ends paragraphs in a text, in order, but for those with no word before or behind them."""
    if "\\" not in text and "<" not in text:
        return []
    parts, ends, position = [], [], 0
    for start, end in find_spans(text):
        if PARAGRAPH_END.fullmatch(text, start, end):
            parts.append(text[position:start])
            ends.append(text[start:end])
            position = end
    has_words = [any(map(str.isalnum, part)) for part in [*parts, text[position:]]]
    return [end for number, end in enumerate(ends, 1) if any(has_words[:number]) and any(has_words[number:])]


def learn_paragraph_ends(pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """What ends paragraphs inside so many training pairs, the same on both sides, that a model has learned to read them
    together, sorted."""
    counts: Counter[str] = Counter()
    pair_count = 0
    for source, target in pairs:
        pair_count += 1
        ends = inner_paragraph_ends(source)
        if ends and ends == inner_paragraph_ends(target):
            counts.update(set(ends))
    return tuple(sorted(end for end, count in counts.items() if count >= max(MIN_LINES, MIN_SHARE * pair_count)))
