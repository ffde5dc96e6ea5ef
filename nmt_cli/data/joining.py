"""Examples of several sentences, made by joining neighbouring lines."""

from collections import deque
from collections.abc import Iterable, Iterator

from numpy.random import PCG64, Generator  # now: loading it swallows a Ctrl-C that comes meanwhile

from nmt_cli.data.files import RawPair


def join_neighbours(pairs: Iterable[RawPair], most: int, seed: int) -> Iterator[RawPair]:
    """One example starting at each pair: that pair and up to `most` - 1 that follow it.

    How many is drawn by `seed` for each pair, 1 to `most` with equal chances; near the end of the
    text fewer may be left. Sides are joined by a space, lines without text add nothing.
    """
    draw = Generator(PCG64(seed))
    window: deque[RawPair] = deque()
    for pair in pairs:
        window.append(pair)
        if len(window) == most:
            yield _joined(window, int(draw.integers(1, most + 1)))
            window.popleft()
    while window:
        yield _joined(window, int(draw.integers(1, most + 1)))
        window.popleft()


def _joined(window: Iterable[RawPair], count: int) -> RawPair:
    some = [pair for _, pair in zip(range(count), window, strict=False)]
    sides = [[one.source for one in some], [one.target for one in some]]
    source, target = (b" ".join(text for text in side if text.strip()) for side in sides)
    return RawPair(source, target, some[0].number)
