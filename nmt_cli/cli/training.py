"""The face of train and average."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt_cli.cli.interruption import Interrupted
from nmt_cli.cli.options import Device, Overrides, Quiet, Recipe, Run
from nmt_cli.distributed.launcher import is_launched, launch
from nmt_cli.errors import UserError
from nmt_cli.reporting import Reporter

if TYPE_CHECKING:
    from nmt_cli.distributed.process_group import ProcessGroup


def train(
    recipe: Recipe,
    out: Annotated[Path | None, typer.Option(help="Run folder; default runs/<recipe name>.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an earlier run.")] = False,
    processes: Annotated[int, typer.Option(min=1, help="Processes on this machine that share each update.")] = 1,
    overrides: Overrides = [],
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Train a model into a run folder, preparing its data first if nobody has.

    Example: nmt train quickstart
    """
    from nmt_cli.recipe.loader import load_recipe

    arguments = _command_arguments(recipe, out, overrides, device)
    if is_launched():
        if processes > 1:
            raise UserError("--processes: a launcher has started these already; leave it out")
    else:
        loaded_recipe = load_recipe(recipe, overrides)  # before torch is imported: mistakes show sooner
        if processes > 1:
            folder = out or Path("runs") / loaded_recipe.name
            command = [*arguments, *["--resume"] * resume, *["--quiet"] * quiet]
            raise typer.Exit(launch(processes, command, lambda: _latest_checkpoint_name(folder), Reporter(quiet)))
    from nmt_cli.distributed.process_group import MainProcessFailed, PeerLost, join_process_group

    try:
        with join_process_group() as group:
            resume_command = _resume_command(arguments, group)
            _train_process(group, resume_command, recipe, out, resume, overrides, device, quiet)
    except MainProcessFailed:
        raise typer.Exit(0) from None
    except PeerLost as error:
        print(f"nmt: {error}", file=sys.stderr)
        raise typer.Exit(1) from None


def _train_process(
    group: "ProcessGroup",
    resume_command: str,
    recipe: str,
    out: Path | None,
    resume: bool,
    overrides: list[str],
    device: str,
    quiet: bool,
) -> None:
    """Train alone or as one of a group, of which rank 0 alone speaks; `again` is how to go on."""
    from nmt_cli.commands.train import train as run_training
    from nmt_cli.recipe.loader import load_recipe
    from nmt_cli.training.signals import TrainingInterrupted

    reporter = Reporter(quiet, silent=not group.is_main)
    try:
        loaded_recipe = group.main_first(lambda: load_recipe(recipe, overrides, reporter))
        folder = out or Path("runs") / loaded_recipe.name
        run_training(loaded_recipe, folder, reporter, resume=resume, device=device, processes=group)
    except TrainingInterrupted as stopped:
        if group.is_main:
            print(f"nmt: {stopped}; saved. Go on with: {resume_command}", file=sys.stderr)
            raise typer.Exit(128 + stopped.signal_number) from None
    except Interrupted as interrupt:  # while nothing was to be saved: preparing, translating the test
        if group.is_main:
            raise Interrupted(interrupt.signal_number, resume_command) from None
        raise typer.Exit(128 + interrupt.signal_number) from None
    except UserError as error:
        if group.is_main:
            raise
        raise UserError(f"rank {group.rank}: {error}") from error


def _resume_command(arguments: list[str], group: "ProcessGroup") -> str:
    """How to go on with a training that was stopped."""
    if group.local_world_size < group.world_size:
        return "the same command on every machine, with --resume"
    process_arguments = [] if group.is_single else ["--processes", str(group.world_size)]
    return shlex.join(["nmt", *arguments, *process_arguments, "--resume"])


def _command_arguments(recipe: str, out: Path | None, overrides: list[str], device: str) -> list[str]:
    """What `nmt` is told on this command line, but for what differs from start to start."""
    arguments = ["train", recipe]
    arguments += ["--out", str(out)] if out else []
    arguments += [argument for override in overrides for argument in ("--set", override)]
    arguments += ["--device", device] if device != "auto" else []
    return arguments


def _latest_checkpoint_name(folder: Path) -> str | None:
    """The name of a run's newest checkpoint."""
    from nmt_cli.runs.folder import RunFolder

    checkpoints = RunFolder(folder).step_folders()
    return checkpoints[-1].name if checkpoints else None


def average(
    run: Run,
    out: Annotated[Path, typer.Option(help="Run folder to write.")],
    last: Annotated[int | None, typer.Option(min=1, help="How many checkpoints; default all that are kept.")] = None,
) -> None:
    """Average a run's last checkpoints into a run of its own.

    Example: nmt average runs/quickstart --out runs/averaged
    """
    from nmt_cli.commands.average import average as average_run

    result = average_run(run, out, last)
    updates = ", ".join(map(str, result.updates))
    print(f"{result.folder}: mean of the checkpoints after updates {updates}", file=sys.stderr)
