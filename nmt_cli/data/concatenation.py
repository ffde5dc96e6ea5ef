"""Examples of several sentences, made by joining neighbouring lines."""

from collections import deque
from collections.abc import Iterable, Iterator

from numpy.random import PCG64, Generator  # now: loading it swallows a Ctrl-C that comes meanwhile

from nmt_cli.data.sources.base import RawPair


def join_neighbours(pairs: Iterable[RawPair], max_pairs: int, seed: int) -> Iterator[RawPair]:
    """One example starting at each pair: that pair and up to `max_pairs` - 1 that follow it.

    The number of pairs is drawn uniformly by `seed`; near the end of the text fewer may be left.
    Lines of a side are joined by a space; blank lines add nothing.
    """
    rng = Generator(PCG64(seed))
    window: deque[RawPair] = deque()
    for pair in pairs:
        window.append(pair)
        if len(window) == max_pairs:
            yield _join_first(window, int(rng.integers(1, max_pairs + 1)))
            window.popleft()
    while window:
        yield _join_first(window, int(rng.integers(1, max_pairs + 1)))
        window.popleft()


def _join_first(window: Iterable[RawPair], count: int) -> RawPair:
    joined_pairs = [pair for _, pair in zip(range(count), window, strict=False)]
    sides = [[pair.source for pair in joined_pairs], [pair.target for pair in joined_pairs]]
    source, target = (b" ".join(line for line in side if line.strip()) for side in sides)
    return RawPair(source, target, joined_pairs[0].line_number)
