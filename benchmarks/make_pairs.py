"""Write many different sentence pairs, for `nmt prepare` and training at scale.

    python -m benchmarks.make_pairs 10000000 OUT --text FOLDER/train.en.gz FOLDER/train.de.gz

OUT.en and OUT.de hold pairs of the given text and of the quickstart corpus in turn. The first
pass writes them as they are; in every later pass each pair is joined with another one, which depends
on the pass, so that all are different. One pair in twenty repeats an earlier one.
"""

import argparse
import itertools
import random
from collections.abc import Iterator
from pathlib import Path

from nmt_cli.data.sources.base import RawPair
from nmt_cli.data.sources.quickstart import read_quickstart
from nmt_cli.data.sources.rows import read_two_files

Pair = tuple[str, str]


def seed_pairs(text: list[Path]) -> list[Pair]:
    quickstart = decoded(read_quickstart("train"))
    if not text:
        return quickstart
    real = decoded(read_two_files(text[0], text[1]))
    return [pair for two_pairs in zip(real, itertools.cycle(quickstart)) for pair in two_pairs]


def decoded(pairs: Iterator[RawPair]) -> list[Pair]:
    return [(pair.source.decode(), pair.target.decode()) for pair in pairs]


def varied_pairs(pairs: list[Pair], seed: int = 1) -> Iterator[Pair]:
    rng = random.Random(seed)
    yield from pairs
    while True:
        shift = rng.randrange(1, len(pairs))
        for number, (source, target) in enumerate(pairs):
            other = pairs[(number + shift) % len(pairs)]
            if rng.random() < 0.05:
                yield other
            else:
                yield f"{source} {other[0]}", f"{target} {other[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("out")
    parser.add_argument("--text", type=Path, nargs=2, default=[])
    arguments = parser.parse_args()
    with (
        open(f"{arguments.out}.en", "w", encoding="utf-8", newline="\n") as source,
        open(f"{arguments.out}.de", "w", encoding="utf-8", newline="\n") as target,
    ):
        for source_text, target_text in itertools.islice(varied_pairs(seed_pairs(arguments.text)), arguments.count):
            source.write(f"{source_text}\n")
            target.write(f"{target_text}\n")


if __name__ == "__main__":
    main()
