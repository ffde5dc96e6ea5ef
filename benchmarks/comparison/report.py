"""Fill the tables of docs/comparison.md and draw its figures from docs/comparison/results/*.json.

python -m benchmarks.comparison.report
"""

import json
from collections.abc import Iterable
from statistics import median
from typing import Any

from benchmarks.comparison.experiment import RESULTS
from benchmarks.comparison.figures import draw_parallelism, draw_scaling
from benchmarks.comparison.plan import BOTTLENECK, POSITIONS, ROWS, SYSTEMS
from benchmarks.pages import date_range, fill_tables, markdown_table
from benchmarks.workloads import ROOT

PAGE = ROOT / "docs/comparison.md"
FIGURES = ROOT / "docs/comparison"
GROWTH = ROOT / "docs/benchmarks/growth-cpu.json"
MIN_SENTENCES = 50  # of a length bucket whose score is compared with that of the shortest sentences
BUDGET_MINUTES = 45


def tables() -> dict[str, str]:
    """Every table of the page by name."""
    return {
        "systems": systems_table(),
        "steps": steps_table(),
        "budget": budget_table(),
        "signatures": signatures_table(),
        "origin": origin_table(),
        "bottleneck": length_table("bottleneck", BOTTLENECK),
        "bottleneck-runs": runs_table("joined", BOTTLENECK),
        "parallelism": parallelism_table(),
        "scaling": scaling_table(),
        "scaling-origin": scaling_origin_table(),
        "positions": length_table("positions", POSITIONS),
        "positions-runs": runs_table("positions", POSITIONS),
    }


def load_result(name: str) -> Any:
    """A result by name, None where it has not been measured."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def load_results(names: Iterable[str]) -> dict[str, Any]:
    """Those results that have been measured."""
    results = {name: load_result(name) for name in names}
    return {name: result for name, result in results.items() if result is not None}


def machines(results: Iterable[dict[str, Any]]) -> str:
    """The machines that runs were trained on."""
    descriptions = {
        f"{result['processor']}, {result['hardware']}, PyTorch {result['versions']['torch']}" for result in results
    }
    return "; ".join(sorted(descriptions))


def systems_table() -> str:
    """Size, speed and quality of every system."""
    results, speeds = load_results(SYSTEMS), (load_result("speed") or {"rows": {}})["rows"]
    rows = []
    for name, description in SYSTEMS.items():
        result, speed = results.get(name), speeds.get(name)
        row = [f"`{ROWS[name].recipe}`", description]
        if result is None:
            rows.append([*row, *[""] * 5, "not measured", ""])
            continue
        row += [f"{result['parameters'] / 1e6:.1f} M", f"{result['updates']:,}"]
        if speed is None:
            row += [""] * 3
        else:
            minutes = result["updates"] * speed["seconds_per_update"] / 60
            row += [f"{speed['tokens_per_second']:,.0f}", f"{minutes:.0f}", f"{speed['sentences_per_second']:,.0f}"]
        bleu, chrf = (result["test"][metric]["score"] for metric in ("bleu", "chrf"))
        rows.append([*row, f"**{bleu:.2f}**", f"{chrf:.2f}"])
    header = ["recipe", "system", "parameters", "updates", "tokens/s", "minutes", "sentences/s", "BLEU", "chrF"]
    return markdown_table(header, rows)


def steps_table() -> str:
    """What attention and what the Transformer gained."""
    bleu = {name: result["test"]["bleu"]["score"] for name, result in load_results(SYSTEMS).items()}
    with_attention = [name for name in ("additive", "dot", "general") if name in bleu]
    rows = []
    if with_attention and {"none", "transformer"} <= set(bleu):
        best = max(with_attention, key=lambda name: bleu[name])
        for before, after in (("none", best), (best, "transformer")):
            gain = f"{bleu[after] - bleu[before]:+.1f}"
            rows.append([f"{before} to {after}", f"{bleu[before]:.2f}", f"{bleu[after]:.2f}", gain])
    return markdown_table(["step", "BLEU before", "BLEU after", "gain"], rows)


def budget_table() -> str:
    """Development BLEU after a fixed time of those systems whose recipe takes longer."""
    speeds = (load_result("speed") or {"rows": {}})["rows"]
    rows = []
    for name, result in load_results(speeds).items():
        bleu = {validation["update"]: validation["scores"]["bleu"] for validation in result["validations"]}
        seconds_per_update = speeds[name]["seconds_per_update"]
        in_time = [update for update in bleu if update * seconds_per_update <= 60 * BUDGET_MINUTES]
        if in_time and len(in_time) < len(bleu):
            best_in_time = max(bleu[update] for update in in_time)
            rows.append([name, f"{best_in_time:.2f}", f"{max(bleu.values()):.2f}"])
    return markdown_table(["system", f"BLEU after {BUDGET_MINUTES} minutes", "at the end"], rows)


def signatures_table() -> str:
    """The sacreBLEU signature of each metric."""
    scores = [score for result in load_results(SYSTEMS).values() for score in result["test"].items()]
    signatures = dict.fromkeys((metric, score["signature"]) for metric, score in scores)
    return markdown_table(["metric", "signature"], [[metric, f"`{signature}`"] for metric, signature in signatures])


def origin_table() -> str:
    """When and where scores and speeds were measured."""
    rows = []
    if results := load_results(SYSTEMS).values():
        dates = date_range(result["date"] for result in results)
        rows.append(["training and scores", "`nmt train RECIPE`", dates, machines(results)])
    if speed := load_result("speed"):
        dates = date_range(row["date"] for row in speed["rows"].values())
        machine = f"{speed['processor']}, two cores, PyTorch {speed['torch']}"
        rows.append(["tokens/s, minutes, sentences/s", "`python -m benchmarks.comparison.speed`", dates, machine])
    return markdown_table(["columns", "command", "date", "machine"], rows)


def length_table(label: str, names: Iterable[str]) -> str:
    """BLEU by source length, and the change from the shortest to the longest well-filled bucket."""
    result = load_result(f"lengths-{label}")
    if result is None:
        return markdown_table([], [])
    buckets = result["buckets"]
    labels = [f"{b['first']}–{b['last']}" if b["last"] else f"{b['first']} or more" for b in buckets]
    filled = [index for index, bucket in enumerate(buckets) if bucket["sentences"] >= MIN_SENTENCES]
    first, last = (filled[0], filled[-1]) if filled else (0, 0)
    rows = []
    for name in names:
        scores = [bucket["score"] for bucket in result["systems"][name]["buckets"]]
        rows.append([name, *(f"{score:.1f}" for score in scores), f"{scores[last] - scores[first]:+.1f}"])
    rows.append(["sentences", *(str(bucket["sentences"]) for bucket in buckets), ""])
    return markdown_table(["words", *labels, f"{labels[first]} to {labels[last]}"], rows)


def runs_table(stage: str, names: Iterable[str]) -> str:
    """BLEU and training of each run of a stage of benchmarks/comparison/run.py."""
    rows = []
    for name in names:
        if (result := load_result(f"{stage}-{name}")) is not None:
            bleu, minutes = f"{result['test']['bleu']['score']:.2f}", f"{result['minutes']:.0f}"
            rows.append([name, bleu, str(result["updates"]), minutes, result["date"], machines([result])])
    return markdown_table(["system", "BLEU", "updates", "minutes", "date", "machine"], rows)


def training_rates() -> dict[str, dict[str, float]]:
    """Target tokens per second by length, of a Transformer and an RNN; empty where not measured."""
    if not GROWTH.exists():
        return {}
    growth = json.loads(GROWTH.read_text(encoding="utf-8"))
    return {"Transformer 4+4, d_model 256": growth["length w1"], "RNN, GRU 512": growth["length w3"]}


def parallelism_table() -> str:
    """Training speed by length, and how much of it is left at the largest length."""
    rows, lengths = [], ["0"]
    for system, rates in training_rates().items():
        lengths = list(rates)
        rate_left = rates[lengths[-1]] / rates[lengths[0]]
        rows.append([system, *(f"{rate:,.0f}" for rate in rates.values()), f"{rate_left:.0%}"])
    return markdown_table(["positions", *lengths, f"{lengths[-1]} relative to {lengths[0]}"], rows)


def scaling_table() -> str:
    """Attention before and after training, with and without the scaling factor."""
    rows = []
    for key, result in (load_result("scaling") or {}).items():
        width, kind = key.split()
        trained = result["trained"]
        rows.append(
            [
                width, kind, f"{result['entropy']:.2f}", f"{result['jacobian']:.3f}", f"{trained['entropy']:.2f}",
                f"{trained['training_loss']:.3f}", f"{trained['dev_loss']:.3f}",
            ]
        )  # fmt: skip
    header = ["d_k", "dot product", "initial entropy", "initial Jacobian norm", "entropy after training"]
    return markdown_table([*header, "training loss", "development loss"], rows)


def scaling_origin_table() -> str:
    """When and where the runs of the scaling factor were trained."""
    trained = [result["trained"] for result in (load_result("scaling") or {}).values()]
    rows = []
    if trained:
        dates = date_range(result["date"] for result in trained)
        minutes = median(result["minutes"] for result in trained)
        rows.append(["`python -m benchmarks.comparison.scaling`", dates, f"{minutes:.0f}", machines(trained)])
    return markdown_table(["command", "date", "minutes per run (median)", "machine"], rows)


def main() -> None:
    if rates := training_rates():
        draw_parallelism(FIGURES / "parallelism.svg", rates)
    if (scaling := load_result("scaling")) is not None:
        draw_scaling(FIGURES / "scaling.svg", scaling)
    PAGE.write_text(fill_tables(PAGE.read_text(encoding="utf-8"), tables()), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
