"""Make docs/comparison.md out of the results in docs/comparison/results.

python benchmarks/comparison/page.py
"""

from claims import by_length, parallelism, scaling, trained_by
from experiment import ROOT
from pages import write_page
from plan import BOTTLENECK, POSITIONS
from quality import rows
from telling import figures

PAGE = ROOT / "docs/comparison.md"
HEAD = """# From the fixed vector to the Transformer, side by side

Made by `make comparison` from the shipped recipes, written by `benchmarks/comparison/page.py`; do
not edit it. Every row of the table has the same text (Multi30k English-German), tokenizer, tokens
a batch, seed and search. Model and learning rate are the recipe's, and so is the number of updates,
with which all take roughly as long (minutes below); `concat` and `cosine`, variants of other rows,
have a fifth (and a warm-up of 100).
Scores are of test_2016_flickr, cased and detokenised, with beam 5 and the checkpoint that was best
on the development text by greedy BLEU. Results with all settings lie in `docs/comparison/results/`;
what is not there yet is not measured. Not measured on a GPU.
"""

SECTIONS = [
    ("Translation quality and speed", "", rows),
    (
        "1. The bottleneck",
        "Trained and tested on examples of 1 to 5 neighbouring captions (`corpus.concatenate: 5`), as "
        "figure 2 of Bahdanau et al. 2015 asks: BLEU by the number of source words. Each run goes "
        "on from the row of its system above, without search.repair_degenerate and search.split. The "
        "Transformer meets positions behind the end of one caption for the first time then; "
        "nothing in an RNN is bound to a position.",
        lambda: by_length("bottleneck", BOTTLENECK) + trained_by("joined", BOTTLENECK, "the whole joined text"),
    ),
    (
        "2. Alignment",
        "A sentence whose verbs change places, through additive attention and through the "
        "Transformer's layer before the last (mean of its heads).",
        lambda: "".join(
            figures(f"alignment-{name}") or f"\n{name}: not drawn yet.\n" for name in ("additive", "transformer")
        ),
    ),
    (
        "3. Parallelism",
        "Target tokens a second in training, by the length of the sequences, with about 4,096 "
        "target tokens a batch whatever their length.",
        parallelism,
    ),
    (
        "4. The scaling factor",
        "Dot products with and without 1 / sqrt(d_k). At the start: queries and keys of variance "
        "one, 32 keys; entropy as a share of the highest possible; Frobenius norm of the softmax's "
        "Jacobian, which is what a gradient passes through. Then after 200 updates of 1,024 tokens "
        "of a small Transformer of width 512 with 512 / d_k heads.",
        scaling,
    ),
    (
        "5. Positions",
        "The Transformer's recipe on sentences of at most 20 pieces, 600 updates with a warm-up "
        "of 100; tested on joined ones, of which those of more than 20 words are longer than any "
        "seen in training, without search.repair_degenerate and search.split.",
        lambda: by_length("positions", POSITIONS) + trained_by("positions", POSITIONS, "test_2016_flickr itself"),
    ),
]


def main() -> None:
    write_page(PAGE, HEAD, SECTIONS)


if __name__ == "__main__":
    main()
