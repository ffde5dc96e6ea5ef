"""The face of train and average."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from nmt_cli.cli.interruption import Interrupted
from nmt_cli.cli.options import Device, Quiet, Recipe, Run, Settings
from nmt_cli.reporting import Reporter


def train(
    recipe: Recipe,
    out: Annotated[
        Path | None, typer.Option(help="Run folder; default runs/<recipe name>.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an earlier run.")] = False,
    settings: Settings = [],
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Train a model into a run folder, preparing its data first if nobody has.

    Example: nmt train quickstart
    """
    from nmt_cli.recipe import load_recipe

    loaded = load_recipe(recipe, settings)  # before the rest is imported: mistakes show sooner
    from nmt_cli.commands.train import train as run_training
    from nmt_cli.training.stopping import Stopped

    folder = out or Path("runs") / loaded.name
    try:
        run_training(loaded, folder, Reporter(quiet), resume=resume, device=device)
    except Stopped as stopped:
        again = _again(recipe, out, settings, device)
        print(f"nmt: {stopped}; saved. Go on with: {again}", file=sys.stderr)
        raise typer.Exit(128 + stopped.signal_number) from None
    except Interrupted as stop:  # while nothing was to be saved: preparing, translating the test
        raise Interrupted(stop.number, _again(recipe, out, settings, device)) from None


def _again(recipe: str, out: Path | None, settings: list[str], device: str) -> str:
    """The command line that goes on with this one."""
    words = ["nmt", "train", recipe]
    words += ["--out", str(out)] if out else []
    words += [word for setting in settings for word in ("--set", setting)]
    words += ["--device", device] if device != "auto" else []
    return shlex.join([*words, "--resume"])


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
