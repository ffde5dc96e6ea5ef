"""From which length on a sentence is translated better clause by clause than as a whole.

    python -m benchmarks.sentence_length RUN SOURCE REFERENCE [--join ", "] [--part 20]

Joins 2, 3 ... neighbouring lines by a comma into one sentence, without the stops between them, translates it as a whole
and cut at clauses into parts of at most so many tokens, and prints the BLEU of both by the length of the sentence in
tokens; and the same for long lines as they are. A run learns the lengths of its training text (text.json); the rule
that nmt translate follows is in docs/translating.md.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.machine import describe_machine
from nmt_cli.data.final_marks import FULL_STOPS
from nmt_cli.evaluation.metrics import corpus_scores, read_texts
from nmt_cli.inference.translator import Translator
from nmt_cli.reporting import Reporter
from nmt_cli.translation.opening import TranslatorSpec

MAX_JOINED = 10  # lines of one sentence


def join_neighbours(sources: Sequence[str], targets: Sequence[str], count: int, link: str) -> Iterator[tuple[str, str]]:
    """Sentences of `count` neighbouring pairs, whose stops but the last become `link`."""
    for start in range(0, len(sources) - count + 1, count):
        sides = [side[start : start + count] for side in (sources, targets)]
        if any(line.rstrip()[-1:] not in FULL_STOPS for side in sides for line in side):
            continue  # a question is no part of a longer sentence
        source, target = (link.join([*(line.rstrip()[:-1] for line in side[:-1]), side[-1]]) for side in sides)
        yield source, target


def translate(translator: Translator, sources: Sequence[str], limit: int | None) -> list[str]:
    """Translations of sentences, cut at clauses beyond `limit` tokens, into parts of as many."""
    translator.planner.max_sentence_tokens = translator.planner.max_part_tokens = limit
    return [translation.text for translation in translator.translate(sources)]


def bleu(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """BLEU with sacreBLEU's defaults."""
    return corpus_scores(hypotheses, [references], ["bleu"])[0].score


class Scores(NamedTuple):
    """BLEU of sentences of about the same length."""

    sentences: int
    whole: float
    cut: float


def compare(
    translator: Translator, pairs: Sequence[tuple[str, str]], part_tokens: int, bin_size: int
) -> Iterator[tuple[str, Scores]]:
    """The scores of each range of lengths in tokens, from the first length at which anything is cut."""
    counts = [len(ids) for ids in translator.tokenizers.source.encode([source for source, _ in pairs])]
    long_pairs = [(count, pair) for count, pair in zip(counts, pairs, strict=True) if count > part_tokens]
    systems = [translate(translator, [source for _, (source, _) in long_pairs], limit) for limit in (None, part_tokens)]
    rows: dict[int, list[int]] = defaultdict(list)
    for index, (count, _) in enumerate(long_pairs):
        rows[count // bin_size].append(index)
    for row, indices in sorted(rows.items()):
        references = [long_pairs[index][1][1] for index in indices]
        whole, cut = (bleu([texts[index] for index in indices], references) for texts in systems)
        yield f"{row * bin_size}-{(row + 1) * bin_size - 1}", Scores(len(indices), whole, cut)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("source", type=Path)
    parser.add_argument("reference", type=Path)
    parser.add_argument("--join", default=", ", help="what stands between the joined sentences")
    parser.add_argument("--part", type=int, help="tokens of a part; default: what 95 %% of the training lines have")
    parser.add_argument("--bin", type=int, default=5, help="tokens of a row of the table")
    parser.add_argument("--lines", type=int, default=500, help="so many lines of the files are used")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    sources, targets = (read_texts(path)[: options.lines] for path in (options.source, options.reference))
    translator = TranslatorSpec((str(options.run),), tuple(options.set)).open(Reporter(quiet=True))
    lengths = translator.planner.profile.lengths
    part_tokens = options.part or lengths.typical_tokens
    assert part_tokens is not None, f"{options.run} does not know the lengths of its training text: --part"
    print(describe_machine())
    print(
        f"training lines: {', '.join(f'{share:.0%} up to {tokens}' for share, tokens in lengths.tokens.items())} tokens"
    )
    print(f"cut: at clauses, into parts of at most {part_tokens} tokens; BLEU")
    print(f"{'tokens':>9}{'':10}{'sentences':>11}{'whole':>9}{'cut':>9}")
    alone = list(join_neighbours(sources, targets, 1, ""))
    joined = [
        pair for count in range(2, MAX_JOINED + 1) for pair in join_neighbours(sources, targets, count, options.join)
    ]
    for name, pairs in (("as it is", alone), ("joined", joined)):
        for label, scores in compare(translator, pairs, part_tokens, options.bin):
            print(f"{label:>9}  {name:8}{scores.sentences:11,}{scores.whole:9.2f}{scores.cut:9.2f}")


if __name__ == "__main__":
    main()
