"""Attention weights in a terminal: shaded cells, or plain ASCII without colours.

Every cell sets its background, so that the heatmap looks the same in dark and light terminals.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from nmt_cli.plots.attention import AttentionWeights
from nmt_cli.plots.chart import Row
from nmt_cli.plots.fonts import escape_controls
from nmt_cli.reporting import Screen, Span, display_width

MAX_LABEL_COLUMNS = 16
ASCII_RAMP = " .:-=+*#%@"  # light to dark
# cividis (Nunez et al. 2018), at nine equal steps: perceptually uniform and safe for colour-blind readers
CIVIDIS = (
    (0, 34, 78), (18, 53, 112), (59, 73, 108), (87, 93, 109), (112, 113, 115),
    (138, 134, 120), (166, 157, 117), (196, 182, 106), (254, 232, 56),
)  # fmt: skip


def attention_rows(
    weights: AttentionWeights, source: Sequence[str], target: Sequence[str], screen: Screen
) -> Iterator[Row]:
    """Lines of a heatmap of weights [T, S]: source across, target down, in several parts if it is too wide.

    If it fits with three columns per cell, percentages are written into the cells: from 10 % on, in ASCII from 0.5 %
    on.
    """
    column_labels = [_truncate(escape_controls(text), MAX_LABEL_COLUMNS) for text in source]
    row_labels = [_truncate(escape_controls(text), MAX_LABEL_COLUMNS) for text in target]
    margin = max(map(display_width, row_labels)) + 1
    available_columns = max(screen.width - margin, MAX_LABEL_COLUMNS + 4)
    wide_cells = _count_fitting(column_labels, 3, available_columns) == len(column_labels)
    cell_width, start, max_weight = 3 if wide_cells else 2, 0, float(weights.max()) or 1.0
    while start < len(column_labels):
        count = _count_fitting(column_labels[start:], cell_width, available_columns)
        columns = slice(start, start + count)
        yield from _header(column_labels[columns], cell_width, margin, screen)
        for label, row in zip(row_labels, weights[:, columns], strict=True):
            padding = " " * (margin - 1 - display_width(label))
            yield [Span(f"{padding}{label} "), *_render_cells(row, cell_width, max_weight, screen)]
        start += count
        if start < len(column_labels):
            yield []


def _count_fitting(labels: Sequence[str], cell_width: int, available_columns: int) -> int:
    """How many columns fit with their labels, which start above them; at least one."""
    count = 0
    while count < len(labels) and count * cell_width + 3 + display_width(labels[count]) <= available_columns:
        count += 1
    return max(count, 1)


def _header(labels: Sequence[str], cell_width: int, margin: int, screen: Screen) -> Iterator[Row]:
    """A line for each source label, with a stem down to its column."""
    corner, stem = ("╭", "│") if screen.colours else (".", "|")
    indent = " " * (cell_width - 2)
    for number, label in enumerate(labels):
        stems = "".join(f"{indent}{stem} " for _ in range(number))
        yield [Span(f"{' ' * margin}{stems}{indent}{corner} ", "dim"), Span(label)]


def _render_cells(row: AttentionWeights, cell_width: int, max_weight: float, screen: Screen) -> Row:
    if not screen.colours:
        return [Span("".join(_ascii_cell(float(weight), cell_width, max_weight) for weight in row))]
    return [_shaded_cell(float(weight), cell_width, max_weight) for weight in row]


def _ascii_cell(weight: float, cell_width: int, max_weight: float) -> str:
    """A percentage, or a character that is darker for larger weights."""
    if cell_width == 3:
        return f"{100 * weight:3.0f}" if weight >= 0.005 else "  ."
    return ASCII_RAMP[round((len(ASCII_RAMP) - 1) * weight / max_weight)] + " "


def _shaded_cell(weight: float, cell_width: int, max_weight: float) -> Span:
    fraction = weight / max_weight
    ramp_position = fraction * (len(CIVIDIS) - 1)
    rgb = [round(np.interp(ramp_position, range(len(CIVIDIS)), channel)) for channel in zip(*CIVIDIS, strict=True)]
    background = "#" + "".join(f"{channel:02x}" for channel in rgb)
    foreground = "#000000" if fraction > 0.5 else "#ffffff"
    text = f"{100 * weight:3.0f}" if cell_width == 3 and weight >= 0.095 else " " * cell_width
    return Span(text, f"{foreground} on {background}")


def _truncate(text: str, max_columns: int) -> str:
    """The label, shortened to at most `max_columns` terminal columns."""
    if display_width(text) <= max_columns:
        return text
    while display_width(text) > max_columns - 1:
        text = text[:-1]
    return text + "…"
