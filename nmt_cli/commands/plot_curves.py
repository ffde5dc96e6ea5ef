"""nmt plot curves: how runs went, from their logs, while they train too. Imports no torch."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from nmt_cli.commands.named_paths import named_paths
from nmt_cli.errors import UserError
from nmt_cli.plots.chart import COLOURS, Line, Row, chart, key
from nmt_cli.plots.curves import AXES, draw_curves, present
from nmt_cli.plots.training_log import Course, read_course
from nmt_cli.reporting import Reporter, Screen


def read_courses(runs: Sequence[str], reporter: Reporter) -> dict[str, Course]:
    """The course of each run (a path or NAME=PATH); a log with damaged lines is said."""
    courses = {}
    for name, path in named_paths(runs).items():
        courses[name] = read_course(path)
        if count := courses[name].damaged:
            lines = f"{count} damaged line{'s' * (count > 1)}"
            reporter.warn(f"{path / 'log.jsonl'}: {lines} left out")
    return courses


def plot_curves(courses: Mapping[str, Course], out: Path) -> None:
    """Draw them into a file."""
    draw_curves(out, courses)


def curves_text(courses: Mapping[str, Course], by: str, screen: Screen) -> Iterator[Row]:
    """Charts for the terminal, by `updates` or `minutes`; UserError for anything else, or for more
    runs than a terminal can tell apart."""
    if by not in AXES:
        raise UserError(f"--by {by}: use {' or '.join(AXES)}")
    if len(courses) > len(COLOURS):
        raise UserError(
            f"{len(courses)} runs: a terminal tells {len(COLOURS)} apart; draw them with -o FILE"
        )
    if len(courses) > 1 or not screen.colours:
        for number, name in enumerate(courses):
            yield key(name, number, screen)
        yield []
    shown = present(courses)
    every = [
        getattr(course, curve)
        for course in courses.values()
        for one in shown
        for curve in one.curves
    ]
    right = max(place for series in every for place in [0.0, *series.along(by)])
    for quantity in shown:
        lines = [
            Line(
                list(zip(series.along(by), series.values, strict=True)),
                number,
                dotted=second > 0,
            )
            for number, course in enumerate(courses.values())
            for second, series in enumerate(getattr(course, curve) for curve in quantity.curves)
        ]
        title = f"{quantity.label} (line: training, dots: validation)"
        yield from chart(
            title if quantity.label == "loss" else quantity.label, lines, by, right, screen,
            height=11 if quantity.label == "loss" else 7,
        )  # fmt: skip
        yield []
