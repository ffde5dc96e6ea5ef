"""How much memory there is, how much was taken, and what it looks like when it runs out."""

import resource
import sys
from contextlib import suppress
from pathlib import Path

import torch

MIB = 1 << 20

_OUT_OF_MEMORY_MESSAGES = (
    "not enough memory",
    "can't allocate memory",
    "out of memory",
    "bad_alloc",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "could not create a memory",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or in the CPU's allocator."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(message in str(error) for message in _OUT_OF_MEMORY_MESSAGES)


def empty_cache(device: torch.device) -> None:
    """Give back what the allocator of a GPU keeps, so that larger blocks can be made."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def peak_memory(device: torch.device) -> dict[str, float]:
    """The most that this process has had, in MiB: of main memory, and of tensors on its GPU."""
    peak = {"peak_rss_mib": _peak_rss() / MIB}
    if device.type == "cuda":
        peak["peak_gpu_mib"] = torch.cuda.max_memory_allocated(device) / MIB
    return peak


def available_memory(device: torch.device) -> int:
    """Bytes that can still be taken; of main memory `free_memory`, or 4 GiB where nobody says."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free_bytes = free_memory()
    return 4 << 30 if free_bytes is None else free_bytes


def free_memory() -> int | None:
    """Bytes of main memory that the kernel and the cgroup leave; None where neither says."""
    return min([*_meminfo("MemAvailable"), *_cgroup()], default=None)


def _meminfo(key: str, path: Path = Path("/proc/meminfo")) -> list[int]:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return []
    return [int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:")]


def allocated_memory(device: torch.device) -> int:
    """Bytes that are taken at present."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return _process_status_bytes("VmRSS") or _peak_rss()


def reset_peak_memory(device: torch.device) -> None:
    """Let `peak_allocated_memory` count from now on, where the system can do that."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_allocated_memory(device: torch.device) -> int:
    """The most bytes that have been taken since `reset_peak_memory`."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return _process_status_bytes("VmHWM") or _peak_rss()


def _peak_rss() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _process_status_bytes(key: str) -> int:
    return max(_meminfo(key, Path("/proc/self/status")), default=0)


def _cgroup(folder: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """What is left of the limit of a container (cgroup v2)."""
    try:
        limit, current = ((folder / f"memory.{key}").read_text() for key in ("max", "current"))
        return [max(0, int(limit) - int(current))]
    except (OSError, ValueError):  # not limited: "max"
        return []
