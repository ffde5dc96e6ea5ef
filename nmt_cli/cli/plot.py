"""The face of plot: pictures in files, or in the terminal."""

import json
from pathlib import Path
from typing import Annotated

import typer

from nmt_cli.cli.options import Device, Json, Quiet, Run, put, standard_input
from nmt_cli.reporting import Reporter, Screen

Picture = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="File to draw: .png, .svg or .pdf."),
]


def attention(
    run: Run,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o",
            help=".png, .svg or .pdf, one a line (x-1.png, x-2.png ...); or .html for all lines; "
            "without it, the terminal.",
        ),
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="Number from 1, all or mean; default the one before last.")
    ] = None,
    head: Annotated[str, typer.Option(help="Number from 1, all or mean.")] = "mean",
    target: Annotated[
        Path | None, typer.Option(help="File of translations to look at instead of the run's own.")
    ] = None,
    words: Annotated[bool, typer.Option("--words", help="Words instead of pieces.")] = False,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Show what each produced word looks at, for sentences from standard input.

    Weights of a decoder-only model are its shares among the source words.

    Example: echo 'The old man buys a bicycle.' | nmt plot attention runs/quickstart -o map.png
    """
    from nmt_cli.plots.figure import check_output

    if out is not None:
        check_output(out, (".png", ".svg", ".pdf", ".html"))
    from nmt_cli.commands import plot_attention as command

    reporter, opened = Reporter(quiet), command.open_attention_run(run, device)
    shown = command.choose_shown(opened, layer, head)
    maps = command.attention_maps(opened, standard_input(), reporter, target, words=words)
    title = run.resolve().name
    if out is None:
        screen = Screen.of_standard_output()
        for one in maps:
            for row in command.attention_text(one, shown, screen):
                put(screen.render(row))
        return
    for path in command.write_attention(list(maps), shown, out, title, reporter):
        reporter.say(str(path))


def lengths(
    source: Annotated[Path, typer.Option(help="File of source sentences.", show_default=False)],
    reference: Annotated[
        list[Path], typer.Option(help="File of references; may be repeated.", show_default=False)
    ],
    runs: Annotated[
        list[str], typer.Argument(metavar="[[NAME=]RUN]...", help="Runs to translate with.")
    ] = [],
    hypotheses: Annotated[
        list[str],
        typer.Option(metavar="[NAME=]FILE", help="Translations made elsewhere; may be repeated."),
    ] = [],
    out: Picture = None,
    metric: Annotated[str, typer.Option(help="bleu or chrf.")] = "bleu",
    buckets: Annotated[
        str | None, typer.Option(help="Upper ends, as in 10,20,30; default by the text.")
    ] = None,
    unit: Annotated[str, typer.Option(help="Lengths in words or characters.")] = "words",
    samples: Annotated[
        int, typer.Option(min=1, max=100_000, help="Resamples of the bootstrap.")
    ] = 1000,
    tokenize: Annotated[
        str | None, typer.Option(help="sacreBLEU tokenizer for BLEU; default by the language.")
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score by source length, for several systems: a table, and a figure with -o.

    Example: nmt plot lengths runs/quickstart --source test.en --reference test.de -o lengths.png
    """
    if out is not None:
        from nmt_cli.plots.figure import check_output

        check_output(out)
    from nmt_cli.commands.plot_lengths import plot_lengths
    from nmt_cli.plots.lengths import table

    reporter = Reporter(quiet)
    found = plot_lengths(
        runs, source, reference, reporter, out=out, hypotheses=hypotheses, metric=metric,
        buckets=buckets, unit=unit, samples=samples, tokenize=tokenize, device=device,
    )  # fmt: skip
    if as_json:
        put(json.dumps(found.record(), ensure_ascii=False))
    else:
        for line in table(found):
            put(line)
    if out is not None:
        reporter.say(str(out))


def curves(
    runs: Annotated[
        list[str], typer.Argument(metavar="[NAME=]RUN...", help="Run folders.", show_default=False)
    ],
    out: Picture = None,
    by: Annotated[str, typer.Option(help="In the terminal: updates or minutes.")] = "updates",
    quiet: Quiet = False,
) -> None:
    """Show loss, BLEU, learning rate and speed of runs, finished or still training.

    Example: nmt plot curves runs/quickstart
    """
    if out is not None:
        from nmt_cli.plots.figure import check_output

        check_output(out)
    from nmt_cli.commands import plot_curves as command

    reporter = Reporter(quiet)
    courses = command.read_courses(runs, reporter)
    if out is not None:
        command.plot_curves(courses, out)
        reporter.say(str(out))
        return
    screen = Screen.of_standard_output()
    for row in command.curves_text(courses, by, screen):
        put(screen.render(row))


def positions(
    run: Annotated[
        Path | None, typer.Argument(help="Run with learned positions.", show_default=False)
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="File to draw: .png, .svg or .pdf.")
    ] = Path("positions.png"),
    count: Annotated[int | None, typer.Option(min=2, max=4096, help="Positions.")] = None,
    width: Annotated[int | None, typer.Option(min=2, max=4096, help="Dimensions.")] = None,
    quiet: Quiet = False,
) -> None:
    """Draw sinusoidal positions in both layouts, and their dot products by distance.

    Example: nmt plot positions -o positions.png
    """
    from nmt_cli.plots.figure import check_output

    check_output(out)
    from nmt_cli.commands import plot_positions as command

    command.plot_positions(command.position_tables(run, count, width), out)
    Reporter(quiet).say(str(out))
