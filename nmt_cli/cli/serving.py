"""nmt serve."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from nmt_cli.cli.options import Device, Quiet, SearchOverrides
from nmt_cli.errors import UserError, pip_install
from nmt_cli.reporting import Reporter


def serve(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, for one or several language pairs.")],
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any free port.")] = 5000,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Engine processes, which share the cores.")] = 1,
    engine: Annotated[str | None, typer.Option(help="As for nmt translate.")] = None,
    allow_host: Annotated[
        list[str], typer.Option(metavar="NAME", help="Another host name that requests may use; * allows all.")
    ] = [],
    cors: Annotated[
        list[str], typer.Option(metavar="ORIGIN", help="Let pages of this origin use the API; * allows all.")
    ] = [],
    public_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Address at which people reach the server through a proxy.")
    ] = None,
    overrides: SearchOverrides = [],
    device: Device = "auto",
    timeout: Annotated[float, typer.Option(min=1, help="Seconds within which a request must be answered.")] = 60.0,
    receive_timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds that a client may pause while it sends.")
    ] = 15.0,
    max_characters: Annotated[int, typer.Option(min=1, help="Most characters in a request.")] = 100_000,
    max_queue: Annotated[int, typer.Option(min=1, help="Most pieces of text that may wait.")] = 20_000,
    quiet: Quiet = False,
) -> None:
    """Translate over HTTP, with a page for the browser and the API of LibreTranslate.

    Example: nmt serve runs/quickstart
    """
    if sys.platform == "win32":
        raise UserError("nmt serve: does not run on Windows", hint="run it in WSL, Windows' Linux")
    try:
        from nmt_cli.serving.server import serve as run_server
    except ModuleNotFoundError as error:
        raise UserError(f"nmt serve needs {error.name}", hint=pip_install("serve")) from error
    from nmt_cli.serving.settings import (
        EngineOptions,
        Limits,
        ServerSettings,
        describe_runs,
        parse_allowed_host,
        parse_origin,
        parse_public_url,
    )

    choice = EngineOptions(engine, tuple(overrides), device)
    hosts, origins = tuple(map(parse_allowed_host, allow_host)), tuple(map(parse_origin, cors))
    limits = Limits(
        max_bytes=max(2 << 20, 16 * max_characters),  # a character takes up to 12 bytes in JSON
        max_characters=max_characters,
        max_queue=max_queue,
        timeout=timeout,
        receive_timeout=receive_timeout,
    )
    url = "" if public_url is None else parse_public_url(public_url)
    settings = ServerSettings(describe_runs(runs), choice, host, port, workers, hosts, origins, limits, url)
    run_server(settings, Reporter(quiet))
