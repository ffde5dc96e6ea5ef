"""Ctrl-C and SIGTERM during training: finish the update, save a checkpoint, stop."""

import signal
from types import FrameType
from typing import Any, Self


class TrainingInterrupted(Exception):
    """Training was stopped by a signal, with a checkpoint saved."""

    def __init__(self, signal_number: int, update: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name} at update {update}")
        self.signal_number, self.update = signal_number, update


class StopSignals:
    """Inside the block, a first SIGINT or SIGTERM is only recorded; a second one has its usual effect.

    With `catch_repeated` later ones are only recorded too: a launcher and a batch system may both
    send one to each process for the same reason, and a launcher kills what does not end.
    """

    def __init__(self, *, catch_repeated: bool = False) -> None:
        self.catch_repeated = catch_repeated
        self.received_signal: int | None = None
        self._previous_handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._previous_handlers[number] = signal.signal(number, self._handle)
            except ValueError:  # not in the main thread, which alone handles signals
                break
        return self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.received_signal = number
        if not self.catch_repeated:
            self._restore_handlers()

    def _restore_handlers(self) -> None:
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)
        self._previous_handlers = {}

    def __exit__(self, *error: object) -> None:
        self._restore_handlers()
