"""Attention weights as heatmaps, source across and target down: one, or a grid by layer and head."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nmt_cli.plots.attention import Panel
from nmt_cli.plots.figure import MUTED_COLOUR, TEXT_COLOUR, figure_style, new_figure, save_figure
from nmt_cli.plots.fonts import escape_controls, truncate

COLOUR_MAP = "Blues"  # one hue from light to dark: readable in print and without colour vision
CELL_BORDER_COLOUR = "#dfe6ee"
MAX_LABEL_CHARACTERS = 28
MAX_PANELS_PER_ROW = 4
COLOURBAR_WIDTH_INCHES = 0.12
PANEL_GAP_INCHES = 0.14  # between the heatmaps of a grid


def draw_attention(
    path: Path,
    source: Sequence[str],
    target: Sequence[str],
    rows: list[list[Panel]],
    title: str,
    weight_label: str = "attention weight",
) -> None:
    """Write the heatmaps of one sentence: panels [T, S] with cells of one size, and a bar that says what they are.

    Only the outer panels have labels. Colours stand for weights from 0 to 1 in every picture. The heads of one layer,
    or the layers of one head, are wrapped after four.
    """
    column_labels, row_labels = (
        [truncate(escape_controls(label), MAX_LABEL_CHARACTERS) for label in labels] for labels in (source, target)
    )
    single, rows = len(rows) == len(rows[0]) == 1, _wrap_panels(rows)
    cell_size = _cell_size(len(column_labels), len(row_labels), single)
    with figure_style([*column_labels, *row_labels, title]):
        panel_size = cell_size * len(column_labels), cell_size * len(row_labels)
        figure = _panel_figure(rows, panel_size)
        panels = [panel for row in rows for panel in row]
        for axes, panel in zip(figure.axes, panels, strict=True):
            image = axes.imshow(panel.weights, cmap=COLOUR_MAP, vmin=0, vmax=1, aspect="auto", interpolation="none")
            _draw_cell_borders(axes, panel.weights.shape, cell_size)
        _draw_labels(figure.axes, rows, column_labels, row_labels, cell_size)
        _draw_colourbar(figure, image, panel_size, weight_label)
        heading = f"{title} · {rows[0][0].title}" if single and rows[0][0].title else title
        figure.axes[0].set_title(heading, pad=10)  # matplotlib places it above the labels
        save_figure(figure, path, title=heading)


def _wrap_panels(rows: list[list[Panel]]) -> list[list[Panel]]:
    """Wrap a single row or column of panels into rows of four, each panel with its full title."""
    if len(rows) > 1 and len(rows[0]) > 1:
        return rows
    panels = [Panel("", panel.title, panel.weights) for row in rows for panel in row]
    return [panels[start : start + MAX_PANELS_PER_ROW] for start in range(0, len(panels), MAX_PANELS_PER_ROW)]


def _cell_size(columns: int, rows: int, single: bool) -> float:
    """The side of a cell in inches: smaller for longer sentences, but large enough for its label."""
    max_panel_size = 7.5 if single else 2.4
    max_size, min_size = (0.32, 0.16) if single else (0.15, 0.095)
    return min(max_size, max(min_size, max_panel_size / max(columns, rows)))


def _panel_figure(rows: list[list[Panel]], panel_size: tuple[float, float]) -> Any:
    """A figure with axes for each panel, of `panel_size` inches."""
    panel_width, panel_height = panel_size
    width = len(rows[0]) * (panel_width + PANEL_GAP_INCHES)
    bottom_gap = PANEL_GAP_INCHES if rows[0][0].layer else 2.5 * PANEL_GAP_INCHES  # room for a name under each
    height = len(rows) * (panel_height + bottom_gap)
    figure = new_figure(width, height)
    for number, row in enumerate(rows, 1):
        for column in range(len(row)):
            left = column * (panel_width + PANEL_GAP_INCHES)
            bottom = height - number * (panel_height + bottom_gap) + bottom_gap
            figure.add_axes((left / width, bottom / height, panel_width / width, panel_height / height))
    return figure


def _draw_cell_borders(axes: Any, shape: tuple[int, ...], cell_size: float) -> None:
    axes.spines[:].set_visible(False)
    height, width = shape
    style: dict[str, Any] = {"color": CELL_BORDER_COLOUR, "linewidth": min(0.8, 3 * cell_size), "capstyle": "butt"}
    axes.vlines(np.arange(width + 1) - 0.5, -0.5, height - 0.5, **style)
    axes.hlines(np.arange(height + 1) - 0.5, -0.5, width - 0.5, **style)
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_yticks([])


def _draw_labels(
    all_axes: list[Any], rows: list[list[Panel]], column_labels: list[str], row_labels: list[str], cell_size: float
) -> None:
    """Label the source at the top and the target on the left; in a grid, heads below and layers on the right."""
    panels, columns = [panel for row in rows for panel in row], len(rows[0])
    single = len(panels) == 1
    font_size = min(9.5, max(5.0, cell_size * 72 * (0.55 if single else 0.8)))
    for axes in all_axes[:columns]:
        axes.xaxis.tick_top()
        axes.tick_params(length=0, pad=2)
        tick_style: dict[str, Any] = {"rotation": 90}
        if single:
            tick_style = {"rotation": 45, "ha": "left", "rotation_mode": "anchor"}
        axes.set_xticks(range(len(column_labels)), column_labels, fontsize=font_size, color=TEXT_COLOUR, **tick_style)
    for axes in all_axes[::columns]:
        axes.tick_params(length=0, pad=2)
        axes.set_yticks(range(len(row_labels)), row_labels, fontsize=font_size, color=TEXT_COLOUR)
    name_style: dict[str, Any] = {"fontsize": 9, "color": MUTED_COLOUR}
    for axes in all_axes[:columns]:
        axes.xaxis.set_label_position("top")
        axes.set_xlabel("source", **name_style)
    for axes in all_axes[::columns]:
        axes.set_ylabel("target", **name_style)
    if single:
        return
    by_layer = bool(rows[0][0].layer)
    for number, (axes, panel) in enumerate(zip(all_axes, panels, strict=True)):
        if not by_layer or number >= len(panels) - columns:
            below = {"xycoords": "axes fraction", "xytext": (0, -4), "textcoords": "offset points"}
            axes.annotate(panel.head, (0.5, 0), ha="center", va="top", **below, **name_style)
        if by_layer and (number + 1) % columns == 0:
            axes.yaxis.set_label_position("right")
            axes.set_ylabel(panel.layer, rotation=270, va="bottom", **name_style)


def _draw_colourbar(figure: Any, image: Any, panel_size: tuple[float, float], label: str) -> None:
    from matplotlib.ticker import MaxNLocator

    width, height = figure.get_size_inches()
    bar_height = min(2.0, panel_size[1])
    left = width - PANEL_GAP_INCHES + (0.15 if len(figure.axes) == 1 else 0.4)
    rectangle = (left / width, 1 - bar_height / height, COLOURBAR_WIDTH_INCHES / width, bar_height / height)
    axes = figure.add_axes(rectangle)
    bar = figure.colorbar(image, cax=axes)
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(4, min_n_ticks=2)
    axes.tick_params(length=2, labelsize=8, color=MUTED_COLOUR, labelcolor=MUTED_COLOUR)
    axes.set_ylabel(label, fontsize=8, color=MUTED_COLOUR)
