"""Training curves: loss, scores, learning rate and speed by update and by minute, runs overlaid."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt_cli.plots.figure import MUTED_COLOUR, LineStyle, add_grid, figure_style, line_style, new_figure, save_figure
from nmt_cli.plots.training_log import SCORES, Series, TrainingHistory

AXES = {"updates": "updates", "minutes": "minutes of training"}
TRAINING_LOSS, VALIDATION_LOSS = "training, label-smoothed", "validation"
LOSS_UNIT = "nats/token"
CTC_NOTE = "of a CTC model: summed over all alignments"
MAX_MARKERS = 40  # about, per line
WIDTH_STEP, MARKER_STEP = 0.9, 2.2  # points by which lines and markers are larger than those of the next run above them
MAX_STEPS = 3
SINGLE_POINT_MARKER = "_"  # a piece of line, where a curve of the training has a single point


@dataclass(frozen=True)
class Quantity:
    """A row of panels: the label of its axis, and its curves."""

    label: str
    curves: tuple[str, ...]  # fields of TrainingHistory; results of validations have markers


QUANTITIES = (
    Quantity("loss", ("train_loss", "dev_loss")),
    Quantity("BLEU", ("bleu",)),
    Quantity("chrF", ("chrf",)),
    Quantity("TER", ("ter",)),
    Quantity("learning rate", ("learning_rate",)),
    Quantity("tokens/s", ("speed",)),
)


def available_quantities(histories: Mapping[str, TrainingHistory]) -> list[Quantity]:
    """The quantities for which any run has data."""
    return [
        quantity
        for quantity in QUANTITIES
        if any(getattr(history, curve).values for history in histories.values() for curve in quantity.curves)
    ]


def draw_curves(path: Path, histories: Mapping[str, TrainingHistory]) -> None:
    """Write the figure: a row for each quantity, by update on the left, by minute on the right."""
    rows = available_quantities(histories)
    heights = [1.6 if row.label == "loss" else 1.0 for row in rows]
    with figure_style(list(histories)):
        columns = min(3, len(histories))
        legend_rows = -(-len(histories) // columns)
        figure = new_figure(10.5, 1.2 + 1.75 * sum(heights) + 0.24 * legend_rows, constrained=True)
        panels = figure.subplots(len(rows), len(AXES), sharex="col", sharey="row", squeeze=False, height_ratios=heights)
        for quantity, axes_row in zip(rows, panels, strict=True):
            for axis, axes in zip(AXES, axes_row, strict=True):
                for number, history in enumerate(histories.values()):
                    lines = _draw_quantity(axes, quantity, history, axis, line_style(number))
                    _stack(lines, len(histories) - 1 - number)
                _style_axes(axes, quantity)
            is_loss = quantity.label == "loss"
            axes_row[0].set_ylabel(f"loss ({LOSS_UNIT})" if is_loss else quantity.label)
        for axes, label in zip(panels[-1], AXES.values(), strict=True):
            axes.set_xlabel(label)
            axes.set_xlim(left=0)
        _draw_legend(figure, panels[0][1], histories, columns, with_loss=rows[0].label == "loss")
        save_figure(figure, path, title="training curves")


def _stack(lines: list[Any], runs_above: int) -> None:
    """Make lines and markers larger than those of the runs that are drawn above them, which may coincide with them."""
    steps = min(runs_above, MAX_STEPS)
    for line in lines:
        line.set_linewidth(line.get_linewidth() + WIDTH_STEP * steps)
        line.set_markersize(line.get_markersize() + MARKER_STEP * steps)


def _draw_quantity(axes: Any, quantity: Quantity, history: TrainingHistory, axis: str, style: LineStyle) -> list[Any]:
    lines = []
    for curve in quantity.curves:
        series: Series = getattr(history, curve)
        is_validation = curve in ("dev_loss", *SCORES)
        is_single = not is_validation and len(series.values) == 1
        marker = style.marker if is_validation else SINGLE_POINT_MARKER if is_single else None
        lines += axes.plot(
            series.x_values(axis), series.values, color=style.color, marker=marker,
            linestyle=style.linestyle, markersize=4.5, markevery=-(-len(series.values) // MAX_MARKERS) or 1,
            linewidth=1.0 if is_validation and len(quantity.curves) > 1 else 1.5,
            markeredgecolor=style.color if is_single else "white", markeredgewidth=1.5 if is_single else 0.3,
        )  # fmt: skip
    return lines


def _style_axes(axes: Any, quantity: Quantity) -> None:
    from matplotlib.ticker import EngFormatter

    add_grid(axes, "both")
    axes.tick_params(labelbottom=axes.get_subplotspec().is_last_row())
    if quantity.label in ("learning rate", "tokens/s"):
        axes.set_ylim(bottom=0)
    if quantity.label == "learning rate":
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    if quantity.label == "tokens/s":
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))


def _draw_legend(
    figure: Any, axes: Any, histories: Mapping[str, TrainingHistory], columns: int, *, with_loss: bool
) -> None:
    """A legend of the runs above all panels, and one of training and validation loss between it and `axes`."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **line_style(number)._asdict(), label=name) for number, name in enumerate(histories)]
    figure.legend(handles=handles, loc="outside upper left", ncols=columns, handlelength=3.5)
    if with_loss:
        loss_handles = [
            Line2D([], [], color=MUTED_COLOUR, label=TRAINING_LOSS),
            Line2D([], [], color=MUTED_COLOUR, marker="o", markersize=4.5, label=VALIDATION_LOSS),
        ]
        has_ctc = any(history.is_ctc for history in histories.values())
        legend = axes.legend(
            handles=loss_handles, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0, ncols=2, fontsize=8,
            labelcolor=MUTED_COLOUR, title=CTC_NOTE if has_ctc else None, title_fontsize=8, alignment="right",
        )  # fmt: skip
        legend.get_title().set_color(MUTED_COLOUR)
