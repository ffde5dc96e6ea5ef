"""nmt translate, rescore and score."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt_cli.cli.options import Device, Json, On, Overrides, Processes, Quiet, open_stdin, print_line, stdin_is_terminal
from nmt_cli.cli.shards import parse_shard_options, translate_shards
from nmt_cli.reporting import Reporter

if TYPE_CHECKING:
    from nmt_cli.inference.output import OutputFormat, TranslatedLine


def translate(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; several form an ensemble.")],
    beam: Annotated[int | None, typer.Option(help="search.beam; 1 is greedy.")] = None,
    n_best: Annotated[int | None, typer.Option(help="search.n_best.")] = None,
    overrides: Overrides = [],
    prefix: Annotated[Path | None, typer.Option(help="File with the beginning of each translation.")] = None,
    alignments: Annotated[bool, typer.Option("--alignments", help="Add ||| and source-target word pairs.")] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="One JSON object per line.")] = False,
    engine: Annotated[
        str, typer.Option(help="torch; or ctranslate2 or onnx, to which the run is exported once.")
    ] = "torch",
    quantization: Annotated[str | None, typer.Option(help="Weights of ctranslate2: float32, int8 ...")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse lines that are not UTF-8 or cannot be read whole.")
    ] = False,
    device: Device = "auto",
    processes: Processes = "auto",
    shard: Annotated[str | None, typer.Option(metavar="I/N", help="Part I of N of --input; all/N: every part.")] = None,
    text: Annotated[Path | None, typer.Option("--input", help="With --shard: the text.")] = None,
    out: Annotated[Path | None, typer.Option(help="With --shard: folder of the parts.")] = None,
    on: On = "here",
    quiet: Quiet = False,
) -> None:
    """Translate standard input: one line in, one line out.

    Example: echo 'The old man reads a book.' | nmt translate runs/quickstart
    """
    shard_request = parse_shard_options(shard, text, out, prefix, on)
    from nmt_cli.workers import limit_blas_threads

    limit_blas_threads()
    from nmt_cli.inference.opening import TranslatorSpec
    from nmt_cli.inference.parallel import ParallelTranslator

    search_overrides = [f"search.beam={beam}"] if beam is not None else []
    search_overrides += [f"search.n_best={n_best}"] if n_best is not None else []
    reporter = Reporter(quiet)
    interactive = not shard_request and not jsonl and stdin_is_terminal()
    spec = TranslatorSpec(
        tuple(map(str, runs)), (*overrides, *search_overrides), device, alignments, engine, quantization,
        rescore_canonical=jsonl, strict=strict, report_unknown_words=jsonl or interactive,
    )  # fmt: skip
    translator = ParallelTranslator(spec, processes, reporter)
    output_format = translator.output_format(jsonl=jsonl)
    if shard_request:
        translate_shards(translator, shard_request, output_format, reporter)
        return
    _print_lines(translator.translate(open_stdin(), prefix), output_format, reporter, interactive=interactive)


def _print_lines(
    lines: "Iterator[TranslatedLine]", output_format: "OutputFormat", reporter: Reporter, *, interactive: bool
) -> None:
    """Print what is made of each line; who typed it is also told its unknown words."""
    with reporter.line_warnings() as report_line:
        for translated in lines:
            report_line(translated.line.number, translated.warnings)
            for output_line in translated.output_lines(output_format):
                print_line(output_line)
            if interactive and translated.unknown_words:
                words = ", ".join(translated.unknown_words)
                reporter.info(f"line {translated.line.number}: not in the training text: {words}")


def rescore(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN... SOURCE TARGET", help="Run folders, two files.")],
    overrides: Overrides = [],
    jsonl: Annotated[bool, typer.Option("--jsonl", help="One JSON object per line.")] = False,
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
    with Reporter().line_warnings() as report_line:
        for scored_pair in rescore_files(folders, source, target, overrides, device):
            report_line(scored_pair.number, scored_pair.warnings)
            print_line(json.dumps(scored_pair.record()) if jsonl else scored_pair.text)


def score(
    references: Annotated[list[Path], typer.Argument(help="Reference files.")],
    hypotheses: Annotated[Path | None, typer.Option("--hypotheses", "-i", help="File; default standard input.")] = None,
    metrics: Annotated[str, typer.Option(help="Some of bleu,chrf,ter.")] = "bleu,chrf,ter",
    lowercase: Annotated[bool, typer.Option("--lowercase", help="Ignore case.")] = False,
    tokenize: Annotated[str | None, typer.Option(help="sacreBLEU tokenizer for BLEU; default 13a.")] = None,
    as_json: Json = False,
) -> None:
    """Score translations with sacreBLEU.

    Example: nmt translate RUN < test.en | nmt score test.de
    """
    from nmt_cli.commands.score import score_files

    hypothesis_source = hypotheses if hypotheses is not None else open_stdin()
    results = score_files(references, hypothesis_source, metrics, lowercase=lowercase, tokenize=tokenize)
    if as_json:
        print_line(
            json.dumps({result.name: {"score": result.score, "signature": result.signature} for result in results})
        )
        return
    for result in results:
        print_line(f"{result.text}\n  {result.signature}")
