"""Several processes over one run: the process group and collectives of torch.distributed.

A launcher (torchrun, or `nmt train --processes N`, which starts the same one) starts the processes
and tells each by environment variables which one it is, its rank. Everything here is defined for a
process alone, too.
What ranks tell each other is numbers and JSON; torch's exchange of objects would be pickle.
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
from nmt_cli.errors import DeviceError, UserError

COLLECTIVE_TIMEOUT = timedelta(days=20)  # what is stuck is found by the watchdog; gloo counts 2^31 ms at most
RENDEZVOUS_TIMEOUT_SECONDS = 30 * 60.0  # seconds until all processes must have found each other

T = TypeVar("T")


class PeerLost(Exception):
    """Another process of the group is gone, so that this one cannot go on."""


class MainProcessFailed(Exception):
    """Rank 0 met a mistake of the user and says so; this process has nothing to add."""


class ProcessGroup:
    """The processes that work on one run together; without arguments, one alone."""

    def __init__(
        self,
        rank: int = 0,
        world_size: int = 1,
        *,
        local_rank: int = 0,
        local_world_size: int = 1,
        watchdog: Watchdog | None = None,
    ) -> None:
        self.rank, self.world_size = rank, world_size
        self.local_rank, self.local_world_size = local_rank, local_world_size
        self.watchdog = watchdog or Watchdog(f"rank {rank} of {world_size}")
        self._last_collective_end = time.perf_counter()  # when the last collective was over

    @property
    def is_single(self) -> bool:
        """Whether there is nobody to talk to."""
        return self.world_size == 1

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0, which speaks and writes for all."""
        return self.rank == 0

    def busy_seconds(self) -> float:
        """Seconds for which this process has worked since the last collective."""
        return time.perf_counter() - self._last_collective_end

    def start_watchdog(self, timeout_seconds: float, setting: str) -> None:
        """End with a message and all stacks where no collective succeeds for so long.

        `setting` is what the user changes to allow more.
        """
        if not self.is_single:
            self.watchdog.start(timeout_seconds, setting)

    def device_for(self, name: str) -> torch.device:
        """The device that `--device name` means for this process: one GPU each, by local rank.

        Raises DeviceError where the machine has fewer GPUs than processes.
        """
        device = find_device(name)
        if device.type != "cuda" or self.local_world_size == 1:
            return device
        gpu_count = torch.cuda.device_count()
        if device.index is not None:
            raise DeviceError(f"--device {name}: {self.local_world_size} processes need a GPU each: use --device cuda")
        if self.local_world_size > gpu_count:
            raise DeviceError(
                f"{self.local_world_size} processes on a machine with {gpu_count} GPU(s): start one for "
                "each, or use --device cpu"
            )
        torch.cuda.set_device(self.local_rank)
        return torch.device("cuda", self.local_rank)

    def all_reduce(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over all ranks, the same bits on each of them."""
        if not self.is_single:
            with self._collective():
                torch_distributed.all_reduce(tensor)

    def timed_all_reduce(self, tensor: Tensor) -> float:
        """The same, and how many seconds it took, waiting for others included."""
        started = time.perf_counter()
        self.all_reduce(tensor)
        if tensor.device.type == "cuda":
            torch.cuda.synchronize(tensor.device)
            self._last_collective_end = time.perf_counter()
        return time.perf_counter() - started

    def broadcast(self, tensor: Tensor) -> None:
        """Replace a tensor by that of rank 0."""
        if not self.is_single:
            with self._collective():
                torch_distributed.broadcast(tensor, src=0)

    def broadcast_scalar(self, value: float) -> float:
        """Rank 0's number, for decisions that all must take alike, such as by time."""
        scalar = torch.tensor([value], dtype=torch.float64)
        self.broadcast(scalar)
        return float(scalar)

    def all_gather(self, value: T) -> list[T]:
        """The values of all ranks, by rank; a value is what JSON can hold."""
        if self.is_single:
            return [value]
        content = _to_bytes(value)
        with self._collective():
            sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(self.world_size)]
            torch_distributed.all_gather(sizes, torch.tensor([len(content)]))
            lengths = [int(size) for size in sizes]
            padded = torch.zeros(max(lengths), dtype=torch.uint8)
            padded[: len(content)] = content
            rows = [torch.empty_like(padded) for _ in range(self.world_size)]
            torch_distributed.all_gather(rows, padded)
        return [_from_bytes(row[:length]) for row, length in zip(rows, lengths, strict=True)]

    def run_on_main(self, work: Callable[[], T]) -> T:
        """What `work`, done by rank 0 alone, returned: something that JSON can hold.

        All others wait, as long as it takes. A UserError of rank 0 is raised there and ends the
        others by MainProcessFailed.
        """
        if self.is_single:
            return work()
        with self.watchdog.paused():
            if not self.is_main:
                answer = self._receive_json()
                if "mistake" in answer:
                    self._barrier()
                    raise MainProcessFailed(answer["mistake"])
                return answer["value"]  # type: ignore[no-any-return]
            try:
                value = work()
            except UserError as error:
                self._broadcast_json({"mistake": str(error)})
                self._barrier()
                raise
            self._broadcast_json({"value": value})
            return value

    def main_first(self, work: Callable[[], T]) -> T:
        """What `work` returned to this process; all others begin it when rank 0 has done it."""
        results: list[T] = []
        self.run_on_main(lambda: results.append(work()))
        return results[0] if results else work()

    def _barrier(self) -> None:
        """Before all end: whoever ends while another still listens would be taken for lost."""
        with suppress(PeerLost):
            self.all_reduce(torch.zeros(1))

    def _broadcast_json(self, message: dict[str, Any]) -> None:
        content = _to_bytes(message)
        self.broadcast(torch.tensor([len(content)]))
        self.broadcast(content)

    def _receive_json(self) -> dict[str, Any]:
        size = torch.zeros(1, dtype=torch.int64)
        self.broadcast(size)
        content = torch.empty(int(size), dtype=torch.uint8)
        self.broadcast(content)
        return _from_bytes(content)  # type: ignore[no-any-return]

    @contextmanager
    def _collective(self) -> Iterator[None]:
        """Around every collective: whose failure means a lost process, whose end is progress."""
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise PeerLost(f"{self.watchdog.name}: lost another process {self.watchdog.last_position}") from error
        self._last_collective_end = time.perf_counter()
        self.watchdog.report_progress()


SINGLE_PROCESS = ProcessGroup()


@contextmanager
def join_process_group() -> Iterator[ProcessGroup]:
    """Meet the other processes that a launcher started; a process alone where none did.

    Collectives go over gloo for tensors on the CPU and over NCCL for those on a GPU.
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
        torch_distributed.destroy_process_group()  # not after an error: it could wait for others
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the launcher's, to a process that ends now
        processes.watchdog.stop()


def _to_bytes(value: object) -> Tensor:
    return torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)


def _from_bytes(content: Tensor) -> Any:
    return json.loads(content.numpy().tobytes())
