"""Scores by source length: a line for each system with intervals, above the number of sentences."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nmt_cli.evaluation.by_length import LEVEL, Interval, LengthScores
from nmt_cli.plots.figure import FAINT, drawing, grid_lines, look, new_figure, write

NAMES = {"bleu": "BLEU", "chrf": "chrF", "ter": "TER"}
SPREAD = 0.5  # of the room between two buckets, over which the systems are spread


def draw_lengths(path: Path, found: LengthScores) -> None:
    """Write the figure of scores by length."""
    title = f"{NAMES[found.metric]} by source length"
    count = len(found.buckets)
    with drawing([title, *found.systems]):
        columns = min(3, len(found.systems))
        legend = -(-len(found.systems) // columns)
        width = max(6.4, min(16.0, 0.95 * count + 1.2))
        figure = new_figure(width, 4.9 + 0.24 * legend, constrained=True)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        for number, (name, intervals) in enumerate(found.systems.items()):
            shift = SPREAD * ((number + 0.5) / len(found.systems) - 0.5)
            _draw_system(upper, name, intervals, number, shift)
        upper.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=columns)
        upper.set_ylabel(NAMES[found.metric])
        _bound(upper, found)
        grid_lines(upper)
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
        _draw_counts(lower, found)
        figure.supxlabel(_small_print(found), fontsize=7, color=FAINT, x=0.01, ha="left")
        write(figure, path, title=title)


def table(found: LengthScores) -> Iterator[str]:
    """The same numbers as lines of text."""
    heads = [f"{found.unit}", "sentences", *found.systems]
    rows = [heads]
    for number, bucket in enumerate(found.buckets):
        cells = [_shown(intervals[number]) for intervals in found.systems.values()]
        label = bucket.label.replace("–", "-")
        rows.append([label, f"{len(bucket.sentences):,}", *cells])
    total = sum(len(bucket.sentences) for bucket in found.buckets)
    rows.append(["all", f"{total:,}", *(_shown(one) for one in found.whole.values())])
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    for row in rows:
        yield "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
    yield _small_print(found)


def _draw_system(
    axes: Any, name: str, intervals: list[Interval], number: int, shift: float
) -> None:
    places = [place + shift for place in range(len(intervals))]
    points = [one.score for one in intervals]
    # A point can lie outside the interval of very few sentences: its bar has no length there.
    below = [max(0.0, one.score - one.low) for one in intervals]
    above = [max(0.0, one.high - one.score) for one in intervals]
    style = look(number)
    axes.errorbar(
        places, points, yerr=(below, above), label=name, elinewidth=1.1, capsize=2.5,
        capthick=1.1, markeredgecolor="white", markeredgewidth=0.6, **style._asdict(),
    )  # fmt: skip


def _bound(axes: Any, found: LengthScores) -> None:
    """From zero, unless all scores are far from it."""
    every = [one for intervals in found.systems.values() for one in intervals]
    low, high = min(one.low for one in every), max(max(one.high, one.score) for one in every)
    axes.set_ylim(0 if low < 0.6 * high else low - 0.15 * (high - low), high + 0.05 * high + 0.5)


def _draw_counts(axes: Any, found: LengthScores) -> None:
    counts = [len(bucket.sentences) for bucket in found.buckets]
    bars = axes.bar(range(len(counts)), counts, width=0.6, color="#c9ced4")
    axes.bar_label(bars, [f"{count:,}" for count in counts], fontsize=8, color=FAINT, padding=2)
    axes.set_xticks(range(len(counts)), [bucket.label for bucket in found.buckets])
    axes.set_ylim(0, 1.35 * max(counts))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0)
    axes.set_ylabel("sentences")
    axes.set_xlabel(f"{found.unit} in the source")


def _small_print(found: LengthScores) -> str:
    interval = f"{LEVEL} % bootstrap intervals: {found.samples:,} resamples, seed {found.seed}"
    return f"{found.signature}  {interval}"


def _shown(one: Interval) -> str:
    return f"{one.score:5.2f} [{one.low:5.2f}, {one.high:5.2f}]"
