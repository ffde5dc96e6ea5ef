"""The face of train and average."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt_cli.cli.interruption import Interrupted
from nmt_cli.cli.options import Device, Quiet, Recipe, Run, Settings
from nmt_cli.errors import UserError
from nmt_cli.launcher import launch, launched
from nmt_cli.reporting import Reporter

if TYPE_CHECKING:
    from nmt_cli.distributed import Processes


def train(
    recipe: Recipe,
    out: Annotated[
        Path | None, typer.Option(help="Run folder; default runs/<recipe name>.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an earlier run.")] = False,
    processes: Annotated[
        int, typer.Option(min=1, help="Processes on this machine that share each update.")
    ] = 1,
    settings: Settings = [],
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Train a model into a run folder, preparing its data first if nobody has.

    Example: nmt train quickstart
    """
    from nmt_cli.recipe import load_recipe

    words = _words(recipe, out, settings, device)
    if launched():
        if processes > 1:
            raise UserError("--processes: a launcher has started these already; leave it out")
    else:
        loaded = load_recipe(recipe, settings)  # before torch is imported: mistakes show sooner
        if processes > 1:
            folder = out or Path("runs") / loaded.name
            command = [*words, *["--resume"] * resume, *["--quiet"] * quiet]
            raise typer.Exit(launch(processes, command, lambda: _newest(folder), Reporter(quiet)))
    from nmt_cli.distributed import EndedElsewhere, ProcessLost, join

    try:
        with join() as group:
            again = _again(words, group)
            _train(group, again, recipe, out, resume, settings, device, quiet)
    except EndedElsewhere:
        raise typer.Exit(0) from None
    except ProcessLost as lost:
        print(f"nmt: {lost}", file=sys.stderr)
        raise typer.Exit(1) from None


def _train(
    group: "Processes",
    again: str,
    recipe: str,
    out: Path | None,
    resume: bool,
    settings: list[str],
    device: str,
    quiet: bool,
) -> None:
    """Train alone or as one of a group, of which rank 0 alone speaks; `again` is how to go on."""
    from nmt_cli.commands.train import train as run_training
    from nmt_cli.recipe import load_recipe
    from nmt_cli.training.stopping import Stopped

    reporter = Reporter(quiet, silent=not group.leads)
    try:
        loaded = group.after_first(lambda: load_recipe(recipe, settings))
        folder = out or Path("runs") / loaded.name
        run_training(loaded, folder, reporter, resume=resume, device=device, processes=group)
    except Stopped as stopped:
        if group.leads:
            print(f"nmt: {stopped}; saved. Go on with: {again}", file=sys.stderr)
            raise typer.Exit(128 + stopped.signal_number) from None
    except Interrupted as stop:  # while nothing was to be saved: preparing, translating the test
        if group.leads:
            raise Interrupted(stop.number, again) from None
        raise typer.Exit(128 + stop.number) from None
    except UserError as error:
        if group.leads:
            raise
        raise UserError(f"rank {group.rank}: {error}") from error


def _again(words: list[str], group: "Processes") -> str:
    """How to go on with a training that was stopped."""
    if group.local_count < group.count:
        return "the same command on every machine, with --resume"
    more = [] if group.alone else ["--processes", str(group.count)]
    return shlex.join(["nmt", *words, *more, "--resume"])


def _words(recipe: str, out: Path | None, settings: list[str], device: str) -> list[str]:
    """What `nmt` is told on this command line, but for what differs from start to start."""
    words = ["train", recipe]
    words += ["--out", str(out)] if out else []
    words += [word for setting in settings for word in ("--set", setting)]
    words += ["--device", device] if device != "auto" else []
    return words


def _newest(folder: Path) -> str | None:
    """The name of a run's newest checkpoint."""
    from nmt_cli.run_folder import RunFolder

    steps = RunFolder(folder).steps()
    return steps[-1].name if steps else None


def average(
    run: Run,
    out: Annotated[Path, typer.Option(help="Run folder to write.")],
    last: Annotated[
        int | None, typer.Option(min=1, help="How many checkpoints; default all that are kept.")
    ] = None,
) -> None:
    """Average a run's last checkpoints into a run of its own.

    Example: nmt average runs/quickstart --out runs/averaged
    """
    from nmt_cli.commands.average import average as average_run

    found = average_run(run, out, last)
    updates = ", ".join(map(str, found.updates))
    print(f"{found.folder}: mean of the checkpoints after updates {updates}", file=sys.stderr)
