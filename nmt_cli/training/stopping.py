"""Ctrl-C and SIGTERM while training: finish the update, save, stop."""

import signal
from types import FrameType, TracebackType
from typing import Any, Self


class Stopped(Exception):
    """Training ended early on a signal, with a checkpoint written."""

    def __init__(self, signal_number: int, update: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name} at update {update}")
        self.signal_number, self.update = signal_number, update


class StopSignals:
    """While active, the first SIGINT or SIGTERM is remembered; a second one acts as ever.

    With `every`, later ones are remembered too: a launcher and a batch system may both send one to
    each process for the same reason, and a launcher ends by force what does not end.
    """

    def __init__(self, *, every: bool = False) -> None:
        self.every = every
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._receive)
            except ValueError:  # not in the main thread: whoever calls us handles signals
                break
        return self

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        if not self.every:
            self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._restore()
