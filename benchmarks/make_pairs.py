"""Write many different sentence pairs, to try `nmt prepare` and training at scale.

    python benchmarks/make_pairs.py 10000000 OUT --text FOLDER/train.en.gz FOLDER/train.de.gz

OUT.en and OUT.de hold pairs of the given text and of the quickstart grammar in turn. The first pass
over them is as they are; in every later one a pair is followed by another one, which one depends on
the pass, so that all are different. One pair in twenty is a repetition of an earlier one.
"""

import argparse
import itertools
import random
from collections.abc import Iterator
from pathlib import Path

from nmt_cli.data import quickstart
from nmt_cli.data.files import read_two_files

Pair = tuple[str, str]


def seeds(text: list[Path]) -> list[Pair]:
    grammar = [(pair.source, pair.target) for pair in quickstart.corpus().train]
    if not text:
        return grammar
    real = [(p.source.decode(), p.target.decode()) for p in read_two_files(text[0], text[1])]
    return [pair for both in zip(real, itertools.cycle(grammar)) for pair in both]


def varied(pairs: list[Pair], seed: int = 1) -> Iterator[Pair]:
    draw = random.Random(seed)
    yield from pairs
    while True:
        shift = draw.randrange(1, len(pairs))
        for number, (source, target) in enumerate(pairs):
            other = pairs[(number + shift) % len(pairs)]
            if draw.random() < 0.05:
                yield other
            else:
                yield f"{source} {other[0]}", f"{target} {other[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("out")
    parser.add_argument("--text", type=Path, nargs=2, default=[])
    wanted = parser.parse_args()
    with open(f"{wanted.out}.en", "w") as source, open(f"{wanted.out}.de", "w") as target:
        for left, right in itertools.islice(varied(seeds(wanted.text)), wanted.count):
            source.write(f"{left}\n")
            target.write(f"{right}\n")


if __name__ == "__main__":
    main()
