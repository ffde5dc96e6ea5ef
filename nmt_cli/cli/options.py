"""Arguments that several commands share, and how they read and write lines."""

import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TextIO

import typer

from nmt_cli.distributed.launcher import is_launched
from nmt_cli.errors import UserError
from nmt_cli.reporting import Reporter


def _warn_of_old_names(overrides: list[str]) -> list[str]:
    """Say which keys of --set have another name now; once, where a launcher starts many processes."""
    from nmt_cli.recipe.aliases import rename_override_keys
    from nmt_cli.recipe.overrides import parse_overrides

    if not is_launched():
        for renamed in rename_override_keys(parse_overrides(overrides)[0])[1]:
            if not renamed.conflict:
                Reporter().warning(f"--set {renamed.message()}")
    return overrides


Recipe = Annotated[str, typer.Argument(help="Path of a recipe, or the name of a shipped one.")]


def _set_option(text: str) -> Any:
    return typer.Option("--set", metavar="KEY=VALUE", help=text, callback=_warn_of_old_names)


Overrides = Annotated[list[str], _set_option("Override a recipe key: training.updates=9000; may be repeated.")]
SearchOverrides = Annotated[list[str], _set_option("Override a search setting: search.beam=1; may be repeated.")]
ScoringOverrides = Annotated[
    list[str], _set_option("Override a search setting: search.split=none; may be repeated.")
]  # where nothing is searched for
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only warnings and errors.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Processes = Annotated[str, typer.Option(metavar="N|auto", help="Number of worker processes on this machine.")]
On = Annotated[str, typer.Option(metavar="here|ray", help="This machine, or a Ray cluster (RAY_ADDRESS).")]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
Run = Annotated[Path, typer.Argument(help="Run folder.", show_default=False)]
Exact = Annotated[
    bool, typer.Option("--exact", help="nmt's own search in float32, whose result depends least on the machine.")
]


def with_search_options(overrides: list[str], beam: int | None, n_best: int | None, exact: bool) -> tuple[str, ...]:
    """The overrides with those of the options that are short for keys of the search section; UserError for a key that
    is given twice."""
    options = {
        "--beam": ("beam", beam),
        "--n-best": ("n_best", n_best),
        "--exact": ("precision", "fp32" if exact else None),
    }
    given = {override.partition("=")[0].strip() for override in overrides}
    added = {option: (key, value) for option, (key, value) in options.items() if value is not None}
    for option, (key, _) in added.items():
        if f"search.{key}" in given:
            raise UserError(f"{option} and --set search.{key}: leave one of them out")
    return (*overrides, *(f"search.{key}={value}" for key, value in added.values()))


def check_on_option(on: str) -> None:
    """UserError if --on is neither here nor ray."""
    if on not in ("here", "ray"):
        raise UserError(f"--on {on}: use here or ray")


def input_blocks() -> Iterator[list[str]]:
    """Blocks of lines from standard input as they arrive; invalid UTF-8 is replaced, with a warning."""
    from nmt_cli.inference.lines import read_blocks

    for block in read_blocks(open_stdin()):
        for line in block:
            if line.invalid_utf8:
                Reporter().warning(f"line {line.number}: invalid UTF-8 was replaced by U+FFFD")
        yield [line.text + line.ending for line in block]


def open_stdin() -> BinaryIO:
    """Standard input, not through sys.stdin: a thread that reads it may be waiting when we exit,
    and Python cannot end while somebody else holds the lock of sys.stdin."""
    if sys.stdin is None:
        raise UserError("standard input is closed")
    try:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    except (OSError, ValueError):
        return sys.stdin.buffer


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal, where somebody types or reads."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # it is closed
        return False


def print_line(text: str) -> None:
    """A line of the product, at once; UserError where it cannot be written."""
    write_stdout(text.encode("utf-8", "replace") + b"\n")


def write_stdout(output: bytes, *, flush: bool = True) -> None:
    """Bytes of the product, with `flush` at once; UserError where they cannot be written."""
    if sys.stdout is None:
        raise UserError("standard output is closed")
    try:
        sys.stdout.buffer.write(output)
        if flush:
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(f"standard output: cannot write: {error.strerror}") from error


def shell_command(arguments: Sequence[str]) -> str:
    """The command `nmt` with these arguments, quoted for the shell of this system."""
    if sys.platform == "win32":
        from subprocess import list2cmdline

        return list2cmdline(["nmt", *arguments])
    return shlex.join(["nmt", *arguments])


def train_arguments(recipe: str, out: Path | None, overrides: list[str], device: str) -> list[str]:
    """The arguments of `nmt` that train a recipe so, the same each time its run is started or resumed."""
    arguments = ["train", recipe]
    arguments += ["--out", str(out)] if out else []
    arguments += [argument for override in overrides for argument in ("--set", override)]
    arguments += ["--device", device] if device != "auto" else []
    return arguments
