"""What standard output shows of a picture: colours, width, columns of letters."""

import io
import os
import sys
from contextlib import suppress

import pytest

from nmt_cli.reporting import MAX_LINES_WITH_WARNINGS, Reporter, Screen, Span, display_width

ROW = [Span("label ", "bold"), Span(" 87", "#ffffff on #003366"), Span("   ", "on #000000")]


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "COLUMNS", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def test_a_pipe_has_no_colours_and_eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    screen = Screen.from_stdout()
    assert screen == Screen(80, colours=False)
    assert screen.render(ROW) == "label  87"


def test_a_terminal_has_colours_and_its_own_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("COLORTERM", "truecolor")
    screen = Screen.from_stdout()
    assert screen == Screen(120, colours=True)
    shown = screen.render(ROW)
    assert "\x1b[38;2;255;255;255;48;2;0;51;102m 87\x1b[0m" in shown
    assert shown.endswith("\x1b[48;2;0;0;0m   \x1b[0m")  # cells at the end of a line stay


@pytest.mark.parametrize("name, value", [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_without_colours_is_drawn_in_ascii(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv(name, value)
    assert not Screen.from_stdout().colours


def test_a_console_that_prints_escape_codes_is_drawn_in_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr("rich.console.detect_legacy_windows", lambda: True)
    assert not Screen.from_stdout().colours


def test_text_that_looks_like_markup_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    row = [Span("[bold]x[/bold] :smile:")]
    assert Screen(80, colours=True).render(row) == "[bold]x[/bold] :smile:"
    assert Screen(80, colours=True).render([Span("x" * 300)]) == "x" * 300


@pytest.mark.parametrize("text, columns", [("abc", 3), ("我们", 4), ("e\u0301", 1), ("", 0)])
def test_letters_are_counted_in_columns(text: str, columns: int) -> None:
    assert display_width(text) == columns


def test_lines_at_fault_are_said_one_by_one_until_they_are_very_many(capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter(quiet=True).line_warnings("shard 1/2, ") as tell:
        for number in range(1, MAX_LINES_WITH_WARNINGS + 31):
            tell(number, ["one", "two"] if number == 3 else ["cut"])
            tell(1000 + number, [])
    stderr_lines = capsys.readouterr().err.splitlines()
    assert stderr_lines[:5] == [
        "warning: shard 1/2, line 1: cut",
        "warning: shard 1/2, line 2: cut",
        "warning: shard 1/2, line 3: one",
        "warning: shard 1/2, line 3: two",
        "warning: shard 1/2, line 4: cut",
    ]
    assert stderr_lines[-3:] == [
        f"warning: shard 1/2, line {MAX_LINES_WITH_WARNINGS}: cut",
        "warning: shard 1/2, further lines with warnings are only counted",
        "warning: shard 1/2, 30 more lines had warnings; --jsonl lists them all",
    ]
    assert len(stderr_lines) == MAX_LINES_WITH_WARNINGS + 3


def test_few_lines_at_fault_need_no_sum(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), Reporter().line_warnings() as tell:
        for number in range(MAX_LINES_WITH_WARNINGS):
            tell(number, ["cut"])
        raise KeyError
    assert len(capsys.readouterr().err.splitlines()) == MAX_LINES_WITH_WARNINGS


def test_a_command_goes_on_where_nobody_reads_its_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with open(write_end, "w", buffering=1) as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        reporter = Reporter()
        for _ in range(2):
            reporter.warning("cut")
        with suppress(BrokenPipeError):  # of what is left in the buffer
            stderr.close()
    assert reporter.console.quiet


def test_the_lines_of_a_text_are_counted_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt_cli.reporting.MIN_SECONDS_BETWEEN_NOTES", 0.0)
    for terminal, quiet, shows in ((Terminal(), False, True), (Terminal(), True, False), (io.StringIO(), False, False)):
        monkeypatch.setattr(sys, "stderr", terminal)
        with Reporter(quiet).line_progress("translate", 12) as progress:
            progress.add("Zwei Sätze. Ja.", 2)
            progress.add("", 1)
        shown = terminal.getvalue()
        assert bool(shown) == shows
        assert not shows or ("translate" in shown and "2 lines" in shown and "sentences/s" in shown)
