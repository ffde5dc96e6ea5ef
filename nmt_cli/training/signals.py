"""Ctrl-C, SIGTERM and a closed terminal during training: finish the update, save a checkpoint, stop."""

import signal
from types import FrameType
from typing import Any, Self

from nmt_cli.reporting import discard_output, terminal_outputs
from nmt_cli.workers import HANGUP, STOP_SIGNALS


class TrainingInterrupted(Exception):
    """Training was stopped by a signal, with a checkpoint saved."""

    def __init__(self, signal_number: int, update: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name} at update {update}")
        self.signal_number, self.update = signal_number, update


class StopSignals:
    """Inside the block, a first SIGINT or SIGTERM is only recorded; a second one has its usual effect.

    With `catch_repeated` later ones are only recorded too: a launcher and a batch system may both
    send one to each process for the same reason, and a launcher kills what does not end. SIGHUP, which the
    shell and the kernel both send when a terminal closes, is only recorded however often it comes, and
    what would go to the terminal goes nowhere from then on; where it is ignored (nohup) it remains so.
    """

    def __init__(self, *, catch_repeated: bool = False) -> None:
        self.catch_repeated = catch_repeated
        self.received_signal: int | None = None
        self._previous_handlers: dict[int, Any] = {}
        self._terminals: list[int] = []  # of standard output and standard error, those that are one

    def __enter__(self) -> Self:
        self._terminals = terminal_outputs()
        for number in STOP_SIGNALS:
            if number == HANGUP and signal.getsignal(number) is signal.SIG_IGN:
                continue
            try:
                self._previous_handlers[number] = signal.signal(number, self._handle)
            except ValueError:  # not in the main thread, which alone handles signals
                break
        return self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.received_signal = number
        if number == HANGUP:
            discard_output(self._terminals)  # else the training would end before it has saved
            self._terminals = []
        elif not self.catch_repeated:
            self._restore_handlers(signal.SIGINT, signal.SIGTERM)

    def _restore_handlers(self, *numbers: int) -> None:
        for number in numbers:
            if number in self._previous_handlers:
                signal.signal(number, self._previous_handlers.pop(number))

    def __exit__(self, *error: object) -> None:
        self._restore_handlers(*STOP_SIGNALS)
