"""The command line with all its commands.

Commands import heavy packages only when they run, so that `nmt --help` answers at once.
"""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from nmt_cli import __version__
from nmt_cli.cli import catalogue, corpora, data, doctor, export, plot, score, serving, shards, training, translation

GROUPS = {
    "plot": "Plot runs, in files or in the terminal.",
    "corpora": "List the corpora that a recipe can name; with a command, show one or download it.",
    "recipes": "List the recipes that come with nmt; with a command, show or copy one, or explain all keys.",
    "models": "List the models that a recipe can name; with a command, show one.",
}


def _print_version(requested: bool) -> None:
    if requested:
        print(__version__)
        raise typer.Exit


def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Neural machine translation: from parallel text to a translation on standard output."""


def build_app() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        name="nmt",
        help="Neural machine translation: from parallel text to a translation on standard output.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_main)
    for command in (
        data.prepare, data.check, training.train, translation.translate, translation.rescore, translation.calibrate,
        serving.serve, shards.merge_shards, score.score, data.tokenize, data.detokenize, data.perturb,
        training.average, export.export,
    ):  # fmt: skip
        app.command()(command)
    app.command("import")(export.import_run)
    _add_group(
        app, "plot", None, attention=plot.attention, lengths=plot.lengths, positions=plot.positions, curves=plot.curves
    )
    _add_group(app, "corpora", corpora.corpora, show=corpora.corpora_show, fetch=corpora.corpora_fetch)
    _add_group(
        app, "recipes", catalogue.recipes,
        show=catalogue.recipes_show, copy=catalogue.recipes_copy, keys=catalogue.recipes_keys,
    )  # fmt: skip
    _add_group(app, "models", catalogue.models, show=catalogue.models_show)
    app.command()(doctor.doctor)
    return app


def build_command() -> Any:
    """The whole command line as the object that runs it; in its help, flags have no type, since they take no value."""
    command = typer.main.get_command(build_app())
    _hide_types_of_flags(command, None)
    return command


def _hide_types_of_flags(command: Any, parent: Any) -> None:
    context = command.context_class(command, parent=parent, **command.context_settings)
    for parameter in command.get_params(context):
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    for subcommand in getattr(command, "commands", {}).values():
        _hide_types_of_flags(subcommand, context)


def _add_group(
    app: typer.Typer, name: str, default: Callable[..., None] | None, **commands: Callable[..., None]
) -> None:
    """Add a command with commands of its own; `default` is run where none of them is named."""
    group = typer.Typer(help=GROUPS[name], no_args_is_help=default is None, invoke_without_command=default is not None)
    if default is not None:
        group.callback()(default)
    for command_name, command in commands.items():
        group.command(command_name)(command)
    app.add_typer(group, name=name)
