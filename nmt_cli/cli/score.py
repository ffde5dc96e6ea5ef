"""nmt score."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from nmt_cli.cli.labelled_paths import labelled_paths
from nmt_cli.cli.options import Json, Quiet, open_stdin, print_line
from nmt_cli.errors import UserError
from nmt_cli.reporting import Reporter

if TYPE_CHECKING:
    from nmt_cli.commands.score import ScoringOptions


def score(
    references: Annotated[list[Path], typer.Argument(help="Reference files.")],
    hypotheses: Annotated[
        list[str],
        typer.Option(
            "--hypotheses",
            "-i",
            metavar="[NAME=]FILE",
            help="Translations; default standard input. If there are several, the others are compared with the first.",
        ),
    ] = [],
    metrics: Annotated[str, typer.Option(help="Some of bleu,chrf,chrf++,ter.")] = "bleu,chrf,ter",
    lowercase: Annotated[bool, typer.Option("--lowercase", help="Ignore case.")] = False,
    tokenize: Annotated[str | None, typer.Option(help="sacreBLEU tokenizer for BLEU; default 13a.")] = None,
    language: Annotated[
        str | None, typer.Option(metavar="CODE", help="Choose the tokenizer that training uses for this language.")
    ] = None,
    sentences: Annotated[bool, typer.Option("--sentences", help="Score every line: TSV; --json: JSON lines.")] = False,
    samples: Annotated[
        int, typer.Option(min=100, max=100_000, help="Resamples of the bootstrap that compares systems.")
    ] = 1000,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score translations with sacreBLEU, or compare systems with its paired bootstrap.

    Example: nmt translate RUN < test.en | nmt score test.de
    """  # fmt: skip
    from nmt_cli.commands.score import ScoringOptions, compare_files, score_files

    options, reporter = ScoringOptions(metrics, lowercase, tokenize, language), Reporter(quiet)
    paths = labelled_paths(hypotheses)
    if len(references) > 1:
        named = ", ".join(map(str, references))
        reporter.info(f"{len(references)} references for each line: {named} (name systems to compare with -i)")
    if len(paths) > 1:
        if sentences:
            raise UserError("--sentences: scores one system; give a single -i FILE")
        comparison = compare_files(references, paths, options, samples, reporter)
        for line in [json.dumps(comparison.to_dict())] if as_json else comparison.text_lines():
            print_line(line)
        return
    hypothesis_source = next(iter(paths.values()), None) or open_stdin()
    if sentences:
        _print_sentences(references, hypothesis_source, options, reporter, as_json=as_json)
        return
    results = score_files(references, hypothesis_source, options, reporter)
    if as_json:
        print_line(
            json.dumps({result.name: {"score": result.score, "signature": result.signature} for result in results})
        )
        return
    for result in results:
        print_line(f"{result.text}\n  {result.signature}")


def _print_sentences(
    references: list[Path], hypotheses: BinaryIO | Path, options: "ScoringOptions", reporter: Reporter, *, as_json: bool
) -> None:
    """Print the scores of every line, and the signatures on standard error."""
    from nmt_cli.commands.score import score_sentences

    scores = score_sentences(references, hypotheses, options, reporter)
    for name, signature in scores.signatures.items():
        reporter.info(f"{name}: {signature}")
    for line in map(json.dumps, scores.records()) if as_json else scores.tsv_lines():
        print_line(line)
