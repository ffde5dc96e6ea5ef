"""Figures in one style, and files of them: PNG, SVG or PDF by the ending.

matplotlib is imported here when the first figure is made, with its object-oriented interface: no
window, no global figure. Lines are told apart by colour (Okabe and Ito 2008, safe for colour-blind
readers), marker and dash.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from nmt_cli.errors import UserError

SUFFIXES = (".png", ".svg", ".pdf")
MAX_PNG_PIXELS = 12_000  # longest side of a PNG
MAX_PNG_DPI = 160  # an inch of a PNG, where that gives no more pixels

TEXT_COLOUR, MUTED_COLOUR, GRID_COLOUR = "#222222", "#666666", "#dddddd"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#222222")
MARKERS = ("o", "s", "^", "D", "v", "<", ">")
LINE_STYLES = ("-", "--", ":", "-.")
_DATE_KEYS = {".svg": "Date", ".pdf": "CreationDate"}  # left out, so that the same picture is the same

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
    """How the line of a system looks wherever it is drawn."""

    color: str
    marker: str
    linestyle: str


def line_style(index: int) -> LineStyle:
    """The look of system `number`, from 0; different for the first 28."""
    cycle, colour_index = divmod(index, len(COLOURS))
    return LineStyle(COLOURS[colour_index], MARKERS[colour_index], LINE_STYLES[cycle % len(LINE_STYLES)])


def check_output_path(path: Path, suffixes: Sequence[str] = SUFFIXES) -> None:
    """UserError where no picture can be written there, before anything is computed for it."""
    if path.suffix.lower() not in suffixes:
        raise UserError(f"-o {path}: end it in {', '.join(suffixes[:-1])} or {suffixes[-1]}")
    if not path.parent.is_dir():
        raise UserError(f"-o {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise UserError(f"-o {path}: this is a folder, not a file")
    if path.suffix.lower() in SUFFIXES:
        require_matplotlib()


def require_matplotlib() -> None:
    """UserError that says how to get it where it is not installed."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise UserError("pictures need matplotlib: pip install 'nmt-cli[plot]'") from error


@contextmanager
def figure_style(texts: Sequence[str] = ()) -> Iterator[None]:
    """The style in which figures are made and written; fonts that know the letters of `texts`."""
    import matplotlib

    from nmt_cli.plots.fonts import font_families

    style: Any = {**_STYLE, "font.family": font_families("".join(texts))}
    font_logger = logging.getLogger("matplotlib.font_manager")
    previous_level = font_logger.level
    font_logger.setLevel(logging.ERROR)  # a found font that has no bold is no news to the user
    try:
        with matplotlib.rc_context(style):
            yield
    finally:
        font_logger.setLevel(previous_level)


def new_figure(width: float, height: float, *, constrained: bool = False) -> Any:
    """A figure of this size in inches; axes are laid out by us or by matplotlib."""
    from matplotlib.figure import Figure

    layout: Any = "constrained" if constrained else None
    return Figure(figsize=(width, height), layout=layout, facecolor="white")


def save_figure(figure: Any, path: Path, *, title: str) -> None:
    """Write a figure, cut to what is drawn, in the format of its ending; within `drawing`.

    A letter that no font here knows is drawn as a box: `fonts.missing` finds those.
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
    """Faint lines behind what is drawn, and no ticks along them."""
    axes.grid(visible=True, axis=axis)
    axes.tick_params(length=0)
