"""Line charts in a terminal: coloured braille dots, or one character per point in plain ASCII."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from nmt_cli.reporting import Screen, Span

Row = list[Span]

LEFT_MARGIN_COLUMNS = 9  # columns of the y-axis and its labels
# Bits of the eight dots of a braille character, by column and then by row from the top
BRAILLE_DOT_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
BRAILLE_BLANK = 0x2800
# Named colours, which terminals adapt to their background
COLOURS = ("blue", "red", "green", "magenta", "yellow", "cyan")
ASCII_MARKERS = "*o+x#@"
ASCII_POINT_MARKERS = "123456"  # of curves without lines between their points


@dataclass(frozen=True)
class Curve:
    """A curve: its points in order, and the index of its colour or marker."""

    points: list[tuple[float, float]]
    style_index: int
    points_only: bool = False  # without lines between the points


def legend_entry(name: str, style_index: int, screen: Screen) -> Row:
    """The name of a run after a sample of its lines and, in plain ASCII, of its points."""
    mark = "━━" if screen.colours else "".join(m[style_index % len(m)] for m in (ASCII_MARKERS, ASCII_POINT_MARKERS))
    return [Span(mark, COLOURS[style_index % len(COLOURS)]), Span(f" {name}")]


def render_chart(
    title: str, curves: Sequence[Curve], x_label: str, x_max: float, screen: Screen, height: int
) -> Iterator[Row]:
    """The lines of a chart from 0 to `x_max`, `height` rows high and as wide as the screen (at most 100 columns)."""
    y_min, y_max = _y_range([y for line in curves for _, y in line.points if math.isfinite(y)])
    width = max(10, min(screen.width, 100) - LEFT_MARGIN_COLUMNS - 1)
    canvas = _Canvas(width, height, screen.colours)
    for line in curves:
        scaled = [(x / (x_max or 1.0), (y - y_min) / (y_max - y_min)) for x, y in line.points]
        canvas.draw(scaled, line.style_index, points_only=line.points_only)
    yield [Span(title, "bold")]
    axis_bar = "│" if screen.colours else "|"
    for row_index in range(height):
        value = y_max - row_index / (height - 1) * (y_max - y_min)
        label = "" if row_index % 2 else format_short(value)
        yield [Span(f"{label:>{LEFT_MARGIN_COLUMNS - 2}} {axis_bar}", "dim"), *canvas.row(row_index)]
    corner, dash = ("└", "─") if screen.colours else ("+", "-")
    yield [Span(f"{' ' * (LEFT_MARGIN_COLUMNS - 1)}{corner}{dash * width}", "dim")]
    yield [Span(_x_axis_labels(x_max, x_label, width), "dim")]


def _x_axis_labels(x_max: float, x_label: str, width: int) -> str:
    """Labels of zero, the middle (if there is room) and the end of the axis."""
    middle, end = (
        f"{value:.0f}" if value == round(value) and value < 1e4 else format_short(value) for value in (x_max / 2, x_max)
    )
    end = f"{end} {x_label}"
    labels = "0".ljust(width // 2 - 1 - len(middle) // 2)
    if len(labels) + len(middle) + len(end) + 2 <= width:
        labels += middle
    return " " * LEFT_MARGIN_COLUMNS + labels.ljust(width - len(end)) + end


def _y_range(values: list[float]) -> tuple[float, float]:
    """The lowest and highest value; a range around the value if there is only one."""
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    if high - low > 1e-12 * max(abs(low), abs(high)):
        return low, high
    return (low - 1, high + 1) if low == 0 else (min(0.0, 2 * low), max(0.0, 2 * high))


def format_short(value: float) -> str:
    """Three significant digits, with k, M and G for thousands, millions and billions: at most 7 characters."""
    magnitude = abs(value)
    if magnitude >= 1e12 or 0 < magnitude < 1e-3:
        return f"{value:.1e}".replace("e-0", "e-").replace("e+", "e")
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if magnitude >= limit:
            return f"{value / (1e3 if unit == 'k' else limit):.3g}{unit}"
    digits = max(0, 2 - math.floor(math.log10(magnitude))) if magnitude else 0
    return f"{value:.{min(digits, 4)}f}"


class _Canvas:
    """A grid of characters; each has 2 x 4 dots, or is one marker in plain ASCII."""

    def __init__(self, width: int, height: int, braille: bool) -> None:
        self.braille = braille
        self.x_size, self.y_size = (2 * width, 4 * height) if braille else (width, height)
        self.dots = [[0] * width for _ in range(height)]  # bits of a braille character
        self.marks: list[list[dict[int, str]]] = [[{} for _ in range(width)] for _ in range(height)]  # by the style

    def draw(self, points: list[tuple[float, float]], style_index: int, *, points_only: bool) -> None:
        """Draw points whose coordinates are fractions of the width and height, from the lower left."""
        pixels = [
            (round(x * (self.x_size - 1)), round((1 - y) * (self.y_size - 1)))
            for x, y in points
            if math.isfinite(x) and math.isfinite(y)
        ]
        for pixel in pixels:
            self._set_dot(*pixel, style_index, is_point=points_only)
            if points_only:
                self._thicken(*pixel, style_index)
        if not points_only:
            for start, end in pairwise(pixels):
                steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
                for step in range(1, steps):
                    fraction = step / steps
                    x = round(start[0] + fraction * (end[0] - start[0]))
                    self._set_dot(x, round(start[1] + fraction * (end[1] - start[1])), style_index)

    def row(self, row_index: int) -> Row:
        """A row, counted from the top, as spans of one colour each; where curves coincide they take turns."""
        cells = [self._cell(row_index, column) for column in range(len(self.dots[row_index]))]
        groups = groupby(cells, key=lambda cell: cell.style)
        return [Span("".join(cell.text for cell in cells), style) for style, cells in groups]

    def _cell(self, row: int, column: int) -> Span:
        marks = list(self.marks[row][column].items())
        if not marks:
            return Span(" ")
        style_index, mark = marks[column % len(marks)]
        text = chr(BRAILLE_BLANK | self.dots[row][column]) if self.braille else mark
        return Span(text, COLOURS[style_index % len(COLOURS)])

    def _thicken(self, x: int, y: int, style_index: int) -> None:
        """Make an isolated point two dots wide and high."""
        if self.braille:
            for dx, dy in ((1, 0), (0, 1), (1, 1)):
                self._set_dot(min(x + dx, self.x_size - 1), min(y + dy, self.y_size - 1), style_index)

    def _set_dot(self, x: int, y: int, style_index: int, *, is_point: bool = False) -> None:
        column, row = (x // 2, y // 4) if self.braille else (x, y)
        if self.braille:
            self.dots[row][column] |= BRAILLE_DOT_BITS[x % 2][y % 4]
        marks = self.marks[row][column]
        has_points = any(mark in ASCII_POINT_MARKERS for mark in marks.values())
        if is_point and not has_points:
            marks.clear()  # points lie above lines
        if is_point or not has_points:
            markers = ASCII_POINT_MARKERS if is_point else ASCII_MARKERS
            marks[style_index] = markers[style_index % len(markers)]
