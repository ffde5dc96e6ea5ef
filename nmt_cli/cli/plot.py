"""nmt plot: figures in files or in the terminal."""

import json
from pathlib import Path
from typing import Annotated

import typer

from nmt_cli.cli.labelled_paths import labelled_paths
from nmt_cli.cli.options import (
    Device,
    Exact,
    Json,
    Quiet,
    Run,
    SearchOverrides,
    open_stdin,
    print_line,
    with_search_options,
)
from nmt_cli.reporting import Reporter, Screen


def _check_figure_path(path: Path | None) -> Path | None:
    """UserError for a file that cannot be drawn, before anything is computed."""
    if path is not None:
        from nmt_cli.plots.figure import check_output_path

        check_output_path(path)
    return path


_FIGURE_OPTION = typer.Option("--out", "-o", help="File to draw: .png, .svg or .pdf.", callback=_check_figure_path)
FigurePath = Annotated[Path | None, _FIGURE_OPTION]


def attention(
    run: Run,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o",
            help="File to draw: .png, .svg or .pdf, one for each line (x-1.png, x-2.png ...) and each part that is "
            "translated by itself (x-1-1.png, x-1-2.png ...), or .html for all; "
            "default: print in the terminal.",
        ),
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="Number from 1, all or mean; default: the last but one.")
    ] = None,
    head: Annotated[str, typer.Option(help="Number from 1, all or mean.")] = "mean",
    target: Annotated[
        Path | None, typer.Option(help="File of translations to use instead of the run's own, one per input line.")
    ] = None,
    words: Annotated[bool, typer.Option("--words", help="Words instead of subwords.")] = False,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Show which source words each target word attends to, for sentences on standard input.

    For a decoder-only model, the weights are shares among the source words only.

    Example: echo 'The old man buys a bicycle.' | nmt plot attention runs/quickstart -o map.png
    """
    from nmt_cli.plots.figure import check_output_path

    if out is not None:
        check_output_path(out, (".png", ".svg", ".pdf", ".html"))
    from nmt_cli.commands import plot_attention as command

    reporter, attention_run = Reporter(quiet), command.open_attention_run(run, device)
    selection = command.choose_selection(attention_run, layer, head)
    maps = command.attention_maps(attention_run, open_stdin(), reporter, target, words=words)
    title = run.resolve().name
    if out is None:
        screen = Screen.from_stdout()
        for attention_map in maps:
            for spans in command.attention_text(attention_map, selection, screen):
                print_line(screen.render(spans))
        return
    for path in command.write_attention(list(maps), selection, out, title, reporter):
        reporter.info(str(path))


def lengths(
    source: Annotated[Path, typer.Option(help="File of source sentences.", show_default=False)],
    reference: Annotated[list[Path], typer.Option(help="File of references; may be repeated.", show_default=False)],
    runs: Annotated[list[str], typer.Argument(metavar="[[NAME=]RUN]...", help="Runs to translate with.")] = [],
    hypotheses: Annotated[
        list[str],
        typer.Option("--hypotheses", "-i", metavar="[NAME=]FILE", help="Translations made elsewhere; may be repeated."),
    ] = [],
    out: FigurePath = None,
    metric: Annotated[str, typer.Option(help="bleu or chrf.")] = "bleu",
    buckets: Annotated[
        str | None,
        typer.Option(help="Upper limits of the length ranges, as in 10,20,30; default: chosen from the text."),
    ] = None,
    unit: Annotated[str, typer.Option(help="Lengths in words or characters.")] = "words",
    samples: Annotated[int, typer.Option(min=100, max=100_000, help="Resamples of the bootstrap.")] = 1000,
    tokenize: Annotated[str | None, typer.Option(help="sacreBLEU tokenizer for BLEU; default by the language.")] = None,
    language: Annotated[
        str | None,
        typer.Option(metavar="CODE", help="Choose the tokenizer by the target language; default: the first run's."),
    ] = None,
    overrides: SearchOverrides = [],
    exact: Exact = False,
    device: Device = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score by source length, for several systems: a table, and a figure with -o.

    Example: nmt plot lengths runs/quickstart --source test.en --reference test.de -o lengths.png
    """
    from nmt_cli.commands.plot_lengths import plot_lengths
    from nmt_cli.plots.lengths import format_table

    reporter, files = Reporter(quiet), labelled_paths(hypotheses)
    length_scores = plot_lengths(
        labelled_paths(runs, taken=list(files)), source, reference, reporter, out=out, hypotheses=files, metric=metric,
        buckets=buckets, unit=unit, samples=samples, tokenize=tokenize, language=language, device=device,
        overrides=with_search_options(overrides, None, None, exact), engine="torch" if exact else "auto",
    )  # fmt: skip
    if as_json:
        print_line(json.dumps(length_scores.to_dict(), ensure_ascii=False))
    else:
        for line in format_table(length_scores):
            print_line(line)
    if out is not None:
        reporter.info(str(out))


def curves(
    runs: Annotated[list[str], typer.Argument(metavar="[NAME=]RUN...", help="Run folders.", show_default=False)],
    out: FigurePath = None,
    by: Annotated[str, typer.Option(help="In the terminal: updates or minutes.")] = "updates",
    quiet: Quiet = False,
) -> None:
    """Show loss, scores, learning rate and speed of runs, finished or still training.

    Example: nmt plot curves runs/quickstart
    """
    from nmt_cli.commands import plot_curves as command

    reporter = Reporter(quiet)
    histories = command.read_training_histories(labelled_paths(runs), reporter)
    if out is not None:
        from nmt_cli.plots.curves import draw_curves

        draw_curves(out, histories)
        reporter.info(str(out))
        return
    screen = Screen.from_stdout()
    for spans in command.curves_text(histories, by, screen):
        print_line(screen.render(spans))


def positions(
    run: Annotated[Path | None, typer.Argument(help="Run with learned positions.", show_default=False)] = None,
    out: Annotated[Path, _FIGURE_OPTION] = Path("positions.png"),
    count: Annotated[int | None, typer.Option(min=2, max=4096, help="Positions.")] = None,
    width: Annotated[int | None, typer.Option(min=2, max=4096, help="Dimensions.")] = None,
    quiet: Quiet = False,
) -> None:
    """Draw sinusoidal positions in both layouts, and their dot products by distance.

    Example: nmt plot positions -o positions.png
    """
    from nmt_cli.commands import plot_positions as command

    command.plot_positions(command.position_tables(run, count, width), out)
    Reporter(quiet).info(str(out))
