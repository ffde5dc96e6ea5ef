"""The face of export."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nmt_cli.cli.options import Device, Json, Quiet, Run, put
from nmt_cli.reporting import Reporter


def export(
    run: Run,
    to: Annotated[str, typer.Option(help="Format: ctranslate2.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    quantization: Annotated[
        str | None, typer.Option(help="Type of the weights: float32 (default), int8, bfloat16 ...")
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a run in the format of another runtime, checked against the run.

    Example: nmt export runs/quickstart --to ctranslate2 --quantization int8 --out quickstart-int8
    """
    from nmt_cli.commands.export import export as export_run

    reporter = Reporter(quiet)
    found = export_run(run, to, out, reporter, quantization=quantization, device=device)
    if as_json:
        put(json.dumps(asdict(found), ensure_ascii=False, default=str))
        return
    about = f"{found.format}, {found.quantization}; {found.parity.text}"
    print(f"{found.folder}: {about}", file=sys.stderr)


def import_run(
    folder: Annotated[Path, typer.Argument(help="MarianMT or OPUS-MT folder.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Run folder to write.")],
    source: Annotated[str | None, typer.Option(help="Source language code.")] = None,
    target: Annotated[str | None, typer.Option(help="Target language code.")] = None,
) -> None:
    """Make a run of a MarianMT folder (safetensors) of transformers.

    Example: nmt import opus-mt-en-de --out runs/opus-en-de
    """
    from nmt_cli.commands.importing import import_marian

    found = import_marian(folder, out, source, target)
    cut = (
        "; text is cut by SentencePiece, so spaces and rare characters may change"
        if found.sentencepiece
        else ""
    )
    print(f"{found.folder}: {found.parameters:,} parameters{cut}", file=sys.stderr)
