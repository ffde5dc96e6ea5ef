"""The command line of prepare, check, tokenize, detokenize and perturb."""

import json
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from nmt_cli.cli.options import (
    Device,
    Json,
    On,
    Overrides,
    Processes,
    Quiet,
    Recipe,
    check_on_option,
    input_blocks,
    print_line,
    shell_command,
    train_arguments,
)
from nmt_cli.data import SIDES
from nmt_cli.data.perturbation import KINDS, perturb_lines
from nmt_cli.errors import UserError, suggest
from nmt_cli.reporting import Reporter


def prepare(
    recipe: Recipe, overrides: Overrides = [], processes: Processes = "auto", on: On = "here", quiet: Quiet = False
) -> None:
    """Clean, tokenise and store a recipe's corpus under prepared/.

    Example: nmt prepare quickstart
    """
    from nmt_cli.workers import limit_blas_threads, parse_process_count

    limit_blas_threads()
    from nmt_cli.commands import prepare as command

    process_count = parse_process_count(processes)
    check_on_option(on)
    reporter = Reporter(quiet)
    result = command.prepare(recipe, overrides, reporter, process_count, on_ray=on == "ray")
    if not (Path("runs") / result.recipe.name).exists():
        reporter.info(f"next: {shell_command(train_arguments(recipe, None, overrides, 'auto'))}")


def check(
    recipe: Recipe,
    out: Annotated[Path | None, typer.Option(help="Run folder; default runs/<recipe name>.")] = None,
    overrides: Overrides = [],
    device: Device = "auto",
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.tsv", help="Write every bad pair: file, line, finding, key, text.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find in seconds what would go wrong hours into training.

    Checks the recipe, its files and their text, lengths, vocabulary, memory and disk. Writes
    nothing but the report. The exit code is 2 if training cannot succeed.

    Example: nmt check quickstart
    """
    from nmt_cli.commands.check import check as run_checks

    reporter = Reporter(quiet)
    findings = run_checks(recipe, overrides, out, reporter, device, report)
    if as_json:
        print_line(json.dumps([finding.record() for finding in findings], ensure_ascii=False))
    else:
        for finding in findings:
            if finding.level != "note" or not quiet:
                print_line(f"{finding.level:8} {finding.about}: {finding.text}")
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(2)
    if any(finding.about == "run folder" for finding in findings):
        reporter.info("no errors")
    else:
        reporter.info(f"no errors; next: {shell_command(train_arguments(recipe, out, overrides, device))}")


def tokenize(
    tokenizer: Annotated[Path, typer.Argument(help="Run folder or tokenizer file.")],
    side: Annotated[str | None, typer.Option(help="source or target, if their tokenizers differ.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Do not normalise the text as the run does.")] = False,
) -> None:
    """Tokenise standard input into subwords; a space inside a subword is shown as U+2581.

    Text is normalised first, as in training. nmt detokenize gives back exactly the normalised text,
    or with --raw the text as it was.

    Example: nmt tokenize runs/quickstart < text
    """
    from nmt_cli.commands import tokenize as command

    text_tokenizer = command.open_tokenizer(tokenizer, _parse_side(side))
    if raw:
        text_tokenizer.skip_normal_form()
    normalizer = None if raw else command.open_normalizer(tokenizer)
    for block in input_blocks():
        for line in command.tokenize(block, text_tokenizer, normalizer):
            print_line(line)


def detokenize(
    tokenizer: Annotated[Path, typer.Argument(help="Run folder or tokenizer file.")],
    side: Annotated[str | None, typer.Option(help="source or target, if their tokenizers differ.")] = None,
) -> None:
    """Turn subwords from standard input back into text.

    Example: nmt tokenize RUN < text | nmt detokenize RUN
    """
    from nmt_cli.commands import tokenize as command

    text_tokenizer = command.open_tokenizer(tokenizer, _parse_side(side))
    for line in command.detokenize(chain.from_iterable(input_blocks()), text_tokenizer):
        print_line(line)


def perturb(
    kind: Annotated[str, typer.Argument(help="What to do to each line; see above.", show_default=False)],
    seed: Annotated[int, typer.Option(help="Random seed; what changes depends on it and on the line number.")] = 1,
) -> None:
    """Change text into what people type, to see whether a model still translates it.

    upper: all capitals; title: a capital on every word; lower: no capitals; no-stop: no final
    punctuation; typos: a typo in a tenth of the words; spaces: some spaces doubled;
    no-accents: letters without accents; address: a URL or e-mail address in the middle.

    Example: nmt perturb typos < test.en | nmt translate RUN | nmt score test.de
    """
    if kind not in KINDS:
        raise UserError(f"no kind '{kind}'; {suggest(kind, KINDS)}")
    for line in perturb_lines(chain.from_iterable(input_blocks()), kind, seed):
        print_line(line)


def _parse_side(text: str | None) -> Any:
    if text not in (None, *SIDES):
        raise UserError(f"--side {text}: choose source or target")
    return text
