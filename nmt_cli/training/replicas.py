"""Replicas of a model on a CPU: threads that each compute a part of every batch.

PyTorch's own threads divide each operation, and wait for one another after it. The operations of a small model are too
short to be worth dividing, and where another program takes one core, every one of them waits for it. Replicas wait for
one another once per batch. They share the weights, so that only their gradients take memory.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Self, TypeVar

import torch
from torch import Tensor

from nmt_cli.models.contract import TranslationModel
from nmt_cli.training.parameters import FlatParameters

MAX_REPLICAS = 4
MIN_WORK = 10**9
"""Parameters times target positions of a batch, per thread and replica.

Python's own work for a batch, a few to a hundred milliseconds, does not shrink with it, and only one thread at a time
can do it: with less than this, threads wait for that longer than they would for one another.
"""

Model = TranslationModel[Any]
Part = TypeVar("Part")


def replica_count(parameter_count: int, batch_positions: int, device: torch.device) -> int:
    """How many replicas train a model of so many parameters in batches of so many target positions.

    Their threads are at least three quarters of those that there are.
    """
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    limit = min(MAX_REPLICAS, threads, parameter_count * batch_positions // (MIN_WORK * threads))
    return max((count for count in range(2, limit + 1) if 4 * count * (threads // count) >= 3 * threads), default=1)


class ReplicaThreads:
    """A model and its replicas, each with a thread. Without replicas, the calling thread does all the work."""

    def __init__(self, model: Model, parameters: FlatParameters, count: int = 1) -> None:
        self.parameters = parameters
        self.models = [model, *(parameters.replicate(model) for _ in range(1, count))]
        self._threads = torch.get_num_threads()
        self._executor: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """End the threads; they are started again when they are needed."""
        if self._executor is not None:
            self._executor.shutdown()
            self._executor = None
            torch.set_num_threads(self._threads)  # for threads yet to be started, which have the number set last

    def keep_one(self) -> None:
        """Do without replicas."""
        del self.models[1:]
        self.parameters.forget_replicas()

    def map(self, compute: Callable[[Model, Part], Tensor], parts: Sequence[Part]) -> list[Tensor]:
        """compute(model, part) for each part, of which there are at most as many as models, at the same time.

        Returns once all have ended; raises the error of the first part that failed.
        """
        if len(parts) == 1:
            return [compute(self.models[0], parts[0])]
        if self._executor is None:
            self._executor = self._start()
        futures = [self._executor.submit(compute, model, part) for model, part in zip(self.models, parts, strict=False)]
        wait(futures)
        errors = [error for error in [future.exception() for future in futures] if error is not None]
        try:
            if errors:
                raise errors[0]
            return [future.result() for future in futures]
        finally:  # an error holds this frame, whose variables hold the errors, and these what failed to fit into memory
            del futures, errors

    def _start(self) -> ThreadPoolExecutor:
        """Threads that share PyTorch's among themselves."""
        threads_per_replica = max(1, self._threads // len(self.models))
        return ThreadPoolExecutor(len(self.models), "replica", torch.set_num_threads, (threads_per_replica,))
