"""Attention weights in a terminal: shaded cells, or plain ASCII where there are no colours.

Every cell has its own background, so that the picture is the same in dark and light terminals.
"""

from collections.abc import Iterator, Sequence

from nmt_cli.plots.attention import Weights
from nmt_cli.plots.fonts import visible
from nmt_cli.reporting import Screen, Span, cells

Row = list[Span]

LABEL = 16  # most columns of a label
RAMP = " .:-=+*#%@"  # light to dark
# cividis (Nunez et al. 2018), at nine equal steps: even in lightness, safe for colour-blind readers
CIVIDIS = (
    (0, 34, 78), (18, 53, 112), (59, 73, 108), (87, 93, 109), (112, 113, 115),
    (138, 134, 120), (166, 157, 117), (196, 182, 106), (254, 232, 56),
)  # fmt: skip


def attention_rows(
    weights: Weights, source: Sequence[str], target: Sequence[str], screen: Screen
) -> Iterator[Row]:
    """Lines of a heatmap of weights [T, S]: source across, target down, in parts where too wide.

    Where all fits with three columns a cell, weights of 10 % and more are written into the cells
    (in ASCII: of 1 % and more).
    """
    across = [_cut(visible(one), LABEL) for one in source]
    down = [_cut(visible(one), LABEL) for one in target]
    margin = max(map(cells, down)) + 1
    room = max(screen.width - margin, LABEL + 4)
    wide = _fitting(across, 3, room) == len(across)
    size, first, top = 3 if wide else 2, 0, float(weights.max()) or 1.0
    while first < len(across):
        count = _fitting(across[first:], size, room)
        part = slice(first, first + count)
        yield from _header(across[part], size, margin, screen)
        for label, row in zip(down, weights[:, part], strict=True):
            padding = " " * (margin - 1 - cells(label))
            yield [Span(f"{padding}{label} "), *_cells(row, size, top, screen)]
        first += count
        if first < len(across):
            yield []


def _fitting(labels: Sequence[str], size: int, room: int) -> int:
    """How many of these columns fit, with their labels, which begin above them; at least one."""
    count = 0
    while count < len(labels) and count * size + 3 + cells(labels[count]) <= room:
        count += 1
    return max(count, 1)


def _header(labels: Sequence[str], size: int, margin: int, screen: Screen) -> Iterator[Row]:
    """Each source label on a line of its own, with a line down to its column."""
    corner, stem = ("╭", "│") if screen.colours else (".", "|")
    lead = " " * (size - 2)
    for number, label in enumerate(labels):
        stems = "".join(f"{lead}{stem} " for _ in range(number))
        yield [Span(f"{' ' * margin}{stems}{lead}{corner} ", "dim"), Span(label)]


def _cells(row: Weights, size: int, top: float, screen: Screen) -> Row:
    if not screen.colours:
        return [Span("".join(_ascii(float(weight), size, top) for weight in row))]
    return [_shaded(float(weight), size, top) for weight in row]


def _ascii(weight: float, size: int, top: float) -> str:
    """A percentage, or a letter that is darker the larger the weight."""
    if size == 3:
        return f"{100 * weight:3.0f}" if weight >= 0.005 else "  ."
    return RAMP[round((len(RAMP) - 1) * weight / top)] + " "


def _shaded(weight: float, size: int, top: float) -> Span:
    share = weight / top
    place = share * (len(CIVIDIS) - 1)
    low = min(int(place), len(CIVIDIS) - 2)
    mixed = [
        round(a + (b - a) * (place - low))
        for a, b in zip(CIVIDIS[low], CIVIDIS[low + 1], strict=True)
    ]
    ground = "#" + "".join(f"{one:02x}" for one in mixed)
    letters = "#000000" if share > 0.5 else "#ffffff"
    text = f"{100 * weight:3.0f}" if size == 3 and weight >= 0.095 else " " * size
    return Span(text, f"{letters} on {ground}")


def _cut(text: str, most: int) -> str:
    """A label of at most so many columns."""
    if cells(text) <= most:
        return text
    while cells(text) > most - 1:
        text = text[:-1]
    return text + "…"
