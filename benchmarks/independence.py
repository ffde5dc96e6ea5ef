"""Whether a line's translation depends on its batch, and whether its score is its log-probability.

    python -m benchmarks.independence RUN SOURCE [REFERENCE] [--limit N]

Translates the lines of SOURCE in fp32 and in int8 all together, in another order, in batches of 64
lines and alone, with search.repair_degenerate and search.split off, and scores the fp32 translations by forced
decoding. Prints how many texts and scores differ, and with REFERENCE the BLEU of both precisions.
Exits with 1 where fewer than 999 (fp32) or 990 (int8) of 1,000 texts are the same, scores of equal
texts differ by more than 1e-4 (fp32) or 1e-2 (int8), or int8 loses more than 0.1 BLEU.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from nmt_cli.commands.rescore import rescore
from nmt_cli.data.tokenization.tokenizer import batched
from nmt_cli.evaluation.metrics import corpus_scores, read_texts
from nmt_cli.inference.output import Translation
from nmt_cli.inference.translator import Translator
from nmt_cli.reporting import Reporter
from nmt_cli.translation.opening import TranslatorSpec

SETTINGS = ["search.repair_degenerate=false", "search.split=none", "search.keep=none"]
MIN_SAME_SHARE = {"fp32": 0.999, "int8": 0.99}
MAX_SCORE_GAP = {"fp32": 1e-4, "int8": 1e-2}
MAX_BLEU_LOSS = 0.1  # BLEU
TranslateFunction = Callable[[list[str]], list[Translation]]


def batch_variants(translator: Translator) -> Iterator[tuple[str, TranslateFunction]]:
    """Ways to batch the same lines."""

    def translate_shuffled(lines: list[str]) -> list[Translation]:
        order = list(range(len(lines)))
        random.Random(1).shuffle(order)
        by_index = dict(zip(order, translator.translate([lines[n] for n in order]), strict=True))
        return [by_index[n] for n in range(len(lines))]

    def in_batches(size: int) -> TranslateFunction:
        return lambda lines: [
            translation for block in batched(lines, size) for translation in translator.translate(block)
        ]

    yield "in another order", translate_shuffled
    yield "64 at a time", in_batches(64)
    yield "alone", in_batches(1)


def check_rescoring(run: Path, lines: list[str], translations: list[Translation]) -> bool:
    """Whether the scores of translations are those that nmt rescore gives their texts."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = (Path(folder) / name for name in ("source", "target"))
        source.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
        target.write_text(
            "".join(f"{translation.text}\n" for translation in translations), encoding="utf-8", newline="\n"
        )
        pairs = rescore([run], source, target, ["search.precision=fp32", *SETTINGS], "cpu")
        values = [pair.log_probability for pair in pairs]
    gaps = [
        abs((value or 0.0) - translation.candidates[0].log_probability)
        for value, translation in zip(values, translations, strict=True)
    ]
    same = sum(gap <= 1e-4 for gap in gaps)
    print(f"rescored: {same} of {len(lines)} scores within 1e-4, largest gap {max(gaps):.2e}")
    return same == len(lines)


def compare_variants(run: Path, lines: list[str], precision: str) -> tuple[bool, list[Translation]]:
    """Whether all comparisons pass, each of which prints a line, and the translations of one batch."""
    translator = TranslatorSpec((str(run),), (f"search.precision={precision}", *SETTINGS), "cpu").open(
        Reporter(quiet=True)
    )
    reference_translations = translator.translate(lines)
    passed = precision != "fp32" or check_rescoring(run, lines, reference_translations)
    for name, translate in batch_variants(translator):
        pairs = list(zip(reference_translations, translate(lines), strict=True))
        same = [(a.candidates[0], b.candidates[0]) for a, b in pairs if a.text == b.text]
        gap = max(abs(a.log_probability - b.log_probability) for a, b in same)
        print(f"{precision}, {name}: {len(same)} of {len(lines)} texts the same, scores within {gap:.2e}")
        enough_same = len(same) >= MIN_SAME_SHARE[precision] * len(lines)
        passed = passed and enough_same and gap <= MAX_SCORE_GAP[precision]
    return passed, reference_translations


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("source", type=Path)
    parser.add_argument("reference", type=Path, nargs="?")
    parser.add_argument("--limit", type=int, default=1000)
    options = parser.parse_args()
    lines = read_texts(options.source)
    numbers = [n for n, line in enumerate(lines) if line.strip()][: options.limit]
    passed, bleu = True, []
    for precision in MIN_SAME_SHARE:
        precision_passed, translations = compare_variants(options.run, [lines[n] for n in numbers], precision)
        passed = passed and precision_passed
        if options.reference:
            references = read_texts(options.reference)
            texts = [translation.text for translation in translations]
            bleu.append(corpus_scores(texts, [[references[n] for n in numbers]], ["bleu"])[0].score)
            print(f"{precision}: {bleu[-1]:.2f} BLEU")
    return 0 if passed and (not bleu or bleu[0] - bleu[1] <= MAX_BLEU_LOSS) else 1


if __name__ == "__main__":
    sys.exit(main())
