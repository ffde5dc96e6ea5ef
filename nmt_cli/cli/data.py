"""The face of prepare, check, tokenize and detokenize."""

import json
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from nmt_cli.cli.options import (
    Device,
    Json,
    On,
    Processes,
    Quiet,
    Recipe,
    Settings,
    input_blocks,
    put,
)
from nmt_cli.cli.shards import check_place
from nmt_cli.errors import UserError
from nmt_cli.reporting import Reporter


def prepare(
    recipe: Recipe,
    settings: Settings = [],
    processes: Processes = "auto",
    on: On = "here",
    quiet: Quiet = False,
) -> None:
    """Clean, tokenise and store a recipe's corpus under prepared/.

    Example: nmt prepare quickstart
    """
    from nmt_cli.workers import parse_processes, start_no_threads

    start_no_threads()
    from nmt_cli.commands.prepare import prepare_recipe
    from nmt_cli.recipe import load_recipe

    wanted = parse_processes(processes)
    check_place(on)
    if on == "ray":
        from nmt_cli.commands.cluster import connected, ray_pool

        with connected() as ray:
            prepare_recipe(load_recipe(recipe, settings), Reporter(quiet), pool=ray_pool(ray))
    else:
        prepare_recipe(load_recipe(recipe, settings), Reporter(quiet), processes=wanted)


def check(
    recipe: Recipe,
    out: Annotated[
        Path | None, typer.Option(help="Run folder; default runs/<recipe name>.")
    ] = None,
    settings: Settings = [],
    device: Device = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find in seconds what would go wrong hours into a run.

    Looks at the recipe, its files and their text, lengths, vocabulary, memory and disk; writes
    nothing. The exit code is 2 where training could not succeed.

    Example: nmt check quickstart
    """
    from nmt_cli.commands.check import check as run_checks

    reporter = Reporter(quiet)
    found = run_checks(recipe, settings, out, reporter, device)
    if as_json:
        put(json.dumps([one.record() for one in found], ensure_ascii=False))
    for one in found if not as_json else []:
        put(f"{one.level:8} {one.about}: {one.text}")
    if any(one.level == "error" for one in found):
        raise typer.Exit(2)


def tokenize(
    tokenizer: Annotated[Path, typer.Argument(help="Run folder or tokenizer file.")],
    side: Annotated[str | None, typer.Option(help="source or target, where they differ.")] = None,
) -> None:
    """Cut standard input into pieces; a space inside a piece is shown as U+2581.

    Example: nmt tokenize runs/quickstart < text
    """
    from nmt_cli.commands import tokenize as command

    opened = command.open_tokenizer(tokenizer, _side(side))
    for block in input_blocks():
        for line in command.tokenize(block, opened):
            put(line)


def detokenize(
    tokenizer: Annotated[Path, typer.Argument(help="Run folder or tokenizer file.")],
    side: Annotated[str | None, typer.Option(help="source or target, where they differ.")] = None,
) -> None:
    """Put pieces from standard input together again.

    Example: nmt tokenize RUN < text | nmt detokenize RUN
    """
    from nmt_cli.commands import tokenize as command

    opened = command.open_tokenizer(tokenizer, _side(side))
    for line in command.detokenize(chain.from_iterable(input_blocks()), opened):
        put(line)


def _side(text: str | None) -> Any:
    if text not in (None, "source", "target"):
        raise UserError(f"--side {text}: use source or target")
    return text
