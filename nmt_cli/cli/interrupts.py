"""Ctrl-C, SIGTERM and a closed terminal outside of training: an exception that ends the command with one line and an
exit code."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

_HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)  # that of nmt_cli.workers is 15 ms of imports away


class Interrupted(SystemExit):
    """Ctrl-C, SIGTERM or SIGHUP outside of training; `advice`, if any, says what was saved and how to go on."""

    def __init__(self, signal_number: int, advice: str = "") -> None:
        super().__init__(128 + signal_number)
        self.signal_number, self.advice = signal_number, advice

    def __str__(self) -> str:
        return ("interrupted" if self.signal_number == signal.SIGINT else "terminated") + self.advice


_received: list[int] = []  # the signals that an Interrupted was raised for


def catch_interrupts() -> None:
    """Raise an Interrupted for SIGTERM and, unless they are ignored (nohup), for SIGINT and SIGHUP."""
    _received.clear()
    signal.signal(signal.SIGTERM, _raise_interrupted)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _raise_interrupted)
    if _HANGUP is not None and signal.getsignal(_HANGUP) is signal.SIG_DFL:
        signal.signal(_HANGUP, _raise_interrupted)


@contextmanager
def keep_interrupts() -> Iterator[None]:
    """Turn what a library makes of an interrupt back into one: safetensors, reading a file, raises a ValueError."""
    try:
        yield
    except Exception as error:
        if not _received:
            raise
        raise Interrupted(_received[-1]) from error


def repeat_unraisable(raised: "sys.UnraisableHookArgs") -> None:
    """What Python cannot raise, in a destructor or a callback: an interrupt is sent once more, a moment later."""
    if isinstance(raised.exc_value, Interrupted):
        number = raised.exc_value.signal_number
        signal.signal(number, _raise_interrupted)
        if hasattr(signal, "pthread_kill"):
            threading.Timer(0.01, signal.pthread_kill, [threading.main_thread().ident, number]).start()
        else:  # Windows, where any thread may raise it
            threading.Timer(0.01, signal.raise_signal, [number]).start()
    else:
        sys.__unraisablehook__(raised)


def _raise_interrupted(signal_number: int, frame: object) -> NoReturn:
    # The next one does not wait for us to tidy up; but both the shell and the kernel send a SIGHUP.
    signal.signal(signal_number, signal.SIG_IGN if signal_number == _HANGUP else signal.SIG_DFL)
    _received.append(signal_number)
    raise Interrupted(signal_number)
