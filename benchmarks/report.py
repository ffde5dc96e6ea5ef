"""Make docs/benchmarks.md and its figures out of what was measured (docs/benchmarks/*.json).

python benchmarks/report.py
"""

from pathlib import Path
from statistics import median
from typing import Any

from pages import NOT_MEASURED, table, write_page
from workloads import RESULTS_DIR, RUNS_DIR, load_result

from nmt_cli.plots.figure import add_grid, figure_style, line_style, new_figure, save_figure

PAGE = Path("docs/benchmarks.md")
HEAD = """# How fast it is

Made by `make bench` and `python benchmarks/report.py`; do not edit it. Whatever is compared was
measured in turns in one run on the same machine, whose fastest large matrix product stands beside
it. Do not compare figures of different machines. Not measured on a GPU: none was at hand;
`benchmarks/gpu.py` is the program for one.
"""
# JoeyNMT 2.3.0 with W1's shape on two cores that multiply fp32 matrices at 230 GFLOP/s (our own
# measurement, 2026-11-21): minutes with validations, greedy BLEU of the development text.
JOEYNMT_CURVE = [(10.4, 4.60), (21.1, 15.23)]


def origin(record: dict[str, Any]) -> str:
    """When and by which command something was measured, and on what machine."""
    note = f" {record['note']}" if "note" in record else ""
    return f"`{record['command']}`, {record['date']}: {machine(record['machine'])}{note}"


def machine(facts: dict[str, Any]) -> str:
    bf16 = f", bf16 {facts['peak_bf16'] / 1e9:,.0f}" if "peak_bf16" in facts else ""
    return (
        f"{facts['processor']}, {facts['cores']} cores, PyTorch {facts['torch']}, Python "
        f"{facts['python']}; peak of a matrix product, GFLOP/s: fp32 "
        f"{facts['peak_fp32'] / 1e9:,.0f}{bf16}."
    )


def middle(runs: list[dict[str, Any]], key: str) -> float:
    return median(run[key] for run in runs)


def training() -> str:
    rows: list[list[str]] = []
    notes: list[str] = []
    for name in ("w1", "w2", "w3"):
        record = load_result(f"training-{name}")
        if record is None:
            continue
        notes.append(origin(record))
        peak = record["machine"].get("peak_bf16", record["machine"]["peak_fp32"])
        speeds = {label: middle(runs, "median") for label, runs in record["runs"].items()}
        for label, runs in record["runs"].items():
            share = speeds[label] * record["operations_per_token"] / peak
            ratio = "" if label == "nmt" else f"{speeds['nmt'] / speeds[label]:.2f}"
            least, most = min(run["least"] for run in runs), max(run["most"] for run in runs)
            rows.append(
                [
                    name.upper(), label, f"{speeds[label]:,.0f} ({least:,.0f} to {most:,.0f})",
                    ratio, f"{share:.0%}", f"{middle(runs, 'memory') / 2**30:.1f} GiB",
                ]
            )  # fmt: skip
    if not rows:
        return NOT_MEASURED
    header = ["work", "system", "target tokens/s", "nmt is x times as fast", "of peak", "memory"]
    return table(header, rows) + "\n" + "".join(f"- {note}\n" for note in dict.fromkeys(notes))


def translating() -> str:
    rows: list[list[str]] = []
    notes: list[str] = []
    for name, label in (("run", "a trained run"), ("w1", "W1, 15 pieces"), ("w2", "W2, 20 pieces")):
        for beam in (1, 5):
            record = load_result(f"translating-{name}-{beam}")
            if record is None:
                continue
            notes.append(origin(record))
            fastest = middle(record["runs"]["CTranslate2 int8"], "sentences_per_second")
            for system, runs in record["runs"].items():
                speed = middle(runs, "sentences_per_second")
                quality = f"{runs[0]['bleu']:.2f} / {runs[0]['chrf']:.2f}" if "bleu" in runs[0] else ""
                rows.append(
                    [
                        label, str(beam), system, f"{speed:,.0f}", f"{speed / fastest:.2f}",
                        f"{middle(runs, 'whole_command'):,.0f}",
                        f"{middle(runs, 'memory') / 2**20:,.0f} MiB", quality,
                    ]
                )  # fmt: skip
    if not rows:
        return NOT_MEASURED
    header = [
        "work", "beam", "system", "sentences/s", "of CTranslate2 int8", "whole command", "memory",
        "BLEU / chrF",
    ]  # fmt: skip
    return table(header, rows) + "\n" + "".join(f"- {note}\n" for note in dict.fromkeys(notes))


def starting() -> str:
    record = load_result("starting")
    if record is None:
        return NOT_MEASURED
    rows = [[f"`{name}`", f"{seconds:.2f} s"] for name, seconds in record["seconds"].items()]
    return table(["command", "median"], rows) + "\n- " + origin(record) + "\n"


PANELS = {
    "target tokens/s in training, by length": ("length w1", "length w3"),
    "by tokens a batch": ("batch w1", "batch w3"),
    "by vocabulary": ("vocabulary",),
    "tokens/s in translation, by beam": ("beam",),
    "ms a step, by pieces already written": ("written",),
}
MODEL_NAMES = {"w1": "Transformer (W1)", "w3": "RNN (W3)"}


def growth() -> str:
    record = load_result("growth-cpu")
    if record is None:
        return NOT_MEASURED
    with figure_style():
        figure = new_figure(11, 6, constrained=True)
        for index, (title, keys) in enumerate(PANELS.items()):
            axes = figure.add_subplot(2, 3, index + 1)
            for key in keys:
                points = {int(x): y for x, y in record[key].items()}
                factor = 1000 if key == "written" else 1
                style = line_style(0 if "w3" not in key else 1)._asdict()
                axes.plot(
                    list(points), [factor * y for y in points.values()],
                    label=MODEL_NAMES.get(key.split()[-1], MODEL_NAMES["w1"]), **style,
                )  # fmt: skip
            axes.set_title(title, fontsize=9)
            axes.set_xscale("log", base=2)
            axes.set_xticks(list(points), [f"{x:,}" for x in points], fontsize=8)
            axes.set_ylim(bottom=0)
            add_grid(axes)
            if index == 0:
                axes.legend(fontsize=8)
        save_figure(figure, RESULTS_DIR / "growth.svg", title="How cost grows")
    written = {int(x): y for x, y in record["written"].items()}
    cost_ratio = written[256] / written[32]
    return (
        "![how cost grows](benchmarks/growth.svg)\n\nW1's and W3's models, random ids; by beam "
        "with 32 sentences, by pieces written with beam 5 and 8 sentences. A step costs "
        f"{cost_ratio:.1f} times as much, on average, where 256 pieces are written as where 32 are: "
        f"attention reads more, nothing is computed again.\n\n- {origin(record)}\n"
    )


def budget() -> str:
    record = load_result("budget")
    if record is None:
        return NOT_MEASURED
    with figure_style():
        figure = new_figure(7, 4, constrained=True)
        axes = figure.add_subplot()
        curve = [(minutes, bleu) for minutes, _, bleu in record["course"]]
        axes.plot(*zip(*curve, strict=True), label=f"nmt, {record['recipe']}", **line_style(0)._asdict())
        axes.plot(*zip(*JOEYNMT_CURVE, strict=True), label="JoeyNMT 2.3.0, W1", **line_style(1)._asdict())
        axes.set_xlabel("minutes of training on two cores, validations included")
        axes.set_ylabel("BLEU of the development text, greedy")
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        add_grid(axes)
        axes.legend()
        save_figure(figure, RESULTS_DIR / "budget.svg", title="BLEU by minute")
    rows = []
    for limit in (5, 10, 20, 40):
        minutes, update, bleu = min(record["course"], key=lambda validation: abs(validation[0] - limit))
        if abs(minutes - limit) <= 0.1 * limit:  # it was validated about then
            rows.append([str(limit), f"{minutes:.1f}", f"{update:,}", f"{bleu:.2f}"])
    ending = ""
    if "test" in record:
        test = record["test"]["bleu"]
        ending = (
            f"At the end, after {record['minutes']:.0f} minutes, the best checkpoint has "
            f"{test['score']:.2f} BLEU on test_2016_flickr with beam 5 (`{test['signature']}`). "
        )
    header = ["minutes", "validated at", "updates", "BLEU, greedy, development text"]
    return (
        "![BLEU by minute](benchmarks/budget.svg)\n\n" + table(header, rows)
        + f"\n{ending}{record['note']} `{record['command']}`, {record['date']}, "
        f"{record['machine']['processor']}, 2 cores. "
        "JoeyNMT on two cores of a faster machine (fp32 peak 230 GFLOP/s): 28.7 BLEU on the test "
        "text with beam 5, which the table does not have, after 30 minutes, of which 11 were its "
        "validations.\n"
    )  # fmt: skip


SECTIONS = [
    ("Training", "`benchmarks/training.py`. W1: 4+4 layers, d 256, ff 1024; W2: 6+6, "
     "d 512, ff 2048; W3: additive attention, GRU 512; Multi30k English-German, joint BPE of "
     "8,000, about 4,096 target tokens a batch. Tokens are real; reading, masks, clipping and the "
     "optimizer are included. The peak is bf16's where the processor multiplies it fast. "
     "MarianMT is Hugging Face's class, trained in plain PyTorch, not the program Marian.",
     training),
    ("Translating", "`benchmarks/translating.py`. Two processes of one thread each, as "
     "CTranslate2's two workers. Without loading, and the whole command. Beam 5 with "
     "search.patience=1, CTranslate2's way to end (the default goes on until nothing open can "
     "win). The trained run is docs/export.md's post-norm one.", translating),
    ("Starting", "`benchmarks/starting.py`: one line through `nmt translate`.", starting),
    ("Quality by minute", "`benchmarks/budget.py`.", budget),
    ("How cost grows", "`benchmarks/growth.py`.", growth),
]  # fmt: skip


def main() -> None:
    RESULTS_DIR.mkdir(parents=True, exist_ok=True)
    write_page(PAGE, HEAD, SECTIONS)
    print(f"{PAGE}, from {RESULTS_DIR}; runs are under {RUNS_DIR}")


if __name__ == "__main__":
    main()
