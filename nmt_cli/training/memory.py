"""How much memory there is, how much was taken, and what it looks like when it runs out."""

import resource
import sys
from contextlib import suppress
from pathlib import Path

import torch

MIB = 1 << 20

_SIGNS = (
    "not enough memory",
    "can't allocate memory",
    "out of memory",
    "bad_alloc",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "could not create a memory",
)


def ran_out(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or in the CPU's allocator."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


def free_cached(device: torch.device) -> None:
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
    left = free_memory()
    return 4 << 30 if left is None else left


def free_memory() -> int | None:
    """Bytes of main memory that the kernel and the cgroup leave; None where neither says."""
    return min([*_meminfo("MemAvailable"), *_cgroup()], default=None)


def _meminfo(key: str, path: Path = Path("/proc/meminfo")) -> list[int]:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return []
    return [int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:")]


def taken_memory(device: torch.device) -> int:
    """Bytes that are taken at present."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return _process("VmRSS") or _peak_rss()


def forget_peak(device: torch.device) -> None:
    """Let `most_taken` count from now on, where the system can do that."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def most_taken(device: torch.device) -> int:
    """The most bytes that have been taken since `forget_peak`."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return _process("VmHWM") or _peak_rss()


def _peak_rss() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _process(key: str) -> int:
    return max(_meminfo(key, Path("/proc/self/status")), default=0)


def _cgroup(folder: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """What is left of the limit of a container (cgroup v2)."""
    try:
        limit, used = ((folder / f"memory.{key}").read_text() for key in ("max", "current"))
        return [max(0, int(limit) - int(used))]
    except (OSError, ValueError):  # not limited: "max"
        return []
