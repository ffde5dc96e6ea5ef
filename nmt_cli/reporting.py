"""Messages, warnings and progress bars on standard error, and styled text on standard output.

This is the only module that uses rich.
"""

import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from nmt_cli.errors import pluralize

if TYPE_CHECKING:
    from rich.console import Console


class Progress:
    """A progress bar; does nothing without one."""

    def __init__(self, bar: Any = None, task: Any = None) -> None:
        self._bar, self._task = bar, task

    @property
    def is_shown(self) -> bool:
        """Whether there is a bar."""
        return self._bar is not None

    def advance(self, amount: float = 1, note: str | None = None) -> None:
        """Advance by `amount`, and show `note` after the bar."""
        if self._bar is not None:
            fields = {} if note is None else {"note": note}
            self._bar.update(self._task, advance=amount, **fields)


def terminal_outputs() -> list[int]:
    """The descriptors of standard output and standard error, those that are a terminal."""
    return [descriptor for descriptor in (1, 2) if os.isatty(descriptor)]


def discard_output(descriptors: Sequence[int]) -> None:
    """Let what is written there go nowhere: writing to a terminal that was closed is an error."""
    for descriptor in descriptors:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)


@contextmanager
def hidden_native_lines(pattern: re.Pattern[bytes]) -> Iterator[None]:
    """Hide matching lines of what libraries in C++ write to standard error meanwhile; other lines follow afterwards."""
    import tempfile  # not needed to start

    try:
        original = os.dup(2)
    except OSError:  # closed by who called
        yield
        return
    with tempfile.TemporaryFile() as buffer:
        sys.stderr.flush()
        os.dup2(buffer.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(original, 2)
            os.close(original)
            buffer.seek(0)
            for line in buffer:
                if not pattern.search(line):
                    os.write(2, line)


MIN_SECONDS_BETWEEN_NOTES = 0.1


class LineProgress:
    """A progress bar over the lines of a text: how many are done, how fast, and how long the rest takes.

    It advances in bytes, since the size of a file is known and the number of its lines is not.
    """

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._start = self._shown = time.monotonic()
        self._bytes = self.lines = self.sentences = 0

    def add(self, text: str, sentences: int) -> None:
        """Count a line that is done, and so many sentences of it; the bar is drawn now and then."""
        if not self._bar.is_shown:
            return
        self.lines += 1
        self.sentences += sentences
        self._bytes += len(text.encode(errors="replace")) + 1
        now = time.monotonic()
        if now - self._shown >= MIN_SECONDS_BETWEEN_NOTES:
            rate = self.sentences / (now - self._start)
            self._bar.advance(self._bytes, f"{self.lines:,} lines, {rate:,.3g} sentences/s")
            self._shown, self._bytes = now, 0


MAX_LINES_WITH_WARNINGS = 100  # lines whose warnings are printed; further ones are counted


@dataclass
class Reporter:
    """Prints messages of a command to standard error."""

    quiet: bool = False  # warnings only
    silent: bool = False  # not even warnings, which another process prints
    _console: "Console | None" = None

    @property
    def console(self) -> "Console":
        """rich's console on standard error."""
        if self._console is None:
            from rich.console import Console

            class MessageConsole(Console):
                """Where nobody reads standard error any more, the command continues without messages.

                rich would end it, and close standard output.
                """

                def on_broken_pipe(self) -> None:
                    self.quiet = True

            self._console = MessageConsole(stderr=True, highlight=False, soft_wrap=True)
        return self._console

    def info(self, text: str, *, style: str = "") -> None:
        """Print a message, unless quiet."""
        if not self.quiet and not self.silent:
            self.console.print(text, style=style, markup=False)

    def warning(self, text: str) -> None:
        """Print a warning, even if quiet."""
        if not self.silent:
            self.console.print(f"warning: {text}", style="yellow", markup=False)

    @contextmanager
    def line_warnings(self, prefix: str = "") -> Iterator[Callable[[int, Sequence[str]], None]]:
        """A function that prints the warnings of a line of text, given its number.

        The warnings of the first MAX_LINES_WITH_WARNINGS lines are printed and later lines are counted, so that a
        text of millions of faulty lines does not bury other messages.
        """
        shown_lines = suppressed_lines = 0

        def report_line(number: int, warnings: Sequence[str]) -> None:
            nonlocal shown_lines, suppressed_lines
            if warnings and shown_lines == MAX_LINES_WITH_WARNINGS:
                if not suppressed_lines:
                    self.warning(f"{prefix}further lines with warnings are only counted")
                suppressed_lines += 1
                return
            shown_lines += bool(warnings)
            for warning in warnings:
                self.warning(f"{prefix}line {number}: {warning}")

        try:
            yield report_line
        finally:
            if suppressed_lines:
                self.warning(f"{prefix}{pluralize(suppressed_lines, 'more line')} had warnings; --jsonl lists them all")

    @property
    def on_terminal(self) -> bool:
        """Whether somebody may be reading: standard error is a terminal."""
        return sys.stderr.isatty()

    @contextmanager
    def line_progress(self, label: str, total_bytes: int | None) -> Iterator[LineProgress]:
        """The progress over the lines of a text while the block runs; a bar as in `progress`."""
        with self.progress(label, total_bytes, seconds_of_speed=3600) as bar:
            bar.advance(1e-6)  # lines come in blocks: speed is what was done since now, not within a block
            yield LineProgress(bar)

    @contextmanager
    def progress(
        self, label: str, total: float | None, completed: float = 0, *, seconds_of_speed: float = 30
    ) -> Iterator[Progress]:
        """A progress bar while the block runs, if standard error is a terminal.

        The time left is estimated from the speed of the last `seconds_of_speed`.
        """
        if self.quiet or self.silent or not self.on_terminal:
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
        with bars.Progress(
            *columns, console=self.console, transient=True, speed_estimate_period=seconds_of_speed
        ) as bar:
            yield Progress(bar, bar.add_task(label, total=total, completed=int(completed), note=""))


class Span(NamedTuple):
    """Text in one of rich's styles: `bold`, `blue`, `#ffffff on #003366`, or none."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Screen:
    """The size of standard output in columns, and whether it shows colours; if not, plots are plain ASCII."""

    width: int = 80
    colours: bool = False

    @classmethod
    def from_stdout(cls) -> "Screen":
        """Colours if standard output is a terminal that supports them and NO_COLOR is not set."""
        from rich.console import Console

        console = Console()
        shows_codes = console.is_terminal and not console.legacy_windows  # old consoles of Windows print them
        is_plain = console.no_color or console.color_system is None or not shows_codes
        return cls(console.width, not is_plain)

    def render(self, spans: Sequence[Span]) -> str:
        """A line ready to print, with escape codes if the screen has colours."""
        if not self.colours:
            return "".join(span.text for span in spans).rstrip()
        from rich.console import Console
        from rich.text import Text

        console = Console(soft_wrap=True, highlight=False)
        with console.capture() as captured:
            console.print(Text.assemble(*spans), end="")
        return captured.get()


def display_width(text: str) -> int:
    """Terminal columns of a text: two for a Chinese character, none for a combining accent."""
    from rich.cells import cell_len

    return cell_len(text)
