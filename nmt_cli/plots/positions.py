"""Position encodings as heatmaps, and how alike the vectors of two positions are by distance.

Legend: P positions, D dimensions.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt_cli.plots.figure import FAINT, drawing, grid_lines, look, new_figure, write

Table = NDArray[np.float32]
ABREAST = 4


def draw_positions(path: Path, tables: Mapping[str, Table], title: str) -> None:
    """Write the figure: a heatmap [P, D] for each table, and below them the curves of all."""
    with drawing([title, *tables]):
        columns = min(ABREAST, len(tables))
        lines = -(-len(tables) // columns)
        figure = new_figure(max(7.0, 3.4 * columns), 3.3 * lines + 3.6, constrained=True)
        upper, lower = figure.subfigures(2, 1, height_ratios=(3.3 * lines, 3.3))
        panels = upper.subplots(lines, columns, squeeze=False)
        for axes in panels.flat[len(tables) :]:
            axes.set_axis_off()
        for axes, (name, table) in zip(panels.flat, tables.items(), strict=False):
            _draw_table(upper, axes, name, table)
        _draw_products(lower.subplots(), tables)
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
        write(figure, path, title=title)


def products(table: Table) -> tuple[Table, Table, Table]:
    """Mean, least and largest dot product of two vectors of [P, D] by their distance, each [P].

    Divided by the mean squared length of the vectors, so that distance 0 has a mean of 1.
    """
    wide = table.astype(np.float64)
    every = wide @ wide.T
    every /= max(float(np.trace(every)) / len(every), 1e-30)
    found = [np.diagonal(every, distance) for distance in range(len(every))]
    kinds = [np.array([one(row) for row in found]) for one in (np.mean, np.min, np.max)]
    mean, least, largest = (one.astype(np.float32) for one in kinds)
    return mean, least, largest


def _draw_table(figure: Any, axes: Any, name: str, table: Table) -> None:
    """Positions down, dimensions across; blue below zero and red above."""
    most = float(np.percentile(np.abs(table), 99.5)) or 1.0
    image = axes.imshow(
        table, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto", interpolation="none"
    )
    axes.set_title(name, fontsize=10)
    axes.set_xlabel("dimension")
    axes.set_ylabel("position")
    bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=30)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, labelcolor=FAINT, length=2)


def _draw_products(axes: Any, tables: Mapping[str, Table]) -> None:
    for number, (name, table) in enumerate(tables.items()):
        mean, least, largest = products(table)
        style = look(number)
        distance = np.arange(len(mean))
        dashes = ("-", "--", ":", "-.")[number % 4]  # two curves may lie on each other
        axes.plot(distance, mean, color=style.color, linestyle=dashes, label=name)
        if float((largest - least).max()) > 1e-3:
            axes.fill_between(distance, least, largest, color=style.color, alpha=0.15, linewidth=0)
    axes.axhline(0, color=FAINT, linewidth=0.8)
    axes.set_title("dot product of two positions by their distance", fontsize=10)
    axes.set_xlabel("distance (mean over all pairs; shaded: least to largest)")
    axes.set_ylabel("relative to distance 0")
    axes.set_xlim(left=0)
    grid_lines(axes)
    axes.legend(loc="upper right", ncols=min(2, len(tables)))
