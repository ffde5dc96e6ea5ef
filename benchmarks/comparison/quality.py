"""The table of all systems: how well each translates, and how fast it is."""

from typing import Any

from pages import NOT_MEASURED, table
from plan import ROWS, SYSTEMS
from telling import figures, machines, result, span

SITTING = 45  # minutes of training


def rows() -> str:
    speed = result("speed") or {"rows": {}}
    table_rows = []
    for key, label in SYSTEMS.items():
        run_result, fast = result(key), speed["rows"].get(key)
        start = [f"`{ROWS[key].recipe}`", label]
        if run_result is None:
            table_rows.append([*start, *[""] * 5, "not measured", ""])
            continue
        rates = [""] * 3
        if fast is not None:
            minutes = run_result["updates"] * fast["seconds_per_update"] / 60
            rates = [
                f"{fast['tokens_per_second']:,.0f}", f"{minutes:.0f}",
                f"{fast['sentences_per_second']:,.0f}",
            ]  # fmt: skip
        bleu, chrf = (run_result["test"][name]["score"] for name in ("bleu", "chrf"))
        size = f"{run_result['parameters'] / 1e6:.1f} M"
        updates = f"{run_result['updates']:,}"
        table_rows.append([*start, size, updates, *rates, f"**{bleu:.2f}**", f"{chrf:.2f}"])
    header = ["recipe", "system", "parameters", "updates", "tokens/s", "minutes"]
    header += ["sentences/s", "BLEU", "chrF"]
    return table(header, table_rows) + "\n" + steps() + in_time(speed) + signatures(speed) + curves()


def steps() -> str:
    """What each step of the line was worth."""
    bleu = {name: run_result["test"]["bleu"]["score"] for name in SYSTEMS if (run_result := result(name))}
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


def in_time(speed: dict[str, Any]) -> str:
    """What the rows that take longer than `SITTING` had reached by then."""
    reached = []
    for name, fast in speed["rows"].items():
        run_result = result(name)
        checks = run_result["validations"] if run_result else []
        bleu = {check["update"]: check["scores"]["bleu"] for check in checks}
        early = [update for update in bleu if update * fast["seconds_per_update"] <= 60 * SITTING]
        if early and len(early) < len(bleu):
            best = max(bleu[update] for update in early)
            reached.append(f"{name} {best:.2f} of {max(bleu.values()):.2f}")
    if not reached:
        return ""
    return (
        f"Of the rows that take more than {SITTING} minutes here, greedy BLEU on the development "
        f"text by then, of what it is at the end: {', '.join(reached)}.\n\n"
    )


def signatures(speed: dict[str, Any]) -> str:
    """How the scores were computed and on what machine the rows were made."""
    present = [run_result for run_result in map(result, SYSTEMS) if run_result is not None]
    if not present:
        return NOT_MEASURED
    marks = {score["signature"] for run_result in present for score in run_result["test"].values()}
    made = span(run_result["date"] for run_result in present)
    where = "not measured"
    if "processor" in speed:
        where = f"`speed.py` on two cores of {speed['processor']}, PyTorch {speed['torch']}, "
        where += span(row["date"] for row in speed["rows"].values())
    return (
        f"Signatures: {', '.join(f'`{mark}`' for mark in sorted(marks))}. Trained by "
        "`nmt train RECIPE` on: "
        f"{machines(present)}, {made}. "
        f"Speeds, {where}: tokens/s are target tokens in training, "
        "minutes what the updates take at that rate, validations not counted; sentences/s "
        "those of `nmt translate` with beam 5, start not counted.\n"
    )


def curves() -> str:
    drawn = figures("curves")
    note = (
        "\nMinutes and tokens/s of this picture are those of the runs as they were made, beside "
        "each other and other work; the table's are measured alone.\n"
    )
    return drawn + note if drawn else ""
