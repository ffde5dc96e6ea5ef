"""Position encodings as heatmaps, and the dot products of two positions by their distance.

Shapes: P positions, D dimensions.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt_cli.plots.figure import LINE_STYLES, MUTED_COLOUR, add_grid, figure_style, line_style, new_figure, save_figure

PositionTable = NDArray[np.float32]
MAX_PANELS_PER_ROW = 4


def draw_positions(path: Path, tables: Mapping[str, PositionTable], title: str) -> None:
    """Write the figure: a heatmap [P, D] for each table, and the dot products of all tables below."""
    with figure_style([title, *tables]):
        columns = min(MAX_PANELS_PER_ROW, len(tables))
        grid_rows = -(-len(tables) // columns)
        figure = new_figure(max(7.0, 3.4 * columns), 3.3 * grid_rows + 3.6, constrained=True)
        upper, lower = figure.subfigures(2, 1, height_ratios=(3.3 * grid_rows, 3.3))
        panels = upper.subplots(grid_rows, columns, squeeze=False)
        for axes in panels.flat[len(tables) :]:
            axes.set_axis_off()
        for axes, (name, table) in zip(panels.flat, tables.items(), strict=False):
            _draw_table(upper, axes, name, table)
        _draw_dot_products(lower.subplots(), tables)
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
        save_figure(figure, path, title=title)


def dot_products_by_distance(table: PositionTable) -> tuple[PositionTable, PositionTable, PositionTable]:
    """Mean, minimum and maximum [P] of the dot products of two vectors of [P, D], by the distance of their positions.

    They are divided by the mean squared norm of the vectors, so that the mean at distance 0 is 1.
    """
    vectors = table.astype(np.float64)
    gram_matrix = vectors @ vectors.T
    gram_matrix /= max(float(np.trace(gram_matrix)) / len(gram_matrix), 1e-30)
    diagonals = [np.diagonal(gram_matrix, distance) for distance in range(len(gram_matrix))]
    statistics = [np.array([reduction(row) for row in diagonals]) for reduction in (np.mean, np.min, np.max)]
    mean, minimum, maximum = (statistic.astype(np.float32) for statistic in statistics)
    return mean, minimum, maximum


def _draw_table(figure: Any, axes: Any, name: str, table: PositionTable) -> None:
    """Draw a table, positions down and dimensions across, blue below zero and red above."""
    colour_limit = float(np.percentile(np.abs(table), 99.5)) or 1.0
    image = axes.imshow(
        table, cmap="RdBu_r", vmin=-colour_limit, vmax=colour_limit, aspect="auto", interpolation="none"
    )
    axes.set_title(name, fontsize=10)
    axes.set_xlabel("dimension")
    axes.set_ylabel("position")
    bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=30)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, labelcolor=MUTED_COLOUR, length=2)


def _draw_dot_products(axes: Any, tables: Mapping[str, PositionTable]) -> None:
    is_shaded = False
    for number, (name, table) in enumerate(tables.items()):
        mean, minimum, maximum = dot_products_by_distance(table)
        style = line_style(number)
        distance = np.arange(len(mean))
        dashes = LINE_STYLES[number % len(LINE_STYLES)]  # two curves may coincide
        axes.plot(distance, mean, color=style.color, linestyle=dashes, label=name)
        if float((maximum - minimum).max()) > 1e-3:
            is_shaded = True
            axes.fill_between(distance, minimum, maximum, color=style.color, alpha=0.15, linewidth=0)
    axes.axhline(0, color=MUTED_COLOUR, linewidth=0.8)
    axes.set_title("dot product of two positions by their distance", fontsize=10)
    note = "mean over all pairs" + ("; shaded: minimum to maximum" if is_shaded else "")
    axes.set_xlabel(f"distance ({note})")
    axes.set_ylabel("relative to distance 0")
    axes.set_xlim(left=0)
    add_grid(axes)
    axes.legend(loc="upper right", ncols=min(2, len(tables)))
