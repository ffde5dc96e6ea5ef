"""The command line with all its commands.

Commands import heavy packages only when they run, so that `nmt --help` answers at once.
"""

from typing import Annotated

import typer

from nmt_cli import __version__
from nmt_cli.cli import (
    catalogue,
    corpora,
    data,
    doctor,
    export,
    perturb,
    plot,
    score,
    serving,
    shards,
    training,
    translation,
)


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
    app.command()(data.prepare)
    app.command()(data.check)
    app.command()(training.train)
    app.command()(translation.translate)
    app.command()(translation.rescore)
    app.command()(translation.calibrate)
    app.command()(serving.serve)
    app.command()(shards.merge_shards)
    app.command()(score.score)
    app.command()(data.tokenize)
    app.command()(data.detokenize)
    app.command()(perturb.perturb)
    app.command()(training.average)
    app.command()(export.export)
    app.command("import")(export.import_run)
    app.add_typer(_plots(), name="plot")
    app.add_typer(_corpora(), name="corpora")
    app.add_typer(_recipes(), name="recipes")
    app.add_typer(_models(), name="models")
    app.command()(doctor.doctor)
    return app


def _plots() -> typer.Typer:
    plot_app = typer.Typer(help="Plot runs, in files or in the terminal.", no_args_is_help=True)
    plot_app.command()(plot.attention)
    plot_app.command()(plot.lengths)
    plot_app.command()(plot.positions)
    plot_app.command()(plot.curves)
    return plot_app


def _corpora() -> typer.Typer:
    corpora_app = typer.Typer(help="Corpora that a recipe can name.", invoke_without_command=True)
    corpora_app.callback()(corpora.corpora)
    corpora_app.command("show")(corpora.corpora_show)
    corpora_app.command("fetch")(corpora.corpora_fetch)
    return corpora_app


def _recipes() -> typer.Typer:
    recipes_app = typer.Typer(help="Recipes that come with nmt.", invoke_without_command=True)
    recipes_app.callback()(catalogue.recipes)
    recipes_app.command("show")(catalogue.recipes_show)
    recipes_app.command("copy")(catalogue.recipes_copy)
    recipes_app.command("keys")(catalogue.recipes_keys)
    return recipes_app


def _models() -> typer.Typer:
    models_app = typer.Typer(help="Models that a recipe can name.", invoke_without_command=True)
    models_app.callback()(catalogue.models)
    models_app.command("show")(catalogue.models_show)
    return models_app
