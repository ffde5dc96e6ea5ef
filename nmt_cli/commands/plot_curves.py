"""nmt plot curves: how runs went, from their logs, while they train too. Imports no torch."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from nmt_cli.errors import UserError, pluralize
from nmt_cli.plots.chart import COLOURS, Curve, Row, legend_entry, render_chart
from nmt_cli.plots.curves import AXES, CTC_NOTE, LOSS_UNIT, TRAINING_LOSS, VALIDATION_LOSS, available_quantities
from nmt_cli.plots.training_log import NothingLoggedError, TrainingHistory, read_training_history
from nmt_cli.reporting import Reporter, Screen, Span


def read_training_histories(runs: Mapping[str, Path], reporter: Reporter) -> dict[str, TrainingHistory]:
    """The course of each run, by its name; a log with damaged lines, and a run without a loss beside others, are said.

    NothingLoggedError where no run has a loss yet, RunError for what is no run.
    """
    histories: dict[str, TrainingHistory] = {}
    unlogged: list[NothingLoggedError] = []
    for name, path in runs.items():
        try:
            histories[name] = read_training_history(path)
        except NothingLoggedError as error:
            unlogged.append(error)
            continue
        if count := histories[name].damaged_lines:
            reporter.warning(f"{path / 'log.jsonl'}: {pluralize(count, 'damaged line')} left out")
    if not histories:
        raise unlogged[0]
    for unlogged_error in unlogged:
        reporter.warning(f"{unlogged_error}: left out")
    return histories


def curves_text(histories: Mapping[str, TrainingHistory], axis: str, screen: Screen) -> Iterator[Row]:
    """Charts for the terminal, by `updates` or `minutes`; UserError for anything else, or for more
    runs than a terminal can tell apart."""
    if axis not in AXES:
        raise UserError(f"--by {axis}: use {' or '.join(AXES)}")
    if len(histories) > len(COLOURS):
        raise UserError(f"{len(histories)} runs: a terminal can show {len(COLOURS)}; draw them with -o FILE")
    if len(histories) > 1 or not screen.colours:
        for number, name in enumerate(histories):
            yield legend_entry(name, number, screen)
        yield []
    if any(history.is_ctc for history in histories.values()):
        yield [Span(f"loss {CTC_NOTE}")]
        yield []
    quantities = available_quantities(histories)
    all_series = [
        getattr(history, curve)
        for history in histories.values()
        for shown_quantity in quantities
        for curve in shown_quantity.curves
    ]
    x_max = max(x for series in all_series for x in [0.0, *series.x_values(axis)])
    for quantity in quantities:
        curves = [
            Curve(list(zip(series.x_values(axis), series.values, strict=True)), number, points_only=curve_index > 0)
            for number, history in enumerate(histories.values())
            for curve_index, series in enumerate(getattr(history, curve) for curve in quantity.curves)
        ]
        line, points = ("line", "dots") if screen.colours else ("line of marks", "digits")
        title = f"loss in {LOSS_UNIT} ({line}: {TRAINING_LOSS}; {points}: {VALIDATION_LOSS})"
        yield from render_chart(
            title if quantity.label == "loss" else quantity.label, curves, axis, x_max, screen,
            height=11 if quantity.label == "loss" else 7,
        )  # fmt: skip
        yield []
