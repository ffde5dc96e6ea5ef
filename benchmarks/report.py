"""Fill the tables of docs/benchmarks.md and draw its figures from docs/benchmarks/*.json.

python -m benchmarks.report
"""

from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.pages import fill_tables, markdown_table
from benchmarks.workloads import RESULTS_DIR, ROOT, load_result
from nmt_cli.plots.figure import add_grid, figure_style, line_style, new_figure, save_figure

PAGE = ROOT / "docs/benchmarks.md"
TRANSLATION_WORKLOADS = {"run": "trained run", "w1": "W1, 15 tokens", "w2": "W2, 20 tokens"}
BUDGET_MINUTES = (5, 10, 20, 40)
GROWTH_PANELS = {
    "training, target tokens/s by length": ("length w1", "length w3"),
    "training, target tokens/s by batch size in tokens": ("batch w1", "batch w3"),
    "training, target tokens/s by vocabulary size": ("vocabulary",),
    "translation, target tokens/s by beam size": ("beam",),
    "ms per decoding step by output length": ("written",),
}
MODEL_NAMES = {"w1": "Transformer (W1)", "w3": "RNN (W3)"}


def tables() -> dict[str, str]:
    """Every table of the page by name."""
    translations = {
        f"{label}, beam {beam_size}": f"translating-{name}-{beam_size}"
        for name, label in TRANSLATION_WORKLOADS.items()
        for beam_size in (1, 5)
    }
    return {
        "training": training_table(),
        "training-origin": origin_table({name.upper(): f"training-{name}" for name in ("w1", "w2", "w3")}),
        "translation": translation_table(),
        "translation-origin": origin_table(translations),
        "translation-text": text_table(),
        "translation-text-origin": origin_table(
            {f"beam {beam_size}": f"translating-text-{beam_size}" for beam_size in (1, 5)}
        ),
        "startup": startup_table(),
        "startup-origin": origin_table({"all": "starting"}),
        "budget": budget_table(),
        "budget-end": budget_end_table(),
        "budget-origin": origin_table({"nmt": "budget"}),
        "growth": growth_table(),
        "growth-origin": origin_table({"all": "growth-cpu"}),
    }


def origin_table(result_names: dict[str, str]) -> str:
    """The command, date and machine of each result, by what the result is called on the page."""
    rows = []
    for label, name in result_names.items():
        if (result := load_result(name)) is None:
            continue
        machine = result["machine"]
        peaks = {dtype: machine[f"peak_{dtype}"] / 1e9 for dtype in ("fp32", "bf16") if f"peak_{dtype}" in machine}
        rows.append(
            [
                label, f"`{result['command']}`", result["date"], f"{machine['processor']}, {machine['cores']} cores",
                machine["torch"], machine["python"], ", ".join(f"{dtype} {peak:,.0f}" for dtype, peak in peaks.items()),
                result.get("note", ""),
            ]
        )  # fmt: skip
    header = ["rows", "command", "date", "machine", "PyTorch", "Python", "peak, GFLOP/s", "note"]
    return markdown_table(header, rows)


def median_of(runs: list[dict[str, Any]], key: str) -> float:
    return float(median(run[key] for run in runs))


def training_table() -> str:
    rows = []
    for name in ("w1", "w2", "w3"):
        if (result := load_result(f"training-{name}")) is None:
            continue
        peak = result["machine"].get("peak_bf16", result["machine"]["peak_fp32"])
        speeds = {system: median_of(runs, "median") for system, runs in result["runs"].items()}
        for system, runs in result["runs"].items():
            slowest, fastest = min(run["least"] for run in runs), max(run["most"] for run in runs)
            rows.append(
                [
                    name.upper(), system, f"{speeds[system]:,.0f} ({slowest:,.0f} to {fastest:,.0f})",
                    "" if system == "nmt" else f"{speeds['nmt'] / speeds[system]:.2f}",
                    f"{speeds[system] * result['operations_per_token'] / peak:.0%}",
                    f"{median_of(runs, 'memory') / 2**30:.1f} GiB",
                ]
            )  # fmt: skip
    header = ["workload", "system", "target tokens/s (range)", "speed-up of nmt", "share of peak", "memory"]
    return markdown_table(header, rows)


def translation_table() -> str:
    rows = []
    for name, label in TRANSLATION_WORKLOADS.items():
        for beam_size in (1, 5):
            if (result := load_result(f"translating-{name}-{beam_size}")) is None:
                continue
            ctranslate2_speed = median_of(result["runs"]["CTranslate2 int8"], "sentences_per_second")
            for system, runs in result["runs"].items():
                speed = median_of(runs, "sentences_per_second")
                rows.append(
                    [
                        label, str(beam_size), system, f"{speed:,.0f}", f"{speed / ctranslate2_speed:.2f}",
                        f"{median_of(runs, 'whole_command'):,.0f}", f"{median_of(runs, 'memory') / 2**20:,.0f} MiB",
                        f"{runs[0]['bleu']:.2f} / {runs[0]['chrf']:.2f}" if "bleu" in runs[0] else "",
                    ]
                )  # fmt: skip
    header = ["workload", "beam", "system", "sentences/s", "relative to CTranslate2 int8"]
    header += ["sentences/s, loading included", "memory", "BLEU / chrF"]
    return markdown_table(header, rows)


def text_table() -> str:
    """Real text, each system beside CTranslate2's API with the same precision."""
    rows = []
    for beam_size in (1, 5):
        if (result := load_result(f"translating-text-{beam_size}")) is None:
            continue
        for system, runs in result["runs"].items():
            weight_type = result["as_typed"] if system == "nmt as typed" else system.split()[-1]
            peer = result["runs"][f"CTranslate2's API {weight_type}"]
            cells = [str(beam_size), f"{system} ({weight_type})" if system == "nmt as typed" else system]
            for key in ("sentences_per_second", "whole_command"):
                speed = median_of(runs, key)
                cells += [f"{speed:,.0f}", f"{speed / median_of(peer, key):.2f}"]
            rows.append([*cells, f"{median_of(runs, 'memory') / 2**20:,.0f} MiB"])
    header = ["beam", "system", "sentences/s", "relative to the API", "with loading", "relative to the API", "memory"]
    return markdown_table(header, rows)


def startup_table() -> str:
    result = load_result("starting") or {"runs": {}}
    rows = [
        [f"`{command}`", f"{median_of(runs, 'seconds'):.2f} s", f"{median_of(runs, 'memory') / 2**20:,.0f} MiB"]
        for command, runs in result["runs"].items()
    ]
    return markdown_table(["command", "median time", "memory"], rows)


def budget_table() -> str:
    """The validation nearest to each of a few minutes, unless it is more than a tenth away."""
    result = load_result("budget") or {"course": []}
    rows = []
    for limit in BUDGET_MINUTES if result["course"] else ():
        minutes, update, bleu = min(result["course"], key=lambda validation: abs(float(validation[0]) - limit))
        if abs(minutes - limit) <= 0.1 * limit:
            rows.append([str(limit), f"{minutes:.1f}", f"{update:,}", f"{bleu:.2f}"])
    return markdown_table(["minutes", "validated after", "updates", "BLEU, greedy, development text"], rows)


def budget_end_table() -> str:
    results = {"nmt": load_result("budget"), "JoeyNMT 2.3.0, W1": load_result("budget-joeynmt")}
    rows = [
        [
            system, f"{result['minutes']:.0f}", f"{result['test']['bleu']['score']:.4g}",
            f"`{result['test']['bleu']['signature']}`" if "signature" in result["test"]["bleu"] else "",
        ]
        for system, result in results.items()
        if result and "test" in result
    ]  # fmt: skip
    return markdown_table(["system", "minutes", "BLEU, beam 5, test_2016_flickr", "signature"], rows)


def growth_table() -> str:
    """Time per decoding step by output length."""
    result = load_result("growth-cpu") or {"written": {}}
    seconds = {int(length): step for length, step in result["written"].items()}
    rows = [
        ["ms per step", *(f"{1000 * step:.1f}" for step in seconds.values())],
        ["relative to 32 tokens", *(f"{step / seconds[32]:.2f}" for step in seconds.values())],
    ]
    return markdown_table(["output length in tokens", *map(str, seconds)], rows if seconds else [])


def draw_growth(path: Path) -> None:
    """Speed by length, batch, vocabulary and beam, and time per step by output length."""
    result = load_result("growth-cpu")
    if result is None:
        return
    with figure_style():
        figure = new_figure(11, 6, constrained=True)
        for index, (title, keys) in enumerate(GROWTH_PANELS.items()):
            axes = figure.add_subplot(2, 3, index + 1)
            for key in keys:
                scale = 1000 if key == "written" else 1
                points = {int(x): scale * y for x, y in result[key].items()}
                style = line_style(1 if "w3" in key else 0)._asdict()
                label = MODEL_NAMES.get(key.split()[-1], MODEL_NAMES["w1"])
                axes.plot(list(points), list(points.values()), label=label, **style)
            axes.set_title(title, fontsize=9)
            axes.set_xscale("log", base=2)
            axes.set_xticks(list(points), [f"{x:,}" for x in points], fontsize=8)
            axes.set_ylim(bottom=0)
            add_grid(axes)
            if index == 0:
                axes.legend(fontsize=8)
        save_figure(figure, path, title="How cost grows")


def draw_budget(path: Path) -> None:
    """Development BLEU by minute of training."""
    result, peer = load_result("budget"), load_result("budget-joeynmt")
    if result is None or peer is None:
        return
    with figure_style():
        figure = new_figure(7, 4, constrained=True)
        axes = figure.add_subplot()
        curves = {f"nmt, {result['recipe']}": result, "JoeyNMT 2.3.0, W1": peer}
        for index, (label, curve) in enumerate(curves.items()):
            minutes, _, bleu = zip(*curve["course"], strict=True)
            axes.plot(minutes, bleu, label=label, **line_style(index)._asdict())
        axes.set_xlabel("minutes of training on two cores, validations included")
        axes.set_ylabel("BLEU of the development text, greedy")
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        add_grid(axes)
        axes.legend()
        save_figure(figure, path, title="BLEU by minute")


def main() -> None:
    draw_growth(RESULTS_DIR / "growth.svg")
    draw_budget(RESULTS_DIR / "budget.svg")
    PAGE.write_text(fill_tables(PAGE.read_text(encoding="utf-8"), tables()), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
