"""How runs went: loss, BLEU, learning rate and speed, by update and by minute, runs overlaid."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt_cli.plots.figure import FAINT, Look, drawing, grid_lines, look, new_figure, write
from nmt_cli.plots.training_log import Course, Series

AXES = {"updates": "updates", "minutes": "minutes of training"}
FEW = 40  # markers of a line, about


@dataclass(frozen=True)
class Quantity:
    """One row of panels: what is drawn in it, and how its axis is called."""

    label: str
    curves: tuple[str, ...]  # fields of Course; what validations found has markers


QUANTITIES = (
    Quantity("loss", ("train_loss", "dev_loss")),
    Quantity("BLEU", ("bleu",)),
    Quantity("learning rate", ("learning_rate",)),
    Quantity("tokens/s", ("speed",)),
)


def present(courses: Mapping[str, Course]) -> list[Quantity]:
    """The quantities of which any run has a point."""
    return [
        one
        for one in QUANTITIES
        if any(getattr(course, curve).values for course in courses.values() for curve in one.curves)
    ]


def draw_curves(path: Path, courses: Mapping[str, Course]) -> None:
    """Write the figure: a row for each quantity, by update at the left, by minute at the right."""
    rows = present(courses)
    heights = [1.6 if one.label == "loss" else 1.0 for one in rows]
    with drawing(list(courses)):
        columns = min(3, len(courses))
        legend = -(-len(courses) // columns)
        figure = new_figure(10.5, 1.0 + 1.75 * sum(heights) + 0.24 * legend, constrained=True)
        panels = figure.subplots(
            len(rows), len(AXES), sharex="col", sharey="row", squeeze=False, height_ratios=heights
        )
        for quantity, line in zip(rows, panels, strict=True):
            for axis, axes in zip(AXES, line, strict=True):
                for number, course in enumerate(courses.values()):
                    _draw(axes, quantity, course, axis, look(number))
                _finish(axes, quantity)
            line[0].set_ylabel(quantity.label)
        for axes, label in zip(panels[-1], AXES.values(), strict=True):
            axes.set_xlabel(label)
            axes.set_xlim(left=0)
        _key(figure, panels[0][1], courses, columns, with_loss=rows[0].label == "loss")
        write(figure, path, title="training curves")


def _draw(axes: Any, quantity: Quantity, course: Course, axis: str, style: Look) -> None:
    for curve in quantity.curves:
        series: Series = getattr(course, curve)
        validated = curve in ("dev_loss", "bleu")
        marker = style.marker if validated or len(series.values) == 1 else None
        axes.plot(
            series.along(axis), series.values, color=style.color, marker=marker,
            linestyle=style.linestyle, markersize=4.5, markevery=-(-len(series.values) // FEW) or 1,
            linewidth=1.0 if validated and len(quantity.curves) > 1 else 1.5,
            markeredgecolor="white", markeredgewidth=0.5,
        )  # fmt: skip


def _finish(axes: Any, quantity: Quantity) -> None:
    from matplotlib.ticker import EngFormatter

    grid_lines(axes, "both")
    axes.tick_params(labelbottom=axes.get_subplotspec().is_last_row())
    if quantity.label in ("learning rate", "tokens/s"):
        axes.set_ylim(bottom=0)
    if quantity.label == "learning rate":
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    if quantity.label == "tokens/s":
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))


def _key(
    figure: Any, axes: Any, courses: Mapping[str, Course], columns: int, *, with_loss: bool
) -> None:
    """Which line is which run, above all panels; which is training and which validation."""
    from matplotlib.lines import Line2D

    handles = []
    for number, name in enumerate(courses):
        handles.append(Line2D([], [], **look(number)._asdict(), label=name))
    figure.legend(handles=handles, loc="outside upper left", ncols=columns)
    if with_loss:
        kinds = [
            Line2D([], [], color=FAINT, label="training, label-smoothed"),
            Line2D([], [], color=FAINT, marker="o", markersize=4.5, label="validation"),
        ]
        axes.legend(handles=kinds, loc="upper right", fontsize=8, labelcolor=FAINT)
