"""The entry point: errors become one line and an exit code here, and nowhere else."""

import gc
import os
import sys
import threading
from contextlib import suppress
from typing import Any, NoReturn

from nmt_cli.cli.interrupts import Interrupted, catch_interrupts, keep_interrupts, repeat_unraisable
from nmt_cli.errors import UserError, WorkerError, is_out_of_memory


def main() -> NoReturn:
    """Run the command line as a program of its own: it does not wait for threads that go on after an error."""
    sys.unraisablehook = repeat_unraisable
    try:
        run()
    except SystemExit as exit_request:
        _exit_without_threads(exit_request.code if isinstance(exit_request.code, int) else 1)
        raise
    except Exception as error:
        sys.excepthook(type(error), error, error.__traceback__)
        _exit_without_threads(1)
        sys.exit(1)


def _exit_without_threads(code: int) -> None:
    """End this process if Python would wait for threads first."""
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        with suppress(AttributeError, OSError, ValueError):  # closed, or nobody is listening
            sys.stderr.flush()
        os._exit(code)


def run() -> NoReturn:
    """Run the command line; 0 done, 1 our bug, 2 the user's mistake, 129, 130 and 143 interrupted."""
    if sys.stderr is None:  # closed by who called
        sys.stderr = open(os.devnull, "w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115 (until the end)
    gc.set_threshold(20_000)  # a start makes many objects that stay, and would look at them again and again
    catch_interrupts()
    try:
        _run_command()
    except Interrupted as interrupt:
        _print_error(str(interrupt))
        _flush_and_exit(128 + interrupt.signal_number)


def _run_command() -> NoReturn:
    import typer

    from nmt_cli.cli.app import build_command

    usage_error: Any = typer.BadParameter.__base__  # typer does not export it
    command = build_command()
    try:
        with keep_interrupts():
            code = command.main(prog_name="nmt", standalone_mode=False)
    except usage_error as error:
        context = error.ctx.command_path if error.ctx else "nmt"
        text = " ".join(error.format_message().split()).rstrip(".")
        _exit_with_error(error, f"{text} (see {context} --help)" if text else "")
    except UserError as error:
        _exit_with_error(error, error.with_hint)
    except WorkerError as error:
        _exit_with_error(error, str(error), 1)
    except OSError as error:  # no permission, a full disk
        if error.strerror is None:
            raise
        _exit_with_error(error, f"{error.filename or 'input or output'}: {error.strerror}")
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        _exit_with_error(
            error, "not enough memory: try a smaller model (model.*), training.tokens_per_batch or search.beam"
        )
    except Interrupted:
        raise
    except SystemExit as exit_request:  # typer makes an exit of 1 out of a closed pipe
        pipe_closed = isinstance(exit_request.__context__, BrokenPipeError)
        _flush_and_exit(0 if pipe_closed or not isinstance(exit_request.code, int) else exit_request.code)
    _flush_and_exit(code if isinstance(code, int) else 0)


def _exit_with_error(error: BaseException, text: str, code: int = 2) -> NoReturn:
    if "--debug" in sys.argv:
        import traceback

        traceback.print_exception(error)
    _print_error(text)
    _flush_and_exit(code)


def _print_error(text: str) -> None:
    with suppress(OSError):  # nobody may be listening
        for line in text.splitlines():
            print(f"nmt: {line}", file=sys.stderr)


def _flush_and_exit(code: int) -> NoReturn:
    """Exit, without Python's complaint where nobody can or will read our output any more."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            _print_error(f"standard output: cannot write: {error.strerror}")
            code = code or 2
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
