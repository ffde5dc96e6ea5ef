"""What the comparison shows about length, parallelism, the scaling factor and positions."""

import json
from collections.abc import Iterable
from statistics import median
from typing import Any

import telling
from experiment import ROOT
from pages import ABSENT, table
from pictures import draw_parallelism, draw_scaling
from telling import figures, machines, result, span

MANY = 50  # sentences, for a bucket of lengths to be spoken of
GROWTH = ROOT / "docs/benchmarks/growth-cpu.json"


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
    draw_scaling(telling.PICTURES / "scaling.svg", told)
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
        f"\n`scaling.py`, {span(one['date'] for one in made)}, {minutes:.0f} minutes each (median) "
        f"beside other work, on {machines(made)}.\n"
    )


def parallelism() -> str:
    told = json.loads(path.read_text()) if (path := GROWTH).exists() else None
    if told is None:
        return ABSENT
    lengths = list(told["length w1"])
    rates = {"Transformer 4+4, d 256": told["length w1"], "RNN, GRU 512": told["length w3"]}
    found = [[label, *(f"{one[at]:,.0f}" for at in lengths)] for label, one in rates.items()]
    kept = [one[lengths[-1]] / one[lengths[0]] for one in rates.values()]
    draw_parallelism(telling.PICTURES / "parallelism.svg", rates)
    return (
        table(["positions", *lengths], found) + figures("parallelism")
        + f"\nFrom {lengths[0]} to {lengths[-1]} positions the Transformer keeps {kept[0]:.0%} "
        f"of its rate and the RNN {kept[1]:.0%}: its steps follow one another, and the longer the "
        "sequences are, the fewer there are to compute at once.\n"
        f"\n`{told['command']}`, {told['date']}: two cores of {told['machine']['processor']}, "
        f"PyTorch {told['machine']['torch']}.\n"
    )  # fmt: skip
