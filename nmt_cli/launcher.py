"""torch.distributed's launcher: starting it, and what it tells the processes that it starts.

`nmt train --processes N` is torchrun on one machine. Only the restarting is done here: torchrun
starts again whatever failed, a mistake in the recipe and an obeyed signal included.
"""

import logging
import os
import signal
import sys
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

from nmt_cli.reporting import Reporter
from nmt_cli.workers import usable_cores

RESTARTS = 3  # without a new checkpoint between them
SAVING = 600  # seconds after a signal until torch's launcher kills; a validation may come first
FINAL = (2, 130, 143)  # exit codes after which nothing is gained by another start
_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def launched() -> bool:
    """Whether a launcher started this process as one of a group."""
    return all(name in os.environ for name in _VARIABLES)


class End(NamedTuple):
    """How a group of processes ended."""

    code: int
    text: str = ""

    @property
    def final(self) -> bool:
        """Whether another start would be in vain."""
        return self.code == 0 or self.code in FINAL


def launch(
    count: int, command: list[str], progress: Callable[[], object], reporter: Reporter
) -> int:
    """Run `nmt <command>` in `count` processes of this machine; the exit code of it all.

    Where one of them fails, all start again with --resume, up to RESTARTS times without
    `progress()` having changed. Each gets its share of the cores, unless OMP_NUM_THREADS is set.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // count)))
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(SAVING))
    failures = 0
    while True:
        before = progress()
        end = _run(count, command)
        if end.final:
            return end.code
        failures = 1 if progress() != before else failures + 1
        if failures > RESTARTS:
            reporter.warn(f"{end.text}; {failures} times without a new checkpoint: giving up")
            return 1
        reporter.warn(f"{end.text}; starting again from the last checkpoint")
        command = [*command, *(["--resume"] if "--resume" not in command else [])]


def _run(count: int, command: list[str]) -> End:
    """One start of torch's launcher and its end."""
    logger = logging.getLogger("torch.distributed.elastic")
    logger.addHandler(logging.NullHandler())  # it reports each failure at length; we say it in one
    logger.propagate = False
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "nmt_cli", *command)
    except ChildFailedError as error:
        return _end(error.failures)
    except SignalException as stop:  # passed on to the processes, which have saved and ended
        return End(128 + int(stop.sigval))
    return End(0)


def _end(failures: dict[int, Any]) -> End:
    """What to say of the processes that failed: of one that was killed first of all.

    Others may have ended since they lost that one, or by the SIGTERM that the launcher then sends.
    """

    def lateness(item: tuple[int, Any]) -> tuple[bool, bool, int]:
        return item[1].exitcode == -signal.SIGTERM, item[1].exitcode > 0, item[0]

    rank, failure = min(failures.items(), key=lateness)
    code = int(failure.exitcode)
    if code < 0:
        return End(1, f"rank {rank} was killed by {signal.Signals(-code).name}")
    return End(code, f"rank {rank} ended with exit code {code}")
