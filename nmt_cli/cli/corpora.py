"""Command-line interface of corpora."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nmt_cli.cli.options import Json, Quiet, print_line
from nmt_cli.reporting import Reporter

Name = Annotated[str, typer.Argument(help="Name of a corpus.", show_default=False)]
Language = Annotated[str, typer.Argument(help="Language code.", show_default=False)]


def corpora(context: typer.Context, as_json: Json = False) -> None:
    """List the corpora that a recipe can name: languages, pairs, download size, licence."""
    if context.invoked_subcommand is None:
        from nmt_cli.commands.corpora import corpus_rows, corpus_table

        lines = [json.dumps([asdict(row) for row in corpus_rows()])] if as_json else corpus_table()
        for line in lines:
            print_line(line)


def corpora_show(name: Name) -> None:
    """Print a corpus's licence, files, addresses, SHA-256 and citation."""
    from nmt_cli.commands.corpora import describe_corpus

    for line in describe_corpus(name):
        print_line(line)


def corpora_fetch(
    name: Name,
    source: Language,
    target: Language,
    to: Annotated[Path | None, typer.Option(help="Folder for the text; default: the cache.")] = None,
    quiet: Quiet = False,
) -> None:
    """Download, verify and unpack a corpus, and print the folder of its text.

    Example: nmt corpora fetch multi30k en de
    """
    from nmt_cli.commands.corpora import fetch_by_name

    print_line(str(fetch_by_name(name, source, target, Reporter(quiet), to)))
