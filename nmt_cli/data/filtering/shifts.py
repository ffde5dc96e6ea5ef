"""Lines that are shifted against their translations, as they are after a line was lost on one side.

In a stretch of right pairs, long sources have long targets, and numbers and names are on both sides. Where that is true
of each source and a neighbour of its target instead, the stretch is shifted.
"""

from collections.abc import Sequence

import numpy as np

from nmt_cli.data.filtering.usual import Floats

WINDOW = 100  # pairs that are judged together
OFFSETS = (-3, -2, -1, 1, 2, 3)
MAX_OFFSET = 3
MIN_WORD_LETTERS = 4  # of a word that counts where both sides have it


def shift_evidence(sources: Sequence[str], targets: Sequence[str]) -> Floats:
    """For each pair, by how much the pairs around it agree better after the best shift than as they are.

    Agreement is the correlation of logarithms of lengths, plus the share of pairs that have a number or a longer word
    in common. Fewer pairs than a window are never shifted, nor are those whose lengths agree best as they are.
    """
    evidence = np.zeros(len(sources))
    lengths = [np.log([len(text) + 1.0 for text in texts]) for texts in (sources, targets)]
    last_start = len(sources) - WINDOW
    starts = [*range(0, last_start, WINDOW // 2), last_start] if last_start >= 0 else []
    for start in starts:
        first = max(start, MAX_OFFSET)
        inside = range(first, min(start + WINDOW, len(sources) - MAX_OFFSET))
        correlations = {offset: _correlation(lengths, inside, offset) for offset in (0, *OFFSETS)}
        best = max(OFFSETS, key=correlations.__getitem__)
        gain = correlations[best] - correlations[0]
        if gain > 0:
            gain += _shared_share(sources, targets, inside, best) - _shared_share(sources, targets, inside, 0)
            window = evidence[start : start + WINDOW]
            np.maximum(window, gain, out=window)
    return evidence


def _correlation(lengths: list[Floats], inside: range, offset: int) -> float:
    """Of the lengths of each source and of the target so many lines further; 0 where either are all the same."""
    source = lengths[0][inside.start : inside.stop]
    target = lengths[1][inside.start + offset : inside.stop + offset]
    source, target = source - source.mean(), target - target.mean()
    scale = float(np.sqrt((source @ source) * (target @ target)))
    return float(source @ target) / scale if scale > 1e-9 else 0.0


def _shared_share(sources: Sequence[str], targets: Sequence[str], inside: range, offset: int) -> float:
    shared = sum(not _telling_words(sources[i]).isdisjoint(_telling_words(targets[i + offset])) for i in inside)
    return shared / len(inside)


def _telling_words(text: str) -> frozenset[str]:
    """Numbers and longer words, in lower case."""
    words = (word.strip(".,;:!?()\"'“”„«»").lower() for word in text.split())
    return frozenset(word for word in words if len(word) >= MIN_WORD_LETTERS or word.isdigit())
