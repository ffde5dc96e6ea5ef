"""The command line: parse, call one function, print, exit. Errors become one line here only.

Nothing heavy is imported until a command needs it, so that `nmt --help` answers at once.
"""

import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO, NoReturn

import typer

from nmt_cli import __version__
from nmt_cli.errors import UserError
from nmt_cli.reporting import Reporter

app = typer.Typer(
    name="nmt",
    help="Neural machine translation: from parallel text to a translation on standard output.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
recipes_app = typer.Typer(help="Recipes that come with nmt.", invoke_without_command=True)
models_app = typer.Typer(help="Models that a recipe can name.", invoke_without_command=True)
app.add_typer(recipes_app, name="recipes")
app.add_typer(models_app, name="models")

# The click under typer is a package of its own or, in later versions, a part of typer.
_UsageError: Any = typer.BadParameter.__base__

Recipe = Annotated[str, typer.Argument(help="Path of a recipe, or the name of a shipped one.")]
Settings = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe: section.key=value."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but warnings.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
Run = Annotated[Path, typer.Argument(help="Run folder.", show_default=False)]


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Neural machine translation: from parallel text to a translation on standard output."""


@app.command()
def prepare(recipe: Recipe, settings: Settings = [], quiet: Quiet = False) -> None:
    """Clean, tokenise and store a recipe's corpus under prepared/.

    Example: nmt prepare quickstart
    """
    from nmt_cli.commands.prepare import prepare_recipe
    from nmt_cli.recipe import load_recipe

    prepare_recipe(load_recipe(recipe, settings), Reporter(quiet))


@app.command()
def train(
    recipe: Recipe,
    out: Annotated[
        Path | None, typer.Option(help="Run folder; default runs/<recipe name>.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an earlier run.")] = False,
    settings: Settings = [],
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Train a model into a run folder, preparing its data first if nobody has.

    Example: nmt train quickstart
    """
    from nmt_cli.recipe import load_recipe

    loaded = load_recipe(recipe, settings)  # before the rest is imported: mistakes show sooner
    from nmt_cli.commands.train import train as run_training
    from nmt_cli.training.stopping import Stopped

    folder = out or Path("runs") / loaded.name
    try:
        run_training(loaded, folder, Reporter(quiet), resume=resume, device=device)
    except Stopped as stopped:
        again = f"nmt train {recipe}{f' --out {out}' if out else ''} --resume"
        print(f"nmt: {stopped}; saved. Go on with: {again}", file=sys.stderr)
        raise typer.Exit(128 + stopped.signal_number) from None


@app.command()
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
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Translate standard input: one line in, one line out.

    Example: echo 'The old man reads a book.' | nmt translate runs/quickstart
    """
    from nmt_cli.commands.translate import open_translator, translate_stream

    extra = [f"search.beam={beam}"] if beam is not None else []
    extra += [f"search.n_best={n_best}"] if n_best is not None else []
    reporter = Reporter(quiet)
    translator = open_translator(runs, [*settings, *extra], device, align=alignments)
    for one in translate_stream(translator, _standard_input(), prefix):
        for warning in one.warnings:
            reporter.warn(f"line {one.line.number}: {warning}")
        if jsonl:
            _put(json.dumps(one.record(), ensure_ascii=False))
        elif translator.config.n_best > 1:
            for found in one.translation.candidates:
                _put(f"{one.line.number} ||| {found.text} ||| {found.score:.4f}")
            if not one.translation.candidates:
                _put(f"{one.line.number} |||  ||| ")
        elif alignments:
            best = one.translation.candidates[0] if one.translation.candidates else None
            pairs = (best.alignment or []) if best else []
            _put(f"{one.translation.text} ||| {' '.join(f'{s}-{t}' for s, t in pairs)}")
        else:
            _put(one.translation.text)


@app.command()
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

    source = hypotheses if hypotheses is not None else sys.stdin.buffer
    found = score_files(references, source, metrics, lowercase=lowercase, tokenize=tokenize)
    if as_json:
        _put(
            json.dumps(
                {one.name: {"score": one.score, "signature": one.signature} for one in found}
            )
        )
        return
    for one in found:
        _put(f"{one.text}\n  {one.signature}")


@app.command()
def tokenize(
    tokenizer: Annotated[Path, typer.Argument(help="Run folder or tokenizer file.")],
    side: Annotated[str | None, typer.Option(help="source or target, where they differ.")] = None,
) -> None:
    """Cut standard input into pieces; a space inside a piece is shown as U+2581.

    Example: nmt tokenize runs/quickstart < text
    """
    from nmt_cli.commands import tokenize as command

    opened = command.open_tokenizer(tokenizer, _side(side))
    for line in command.tokenize(_input_lines(), opened):
        _put(line)


@app.command()
def detokenize(
    tokenizer: Annotated[Path, typer.Argument(help="Run folder or tokenizer file.")],
    side: Annotated[str | None, typer.Option(help="source or target, where they differ.")] = None,
) -> None:
    """Put pieces from standard input together again.

    Example: nmt tokenize RUN < text | nmt detokenize RUN
    """
    from nmt_cli.commands import tokenize as command

    opened = command.open_tokenizer(tokenizer, _side(side))
    for line in command.detokenize(_input_lines(), opened):
        _put(line)


@app.command()
def average(
    run: Run,
    out: Annotated[Path, typer.Option(help="Run folder to write.")],
    last: Annotated[
        int | None, typer.Option(min=1, help="How many checkpoints; default all that are kept.")
    ] = None,
) -> None:
    """Average a run's last checkpoints into a run of its own.

    Example: nmt average runs/quickstart --out runs/averaged
    """
    from nmt_cli.commands.average import average as average_run

    found = average_run(run, out, last)
    updates = ", ".join(map(str, found.updates))
    print(f"{found.folder}: mean of the checkpoints after updates {updates}", file=sys.stderr)


@recipes_app.callback()
def recipes(context: typer.Context) -> None:
    """List the recipes that come with nmt."""
    if context.invoked_subcommand is None:
        from nmt_cli.recipe_files import describe, shipped_recipes

        for name, path in shipped_recipes().items():
            _put(f"{name:32} {describe(path)}")


@recipes_app.command("show")
def recipes_show(name: Recipe) -> None:
    """Print a recipe."""
    from nmt_cli.recipe_files import find_recipe

    _put(find_recipe(name).read_text(encoding="utf-8").rstrip("\n"))


@recipes_app.command("copy")
def recipes_copy(
    name: Recipe,
    path: Annotated[Path, typer.Argument(help="File or folder to copy it to.")] = Path("."),
) -> None:
    """Copy a shipped recipe, to change it."""
    from nmt_cli.recipe_files import copy_recipe, find_recipe

    print(copy_recipe(find_recipe(name), path), file=sys.stderr)


@recipes_app.command("keys")
def recipes_keys() -> None:
    """Explain every key that a recipe can have."""
    from nmt_cli.commands.reference import recipe_reference

    _put(recipe_reference().rstrip("\n"))


@models_app.callback()
def models(context: typer.Context) -> None:
    """List the models."""
    if context.invoked_subcommand is None:
        from nmt_cli.commands.catalogue import model_lines

        for name, summary in model_lines():
            _put(f"{name:16} {summary}")


@models_app.command("show")
def models_show(name: Annotated[str, typer.Argument(help="Name of a model.")]) -> None:
    """Explain a model's options."""
    from nmt_cli.commands.catalogue import model_options

    for key, default, meaning in model_options(name):
        _put(f"{key} (default {default})\n    {meaning}")


def _side(text: str | None) -> Any:
    if text not in (None, "source", "target"):
        raise UserError(f"--side {text}: use source or target")
    return text


def _input_lines() -> Iterator[str]:
    from nmt_cli.decoding.stream import decode_line

    for number, raw in enumerate(iter(sys.stdin.buffer.readline, b""), 1):
        line = decode_line(raw, number)
        if line.damaged:
            Reporter().warn(f"line {number}: bytes that are not UTF-8 became U+FFFD")
        yield line.text


def _standard_input() -> BinaryIO:
    """Standard input, not through sys.stdin: a thread that reads it may be waiting when we exit,
    and Python cannot end while somebody else holds the lock of sys.stdin."""
    try:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    except (OSError, ValueError):
        return sys.stdin.buffer


def _put(text: str) -> None:
    """A line of the product, at once."""
    sys.stdout.buffer.write(text.encode("utf-8", "replace") + b"\n")
    sys.stdout.buffer.flush()


def main() -> NoReturn:
    """Run the command line; 0 done, 1 our bug, 2 the user's mistake, 130 and 143 interrupted."""
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _terminate)
    command = typer.main.get_command(app)
    try:
        code = command.main(prog_name="nmt", standalone_mode=False)
    except _UsageError as error:
        context = error.ctx.command_path if error.ctx else "nmt"
        text = " ".join(error.format_message().split()).rstrip(".")
        _complain(f"{text} (see {context} --help)" if text else "")
        _leave(2)
    except UserError as error:
        if "--debug" in sys.argv:
            traceback.print_exc()
        _complain(str(error))
        _leave(2)
    except OSError as error:  # no permission, a full disk
        if "--debug" in sys.argv or error.filename is None:
            traceback.print_exc()
        _complain(f"{error.filename or 'input or output'}: {error.strerror or error}")
        _leave(2)
    except SystemExit as stop:  # typer makes an exit of 1 out of a closed pipe
        closed = isinstance(stop.__context__, BrokenPipeError)
        _leave(0 if closed or not isinstance(stop.code, int) else stop.code)
    _leave(code if isinstance(code, int) else 0)


def _complain(text: str) -> None:
    for line in text.splitlines():
        print(f"nmt: {line}", file=sys.stderr)


def _terminate(number: int, frame: object) -> NoReturn:
    if number == signal.SIGINT:
        _complain("interrupted")
    raise SystemExit(128 + number)


def _leave(code: int) -> NoReturn:
    """Exit, without Python's complaint where nobody reads our output any more."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
