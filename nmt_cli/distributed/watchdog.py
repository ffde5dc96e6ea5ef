"""Ends a process that makes no progress, and says where it stood.

A process that waits for another one's message, or for a disk or network that has gone, waits
silently and for ever. With one watchdog in each of them, the one that is stuck and those that wait
for it all print their stacks, and whoever started them can start them again.
"""

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

TRACEBACK_GRACE_SECONDS = 2.0  # seconds: a launcher ends all as soon as one is gone, and they have stacks too


class Watchdog:
    """Watches over this process between `start` and `stop`; before that it does nothing."""

    def __init__(self, name: str, stream: IO[str] | None = None) -> None:
        self.name = name
        self.last_position = "at the start"
        self._stream = stream
        self._timeout_seconds, self._hint = 0.0, ""
        self._last_progress: float | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, timeout_seconds: float, hint: str) -> None:
        """Watch from now on, or with another patience, of which `hint` says what decides it."""
        self._timeout_seconds, self._hint = timeout_seconds, hint
        self.report_progress()
        self._arm_faulthandler()
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Watch no longer."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        faulthandler.cancel_dump_traceback_later()

    def report_progress(self, position: str | None = None) -> None:
        """Something was achieved; `where` is for the message, such as 'after update 17'."""
        self._last_progress = time.monotonic()
        self.last_position = position or self.last_position

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Any time is right for what the block does."""
        previous_timeout, self._timeout_seconds = self._timeout_seconds, float("inf")
        try:
            yield
        finally:
            self.report_progress()
            self._timeout_seconds = previous_timeout

    def _watch(self) -> None:
        while not self._stopped.wait(min(self._timeout_seconds / 8, 5.0)):
            self._arm_faulthandler()
            if self._last_progress is not None and time.monotonic() - self._last_progress > self._timeout_seconds:
                self._dump_and_exit()

    def _arm_faulthandler(self) -> None:
        """A second alarm in C: this thread cannot run where other code holds Python's lock."""
        if self._timeout_seconds == float("inf"):
            faulthandler.cancel_dump_traceback_later()
        else:
            faulthandler.dump_traceback_later(
                1.25 * self._timeout_seconds + TRACEBACK_GRACE_SECONDS,
                exit=True,
                file=self._stream or sys.__stderr__ or sys.stderr,
            )

    def _dump_and_exit(self) -> None:
        stream = self._stream or sys.__stderr__ or sys.stderr
        print(
            f"nmt: {self.name}: no progress for {self._timeout_seconds:g} s {self.last_position} ({self._hint}); "
            "it stands here:",
            file=stream,
            flush=True,
        )
        faulthandler.dump_traceback(file=stream, all_threads=True)
        time.sleep(TRACEBACK_GRACE_SECONDS)
        os._exit(1)
