"""Line charts in a terminal: braille dots in colours, or one letter a point in plain ASCII."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from nmt_cli.reporting import Screen, Span

Row = list[Span]

MARGIN = 9  # columns for the numbers at the left, the axis included
# Bits of the eight dots of a braille character, by column and by row from the top.
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
BLANK = 0x2800
# Named colours, which every terminal shows readably on its own background.
COLOURS = ("blue", "red", "green", "magenta", "yellow", "cyan")
LETTERS = "*o+x#@"


@dataclass(frozen=True)
class Line:
    """A curve: its points in order, and which number of look it has."""

    points: list[tuple[float, float]]
    number: int
    dotted: bool = False  # its points only, without lines between them


def key(name: str, number: int, screen: Screen) -> Row:
    """A run's name beside what its line looks like."""
    mark = "━━" if screen.colours else LETTERS[number % len(LETTERS)]
    return [Span(mark, COLOURS[number % len(COLOURS)]), Span(f" {name}")]


def chart(
    title: str, lines: Sequence[Line], axis: str, right: float, screen: Screen, height: int
) -> Iterator[Row]:
    """A chart from 0 to `right`, `height` rows high and as wide as the screen (at most 100)."""
    low, high = _bounds([y for line in lines for _, y in line.points if math.isfinite(y)])
    width = max(10, min(screen.width, 100) - MARGIN - 1)
    grid = _Grid(width, height, screen.colours)
    for line in lines:
        scaled = [(x / (right or 1.0), (y - low) / (high - low)) for x, y in line.points]
        grid.draw(scaled, line.number, dotted=line.dotted)
    yield [Span(title, "bold")]
    bar = "│" if screen.colours else "|"
    for number in range(height):
        value = high - number / (height - 1) * (high - low)
        label = "" if number % 2 else short_number(value)
        yield [Span(f"{label:>{MARGIN - 2}} {bar}", "dim"), *grid.row(number)]
    corner, dash = ("└", "─") if screen.colours else ("+", "-")
    yield [Span(f"{' ' * (MARGIN - 1)}{corner}{dash * width}", "dim")]
    yield [Span(_scale(right, axis, width), "dim")]


def _scale(right: float, axis: str, width: int) -> str:
    """Zero, half way (where there is room for it) and the end of the axis."""
    middle, end = (
        f"{one:.0f}" if one == round(one) and one < 1e4 else short_number(one)
        for one in (right / 2, right)
    )
    end = f"{end} {axis}"
    begin = "0".ljust(width // 2 - 1 - len(middle) // 2)
    if len(begin) + len(middle) + len(end) + 2 <= width:
        begin += middle
    return " " * MARGIN + begin.ljust(width - len(end)) + end


def _bounds(values: list[float]) -> tuple[float, float]:
    """The lowest and the highest value, or room around the only one."""
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    if high - low > 1e-12 * max(abs(low), abs(high)):
        return low, high
    return (low - 1, high + 1) if low == 0 else (min(0.0, 2 * low), max(0.0, 2 * high))


def short_number(value: float) -> str:
    """Three significant digits, with k and M for thousands and millions: at most 7 letters."""
    size = abs(value)
    if size >= 1e12 or 0 < size < 1e-3:
        return f"{value:.1e}".replace("e-0", "e-").replace("e+", "e")
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= limit:
            return f"{value / (1e3 if unit == 'k' else limit):.3g}{unit}"
    digits = max(0, 2 - math.floor(math.log10(size))) if size else 0
    return f"{value:.{min(digits, 4)}f}"


class _Grid:
    """A field of characters; each holds 2 x 4 dots, or one letter in plain ASCII."""

    def __init__(self, width: int, height: int, dots: bool) -> None:
        self.dots, self.height = dots, height
        self.across, self.down = (2 * width, 4 * height) if dots else (width, height)
        self.bits = [[0] * width for _ in range(height)]
        self.owner = [[-1] * width for _ in range(height)]

    def draw(self, points: list[tuple[float, float]], number: int, *, dotted: bool) -> None:
        """Points whose coordinates are shares of the field, from the lower left."""
        places = [
            (round(x * (self.across - 1)), round((1 - y) * (self.down - 1)))
            for x, y in points
            if math.isfinite(x) and math.isfinite(y)
        ]
        for place in places:
            self._mark(*place, number)
            if dotted:
                self._thicken(*place, number)
        if not dotted:
            for begin, end in pairwise(places):
                steps = max(abs(end[0] - begin[0]), abs(end[1] - begin[1]), 1)
                for step in range(1, steps):
                    share = step / steps
                    x = round(begin[0] + share * (end[0] - begin[0]))
                    self._mark(x, round(begin[1] + share * (end[1] - begin[1])), number)

    def row(self, number: int) -> Row:
        """A row from the top, neighbours of one colour together."""
        spans: Row = []
        for bits, owner in zip(self.bits[number], self.owner[number], strict=True):
            style = "" if owner < 0 else COLOURS[owner % len(COLOURS)]
            if self.dots:
                text = chr(BLANK + bits) if bits else " "
            else:
                text = " " if owner < 0 else LETTERS[owner % len(LETTERS)]
            if spans and spans[-1].style == style:
                spans[-1] = Span(spans[-1].text + text, style)
            else:
                spans.append(Span(text, style))
        return spans

    def _thicken(self, x: int, y: int, number: int) -> None:
        """A point that stands alone is two dots wide and high."""
        if self.dots:
            for across, down in ((1, 0), (0, 1), (1, 1)):
                self._mark(min(x + across, self.across - 1), min(y + down, self.down - 1), number)

    def _mark(self, x: int, y: int, number: int) -> None:
        column, row = (x // 2, y // 4) if self.dots else (x, y)
        self.bits[row][column] |= DOTS[x % 2][y % 4]
        self.owner[row][column] = number
