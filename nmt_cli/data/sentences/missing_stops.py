"""Sentences that follow one another without a stop between them, as headlines and captions do when lines are joined.

A word that often begins the lines of the training text, and is written small inside them, begins a sentence where it
has a capital between words in lower case: "two men in a city The man is waving".
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

MIN_START_SHARE = 0.005  # of the lines that begin with a word
MIN_STARTS = 20
MIN_WORDS = 3  # on either side; names such as 'The Who' are short
_WORD_WITH_NEXT = re.compile(r"(?<=[^\W\d_])\s+(?=([^\W\d_]+)\s+([^\W\d_]))")


def learn_line_starters(lines: Iterable[str], usual_forms: Mapping[str, str]) -> tuple[str, ...]:
    """The words, with their capital, that begin so many lines and that `usual_forms` (of a Truecaser) has in lower
    case; sorted."""
    firsts = Counter(line.split(maxsplit=1)[0] for line in lines if line and not line.isspace())
    min_count = max(MIN_STARTS, MIN_START_SHARE * firsts.total())
    return tuple(
        sorted(
            word
            for word, count in firsts.items()
            if count >= min_count and word != (lower := word.lower()) == usual_forms.get(lower)
        )
    )


def split_at_missing_stops(sentence: str, starters: Collection[str]) -> list[str]:
    """The parts of what may be several sentences; "".join of them is the sentence."""
    if not starters:
        return [sentence]
    parts, begin = [], 0
    for match in _WORD_WITH_NEXT.finditer(sentence):
        if match[1] not in starters or not match[2].islower() or not sentence[match.start() - 1].islower():
            continue
        words = sentence[begin : match.start()].split()
        if len(words) < MIN_WORDS or len(sentence[match.end() :].split()) < MIN_WORDS:
            continue
        if words[-1].capitalize() in starters or not words[-1].islower():  # 'a group of Young Christians'
            continue
        parts.append(sentence[begin : match.end()])
        begin = match.end()
    return [*parts, sentence[begin:]]
