"""The same work on a Ray cluster: shards of a text to translate, blocks of pairs to prepare.

Ray is an extra and only carries: which lines belong to a shard, how it resumes and what its files
look like is decided where it is for one machine. All machines must see the same files under the
same paths. Without RAY_ADDRESS it is a cluster of this machine's cores.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt_cli.data.ranges import Shard
from nmt_cli.errors import UserError, WorkerError
from nmt_cli.reporting import Reporter
from nmt_cli.workers import AHEAD, Apply, Opener, Pool

if TYPE_CHECKING:  # with torch, for which those that only prepare need not wait
    from nmt_cli.commands.processes import Opening, ParallelTranslator
    from nmt_cli.commands.shards import ShardDone
    from nmt_cli.commands.translate import Form

QUIET = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}  # or it warns of what a later version will do


@contextmanager
def connected() -> Iterator[Any]:
    """Ray, with a cluster: the one at RAY_ADDRESS, or this machine's cores.

    UserError where Ray is not installed or the cluster cannot be reached.
    """
    for key, value in QUIET.items():
        os.environ.setdefault(key, value)
    try:
        import ray
    except ImportError as error:
        raise UserError("--on ray: Ray is not installed: pip install 'nmt-cli[ray]'") from error
    try:
        ours = not ray.is_initialized()
        if ours:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"--on ray: no cluster: {' '.join(str(error).split())}") from error
    try:
        yield ray
    finally:
        if ours:
            ray.shutdown()


def translate_on_ray(
    opening: "Opening",
    text: Path,
    shards: list[Shard],
    folder: Path,
    form: "Form",
    reporter: Reporter,
) -> "list[ShardDone]":
    """`translate_shard` for each shard, each on a core (or GPU) of the cluster.

    A shard whose machine is lost is gone on with on another one. Raises as `translate_shard` does;
    WorkerError where a shard was lost again and again, after the others are done.
    """
    runs = tuple(str(Path(run).absolute()) for run in opening.runs)
    plain = replace(opening, runs=runs)
    with connected() as ray:
        gpus = ray.cluster_resources().get("GPU", 0) > 0 and opening.device != "cpu"
        task = ray.remote(num_cpus=1, num_gpus=int(gpus), max_retries=3)(_translate_one)
        waiting = {
            task.remote(plain, str(text.absolute()), tuple(one), str(folder.absolute()), form): one
            for one in shards
        }
        done, lost = [], []
        while waiting:
            (reference,), _ = ray.wait(list(waiting), num_returns=1)
            shard = waiting.pop(reference)
            try:
                done.append(_answer(ray, reference, f"shard {shard}"))
            except WorkerError as error:
                lost.append(str(error))
                reporter.warn(str(error))
            else:
                reporter.say(f"shard {shard}: {done[-1].lines:,} lines")
    if lost:
        raise WorkerError(f"{len(lost)} of {len(shards)} shards failed: run the command again")
    return sorted(done, key=lambda one: one.shard)


def _translate_one(
    opening: "Opening", text: str, shard: tuple[int, int], folder: str, form: "Form"
) -> "ShardDone":
    """A shard, in a process of the cluster."""
    from nmt_cli.commands.shards import translate_shard

    quiet = Reporter(quiet=True)
    return translate_shard(_opened(opening), Path(text), Shard(*shard), Path(folder), form, quiet)


@cache
def _opened(opening: "Opening") -> "ParallelTranslator":
    """The translator, once in each process, which has one thread as Ray has set it."""
    from nmt_cli.commands.processes import ParallelTranslator

    return ParallelTranslator(opening, "1", Reporter(quiet=True))


def ray_pool(ray: Any) -> Pool:
    """Workers on all cores of a cluster, for `data.preparation.prepare`."""

    @contextmanager
    def pool(opener: Opener) -> Iterator[Apply]:
        count = max(1, int(ray.cluster_resources().get("CPU", 1)))
        kind = ray.remote(num_cpus=1, max_restarts=3, max_task_retries=3)(_Actor)
        actors = [kind.remote(opener, number) for number in range(count)]
        try:
            yield lambda tasks: _in_order(ray, actors, tasks)
        finally:
            for actor in actors:
                with suppress(Exception):  # it may be gone
                    ray.kill(actor)

    return pool


class _Actor:
    """A worker: its work, opened once."""

    def __init__(self, opener: Opener, number: int) -> None:
        self.work: Callable[[Any], Any] = opener(number)

    def do(self, task: Any) -> Any:
        """The result of a task."""
        return self.work(task)


def _in_order(ray: Any, actors: list[Any], tasks: Iterable[Any]) -> Iterator[Any]:
    """Results in the order of the tasks, of which few are held at a time."""
    under_way: deque[Any] = deque()
    for number, task in enumerate(tasks):
        under_way.append(actors[number % len(actors)].do.remote(task))
        if len(under_way) >= AHEAD * len(actors):
            yield _answer(ray, under_way.popleft(), "a block of training pairs")
    while under_way:
        yield _answer(ray, under_way.popleft(), "a block of training pairs")


def _answer(ray: Any, reference: Any, name: str) -> Any:
    """What a task returned; its UserError as it was, anything else as WorkerError."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise UserError(str(error.cause)) from error
        raise WorkerError(f"{name}: {type(error.cause).__name__}: {error.cause}") from error
    except ray.exceptions.RayError as error:
        raise WorkerError(f"{name}: lost: {type(error).__name__}") from error
