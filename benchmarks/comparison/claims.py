"""What the comparison shows about length, parallelism, the scaling factor and positions."""

import json
from collections.abc import Iterable
from statistics import median
from typing import Any

import telling
from experiment import ROOT
from pages import NOT_MEASURED, table
from pictures import draw_parallelism, draw_scaling
from telling import figures, machines, result, span

MANY = 50  # sentences, for a bucket of lengths to be spoken of
GROWTH = ROOT / "docs/benchmarks/growth-cpu.json"


def by_length(label: str, names: Iterable[str]) -> str:
    """A table and picture of scores by length, and what the longest sentences lose."""
    measurement = result(f"lengths-{label}")
    if measurement is None:
        return NOT_MEASURED
    buckets = measurement["buckets"]
    ends = [f"{bucket['first']}–{bucket['last']}" if bucket["last"] else f"{bucket['first']} or more"
            for bucket in buckets]  # fmt: skip
    scores = {name: [bucket["score"] for bucket in measurement["systems"][name]["buckets"]] for name in names}
    table_rows = [[name, *(f"{score:.1f}" for score in line)] for name, line in scores.items()]
    counts = ["sentences", *(str(bucket["sentences"]) for bucket in buckets)]
    many = [place for place, bucket in enumerate(buckets) if bucket["sentences"] >= MANY]
    if not many:
        return table(["words", *ends], [*table_rows, counts]) + figures(label)
    first, last = many[0], many[-1]
    falls = [
        f"{name} {line[first]:.1f} and {line[last]:.1f} ({line[last] - line[first]:+.1f})"
        for name, line in scores.items()
    ]
    return (
        table(["words", *ends], [*table_rows, counts]) + figures(label)
        + f"\nBLEU with {ends[first]} words and with {ends[last]} (the longest of which there are "
        f"at least {MANY} sentences): {', '.join(falls)}.\n"
    )  # fmt: skip


def trained_by(stage: str, names: Iterable[str], text: str) -> str:
    """What each run of a stage of run.py scores on a text, after how long, and where."""
    made = {name: run_result for name in names if (run_result := result(f"{stage}-{name}"))}
    if not made:
        return ""
    scores = [
        f"{name} {training['test']['bleu']['score']:.2f} ({training['updates']} updates in "
        f"{training['minutes']:.0f} minutes)"
        for name, training in made.items()
    ]
    when = span(entry["date"] for entry in made.values())
    return (
        f"\nBLEU on {text}: {', '.join(scores)}. Trained by `run.py {stage}` beside other work, "
        f"{when}, on {machines(made.values())}.\n"
    )


def scaling() -> str:
    measurement = result("scaling")
    if measurement is None:
        return NOT_MEASURED
    table_rows = []
    for key, entry in measurement.items():
        width, kind = key.split()
        after = entry["trained"]
        table_rows.append(
            [
                width, kind, f"{entry['entropy']:.2f}", f"{entry['jacobian']:.3f}",
                f"{after['entropy']:.2f}", f"{after['training_loss']:.3f}",
                f"{after['dev_loss']:.3f}",
            ]
        )  # fmt: skip
    header = [
        "d_k", "dot product", "entropy at the start", "softmax Jacobian", "entropy after training",
        "training loss", "development loss",
    ]  # fmt: skip
    draw_scaling(telling.PICTURES / "scaling.svg", measurement)
    drawn = table(header, table_rows) + figures("scaling")
    widths_with_both = [width for width in (key.split()[0] for key in measurement if key.endswith("plain"))
            if f"{width} scaled" in measurement]  # fmt: skip
    if not widths_with_both:
        return drawn + trained_at(measurement)
    first, last = widths_with_both[0], widths_with_both[-1]
    sentences = []
    for kind in ("plain", "scaled"):
        small, large = (measurement[f"{width} {kind}"] for width in (first, last))
        sentences.append(
            f"{'Scaled' if kind == 'scaled' else 'Unscaled'}, from d_k = {first} to {last}: "
            f"entropy at the start {small['entropy']:.2f} to {large['entropy']:.2f}, Jacobian "
            f"{small['jacobian']:.3f} to {large['jacobian']:.3f}, development loss "
            f"{small['trained']['dev_loss']:.3f} to {large['trained']['dev_loss']:.3f}."
        )
    return drawn + "\n" + " ".join(sentences) + "\n" + trained_at(measurement)


def trained_at(measurement: dict[str, Any]) -> str:
    """When, where and how long the runs of the scaling factor were trained."""
    made = [entry["trained"] for entry in measurement.values()]
    minutes = median(training["minutes"] for training in made)
    return (
        f"\n`scaling.py`, {span(training['date'] for training in made)}, {minutes:.0f} minutes each (median) "
        f"beside other work, on {machines(made)}.\n"
    )


def parallelism() -> str:
    measurement = json.loads(path.read_text()) if (path := GROWTH).exists() else None
    if measurement is None:
        return NOT_MEASURED
    lengths = list(measurement["length w1"])
    rates = {"Transformer 4+4, d 256": measurement["length w1"], "RNN, GRU 512": measurement["length w3"]}
    table_rows = [
        [label, *(f"{rates_by_length[at]:,.0f}" for at in lengths)] for label, rates_by_length in rates.items()
    ]
    kept_shares = [rates_by_length[lengths[-1]] / rates_by_length[lengths[0]] for rates_by_length in rates.values()]
    draw_parallelism(telling.PICTURES / "parallelism.svg", rates)
    return (
        table(["positions", *lengths], table_rows) + figures("parallelism")
        + f"\nFrom {lengths[0]} to {lengths[-1]} positions the Transformer keeps {kept_shares[0]:.0%} "
        f"of its rate and the RNN {kept_shares[1]:.0%}: its steps follow one another, and the longer the "
        "sequences are, the fewer there are to compute at once.\n"
        f"\n`{measurement['command']}`, {measurement['date']}: two cores of {measurement['machine']['processor']}, "
        f"PyTorch {measurement['machine']['torch']}.\n"
    )  # fmt: skip
