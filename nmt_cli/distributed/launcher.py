"""Starting several processes on one machine with torch.distributed's launcher.

`nmt train --processes N` is torchrun with its restarts replaced: torchrun would restart after any
failure, including a mistake in the recipe and a signal that was obeyed.
"""

import logging
import os
import signal
import sys
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

from nmt_cli.reporting import Reporter
from nmt_cli.workers import HANGUP, usable_cores

MAX_RESTARTS = 3  # without a new checkpoint in between
SHUTDOWN_TIMEOUT_SECONDS = 600  # from a signal until the launcher kills; a validation may have to end first
# After success, a mistake of the user, SIGHUP, Ctrl-C and SIGTERM a restart is useless.
FINAL_EXIT_CODES = (0, 2, 129, 130, 143)
_LAUNCHER_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def is_launched() -> bool:
    """Whether a launcher such as torchrun started this process."""
    return all(name in os.environ for name in _LAUNCHER_VARIABLES)


class LaunchResult(NamedTuple):
    """How a group of processes ended; the reason is empty if none failed."""

    exit_code: int
    reason: str = ""


def launch(process_count: int, command: list[str], progress: Callable[[], object], reporter: Reporter) -> int:
    """Run `nmt <command>` in `process_count` processes on this machine; returns the exit code for all of them.

    If one fails, all are restarted with --resume, at most MAX_RESTARTS times in a row without a
    change of `progress()`. The cores are divided among them, unless OMP_NUM_THREADS is set.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // process_count)))
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(SHUTDOWN_TIMEOUT_SECONDS))
    failures = 0
    while True:
        progress_before = progress()
        result = _run(process_count, command)
        if result.exit_code in FINAL_EXIT_CODES:
            return result.exit_code
        failures = 1 if progress() != progress_before else failures + 1
        if failures > MAX_RESTARTS:
            reporter.warning(f"{result.reason}; {failures} times without a new checkpoint: giving up")
            return 1
        reporter.warning(f"{result.reason}; restarting from the last checkpoint")
        command = [*command, *(["--resume"] if "--resume" not in command else [])]


def _run(process_count: int, command: list[str]) -> LaunchResult:
    logger = logging.getLogger("torch.distributed.elastic")
    logger.addHandler(logging.NullHandler())  # it reports each failure at length; one line is enough
    logger.propagate = False
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    options: dict[str, Any] = {}
    is_ignored = HANGUP is not None and signal.getsignal(HANGUP) == signal.SIG_IGN
    if is_ignored and "signals_to_handle" in LaunchConfig.__dataclass_fields__:
        options["signals_to_handle"] = "SIGTERM,SIGINT,SIGQUIT"  # else it handles what nohup ignores
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=process_count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        **options,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "nmt_cli", *command)
    except ChildFailedError as error:
        return _describe_failures(error.failures)
    except SignalException as signal_error:  # the processes received it too; they have saved and ended
        return LaunchResult(128 + int(signal_error.sigval))
    return LaunchResult(0)


def _describe_failures(failures: dict[int, Any]) -> LaunchResult:
    """The failure to report: preferably that of a process that was killed.

    The others may have ended because they lost that one, or by the SIGTERM that the launcher then sends.
    """

    def blame_order(item: tuple[int, Any]) -> tuple[bool, bool, int]:
        return item[1].exitcode == -signal.SIGTERM, item[1].exitcode > 0, item[0]

    rank, failure = min(failures.items(), key=blame_order)
    exit_code = int(failure.exitcode)
    if exit_code < 0:
        return LaunchResult(1, f"rank {rank} was killed by {signal.Signals(-exit_code).name}")
    return LaunchResult(exit_code, f"rank {rank} ended with exit code {exit_code}")
