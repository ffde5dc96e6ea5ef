"""The entry point: errors become one line and an exit code here, and nowhere else."""

import os
import signal
import sys
import traceback
from typing import Any, NoReturn

import typer

from nmt_cli.cli.app import build_app
from nmt_cli.cli.interruption import Interrupted
from nmt_cli.errors import UserError, WorkerError

# The click under typer is a package of its own or, in later versions, a part of typer.
_UsageError: Any = typer.BadParameter.__base__


def main() -> NoReturn:
    """Run the command line; 0 done, 1 our bug, 2 the user's mistake, 130 and 143 interrupted."""
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _terminate)
    command = typer.main.get_command(build_app())
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
    except WorkerError as error:
        if "--debug" in sys.argv:
            traceback.print_exc()
        _complain(str(error))
        _leave(1)
    except OSError as error:  # no permission, a full disk
        if "--debug" in sys.argv or error.filename is None:
            traceback.print_exc()
        _complain(f"{error.filename or 'input or output'}: {error.strerror or error}")
        _leave(2)
    except Interrupted as stop:
        _complain(str(stop))
        _leave(128 + stop.number)
    except SystemExit as stop:  # typer makes an exit of 1 out of a closed pipe
        closed = isinstance(stop.__context__, BrokenPipeError)
        _leave(0 if closed or not isinstance(stop.code, int) else stop.code)
    _leave(code if isinstance(code, int) else 0)


def _complain(text: str) -> None:
    for line in text.splitlines():
        print(f"nmt: {line}", file=sys.stderr)


def _terminate(number: int, frame: object) -> NoReturn:
    raise Interrupted(number)


def _leave(code: int) -> NoReturn:
    """Exit, without Python's complaint where nobody reads our output any more."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
