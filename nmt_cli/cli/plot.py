"""The face of plot: pictures in files, or in the terminal."""

from pathlib import Path
from typing import Annotated

import typer

from nmt_cli.cli.options import Device, Quiet, Run, put, standard_input
from nmt_cli.reporting import Reporter, Screen

Picture = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="File: .png, .svg or .pdf; without it, the terminal."),
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

