"""nmt export and nmt import."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nmt_cli.cli.options import Device, Json, Quiet, Run, print_line
from nmt_cli.reporting import Reporter


def export(
    run: Run,
    to: Annotated[str, typer.Option(help="Format: ctranslate2, onnx or huggingface.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    quantization: Annotated[
        str | None,
        typer.Option(
            help="Type of the weights: float32 (default); ctranslate2 also int8, bfloat16, float16, int8_float16 or "
            "int8_bfloat16."
        ),
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Export a run for another runtime, and check that it translates as the run does.

    Example: nmt export runs/quickstart --to ctranslate2 --quantization int8 --out quickstart-int8
    """
    from nmt_cli.export.exporting import export as export_run

    reporter = Reporter(quiet)
    result = export_run(run, to, out, reporter, quantization=quantization, device=device)
    if as_json:
        print_line(json.dumps(asdict(result), ensure_ascii=False, default=str))
        return
    summary = f"{result.format}, {result.quantization}; {result.parity.summary}"
    reporter.info(f"{result.folder}: {summary}")


def import_run(
    folder: Annotated[Path, typer.Argument(help="MarianMT or OPUS-MT folder.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Run folder to write.")],
    source: Annotated[str | None, typer.Option(help="Source language code.")] = None,
    target: Annotated[str | None, typer.Option(help="Target language code.")] = None,
    quiet: Quiet = False,
) -> None:
    """Turn a MarianMT folder for transformers (safetensors) into a run.

    Example: nmt import opus-mt-en-de --out runs/opus-en-de
    """
    from nmt_cli.commands.import_marian import import_marian

    imported = import_marian(folder, out, source, target)
    sentencepiece_note = (
        "; SentencePiece segments the text, so spaces and rare characters may change" if imported.sentencepiece else ""
    )
    Reporter(quiet).info(f"{imported.folder}: {imported.parameters:,} parameters{sentencepiece_note}")
