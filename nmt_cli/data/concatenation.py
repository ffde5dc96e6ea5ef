"""Examples of several sentences, made by joining neighbouring lines."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, takewhile
from operator import itemgetter

from numpy.random import PCG64, Generator  # now: loading it swallows a Ctrl-C that comes meanwhile

from nmt_cli.data.normalization import NormalizationConfig, Normalizer
from nmt_cli.data.sources.base import RawPair


def join_neighbours(
    pairs: Iterable[RawPair], max_pairs: int, seed: int, normalization: NormalizationConfig
) -> Iterator[RawPair]:
    """One example starting at each pair: that pair and up to `max_pairs` - 1 that follow it.

    The number of pairs is drawn uniformly by `seed`; near the end of the text fewer may be left. Lines of a side are
    joined by a space. A pair with a side that is empty after normalisation is an example by itself, and ends those
    before it: joined with others, it would make a wrong pair that no filter sees.
    """
    rng = Generator(PCG64(seed))
    normalize = Normalizer(normalization)
    window: deque[tuple[RawPair, bool]] = deque()  # pairs, and whether they may be joined
    for pair in pairs:
        window.append((pair, _has_text(pair.source, normalize) and _has_text(pair.target, normalize)))
        if len(window) == max_pairs:
            yield _join_first(window, int(rng.integers(1, max_pairs + 1)))
            window.popleft()
    while window:
        yield _join_first(window, int(rng.integers(1, max_pairs + 1)))
        window.popleft()


def _has_text(line: bytes, normalize: Callable[[str], str]) -> bool:
    return bool(normalize(line.decode(errors="replace").strip()))


def _join_first(window: Sequence[tuple[RawPair, bool]], count: int) -> RawPair:
    (first, _), *others = islice(window, count)
    if not window[0][1]:
        return first
    joined_pairs = [first, *(pair for pair, _ in takewhile(itemgetter(1), others))]
    source = b" ".join(pair.source for pair in joined_pairs)
    return RawPair(source, b" ".join(pair.target for pair in joined_pairs), first.line_number)
