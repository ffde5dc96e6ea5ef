"""Sentences that follow one another without a stop between them, as headlines and captions do when lines are joined.

A word that often begins the lines of the training text, and is written small inside them, begins a sentence where it
has a capital between words in lower case: "two men in a city The man is waving".
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

MIN_START_SHARE = 0.005  # of the lines that begin with a word
MIN_STARTS = 20
MIN_WORDS = 3  # on either side; names such as 'The Who' are short


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


@lru_cache
def _starts_pattern(starters: tuple[str, ...]) -> re.Pattern[str]:
    """The white space between a letter and one of the words, and the first letter of the word behind that."""
    words = "|".join(map(re.escape, starters))
    return re.compile(rf"(?<=[^\W\d_])\s+(?=(?:{words})\s+([^\W\d_]))")


def split_at_missing_stops(sentence: str, starters: tuple[str, ...]) -> list[str]:
    """The parts of what may be several sentences; "".join of them is the sentence."""
    if not starters:
        return [sentence]
    parts, begin = [], 0
    for match in _starts_pattern(starters).finditer(sentence):
        words = sentence[begin : match.start()].split()
        if len(words) < MIN_WORDS or len(sentence[match.end() :].split()) < MIN_WORDS:
            continue
        is_between_small_words = words[-1].islower() and match[1].islower()
        if not is_between_small_words or words[-1].capitalize() in starters:  # 'in the Two towers'
            continue
        parts.append(sentence[begin : match.end()])
        begin = match.end()
    return [*parts, sentence[begin:]]
