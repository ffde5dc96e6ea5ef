"""Attention weights as heatmaps: source across, produced target down; one, or a grid by head."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nmt_cli.plots.attention import Panel
from nmt_cli.plots.figure import FAINT, INK, drawing, new_figure, write
from nmt_cli.plots.fonts import shortened, visible

COLOUR_MAP = "Blues"  # light to dark in one hue, so that it prints and needs no colour vision
RULES = "#dfe6ee"
LONGEST = 28  # letters of a label
ABREAST = 4
BAR, GAP = 0.12, 0.14  # inches: width of the scale, space between the heatmaps of a grid


def draw_attention(
    path: Path, source: Sequence[str], target: Sequence[str], rows: list[list[Panel]], title: str
) -> None:
    """Write the heatmaps of one sentence: [T, S] panels, whose cells all have the same size.

    Labels stand beside the outer panels only. All panels share one scale, from 0 to the largest
    weight shown. The heads of one layer, or the layers of one head, are wrapped after four.
    """
    across, down = ([shortened(visible(one), LONGEST) for one in some] for some in (source, target))
    single, rows = len(rows) == len(rows[0]) == 1, _wrapped(rows)
    cell = _cell_size(len(across), len(down), single)
    with drawing([*across, *down, title]):
        size = cell * len(across), cell * len(down)
        figure = _sheet(rows, size)
        every = [panel for row in rows for panel in row]
        top = max(float(panel.weights.max()) for panel in every)
        for axes, panel in zip(figure.axes, every, strict=True):
            image = axes.imshow(
                panel.weights, cmap=COLOUR_MAP, vmin=0, vmax=top, aspect="auto",
                interpolation="none",
            )  # fmt: skip
            _ruled(axes, panel.weights.shape, cell)
        _label(figure.axes, rows, across, down, cell)
        _scale(figure, image, size)
        head = f"{title} · {rows[0][0].title}" if single and rows[0][0].title else title
        figure.axes[0].set_title(head, pad=10)  # goes above the labels by itself
        write(figure, path, title=head)


def _wrapped(rows: list[list[Panel]]) -> list[list[Panel]]:
    """One row or one column of many panels as lines of four, each panel named in full."""
    if len(rows) > 1 and len(rows[0]) > 1:
        return rows
    flat = [Panel("", panel.title, panel.weights) for row in rows for panel in row]
    return [flat[first : first + ABREAST] for first in range(0, len(flat), ABREAST)]


def _cell_size(across: int, down: int, single: bool) -> float:
    """Inches of a cell: smaller for longer sentences, never too small for its label."""
    room = 7.5 if single else 2.4
    largest, least = (0.32, 0.16) if single else (0.15, 0.095)
    return min(largest, max(least, room / max(across, down)))


def _sheet(rows: list[list[Panel]], size: tuple[float, float]) -> Any:
    """A figure with axes for each panel, of `size` inches each."""
    width = len(rows[0]) * (size[0] + GAP)
    below = GAP if rows[0][0].layer else 2.5 * GAP  # room for a name under each
    height = len(rows) * (size[1] + below)
    figure = new_figure(width, height)
    for number, row in enumerate(rows, 1):
        for column in range(len(row)):
            left, bottom = column * (size[0] + GAP), height - number * (size[1] + below) + below
            figure.add_axes((left / width, bottom / height, size[0] / width, size[1] / height))
    return figure


def _ruled(axes: Any, shape: tuple[int, ...], cell: float) -> None:
    """Thin lines between the cells and around them."""
    axes.spines[:].set_visible(False)
    height, width = shape
    style: dict[str, Any] = {"color": RULES, "linewidth": min(0.8, 3 * cell), "capstyle": "butt"}
    axes.vlines(np.arange(width + 1) - 0.5, -0.5, height - 0.5, **style)
    axes.hlines(np.arange(height + 1) - 0.5, -0.5, width - 0.5, **style)
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_yticks([])


def _label(
    every: list[Any], rows: list[list[Panel]], across: list[str], down: list[str], cell: float
) -> None:
    """Words at the top and at the left; heads below and layers at the right of a grid."""
    flat, columns = [panel for row in rows for panel in row], len(rows[0])
    single = len(flat) == 1
    letters = min(9.5, max(5.0, cell * 72 * (0.55 if single else 0.8)))
    for axes in every[:columns]:
        axes.xaxis.tick_top()
        axes.tick_params(length=0, pad=2)
        turn: dict[str, Any] = {"rotation": 90 if not single else 45}
        turn |= {} if not single else {"ha": "left", "rotation_mode": "anchor"}
        axes.set_xticks(range(len(across)), across, fontsize=letters, color=INK, **turn)
    for axes in every[::columns]:
        axes.tick_params(length=0, pad=2)
        axes.set_yticks(range(len(down)), down, fontsize=letters, color=INK)
    if single:
        return
    by_layer = bool(rows[0][0].layer)
    for number, (axes, panel) in enumerate(zip(every, flat, strict=True)):
        if not by_layer or number >= len(flat) - columns:
            axes.set_xlabel(panel.head, fontsize=9, color=FAINT, labelpad=4)
        if by_layer and (number + 1) % columns == 0:
            axes.yaxis.set_label_position("right")
            axes.set_ylabel(panel.layer, fontsize=9, color=FAINT, rotation=270, va="bottom")


def _scale(figure: Any, image: Any, size: tuple[float, float]) -> None:
    """What the colours mean, beside the panels."""
    width, height = figure.get_size_inches()
    tall = min(2.0, size[1])
    left = width - GAP + (0.15 if len(figure.axes) == 1 else 0.4)
    place = (left / width, 1 - tall / height, BAR / width, tall / height)
    axes = figure.add_axes(place)
    bar = figure.colorbar(image, cax=axes)
    bar.outline.set_visible(False)
    bar.locator = _locator()
    axes.tick_params(length=2, labelsize=8, color=FAINT, labelcolor=FAINT)
    axes.set_ylabel("attention weight", fontsize=8, color=FAINT)


def _locator() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4, min_n_ticks=2)
