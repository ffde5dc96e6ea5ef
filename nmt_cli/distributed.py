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
from nmt_cli.errors import DeviceError, UserError
from nmt_cli.launcher import launched
from nmt_cli.rendezvous import meet
from nmt_cli.watchdog import Watchdog

FOREVER = timedelta(days=20)  # what is stuck is found by the watchdog; gloo counts 2^31 ms at most
MEETING = 30 * 60.0  # seconds until all processes must have found each other

T = TypeVar("T")


class ProcessLost(Exception):
    """Another process of the group is gone, so that this one cannot go on."""


class EndedElsewhere(Exception):
    """Rank 0 met a mistake of the user and says so; this process has nothing to add."""


class Processes:
    """The processes that work on one run together; without arguments, one alone."""

    def __init__(
        self,
        rank: int = 0,
        count: int = 1,
        *,
        local_rank: int = 0,
        local_count: int = 1,
        watchdog: Watchdog | None = None,
    ) -> None:
        self.rank, self.count = rank, count
        self.local_rank, self.local_count = local_rank, local_count
        self.watchdog = watchdog or Watchdog(f"rank {rank} of {count}")
        self._free = time.perf_counter()  # when the last collective was over

    @property
    def alone(self) -> bool:
        """Whether there is nobody to talk to."""
        return self.count == 1

    @property
    def leads(self) -> bool:
        """Whether this is rank 0, which speaks and writes for all."""
        return self.rank == 0

    def busy(self) -> float:
        """Seconds for which this process has worked since the last collective."""
        return time.perf_counter() - self._free

    def watch(self, seconds: float, setting: str) -> None:
        """End with a message and all stacks where no collective succeeds for so long.

        `setting` is what the user changes to allow more.
        """
        if not self.alone:
            self.watchdog.start(seconds, setting)

    def place(self, name: str) -> torch.device:
        """The device that `--device name` means for this process: one GPU each, by local rank.

        Raises DeviceError where the machine has fewer GPUs than processes.
        """
        device = find_device(name)
        if device.type != "cuda" or self.local_count == 1:
            return device
        there = torch.cuda.device_count()
        if device.index is not None:
            raise DeviceError(
                f"--device {name}: {self.local_count} processes need a GPU each: use --device cuda"
            )
        if self.local_count > there:
            raise DeviceError(
                f"{self.local_count} processes on a machine with {there} GPU(s): start one for "
                "each, or use --device cpu"
            )
        torch.cuda.set_device(self.local_rank)
        return torch.device("cuda", self.local_rank)

    def sum(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over all ranks, the same bits on each of them."""
        if not self.alone:
            with self._collective():
                torch_distributed.all_reduce(tensor)

    def timed_sum(self, tensor: Tensor) -> float:
        """The same, and how many seconds it took, waiting for others included."""
        started = time.perf_counter()
        self.sum(tensor)
        if tensor.device.type == "cuda":
            torch.cuda.synchronize(tensor.device)
            self._free = time.perf_counter()
        return time.perf_counter() - started

    def share(self, tensor: Tensor) -> None:
        """Replace a tensor by that of rank 0."""
        if not self.alone:
            with self._collective():
                torch_distributed.broadcast(tensor, src=0)

    def agreed(self, value: float) -> float:
        """Rank 0's number, for decisions that all must take alike, such as by time."""
        told = torch.tensor([value], dtype=torch.float64)
        self.share(told)
        return float(told)

    def gather(self, value: T) -> list[T]:
        """The values of all ranks, by rank; a value is what JSON can hold."""
        if self.alone:
            return [value]
        own = _to_bytes(value)
        with self._collective():
            sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(self.count)]
            torch_distributed.all_gather(sizes, torch.tensor([len(own)]))
            lengths = [int(size) for size in sizes]
            padded = torch.zeros(max(lengths), dtype=torch.uint8)
            padded[: len(own)] = own
            rows = [torch.empty_like(padded) for _ in range(self.count)]
            torch_distributed.all_gather(rows, padded)
        return [_from_bytes(row[:n]) for row, n in zip(rows, lengths, strict=True)]

    def first(self, work: Callable[[], T]) -> T:
        """What `work`, done by rank 0 alone, returned: something that JSON can hold.

        All others wait, as long as it takes. A UserError of rank 0 is raised there and ends the
        others by EndedElsewhere.
        """
        if self.alone:
            return work()
        with self.watchdog.paused():
            if not self.leads:
                answer = self._hear()
                if "mistake" in answer:
                    self._part()
                    raise EndedElsewhere(answer["mistake"])
                return answer["value"]  # type: ignore[no-any-return]
            try:
                value = work()
            except UserError as error:
                self._tell({"mistake": str(error)})
                self._part()
                raise
            self._tell({"value": value})
            return value

    def after_first(self, work: Callable[[], T]) -> T:
        """What `work` returned to this process; all others begin it when rank 0 has done it."""
        own: list[T] = []
        self.first(lambda: own.append(work()))
        return own[0] if own else work()

    def _part(self) -> None:
        """Before all end: whoever ends while another still listens would be taken for lost."""
        with suppress(ProcessLost):
            self.sum(torch.zeros(1))

    def _tell(self, answer: dict[str, Any]) -> None:
        content = _to_bytes(answer)
        self.share(torch.tensor([len(content)]))
        self.share(content)

    def _hear(self) -> dict[str, Any]:
        size = torch.zeros(1, dtype=torch.int64)
        self.share(size)
        content = torch.empty(int(size), dtype=torch.uint8)
        self.share(content)
        return _from_bytes(content)  # type: ignore[no-any-return]

    @contextmanager
    def _collective(self) -> Iterator[None]:
        """Around every collective: whose failure means a lost process, whose end is progress."""
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise ProcessLost(
                f"{self.watchdog.name}: lost another process {self.watchdog.where}"
            ) from error
        self._free = time.perf_counter()
        self.watchdog.progress()


ALONE = Processes()


@contextmanager
def join() -> Iterator[Processes]:
    """Meet the other processes that a launcher started; a process alone where none did.

    Collectives go over gloo for tensors on the CPU and over NCCL for those on a GPU.
    """
    count = int(os.environ["WORLD_SIZE"]) if launched() else 1
    if count == 1:
        yield Processes()
        return
    processes = Processes(
        int(os.environ["RANK"]),
        count,
        local_rank=int(os.environ.get("LOCAL_RANK", "0")),
        local_count=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
    )
    processes.watchdog.start(MEETING, "while waiting for all processes to start")
    nccl = torch.cuda.is_available() and torch_distributed.is_nccl_available()
    backend = "cpu:gloo,cuda:nccl" if nccl else "gloo"
    store = meet(FOREVER)
    torch_distributed.init_process_group(
        backend, store=store, rank=processes.rank, world_size=count, timeout=FOREVER
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
