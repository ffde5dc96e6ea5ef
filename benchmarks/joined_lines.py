"""What becomes of several sentences per line: as much as of each alone?

    python -m benchmarks.joined_lines RUN SOURCE REFERENCE [--most 4] [--set KEY=VALUE]

Joins 1, 2, 3 ... lines with spaces, in turn, translates the joined lines, and compares BLEU and brevity penalty with
those of the same lines translated alone and joined afterwards. On a run trained on single sentences BLEU should be
within 1, and the brevity penalty at least 0.98.
"""

import argparse
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path

from sacrebleu.metrics.bleu import BLEU

from benchmarks.machine import describe_machine
from nmt_cli.evaluation.metrics import read_texts
from nmt_cli.reporting import Reporter
from nmt_cli.translation.opening import TranslatorSpec


def join_lines(lines: Sequence[str], most: int) -> Iterator[str]:
    """Lines of 1, 2, ... `most` lines, and again of 1."""
    start, sizes = 0, cycle(range(1, most + 1))
    while start < len(lines):
        size = next(sizes)
        yield " ".join(lines[start : start + size])
        start += size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("source", type=Path)
    parser.add_argument("reference", type=Path)
    parser.add_argument("--most", type=int, default=4, help="most lines that are joined")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    sources, references = read_texts(options.source), read_texts(options.reference)
    translator = TranslatorSpec((str(options.run),), tuple(options.set)).open(Reporter(quiet=True))
    alone = [translation.text for translation in translator.translate(sources)]
    joined = [translation.text for translation in translator.translate(list(join_lines(sources, options.most)))]
    joined_references = list(join_lines(references, options.most))
    print(describe_machine())
    for name, hypotheses in (
        (f"alone, then joined 1 to {options.most}", list(join_lines(alone, options.most))),
        (f"joined 1 to {options.most}", joined),
    ):
        score = BLEU().corpus_score(hypotheses, [joined_references])
        print(f"{name:26}{len(hypotheses):6,} lines  BLEU {score.score:.2f}  brevity penalty {score.bp:.4f}")


if __name__ == "__main__":
    main()
