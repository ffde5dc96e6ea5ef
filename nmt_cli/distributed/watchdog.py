"""A watchdog that ends a process that makes no progress, after printing its stacks.

A process that waits for a message of another one, or for a disk or network that is gone, waits
silently and forever. With a watchdog in each process, the one that is stuck and those that wait for
it all print their stacks and end, and can be restarted.
"""

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

TRACEBACK_GRACE_SECONDS = 2.0  # a launcher ends all processes when one is gone, but each should print its stacks


class Watchdog:
    """Watches this process between `start` and `stop`; without `start` it does nothing."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.last_position = "at the start"
        self._timeout_seconds, self._hint = 0.0, ""
        self._last_progress = 0.0
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, timeout_seconds: float, hint: str) -> None:
        """Start watching, or change the timeout; the `hint` tells the user what determines it."""
        self._timeout_seconds, self._hint = timeout_seconds, hint
        self.report_progress()
        self._arm_faulthandler()
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        faulthandler.cancel_dump_traceback_later()

    def report_progress(self, position: str | None = None) -> None:
        """Restart the timeout; the `position` for the message is one such as "after update 17"."""
        self._last_progress = time.monotonic()
        self.last_position = position or self.last_position

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let the block take any time."""
        previous_timeout, self._timeout_seconds = self._timeout_seconds, float("inf")
        try:
            yield
        finally:
            self.report_progress()
            self._timeout_seconds = previous_timeout

    def _watch(self) -> None:
        while not self._stopped.wait(min(self._timeout_seconds / 8, 5.0)):
            self._arm_faulthandler()
            if time.monotonic() - self._last_progress > self._timeout_seconds:
                self._dump_and_exit()

    def _arm_faulthandler(self) -> None:
        """Set a second timer in C, which fires even if other code holds the global interpreter lock."""
        if self._timeout_seconds == float("inf"):
            faulthandler.cancel_dump_traceback_later()
        else:
            faulthandler.dump_traceback_later(
                1.25 * self._timeout_seconds + TRACEBACK_GRACE_SECONDS, exit=True, file=sys.__stderr__ or sys.stderr
            )

    def _dump_and_exit(self) -> None:
        stream = sys.__stderr__ or sys.stderr
        print(
            f"nmt: {self.name}: no progress for {self._timeout_seconds:g} s {self.last_position} ({self._hint}); "
            "its stacks:",
            file=stream,
            flush=True,
        )
        faulthandler.dump_traceback(file=stream, all_threads=True)
        time.sleep(TRACEBACK_GRACE_SECONDS)
        os._exit(1)
