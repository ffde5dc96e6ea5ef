"""The conversation on standard error: lines, warnings and progress bars; and what standard output
can show of a picture. Only here is rich used."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console


class Progress:
    """One bar; `advance` moves it and may change the text behind it."""

    def __init__(self, bar: Any = None, task: Any = None) -> None:
        self._bar, self._task = bar, task

    def advance(self, amount: float = 1, note: str | None = None) -> None:
        """Move on by `amount`, and show `note` behind the bar."""
        if self._bar is not None:
            fields = {} if note is None else {"note": note}
            self._bar.update(self._task, advance=amount, **fields)


MAX_LINES_WITH_WARNINGS = 100  # whose warnings are said one by one


@dataclass
class Reporter:
    """Where a command says what it does: standard error, or nowhere when quiet."""

    quiet: bool = False
    silent: bool = False  # not even warnings: another process says the same
    start_time: float = field(default_factory=time.monotonic)
    _console: "Console | None" = None

    @property
    def console(self) -> "Console":
        """The terminal on standard error."""
        if self._console is None:
            from rich.console import Console

            self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        return self._console

    def info(self, text: str, *, style: str = "") -> None:
        """One line of conversation."""
        if not self.quiet and not self.silent:
            self.console.print(text, style=style, markup=False)

    def warning(self, text: str) -> None:
        """A line that is shown even when quiet."""
        if not self.silent:
            self.console.print(f"warning: {text}", style="yellow", markup=False)

    @contextmanager
    def line_warnings(self, prefix: str = "") -> Iterator[Callable[[int, Sequence[str]], None]]:
        """Say what is to be known of lines of text: their number, and warnings.

        The first MAX_LINES_WITH_WARNINGS lines that have any are said one by one, the others counted, so that a
        text of millions of lines that are all at fault does not bury what else is said.
        """
        shown_lines = suppressed_lines = 0

        def report_line(number: int, warnings: Sequence[str]) -> None:
            nonlocal shown_lines, suppressed_lines
            if warnings and shown_lines == MAX_LINES_WITH_WARNINGS:
                if not suppressed_lines:
                    self.warning(f"{prefix}from here on, lines that have warnings are counted")
                suppressed_lines += 1
                return
            shown_lines += bool(warnings)
            for warning in warnings:
                self.warning(f"{prefix}line {number}: {warning}")

        try:
            yield report_line
        finally:
            if suppressed_lines:
                self.warning(f"{prefix}{suppressed_lines:,} more had warnings; --jsonl writes them all")

    @contextmanager
    def progress(self, label: str, total: float | None, completed: float = 0) -> Iterator[Progress]:
        """A progress bar while the block runs; nothing where standard error is no terminal."""
        if self.quiet or self.silent or not sys.stderr.isatty():
            yield Progress()
            return
        from rich import progress as bars

        columns = (
            bars.TextColumn("{task.description}"),
            bars.BarColumn(bar_width=24),
            bars.TaskProgressColumn(),
            bars.TimeRemainingColumn(elapsed_when_finished=True),
            bars.TextColumn("{task.fields[note]}", markup=False),
        )
        with bars.Progress(*columns, console=self.console, transient=True) as bar:
            yield Progress(bar, bar.add_task(label, total=total, completed=int(completed), note=""))


class Span(NamedTuple):
    """A stretch of text in a style: `bold`, `blue`, `#ffffff on #003366`, or nothing."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Screen:
    """Standard output as a place for pictures; without colours they are drawn in plain ASCII."""

    width: int = 80
    colours: bool = False

    @classmethod
    def from_stdout(cls) -> "Screen":
        """Colours where it is a terminal that has some and NO_COLOR is not set."""
        from rich.console import Console

        console = Console()
        is_plain = console.no_color or console.color_system is None or not console.is_terminal
        return cls(console.width, not is_plain)

    def render(self, spans: Sequence[Span]) -> str:
        """A line as it is to be printed, with the terminal's codes where it has colours."""
        if not self.colours:
            return "".join(span.text for span in spans).rstrip()
        from rich.console import Console
        from rich.text import Text

        console = Console(soft_wrap=True, highlight=False)
        with console.capture() as captured:
            console.print(Text.assemble(*spans), end="")
        return captured.get()


def display_width(text: str) -> int:
    """Columns that a text takes in a terminal: two for a Chinese character, none for an accent."""
    from rich.cells import cell_len

    return cell_len(text)
