"""nmt translate and rescore."""

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt_cli.cli.options import (
    Device,
    Exact,
    On,
    Quiet,
    ScoringOverrides,
    SearchOverrides,
    is_terminal,
    open_stdin,
    print_line,
    with_search_options,
)
from nmt_cli.cli.shards import parse_shard_options, translate_shards
from nmt_cli.errors import UserError
from nmt_cli.reporting import LineProgress, Reporter

AbstentionForm = StrEnum("AbstentionForm", ["copy", "empty", "mark"])

if TYPE_CHECKING:
    from nmt_cli.inference.output import Abstention, OutputFormat, TranslatedLine
    from nmt_cli.translation.opening import TranslatorSpec
    from nmt_cli.translation.parallel import ParallelTranslator

Keep = Annotated[
    list[str],
    typer.Option(metavar="PATTERN", help="Regular expression of text to leave untranslated; may be repeated."),
]
EngineName = Annotated[
    str,
    typer.Option(
        help="auto, torch (nmt's own search), ctranslate2 or onnx; auto: ctranslate2 if its translations are as good."
    ),
]
Quantization = Annotated[
    str | None,
    typer.Option(help="Weights of ctranslate2: float32, int8, bfloat16, float16, int8_float16 or int8_bfloat16."),
]
TranslationProcesses = Annotated[
    str, typer.Option(metavar="N|auto", help="Number of worker processes; with ctranslate2, of threads in one process.")
]
AbstainBelow = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Mark or replace translations with a lower confidence than this; see --abstain."),
]
Abstain = Annotated[
    AbstentionForm | None,
    typer.Option(help="With --abstain-below: copy the source, leave the line empty, or mark it with [?] (default)."),
]


def translate(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; several form an ensemble.")],
    beam: Annotated[int | None, typer.Option(help="search.beam; 1 is greedy.")] = None,
    n_best: Annotated[
        int | None, typer.Option(help="Translations per line (search.n_best); with search.sampling, samples.")
    ] = None,
    overrides: SearchOverrides = [],
    prefix: Annotated[Path | None, typer.Option(help="File with the beginnings of the translations.")] = None,
    keep: Keep = [],
    alignments: Annotated[bool, typer.Option("--alignments", help="Add ||| and source-target word pairs.")] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="One JSON object per line.")] = False,
    engine: EngineName = "auto",
    quantization: Quantization = None,
    exact: Exact = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at a line that is not UTF-8 or too long for the model.")
    ] = False,
    abstain_below: AbstainBelow = None,
    abstain: Abstain = None,
    device: Device = "auto",
    processes: TranslationProcesses = "auto",
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
    from nmt_cli.translation.opening import TranslatorSpec

    reporter = Reporter(quiet)
    interactive = not shard_request and not jsonl and is_terminal(sys.stdin)
    abstention = _abstention(abstain_below, abstain)
    spec = TranslatorSpec(
        tuple(map(str, runs)), with_search_options(overrides, beam, n_best, exact), device, alignments,
        engine=_exact_engine(engine, quantization) if exact else engine, quantization=quantization,
        score=jsonl or interactive or reporter.on_terminal or abstention is not None,
        rescore_canonical=jsonl, strict=strict, assess=jsonl,
        report_unknown_words=jsonl or interactive or reporter.on_terminal,
        abstention=abstention, keep_patterns=tuple(keep),
    )  # fmt: skip
    translator = _open_translator(spec, processes, reporter)
    output_format = translator.output_format(jsonl=jsonl)
    if shard_request:
        return translate_shards(translator, shard_request, output_format, reporter)
    _translate_stdin(translator, prefix, output_format, reporter, interactive=interactive)


def _abstention(below: float | None, form: AbstentionForm | None) -> "Abstention | None":
    """What --abstain-below and --abstain ask for; UserError where the first is missing."""
    from nmt_cli.inference.output import Abstention

    if below is not None:
        return Abstention(below, (form or AbstentionForm.mark).value)
    if form is not None:
        raise UserError("--abstain: says how to treat translations below a confidence: give --abstain-below, too")
    return None


def _open_translator(spec: "TranslatorSpec", processes: str, reporter: Reporter) -> "ParallelTranslator":
    """The translator, after saying on a terminal which engine it uses, and why."""
    from nmt_cli.translation.parallel import ParallelTranslator

    translator = ParallelTranslator(spec, processes, reporter)
    if reporter.on_terminal:
        reporter.info(translator.engine_choice.text)
    return translator


def _translate_stdin(
    translator: "ParallelTranslator",
    prefix: Path | None,
    output_format: "OutputFormat",
    reporter: Reporter,
    *,
    interactive: bool,
) -> None:
    from nmt_cli.inference.lines import remaining_file_bytes

    stream = open_stdin()
    lines = translator.translate(stream, prefix)
    on_screen = interactive or is_terminal(sys.stdout)  # where a bar would be in the way of the text
    bar = nullcontext() if on_screen else reporter.line_progress("translate", remaining_file_bytes(stream))
    with bar as progress:
        _print_lines(lines, output_format, reporter, progress, interactive=interactive)


def _exact_engine(engine: str, quantization: str | None) -> str:
    """The engine of --exact; UserError where another one or other weights are asked for as well."""
    if engine not in ("auto", "torch") or quantization is not None:
        raise UserError("--exact means engine torch in float32: leave out --engine and --quantization")
    return "torch"


def _print_lines(
    lines: "Iterator[TranslatedLine]",
    output_format: "OutputFormat",
    reporter: Reporter,
    progress: LineProgress | None,
    *,
    interactive: bool,
) -> None:
    """Print the output of each line, and the summary; if the user types the input, what is unknown in it, too."""
    from nmt_cli.translation.summary import TranslationSummary

    summary = TranslationSummary()
    with reporter.line_warnings() as report_line:
        for translated in lines:
            summary.add(translated)
            if progress is not None:
                progress.add(
                    translated.line.text + translated.line.ending, max(1, len(translated.translation.sentences))
                )
            report_line(translated.line.number, translated.warnings)
            for output_line in translated.output_lines(output_format):
                print_line(output_line)
            if interactive and translated.unknown_words:
                words = ", ".join(translated.unknown_words)
                reporter.info(f"line {translated.line.number}: not in the training text: {words}")
            elif interactive and translated.unfamiliar:
                reporter.info(f"line {translated.line.number}: unlike the training text: the translation is a guess")
    summary.report(reporter, interactive=interactive)


def calibrate(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    source: Annotated[Path, typer.Argument(help="At least 100 lines of the kind that will be translated.")],
    reference: Annotated[Path, typer.Argument(help="Their translations.")],
    overrides: SearchOverrides = [],
    engine: EngineName = "auto",
    quantization: Quantization = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Fit the confidence of a run's translations to a text, for an engine and a precision.

    The text is translated and compared with its reference. The result is confidence.json in the run, which
    --jsonl and --abstain-below use.

    Example: nmt calibrate runs/quickstart dev.en dev.de
    """
    from nmt_cli.commands.calibrate import calibrate as calibrate_run

    reporter = Reporter(quiet)
    fit = calibrate_run(
        run, source, reference, overrides, reporter, device=device, engine=engine, quantization=quantization
    )
    reporter.info(
        f"{run}: calibrated on {fit.calibration.lines:,} lines; good means a chrF of at least {fit.good_chrf:.1f}"
    )


def rescore(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN... SOURCE TARGET", help="Run folders, two files.")],
    overrides: ScoringOverrides = [],
    jsonl: Annotated[bool, typer.Option("--jsonl", help="One JSON object per line.")] = False,
    engine: EngineName = "auto",
    exact: Exact = False,
    device: Device = "auto",
) -> None:
    """Print the log-probability of given translations under a model, one line per pair.

    Columns: log-probability, log-probability per target token, source tokens, target tokens. A pair
    that cannot be scored gets -inf (in --jsonl null) and a warning.

    Example: nmt rescore runs/quickstart test.en test.de
    """
    from nmt_cli.commands.rescore import rescore as rescore_files

    if len(runs) < 3:
        raise UserError("nmt rescore RUN... SOURCE TARGET: give a run folder and two files")
    *folders, source, target = runs
    if exact:
        engine = _exact_engine(engine, None)
        overrides = [*with_search_options(overrides, None, None, exact)]
    scored_pairs = rescore_files(folders, source, target, overrides, device, engine=engine, with_confidence=jsonl)
    with Reporter().line_warnings() as report_line:
        for scored_pair in scored_pairs:
            report_line(scored_pair.number, scored_pair.warnings)
            print_line(json.dumps(scored_pair.record()) if jsonl else scored_pair.text)
