"""The face of translate --shard, and of join."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from nmt_cli.errors import UserError
from nmt_cli.reporting import Reporter

if TYPE_CHECKING:
    from nmt_cli.commands.processes import ParallelTranslator
    from nmt_cli.commands.translate import Form
    from nmt_cli.data.ranges import Shard


class Wanted(NamedTuple):
    """Parts of a text to translate into a folder."""

    shards: "list[Shard]"
    text: Path
    out: Path
    on: str


def shards_wanted(
    shard: str | None, text: Path | None, out: Path | None, prefix: Path | None, on: str
) -> Wanted | None:
    """What --shard, --input, --out and --on say together; UserError where they do not fit."""
    check_place(on)
    if shard is None:
        if on == "ray":
            raise UserError("--on ray: needs --shard all/N, --input FILE and --out FOLDER")
        if text is not None or out is not None:
            name = "--input" if text is not None else "--out"
            raise UserError(f"{name}: goes with --shard; else standard input is translated")
        return None
    if text is None or out is None:
        raise UserError(f"--shard {shard}: also needs --input FILE and --out FOLDER")
    if prefix is not None:
        raise UserError("--prefix does not go with --shard")
    from nmt_cli.data.ranges import parse_shards

    return Wanted(parse_shards(shard), text, out, on)


def check_place(on: str) -> None:
    """UserError for another --on than there is."""
    if on not in ("here", "ray"):
        raise UserError(f"--on {on}: use here or ray")


def translate_shards(
    translator: "ParallelTranslator", wanted: Wanted, form: "Form", reporter: Reporter
) -> None:
    """Translate the parts, one after the other, or side by side on a cluster."""
    if wanted.on == "ray":
        from nmt_cli.commands.cluster import translate_on_ray

        translate_on_ray(translator.opening, wanted.text, wanted.shards, wanted.out, form, reporter)
        return
    from nmt_cli.commands.shards import translate_shard

    for shard in wanted.shards:
        translate_shard(translator, wanted.text, shard, wanted.out, form, reporter)


def join(folder: Annotated[Path, typer.Argument(help="Folder that --out named.")]) -> None:
    """Put the parts that nmt translate --shard made together, in order.

    Example: nmt join parts > translations
    """
    from nmt_cli.data.shards import joined

    for line in joined(folder):
        sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
