"""nmt translate --shard, and nmt merge-shards."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from nmt_cli.cli.options import check_on_option, write_stdout
from nmt_cli.errors import UserError
from nmt_cli.reporting import Reporter

if TYPE_CHECKING:
    from nmt_cli.inference.output import OutputFormat
    from nmt_cli.translation.byte_ranges import Shard
    from nmt_cli.translation.parallel import ParallelTranslator


class ShardRequest(NamedTuple):
    """Shards of a text to translate into a folder."""

    shards: "list[Shard]"
    text: Path
    out: Path
    on: str


def parse_shard_options(
    shard: str | None, text: Path | None, out: Path | None, prefix: Path | None, on: str
) -> ShardRequest | None:
    """Combine --shard, --input, --out and --on; UserError if they do not fit together."""
    check_on_option(on)
    if shard is None:
        if on == "ray":
            raise UserError("--on ray: needs --shard all/N, --input FILE and --out FOLDER")
        if text is not None or out is not None:
            name = "--input" if text is not None else "--out"
            raise UserError(f"{name}: needs --shard; without it, standard input is translated")
        return None
    if text is None or out is None:
        raise UserError(f"--shard {shard}: also needs --input FILE and --out FOLDER")
    if prefix is not None:
        raise UserError("--prefix cannot be combined with --shard")
    from nmt_cli.translation.byte_ranges import parse_shards

    return ShardRequest(parse_shards(shard), text, out, on)


def translate_shards(
    translator: "ParallelTranslator", request: ShardRequest, output_format: "OutputFormat", reporter: Reporter
) -> None:
    """Translate the shards, one after the other, or in parallel on a Ray cluster."""
    if request.on == "ray":
        from nmt_cli.translation.ray_cluster import translate_on_ray

        translate_on_ray(translator.spec, request.text, request.shards, request.out, output_format, reporter)
        return
    from nmt_cli.translation.shards import translate_shard

    for shard in request.shards:
        translate_shard(translator, request.text, shard, request.out, output_format, reporter)


def merge_shards(folder: Annotated[Path, typer.Argument(help="Folder that was given to --out.")]) -> None:
    """Merge the translated shards of nmt translate --shard, in order.

    Example: nmt merge-shards parts > translations
    """
    from nmt_cli.translation.shard_files import join_shards

    for line in join_shards(folder):
        write_stdout(line, flush=False)
    write_stdout(b"")
