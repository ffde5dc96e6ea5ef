"""The processes that train one run together, and their collectives (torch.distributed).

A launcher (torchrun, or `nmt train --processes N`) starts the processes and sets environment
variables, such as the rank of each. Everything here also works for a single process. Ranks exchange
tensors and JSON only; torch's collectives for objects would use pickle.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as torch_distributed
from torch import Tensor

from nmt_cli.device import find_device
from nmt_cli.distributed.launcher import is_launched
from nmt_cli.distributed.rendezvous import create_store
from nmt_cli.distributed.watchdog import Watchdog
from nmt_cli.errors import DeviceError, UserError, is_out_of_memory, pluralize

COLLECTIVE_TIMEOUT = timedelta(days=20)  # the watchdog finds what is stuck; gloo allows at most 2^31 ms
RENDEZVOUS_TIMEOUT_SECONDS = 30 * 60.0  # until all processes have joined the group

T = TypeVar("T")


class PeerLost(Exception):
    """Another process of the group is gone or out of reach, so that this one cannot continue."""


class MainProcessFailed(Exception):
    """Rank 0 raised and reports an error of the user; this process has nothing to add."""


class ProcessGroup:
    """The processes that train one run together; without arguments, a single process."""

    def __init__(self, rank: int = 0, world_size: int = 1, *, local_rank: int = 0, local_world_size: int = 1) -> None:
        self.rank, self.world_size = rank, world_size
        self.local_rank, self.local_world_size = local_rank, local_world_size
        self.watchdog = Watchdog(f"rank {rank} of {world_size}")
        self._last_collective_end = time.perf_counter()

    @property
    def is_single(self) -> bool:
        """Whether this is the only process."""
        return self.world_size == 1

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0, which reports and writes for all."""
        return self.rank == 0

    def busy_seconds(self) -> float:
        """Seconds since the end of the last collective."""
        return time.perf_counter() - self._last_collective_end

    def start_watchdog(self, timeout_seconds: float, setting: str) -> None:
        """End the process with a message and all stacks if no collective succeeds within the timeout.

        `setting` names what the user can change to allow more.
        """
        if not self.is_single:
            self.watchdog.start(timeout_seconds, setting)

    def device_for(self, name: str) -> torch.device:
        """The device that `--device name` means for this process; with several, each has a GPU of its own.

        DeviceError if the machine has fewer GPUs than processes.
        """
        device = find_device(name)
        if device.type != "cuda" or self.local_world_size == 1:
            return device
        gpu_count = torch.cuda.device_count()
        if device.index is not None:
            raise DeviceError(f"--device {name}: {self.local_world_size} processes need a GPU each: use --device cuda")
        if self.local_world_size > gpu_count:
            raise DeviceError(
                f"{self.local_world_size} processes on a machine with {pluralize(gpu_count, 'GPU')}: start one per "
                "GPU, or use --device cpu"
            )
        torch.cuda.set_device(self.local_rank)
        return torch.device("cuda", self.local_rank)

    def all_reduce(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over all ranks, which is bit-identical on each of them."""
        if not self.is_single:
            with self._collective():
                torch_distributed.all_reduce(tensor)

    def timed_all_reduce(self, tensor: Tensor) -> float:
        """The same as `all_reduce`; returns its seconds, including the time to wait for others."""
        started = time.perf_counter()
        self.all_reduce(tensor)
        if tensor.device.type == "cuda":
            torch.cuda.synchronize(tensor.device)
            self._last_collective_end = time.perf_counter()
        return time.perf_counter() - started

    def broadcast(self, tensor: Tensor) -> None:
        """Replace a tensor by the one of rank 0."""
        if not self.is_single:
            with self._collective():
                torch_distributed.broadcast(tensor, src=0)

    def broadcast_scalar(self, value: float) -> float:
        """The number of rank 0, for decisions on which all must agree, such as those that depend on time."""
        scalar = torch.tensor([value], dtype=torch.float64)
        self.broadcast(scalar)
        return float(scalar)

    def all_gather(self, value: T) -> list[T]:
        """The values of all ranks, by rank; they must be representable in JSON."""
        if self.is_single:
            return [value]
        content = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        with self._collective():
            sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(self.world_size)]
            torch_distributed.all_gather(sizes, torch.tensor([len(content)]))
            lengths = [int(size) for size in sizes]
            padded = torch.zeros(max(lengths), dtype=torch.uint8)
            padded[: len(content)] = content
            rows = [torch.empty_like(padded) for _ in range(self.world_size)]
            torch_distributed.all_gather(rows, padded)
        return [json.loads(row[:length].numpy().tobytes()) for row, length in zip(rows, lengths, strict=True)]

    def run_on_main(self, work: Callable[[], T]) -> T:
        """Call `work` on rank 0 only and return its result, which must be representable in JSON, on all ranks.

        The others wait without a timeout. A UserError is raised on rank 0, and MainProcessFailed on
        the others.
        """
        if self.is_single:
            return work()
        with self.watchdog.paused():
            if not self.is_main:
                answer: dict[str, Any] = self.all_gather({})[0]
                if "mistake" in answer:
                    self._barrier()
                    raise MainProcessFailed(answer["mistake"])
                return answer["value"]  # type: ignore[no-any-return]
            try:
                value = work()
            except UserError as error:
                self.all_gather({"mistake": str(error)})
                self._barrier()
                raise
            self.all_gather({"value": value})
            return value

    def main_first(self, work: Callable[[], T]) -> T:
        """Call `work` on rank 0 first and then on all others; returns each rank's own result."""
        results: list[T] = []
        self.run_on_main(lambda: results.append(work()))
        return results[0] if results else work()

    def _barrier(self) -> None:
        """Wait for all ranks before they end: one that ended early would count as lost."""
        with suppress(PeerLost):
            self.all_reduce(torch.zeros(1))

    @contextmanager
    def _collective(self) -> Iterator[None]:
        """Wraps a collective: its failure means that a process is lost or out of reach, unless memory ran out; its
        success is progress for the watchdog."""
        try:
            yield
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            raise PeerLost(
                f"{self.watchdog.name}: lost another process {self.watchdog.last_position}, or could not talk to it: "
                + (str(error).strip() or type(error).__name__).splitlines()[0]
            ) from error
        self._last_collective_end = time.perf_counter()
        self.watchdog.report_progress()


SINGLE_PROCESS = ProcessGroup()


@contextmanager
def join_process_group() -> Iterator[ProcessGroup]:
    """Join the processes that a launcher started; without a launcher, a group of this process alone.

    Collectives use gloo for tensors on the CPU and NCCL for those on a GPU.
    """
    world_size = int(os.environ["WORLD_SIZE"]) if is_launched() else 1
    if world_size == 1:
        yield ProcessGroup()
        return
    processes = ProcessGroup(
        int(os.environ["RANK"]),
        world_size,
        local_rank=int(os.environ.get("LOCAL_RANK", "0")),
        local_world_size=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
    )
    processes.watchdog.start(RENDEZVOUS_TIMEOUT_SECONDS, "while waiting for all processes to start")
    nccl = torch.cuda.is_available() and torch_distributed.is_nccl_available()
    backend = "cpu:gloo,cuda:nccl" if nccl else "gloo"
    store = create_store(COLLECTIVE_TIMEOUT)
    torch_distributed.init_process_group(
        backend, store=store, rank=processes.rank, world_size=world_size, timeout=COLLECTIVE_TIMEOUT
    )
    try:
        yield processes
        torch_distributed.destroy_process_group()  # not after an error, when it could wait for others forever
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the launcher may send it to a process that is ending
        processes.watchdog.stop()
