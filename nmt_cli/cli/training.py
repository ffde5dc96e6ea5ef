"""The command line of train and average."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt_cli.cli.interrupts import Interrupted, keep_interrupts
from nmt_cli.cli.options import Device, Overrides, Quiet, Recipe, Run, shell_command, train_arguments
from nmt_cli.distributed.launcher import is_launched, launch
from nmt_cli.errors import UserError
from nmt_cli.reporting import Reporter
from nmt_cli.workers import shorten_spinning

if TYPE_CHECKING:
    from nmt_cli.distributed.process_group import ProcessGroup
    from nmt_cli.recipe.loader import Recipe as LoadedRecipe


def train(
    recipe: Recipe,
    out: Annotated[Path | None, typer.Option(help="Run folder; default runs/<recipe name>.")] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Continue the run in this folder from its last checkpoint, or start it if there is none."
        ),
    ] = False,
    processes: Annotated[int, typer.Option(min=1, help="Processes on this machine that share each update.")] = 1,
    overrides: Overrides = [],
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Train a model into a run folder, preparing its data first if needed.

    A folder that exists is refused, unless --resume continues it. Ctrl-C saves a checkpoint and prints the command
    that resumes. The checkpoint that is best on the development text is kept, and nmt translate uses it.

    Example: nmt train quickstart
    """
    from nmt_cli.recipe.loader import load_recipe

    shorten_spinning()
    arguments = train_arguments(recipe, out, overrides, device)
    if is_launched() and processes > 1:
        raise UserError("--processes: a launcher has already started processes; leave it out")
    loaded_recipe = None
    if not is_launched():  # read before torch is imported, so that mistakes show at once
        loaded_recipe = load_recipe(recipe, overrides, Reporter(quiet) if processes == 1 else None)
    if loaded_recipe is not None and processes > 1:
        from nmt_cli.runs.folder import RunFolder

        folder = out or _default_folder(loaded_recipe)
        RunFolder(folder).check_trainable(resume=resume)  # the launcher resumes whatever ends badly
        command = [*arguments, *["--resume"] * resume, *["--quiet"] * quiet]
        raise typer.Exit(launch(processes, command, lambda: _latest_checkpoint_name(folder), Reporter(quiet)))
    from nmt_cli.commands.train import train as run_training
    from nmt_cli.distributed.process_group import MainProcessFailed, PeerLost, join_process_group

    try:
        with join_process_group() as group:
            reporter = Reporter(quiet, silent=not group.is_main)
            with _exit_codes(group, arguments, out):
                group_recipe = loaded_recipe or group.main_first(lambda: load_recipe(recipe, overrides, reporter))
            folder = out or _default_folder(group_recipe)
            with _exit_codes(group, arguments, folder):
                run_training(group_recipe, folder, reporter, resume=resume, device=device, processes=group)
                reporter.info(f"next: {shell_command(['translate', str(folder)])}")
    except MainProcessFailed:
        raise typer.Exit(0) from None
    except PeerLost as error:
        print(f"nmt: {error}", file=sys.stderr)
        raise typer.Exit(1) from None


@contextmanager
def _exit_codes(group: "ProcessGroup", arguments: list[str], folder: Path | None) -> Iterator[None]:
    """Report what ends training early: rank 0 with how to go on, others with their rank or in silence.

    `folder` is that of the run; None while the recipe that names it is read.
    """
    from nmt_cli.training.signals import TrainingInterrupted

    try:
        with keep_interrupts():
            yield
    except TrainingInterrupted as stopped:
        if group.is_main:
            with suppress(OSError):  # nobody reads it
                print(f"nmt: {stopped}; saved. {_next_command(arguments, group)}", file=sys.stderr)
            raise typer.Exit(128 + stopped.signal_number) from None
    except Interrupted as interrupt:  # while preparing or translating the test text, with nothing to save
        if group.is_main:
            is_started = folder is not None and folder.exists()
            saved = "" if is_started else "; nothing is saved yet"
            command = _next_command(arguments, group, is_started=is_started)
            raise Interrupted(interrupt.signal_number, f"{saved}. {command}") from None
        raise typer.Exit(128 + interrupt.signal_number) from None
    except UserError as error:
        if group.is_main:
            raise
        raise UserError(f"rank {group.rank}: {error}") from error


def _default_folder(recipe: "LoadedRecipe") -> Path:
    return Path("runs") / recipe.name


def _next_command(arguments: list[str], group: "ProcessGroup", *, is_started: bool = True) -> str:
    """How to resume a training that was stopped, or to start it again where it has no run folder."""
    what = "Resume with" if is_started else "Start again with"
    if group.local_world_size < group.world_size:
        return f"{what}: the same command on every machine{', with --resume' * is_started}"
    process_arguments = [] if group.is_single else ["--processes", str(group.world_size)]
    return f"{what}: {shell_command([*arguments, *process_arguments, *['--resume'] * is_started])}"


def _latest_checkpoint_name(folder: Path) -> str | None:
    from nmt_cli.runs.folder import RunFolder

    checkpoints = RunFolder(folder).checkpoints.step_folders()
    return checkpoints[-1].name if checkpoints else None


def average(
    run: Run,
    out: Annotated[Path, typer.Option(help="Run folder to write.")],
    last: Annotated[int | None, typer.Option(min=1, help="Number of checkpoints; default: all that are kept.")] = None,
    quiet: Quiet = False,
) -> None:
    """Average the last checkpoints of a run into a new run.

    Example: nmt average runs/quickstart --out runs/averaged
    """
    from nmt_cli.commands.average import average as average_run

    result, reporter = average_run(run, out, last), Reporter(quiet)
    updates = ", ".join(map(str, result.updates))
    reporter.info(f"{result.folder}: mean of the checkpoints after updates {updates}")
    if len(result.updates) == 1:
        reporter.warning(
            "the mean of one checkpoint is that checkpoint; training.average_checkpoints: N keeps the last N"
        )
    reporter.info(f"it has no confidence scores yet: nmt calibrate {result.folder} SOURCE REFERENCE fits them")
