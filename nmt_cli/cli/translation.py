"""The face of translate, rescore and score."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt_cli.cli.options import (
    Device,
    Json,
    On,
    Processes,
    Quiet,
    Settings,
    at_terminal,
    put,
    standard_input,
)
from nmt_cli.cli.shards import shards_wanted, translate_shards
from nmt_cli.reporting import Reporter

if TYPE_CHECKING:
    from nmt_cli.commands.translate import Form, TranslatedLine


def translate(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; several are an ensemble.")],
    beam: Annotated[int | None, typer.Option(help="search.beam; 1 is greedy.")] = None,
    n_best: Annotated[int | None, typer.Option(help="search.n_best.")] = None,
    settings: Settings = [],
    prefix: Annotated[
        Path | None, typer.Option(help="File with the beginning of each translation.")
    ] = None,
    alignments: Annotated[
        bool, typer.Option("--alignments", help="Add ||| and source-target word pairs.")
    ] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="One JSON object a line.")] = False,
    engine: Annotated[
        str, typer.Option(help="torch; or ctranslate2 or onnx, to which the run is exported once.")
    ] = "torch",
    quantization: Annotated[
        str | None, typer.Option(help="Weights of ctranslate2: float32, int8 ...")
    ] = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Refuse lines that are not UTF-8 or cannot be read whole."),
    ] = False,
    device: Device = "auto",
    processes: Processes = "auto",
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Part I of N of --input; all/N: every part.")
    ] = None,
    text: Annotated[Path | None, typer.Option("--input", help="With --shard: the text.")] = None,
    out: Annotated[Path | None, typer.Option(help="With --shard: folder of the parts.")] = None,
    on: On = "here",
    quiet: Quiet = False,
) -> None:
    """Translate standard input: one line in, one line out.

    Example: echo 'The old man reads a book.' | nmt translate runs/quickstart
    """
    shards = shards_wanted(shard, text, out, prefix, on)
    from nmt_cli.workers import start_no_threads

    start_no_threads()
    from nmt_cli.commands.processes import Opening, ParallelTranslator

    extra = [f"search.beam={beam}"] if beam is not None else []
    extra += [f"search.n_best={n_best}"] if n_best is not None else []
    reporter = Reporter(quiet)
    typed = not shards and not jsonl and at_terminal()
    opening = Opening(
        tuple(map(str, runs)), (*settings, *extra), device, alignments, engine, quantization,
        respell=jsonl, strict=strict, unknown=jsonl or typed,
    )  # fmt: skip
    translator = ParallelTranslator(opening, processes, reporter)
    form = translator.form(jsonl=jsonl)
    if shards:
        translate_shards(translator, shards, form, reporter)
        return
    _print_lines(translator.translate(standard_input(), prefix), form, reporter, typed=typed)


def _print_lines(
    lines: "Iterator[TranslatedLine]", form: "Form", reporter: Reporter, *, typed: bool
) -> None:
    """Print what is made of each line; who typed it is also told its unknown words."""
    with reporter.lines() as tell:
        for one in lines:
            tell(one.line.number, one.warnings)
            for written in one.output(form):
                put(written)
            if typed and one.unknown_words:
                words = ", ".join(one.unknown_words)
                reporter.say(f"line {one.line.number}: not in the training text: {words}")


def rescore(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN... SOURCE TARGET", help="Run folders, two files.")
    ],
    settings: Settings = [],
    jsonl: Annotated[bool, typer.Option("--jsonl", help="One JSON object a line.")] = False,
    device: Device = "auto",
) -> None:
    """Print how probable a model finds given translations, one line a pair.

    Columns: log-probability, the same a target token, source tokens, target tokens. A pair that
    cannot be scored has -inf (in --jsonl null) and a warning.

    Example: nmt rescore runs/quickstart test.en test.de
    """
    from nmt_cli.commands.rescore import rescore as rescore_files
    from nmt_cli.errors import UserError

    if len(runs) < 3:
        raise UserError("nmt rescore RUN... SOURCE TARGET: give a run folder and two files")
    *folders, source, target = runs
    with Reporter().lines() as tell:
        for one in rescore_files(folders, source, target, settings, device):
            tell(one.number, one.warnings)
            put(json.dumps(one.record()) if jsonl else one.text)


def score(
    references: Annotated[list[Path], typer.Argument(help="Reference files.")],
    hypotheses: Annotated[
        Path | None, typer.Option("--hypotheses", "-i", help="File; default standard input.")
    ] = None,
    metrics: Annotated[str, typer.Option(help="Some of bleu,chrf,ter.")] = "bleu,chrf,ter",
    lowercase: Annotated[bool, typer.Option("--lowercase", help="Ignore case.")] = False,
    tokenize: Annotated[
        str | None, typer.Option(help="sacreBLEU tokenizer for BLEU; default 13a.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score translations with sacreBLEU.

    Example: nmt translate RUN < test.en | nmt score test.de
    """
    from nmt_cli.commands.score import score_files

    source = hypotheses if hypotheses is not None else standard_input()
    found = score_files(references, source, metrics, lowercase=lowercase, tokenize=tokenize)
    if as_json:
        put(
            json.dumps(
                {one.name: {"score": one.score, "signature": one.signature} for one in found}
            )
        )
        return
    for one in found:
        put(f"{one.text}\n  {one.signature}")
