"""Make docs/comparison.md out of the results in docs/comparison/results.

python benchmarks/comparison/page.py
"""

import json
from collections.abc import Iterable
from statistics import median
from typing import Any

from experiment import RESULTS, ROOT
from pictures import draw_parallelism, draw_scaling
from plan import BOTTLENECK, POSITIONS, ROWS, SYSTEMS

ABSENT = "Not measured yet.\n"
MANY = 50  # sentences, for a bucket of lengths to be spoken of
PAGE = ROOT / "docs/comparison.md"
PICTURES = ROOT / "docs/comparison"
HEAD = """# From the fixed vector to the Transformer, side by side

Made by `make comparison` from the shipped recipes, written by `benchmarks/comparison/page.py`; do
not edit it. Every row of the table has the same text (Multi30k English-German), tokenizer, tokens
a batch, seed and search. Model and learning rate are the recipe's, and so is the number of updates,
with which all take about as long; `concat` and `cosine`, variants of other rows, have a fifth
(and a warm-up of 100).
Scores are of test_2016_flickr, cased and detokenised, with beam 5 and the checkpoint that was best
on the development text by greedy BLEU. Results with all settings lie in `docs/comparison/results/`;
what is not there yet is not measured. Not measured on a GPU.
"""


def result(name: str) -> Any:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def rows() -> str:
    speed = result("speed") or {"rows": {}}
    found = []
    for key, label in SYSTEMS.items():
        one, fast = result(key), speed["rows"].get(key)
        start = [f"`{ROWS[key].recipe}`", label]
        if one is None:
            found.append([*start, *[""] * 5, "not measured", ""])
            continue
        rates = [""] * 3
        if fast is not None:
            minutes = one["updates"] * fast["seconds_per_update"] / 60
            rates = [
                f"{fast['tokens_per_second']:,.0f}", f"{minutes:.0f}",
                f"{fast['sentences_per_second']:,.0f}",
            ]  # fmt: skip
        bleu, chrf = (one["test"][name]["score"] for name in ("bleu", "chrf"))
        size = f"{one['parameters'] / 1e6:.1f} M"
        updates = f"{one['updates']:,}"
        found.append([*start, size, updates, *rates, f"**{bleu:.2f}**", f"{chrf:.2f}"])
    header = ["recipe", "system", "parameters", "updates", "tokens/s", "minutes"]
    header += ["sentences/s", "BLEU", "chrF"]
    return table(header, found) + "\n" + steps() + signatures(speed) + curves()


def steps() -> str:
    """What each step of the line was worth."""
    bleu = {name: one["test"]["bleu"]["score"] for name in SYSTEMS if (one := result(name))}
    attending = [name for name in ("additive", "dot", "general") if name in bleu]
    if not attending or not {"none", "transformer"} <= set(bleu):
        return ""
    best = max(attending, key=lambda name: bleu[name])
    first, second = bleu[best] - bleu["none"], bleu["transformer"] - bleu[best]
    others = f" (the best of {len(attending)} with attention)" if len(attending) > 1 else ""
    return (
        f"BLEU of {best}{others}: {first:+.1f} against the fixed vector, whose LSTM also reads in "
        f"one direction only. Of the Transformer: {second:+.1f} against {best}.\n\n"
    )


def signatures(speed: dict[str, Any]) -> str:
    """How the scores were computed and on what machine the rows were made."""
    present = [one for one in map(result, SYSTEMS) if one is not None]
    if not present:
        return ABSENT
    marks = {score["signature"] for one in present for score in one["test"].values()}
    made = span(one["date"] for one in present)
    where = "not measured"
    if "processor" in speed:
        where = f"`speed.py` on two cores of {speed['processor']}, PyTorch {speed['torch']}, "
        where += span(one["date"] for one in speed["rows"].values())
    return (
        f"Signatures: {', '.join(f'`{mark}`' for mark in sorted(marks))}. Trained by "
        "`nmt train RECIPE` on: "
        f"{machines(present)}, {made}. "
        f"Speeds, {where}: tokens/s are target tokens in training, "
        "minutes what the updates take at that rate, validations not counted; sentences/s "
        "those of `nmt translate` with beam 5, start not counted.\n"
    )


def machines(made: Iterable[dict[str, Any]]) -> str:
    """What results were made on."""
    found = {
        f"{one['processor']}, {one['hardware']}, PyTorch {one['versions']['torch']}" for one in made
    }
    return "; ".join(sorted(found))


def span(days: Iterable[str]) -> str:
    """The first day and the last."""
    ordered = sorted(days)
    return " to ".join(dict.fromkeys((ordered[0], ordered[-1])))


def curves() -> str:
    drawn = figures("curves")
    note = (
        "\nMinutes and tokens/s of this picture are those of the runs as they were made, beside "
        "each other and other work; the table's are measured alone.\n"
    )
    return drawn + note if drawn else ""


def figures(*names: str) -> str:
    """Those pictures that were drawn."""
    drawn = [name for name in names if (PICTURES / f"{name}.svg").exists()]
    return "".join(f"\n![{name}](comparison/{name}.svg)\n" for name in drawn)


def by_length(label: str, names: Iterable[str]) -> str:
    """A table and picture of scores by length, and what the longest sentences lose."""
    told = result(f"lengths-{label}")
    if told is None:
        return ABSENT
    buckets = told["buckets"]
    ends = [f"{one['first']}–{one['last']}" if one["last"] else f"{one['first']} or more"
            for one in buckets]  # fmt: skip
    scores = {name: [one["score"] for one in told["systems"][name]["buckets"]] for name in names}
    found = [[name, *(f"{score:.1f}" for score in line)] for name, line in scores.items()]
    counts = ["sentences", *(str(one["sentences"]) for one in buckets)]
    many = [place for place, one in enumerate(buckets) if one["sentences"] >= MANY]
    if not many:
        return table(["words", *ends], [*found, counts]) + figures(label)
    first, last = many[0], many[-1]
    falls = [
        f"{name} {line[first]:.1f} and {line[last]:.1f} ({line[last] - line[first]:+.1f})"
        for name, line in scores.items()
    ]
    return (
        table(["words", *ends], [*found, counts]) + figures(label)
        + f"\nBLEU with {ends[first]} words and with {ends[last]} (the longest of which there are "
        f"at least {MANY} sentences): {', '.join(falls)}.\n"
    )  # fmt: skip


def trained_by(stage: str, names: Iterable[str], text: str) -> str:
    """What each run of a stage of run.py scores on a text, after how long, and where."""
    made = {name: told for name in names if (told := result(f"{stage}-{name}"))}
    if not made:
        return ""
    scores = [
        f"{name} {told['test']['bleu']['score']:.2f} ({told['updates']} updates in "
        f"{told['minutes']:.0f} minutes)"
        for name, told in made.items()
    ]
    when = span(one["date"] for one in made.values())
    return (
        f"\nBLEU on {text}: {', '.join(scores)}. Trained by `run.py {stage}` beside other work, "
        f"{when}, on {machines(made.values())}.\n"
    )


def scaling() -> str:
    told = result("scaling")
    if told is None:
        return ABSENT
    found = []
    for key, one in told.items():
        width, kind = key.split()
        after = one["trained"]
        found.append(
            [
                width, kind, f"{one['entropy']:.2f}", f"{one['jacobian']:.3f}",
                f"{after['entropy']:.2f}", f"{after['training_loss']:.3f}",
                f"{after['dev_loss']:.3f}",
            ]
        )  # fmt: skip
    header = [
        "d_k", "dot product", "entropy at the start", "softmax Jacobian", "entropy after training",
        "training loss", "development loss",
    ]  # fmt: skip
    draw_scaling(PICTURES / "scaling.svg", told)
    drawn = table(header, found) + figures("scaling")
    both = [width for width in (key.split()[0] for key in told if key.endswith("plain"))
            if f"{width} scaled" in told]  # fmt: skip
    if not both:
        return drawn + trained_at(told)
    first, last = both[0], both[-1]
    sentences = []
    for kind in ("plain", "scaled"):
        small, large = (told[f"{width} {kind}"] for width in (first, last))
        sentences.append(
            f"{'Scaled' if kind == 'scaled' else 'Unscaled'}, from d_k = {first} to {last}: "
            f"entropy at the start {small['entropy']:.2f} to {large['entropy']:.2f}, Jacobian "
            f"{small['jacobian']:.3f} to {large['jacobian']:.3f}, development loss "
            f"{small['trained']['dev_loss']:.3f} to {large['trained']['dev_loss']:.3f}."
        )
    return drawn + "\n" + " ".join(sentences) + "\n" + trained_at(told)


def trained_at(told: dict[str, Any]) -> str:
    """When, where and how long the runs of the scaling factor were trained."""
    made = [one["trained"] for one in told.values()]
    minutes = median(one["minutes"] for one in made)
    return (
        f"\n`scaling.py`, {span(one['date'] for one in made)}, {minutes:.0f} minutes each in the "
        f"middle, beside other work, on {machines(made)}.\n"
    )


def parallelism() -> str:
    told = json.loads(path.read_text()) if (path := GROWTH).exists() else None
    if told is None:
        return ABSENT
    lengths = list(told["length w1"])
    rates = {"Transformer 4+4, d 256": told["length w1"], "RNN, GRU 512": told["length w3"]}
    found = [[label, *(f"{one[at]:,.0f}" for at in lengths)] for label, one in rates.items()]
    kept = [one[lengths[-1]] / one[lengths[0]] for one in rates.values()]
    draw_parallelism(PICTURES / "parallelism.svg", rates)
    return (
        table(["positions", *lengths], found) + figures("parallelism")
        + f"\nFrom {lengths[0]} to {lengths[-1]} positions the Transformer keeps {kept[0]:.0%} "
        f"of its rate and the RNN {kept[1]:.0%}: its steps follow one another, and the longer the "
        "sequences are, the fewer there are to compute at once.\n"
        f"\n`{told['command']}`, {told['date']}: two cores of {told['machine']['processor']}, "
        f"PyTorch {told['machine']['torch']}.\n"
    )  # fmt: skip


GROWTH = ROOT / "docs/benchmarks/growth-cpu.json"

SECTIONS = [
    ("Translation quality and speed", "", rows),
    (
        "1. The bottleneck",
        "Trained and tested on examples of 1 to 5 neighbouring captions (`corpus.join: 5`), as "
        "figure 2 of Bahdanau et al. 2015 asks: BLEU by the number of source words. Each run goes "
        "on from the row of its system above, without search.guard and search.split. The "
        "Transformer meets positions behind the end of one caption for the first time then; "
        "nothing in an RNN is bound to a position.",
        lambda: (
            by_length("bottleneck", BOTTLENECK)
            + trained_by("joined", BOTTLENECK, "the whole joined text")
        ),
    ),
    (
        "2. Alignment",
        "A sentence whose verbs change places, through additive attention and through the "
        "Transformer's layer before the last (mean of its heads).",
        lambda: "".join(
            figures(f"alignment-{name}") or f"\n{name}: not drawn yet.\n"
            for name in ("additive", "transformer")
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
        "seen in training, without search.guard and search.split.",
        lambda: (
            by_length("positions", POSITIONS)
            + trained_by("positions", POSITIONS, "test_2016_flickr itself")
        ),
    ),
]


def main() -> None:
    parts = [HEAD]
    for title, text, body in SECTIONS:
        parts.append(f"\n## {title}\n\n" + (f"{text}\n\n" if text else "") + body())
    PAGE.write_text("".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
