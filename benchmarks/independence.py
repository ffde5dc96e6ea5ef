"""Whether a line's translation depends on its batch, and whether its score is its probability.

    python benchmarks/independence.py RUN SOURCE [REFERENCE] [--limit N]

Translates the lines of SOURCE in fp32 and in int8 together, in another order, in batches of 64
lines and alone, with search.guard and search.split off; what fp32 writes is scored by forced
decoding. Prints how many texts and scores differ, and with REFERENCE the BLEU of both. Exit 1 where
of 1,000 texts fewer than 999 (fp32) or 990 (int8) are the same, a score of an equal text differs by
more than 1e-4 (1e-2), or int8 loses more than 0.1 BLEU.
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
from nmt_cli.evaluation.metrics import score

SETTINGS = ["search.guard=false", "search.split=false"]
LEAST_SAME = {"fp32": 0.999, "int8": 0.99}
LARGEST_GAP = {"fp32": 1e-4, "int8": 1e-2}
LARGEST_LOSS = 0.1  # BLEU
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
        values = [
            one.log_probability
            for one in rescore([run], *files, ["search.precision=fp32", *SETTINGS], "cpu")
        ]
    gaps = [
        abs((value or 0.0) - one.candidates[0].log_probability)
        for value, one in zip(values, found, strict=True)
    ]
    same = sum(gap <= 1e-4 for gap in gaps)
    print(f"rescored: {same} of {len(lines)} scores within 1e-4, largest gap {max(gaps):.2e}")
    return same == len(lines)


def compared(run: Path, lines: list[str], precision: str) -> tuple[bool, list[Translation]]:
    """Print a line for each comparison; whether all are good, and the translations together."""
    translator = open_translator([run], [f"search.precision={precision}", *SETTINGS], "cpu")
    together = translator.translate(lines)
    good = precision != "fp32" or rescored(run, lines, together)
    for name, way in ways(translator):
        pairs = list(zip(together, way(lines), strict=True))
        same = [(a.candidates[0], b.candidates[0]) for a, b in pairs if a.text == b.text]
        gap = max(abs(a.log_probability - b.log_probability) for a, b in same)
        print(
            f"{precision}, {name}: {len(same)} of {len(lines)} texts the same, "
            f"scores within {gap:.2e}"
        )
        enough = len(same) >= LEAST_SAME[precision] * len(lines)
        good = good and enough and gap <= LARGEST_GAP[precision]
    return good, together


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("source", type=Path)
    parser.add_argument("reference", type=Path, nargs="?")
    parser.add_argument("--limit", type=int, default=1000)
    options = parser.parse_args()
    lines = [raw.decode() for raw in read_lines(options.source)]
    numbers = [n for n, line in enumerate(lines) if line.strip()][: options.limit]
    good, bleu = True, []
    for precision in LEAST_SAME:
        fine, found = compared(options.run, [lines[n] for n in numbers], precision)
        good = good and fine
        if options.reference:
            references = [raw.decode() for raw in read_lines(options.reference)]
            texts = [one.text for one in found]
            bleu.append(score(texts, [[references[n] for n in numbers]], ["bleu"])[0].score)
            print(f"{precision}: {bleu[-1]:.2f} BLEU")
    return 0 if good and (not bleu or bleu[0] - bleu[1] <= LARGEST_LOSS) else 1


if __name__ == "__main__":
    sys.exit(main())
