"""Whether a line's translation depends on its batch, and whether its score is its probability.

    python benchmarks/independence.py RUN SOURCE [--limit N]

Translates the lines of SOURCE in fp32 together, in another order, in batches of 64 lines and alone,
with search.guard and search.split off, and scores what came out by forced decoding. Prints how many
texts and scores differ; exit 1 where fewer than 999 of 1,000 texts are the same, or a score of an
equal text differs by more than 1e-4.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from nmt_cli.commands.rescore import rescore
from nmt_cli.commands.translate import open_translator
from nmt_cli.data.files import read_lines
from nmt_cli.data.tokenizer import batches
from nmt_cli.decoding.translation import Translation
from nmt_cli.decoding.translator import Translator

SETTINGS = ["search.precision=fp32", "search.guard=false", "search.split=false"]
Way = Callable[[list[str]], list[Translation]]


def ways(translator: Translator) -> Iterator[tuple[str, Way]]:
    """The same lines, in other company."""

    def shuffled(lines: list[str]) -> list[Translation]:
        order = list(range(len(lines)))
        random.Random(1).shuffle(order)
        found = dict(zip(order, translator.translate([lines[n] for n in order]), strict=True))
        return [found[n] for n in range(len(lines))]

    def by(size: int) -> Way:
        return lambda lines: [
            one for block in batches(lines, size) for one in translator.translate(block)
        ]

    yield "in another order", shuffled
    yield "64 at a time", by(64)
    yield "alone", by(1)


def rescored(run: Path, lines: list[str], found: list[Translation]) -> bool:
    """Compare scores with those of nmt rescore for the texts."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("source", "target")]
        for path, texts in zip(files, (lines, [one.text for one in found]), strict=True):
            path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        values = [one.log_probability for one in rescore([run], *files, SETTINGS, "cpu")]
    gaps = [
        abs((value or 0.0) - one.candidates[0].log_probability)
        for value, one in zip(values, found, strict=True)
    ]
    same = sum(gap <= 1e-4 for gap in gaps)
    print(f"rescored: {same} of {len(lines)} scores within 1e-4, largest gap {max(gaps):.2e}")
    return same == len(lines)


def main() -> int:
    """Print a line for each comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("source", type=Path)
    parser.add_argument("--limit", type=int, default=1000)
    options = parser.parse_args()
    lines = [raw.decode() for raw in read_lines(options.source)]
    lines = [line for line in lines if line.strip()][: options.limit]
    translator = open_translator([options.run], SETTINGS, "cpu")
    first = translator.translate(lines)
    good = rescored(options.run, lines, first)
    for name, way in ways(translator):
        pairs = list(zip(first, way(lines), strict=True))
        same = [(a.candidates[0], b.candidates[0]) for a, b in pairs if a.text == b.text]
        gap = max(abs(a.log_probability - b.log_probability) for a, b in same)
        print(f"{name}: {len(same)} of {len(lines)} texts the same, scores within {gap:.2e}")
        good = good and len(same) >= 0.999 * len(lines) and gap <= 1e-4
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
