"""Scores by source length: a line with intervals for each system, above a bar chart of the sentence counts."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nmt_cli.evaluation.by_length import CONFIDENCE_PERCENT, MIN_INTERVAL_SENTENCES, Interval, LengthScores
from nmt_cli.plots.figure import MUTED_COLOUR, add_grid, figure_style, line_style, new_figure, save_figure

METRIC_NAMES = {"bleu": "BLEU", "chrf": "chrF", "ter": "TER"}
SYSTEM_SPREAD = 0.5  # fraction of the distance between buckets over which the points of systems are spread


def draw_lengths(path: Path, scores: LengthScores) -> None:
    """Write the figure of scores by length."""
    title = f"{METRIC_NAMES[scores.metric]} by source length"
    count = len(scores.buckets)
    with figure_style([title, *scores.systems]):
        columns = min(3, len(scores.systems))
        legend_rows = -(-len(scores.systems) // columns)
        width = max(6.4, min(16.0, 0.95 * count + 1.2))
        figure = new_figure(width, 4.9 + 0.24 * legend_rows, constrained=True)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        for number, (name, intervals) in enumerate(scores.systems.items()):
            offset = SYSTEM_SPREAD * ((number + 0.5) / len(scores.systems) - 0.5)
            _draw_system(upper, name, intervals, number, offset)
        upper.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=columns)
        upper.set_ylabel(METRIC_NAMES[scores.metric])
        _set_score_limits(upper, scores)
        add_grid(upper)
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
        _draw_counts(lower, scores)
        figure.supxlabel("\n".join(_notes(scores)), fontsize=7, color=MUTED_COLOUR, x=0.01, ha="left")
        save_figure(figure, path, title=title)


def format_table(scores: LengthScores) -> Iterator[str]:
    """The same scores as the lines of a text table."""
    header = [scores.unit, "sentences", *scores.systems]
    rows = [header]
    for number, bucket in enumerate(scores.buckets):
        cells = [_format_interval(intervals[number]) for intervals in scores.systems.values()]
        rows.append([bucket.label.replace("–", "-"), f"{len(bucket.sentence_indices):,}", *cells])
    total = sum(len(bucket.sentence_indices) for bucket in scores.buckets)
    rows.append(["all", f"{total:,}", *(_format_interval(interval) for interval in scores.overall.values())])
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    for row in rows:
        yield "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
    yield "  ".join(_notes(scores))


def _draw_system(axes: Any, name: str, intervals: list[Interval], number: int, offset: float) -> None:
    x_positions = [bucket_index + offset for bucket_index in range(len(intervals))]
    points = [interval.score for interval in intervals]
    # The score of very few sentences can lie outside its interval: the bar has length zero on that side.
    below = [math.nan if interval.low is None else max(0.0, interval.score - interval.low) for interval in intervals]
    above = [math.nan if interval.high is None else max(0.0, interval.high - interval.score) for interval in intervals]
    style = line_style(number)
    axes.errorbar(
        x_positions, points, yerr=(below, above), label=name, elinewidth=1.1, capsize=2.5,
        capthick=1.1, markeredgecolor="white", markeredgewidth=0.6, **style._asdict(),
    )  # fmt: skip


def _set_score_limits(axes: Any, scores: LengthScores) -> None:
    """Start the axis at zero, unless all scores are far above it."""
    all_intervals = [interval for intervals in scores.systems.values() for interval in intervals]
    low = min(interval.score if interval.low is None else interval.low for interval in all_intervals)
    high = max(max(interval.high or 0.0, interval.score) for interval in all_intervals)
    axes.set_ylim(0 if low < 0.6 * high else low - 0.15 * (high - low), high + 0.05 * high + 0.5)


def _draw_counts(axes: Any, scores: LengthScores) -> None:
    counts = [len(bucket.sentence_indices) for bucket in scores.buckets]
    bars = axes.bar(range(len(counts)), counts, width=0.6, color="#c9ced4")
    axes.bar_label(bars, [f"{count:,}" for count in counts], fontsize=8, color=MUTED_COLOUR, padding=2)
    axes.set_xticks(range(len(counts)), [bucket.label for bucket in scores.buckets])
    axes.set_ylim(0, 1.35 * max(counts))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0)
    axes.set_ylabel("sentences")
    axes.set_xlabel(f"{scores.unit} in the source")


def _notes(scores: LengthScores) -> tuple[str, str]:
    """How the scores and their intervals were computed."""
    resampling = f"{CONFIDENCE_PERCENT} % bootstrap intervals: {scores.samples:,} resamples, seed {scores.seed}"
    if any(len(bucket.sentence_indices) < MIN_INTERVAL_SENTENCES for bucket in scores.buckets):
        resampling += f"; none with fewer than {MIN_INTERVAL_SENTENCES} sentences"
    return scores.signature, resampling


def _format_interval(interval: Interval) -> str:
    limits = "" if interval.low is None else f"[{interval.low:5.2f}, {interval.high:5.2f}]"
    return f"{interval.score:5.2f} {limits:14}"
