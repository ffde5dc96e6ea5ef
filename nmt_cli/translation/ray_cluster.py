"""Translating shards and preparing training pairs on a Ray cluster.

Ray (an extra) only distributes the work: shards are cut, resumed and written as on one machine. All machines must see
the same files under the same paths. Without RAY_ADDRESS, the cluster is the cores of this machine.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nmt_cli.errors import UserError, WorkerError, error_reason, pip_install
from nmt_cli.reporting import Reporter
from nmt_cli.translation.byte_ranges import Shard
from nmt_cli.workers import MAX_TASKS_PER_WORKER, MapFunction, PoolFactory, WorkFactory

if TYPE_CHECKING:
    from nmt_cli.inference.output import OutputFormat
    from nmt_cli.translation.opening import TranslatorSpec
    from nmt_cli.translation.parallel import ParallelTranslator

RAY_ENVIRONMENT = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}  # else Ray warns of a future change


@contextmanager
def ray_session() -> Iterator[Any]:
    """The ray module, connected to the cluster at RAY_ADDRESS or to one of this machine's cores.

    UserError where Ray is not installed or the cluster cannot be reached.
    """
    for key, value in RAY_ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    try:
        import ray
    except ImportError as error:
        raise UserError(f"--on ray: Ray is not installed: {pip_install('ray')}") from error
    try:
        initialized_here = not ray.is_initialized()
        if initialized_here:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"--on ray: no cluster: {error_reason(error)}") from error
    try:
        yield ray
    finally:
        if initialized_here:
            ray.shutdown()


def translate_on_ray(
    spec: "TranslatorSpec",
    text: Path,
    shards: list[Shard],
    folder: Path,
    output_format: "OutputFormat",
    reporter: Reporter,
) -> None:
    """`translate_shard` for each shard, each on one core (or GPU) of the cluster.

    A shard whose machine is lost is resumed on another one. Raises the errors of `translate_shard`; WorkerError,
    after the other shards are done, where a shard was lost repeatedly.
    """
    runs = tuple(str(Path(run).absolute()) for run in spec.runs)
    absolute_spec = replace(spec, runs=runs)
    with ray_session() as ray:
        use_gpu = ray.cluster_resources().get("GPU", 0) > 0 and spec.device != "cpu"
        remote_task = ray.remote(num_cpus=1, num_gpus=int(use_gpu), max_retries=3)(_translate_shard_task)
        pending = {
            remote_task.remote(
                absolute_spec, text.absolute(), shard, folder.absolute(), output_format, reporter.on_terminal
            ): shard
            for shard in shards
        }
        failures = []
        while pending:
            (reference,), _ = ray.wait(list(pending), num_returns=1)
            shard = pending.pop(reference)
            try:
                messages = _get_result(ray, reference, f"shard {shard}")
            except WorkerError as error:
                failures.append(str(error))
                reporter.warning(str(error))
            else:
                for message in messages:
                    message.print(reporter)
    if failures:
        raise WorkerError(f"{len(failures)} of {len(shards)} shards failed: run the command again")


class _Message(NamedTuple):
    """What a task has to say, which only the process that waits for it can print."""

    text: str
    is_warning: bool = False

    def print(self, reporter: Reporter) -> None:
        (reporter.warning if self.is_warning else reporter.info)(self.text)


@dataclass
class _MessageCollector(Reporter):
    """Keeps messages in place of printing them."""

    quiet: bool = True  # no progress bar
    on_terminal: bool = False  # of the process that prints them
    messages: list[_Message] = field(default_factory=list)

    def info(self, text: str, *, style: str = "") -> None:
        """Keep a message."""
        self.messages.append(_Message(text))

    def warning(self, text: str) -> None:
        """Keep a warning."""
        self.messages.append(_Message(text, is_warning=True))


def _translate_shard_task(
    spec: "TranslatorSpec", text: Path, shard: Shard, folder: Path, output_format: "OutputFormat", on_terminal: bool
) -> list[_Message]:
    """Translate a shard in a process of the cluster; what there is to say of it."""
    from nmt_cli.translation.shards import translate_shard

    reporter = _MessageCollector(on_terminal=on_terminal)
    translate_shard(_open_translator_once(spec), text, shard, folder, output_format, reporter)
    return reporter.messages


@cache
def _open_translator_once(spec: "TranslatorSpec") -> "ParallelTranslator":
    """The translator, opened once in each process, which has one thread as Ray sets it."""
    from nmt_cli.translation.parallel import ParallelTranslator

    return ParallelTranslator(spec, "1", Reporter(quiet=True))


def ray_pool(ray: Any) -> PoolFactory:
    """Workers on all cores of a cluster, for preparing data."""

    @contextmanager
    def pool(opener: WorkFactory) -> Iterator[MapFunction]:
        worker_count = max(1, int(ray.cluster_resources().get("CPU", 1)))
        actor_class = ray.remote(num_cpus=1, max_restarts=3, max_task_retries=3)(_Actor)
        actors = [actor_class.remote(opener, number) for number in range(worker_count)]
        try:
            yield lambda tasks: _results_in_order(ray, actors, tasks)
        finally:
            for actor in actors:
                with suppress(Exception):  # it may be gone
                    ray.kill(actor)

    return pool


class _Actor:
    """A worker, whose work is opened once."""

    def __init__(self, opener: WorkFactory, number: int) -> None:
        self.work: Callable[[Any], Any] = opener(number)

    def do(self, task: Any) -> Any:
        """The result of a task."""
        return self.work(task)


def _results_in_order(ray: Any, actors: list[Any], tasks: Iterable[Any]) -> Iterator[Any]:
    """Results in the order of the tasks, with few tasks in flight at a time."""
    pending: deque[Any] = deque()
    for number, task in enumerate(tasks):
        pending.append(actors[number % len(actors)].do.remote(task))
        if len(pending) >= MAX_TASKS_PER_WORKER * len(actors):
            yield _get_result(ray, pending.popleft(), "a block of training pairs")
    while pending:
        yield _get_result(ray, pending.popleft(), "a block of training pairs")


def _get_result(ray: Any, object_ref: Any, description: str) -> Any:
    """The result of a task; its UserError is raised unchanged, any other error as WorkerError."""
    try:
        return ray.get(object_ref)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise UserError(str(error.cause)) from error
        raise WorkerError(f"{description}: {type(error.cause).__name__}: {error.cause}") from error
    except ray.exceptions.RayError as error:
        raise WorkerError(f"{description}: lost: {type(error).__name__}") from error
