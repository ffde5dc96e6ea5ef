"""Figures in one style, saved as PNG, SVG or PDF by the suffix of the file.

matplotlib is imported when the first figure is made, and used by its object-oriented interface: no window, no global
figure. Lines differ in colour (Okabe and Ito 2008, safe for colour-blind readers), marker and dashes.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from nmt_cli.errors import UserError, pip_install

SUFFIXES = (".png", ".svg", ".pdf")
MAX_PNG_PIXELS = 12_000  # of the longer side
MAX_PNG_DPI = 160  # lower where the longer side would get too many pixels

TEXT_COLOUR, MUTED_COLOUR, GRID_COLOUR = "#222222", "#666666", "#dddddd"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#222222")
MARKERS = ("o", "s", "^", "D", "v", "<", ">")
MARKER_SHIFT = 3  # in each cycle of colours
Dashes = str | tuple[float, tuple[float, ...]]
LINE_STYLES: tuple[Dashes, ...] = ("-", (0, (4, 3)), (0, (1, 1.5)), (0, (5, 2, 1, 2)))  # gaps that show a line below
_DATE_KEYS = {".svg": "Date", ".pdf": "CreationDate"}  # left out, so that equal figures are equal files

_STYLE: dict[str, Any] = {
    "font.size": 10,
    "text.color": TEXT_COLOUR,
    "text.parse_math": False,  # a sentence may hold two dollar signs
    "axes.edgecolor": "#999999",
    "axes.labelcolor": TEXT_COLOUR,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID_COLOUR,
    "grid.linewidth": 0.8,
    "xtick.color": TEXT_COLOUR,
    "ytick.color": TEXT_COLOUR,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
    "svg.hashsalt": "nmt",
    "pdf.fonttype": 42,
}


class LineStyle(NamedTuple):
    """The look of the line of a system or run, in every panel."""

    color: str
    marker: str
    linestyle: Dashes


def line_style(index: int) -> LineStyle:
    """The style of the system or run with this index, from 0; no two of the first 28 share colour and marker, and
    neighbours differ in their dashes, through which a line below them is seen."""
    cycle, colour_index = divmod(index, len(COLOURS))
    return LineStyle(
        COLOURS[colour_index],
        MARKERS[(colour_index + MARKER_SHIFT * cycle) % len(MARKERS)],
        LINE_STYLES[index % len(LINE_STYLES)],
    )


def check_output_path(path: Path, suffixes: Sequence[str] = SUFFIXES) -> None:
    """UserError if no figure can be written to `path`, or matplotlib is missing; called before anything is computed."""
    if path.suffix.lower() not in suffixes:
        raise UserError(f"-o {path}: the file name must end in {', '.join(suffixes[:-1])} or {suffixes[-1]}")
    if not path.parent.is_dir():
        raise UserError(f"-o {path}: no such folder: {path.parent}")
    if path.is_dir():
        raise UserError(f"-o {path}: this is a folder, not a file")
    if path.suffix.lower() in SUFFIXES:
        try:
            import matplotlib.figure  # noqa: F401
        except ImportError as error:
            raise UserError(f"figures need matplotlib: {pip_install('plot')}") from error


@contextmanager
def figure_style(texts: Sequence[str] = ()) -> Iterator[None]:
    """The context in which figures are made and saved, with fonts that have the characters of `texts`."""
    import matplotlib

    from nmt_cli.plots.fonts import font_families

    style: Any = {**_STYLE, "font.family": font_families("".join(texts))}
    font_logger = logging.getLogger("matplotlib.font_manager")
    previous_level = font_logger.level
    font_logger.setLevel(logging.ERROR)  # it would warn of fonts without bold
    try:
        with matplotlib.rc_context(style):
            yield
    finally:
        font_logger.setLevel(previous_level)


def new_figure(width: float, height: float, *, constrained: bool = False) -> Any:
    """A figure of this size in inches; if `constrained`, matplotlib lays out its axes."""
    from matplotlib.figure import Figure

    layout: Any = "constrained" if constrained else None
    return Figure(figsize=(width, height), layout=layout, facecolor="white")


def save_figure(figure: Any, path: Path, *, title: str) -> None:
    """Write a figure, cropped to its content, in the format of the suffix; called within `figure_style`.

    Characters that no font has are drawn as boxes; `fonts.missing_characters` lists them.
    """
    suffix = path.suffix.lower()
    dpi = min(MAX_PNG_DPI, MAX_PNG_PIXELS / max(figure.get_size_inches()))
    metadata: dict[str, Any] = {"Title": title}
    if suffix in _DATE_KEYS:
        metadata[_DATE_KEYS[suffix]] = None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"(?s)Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        figure.savefig(
            path, format=suffix[1:], dpi=dpi, bbox_inches="tight", pad_inches=0.15,
            metadata=metadata,
        )  # fmt: skip


def add_grid(axes: Any, axis: str = "y") -> None:
    """Faint grid lines behind the content, and no tick marks."""
    axes.grid(visible=True, axis=axis)
    axes.tick_params(length=0)
