"""Measuring memory: what is free and what is allocated."""

import sys
from contextlib import suppress
from pathlib import Path

import torch

from nmt_cli.workers import cgroup_folders

MIB = 1 << 20
# Files of a control group: its limit, what is used, and the cache of files among it in memory.stat; versions 2 and 1
_CGROUP_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.high", "memory.current", "inactive_file"),  # MemoryHigh of systemd: above it processes almost stand still
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def empty_cache(device: torch.device) -> None:
    """Return the memory that the GPU allocator caches, so that larger blocks can be allocated."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def peak_memory(device: torch.device) -> dict[str, float]:
    """The peak memory of this process in MiB: main memory, if the system says it, and tensors on its GPU."""
    peak_rss = _peak_rss()
    peak = {"peak_rss_mib": peak_rss / MIB} if peak_rss else {}
    if device.type == "cuda":
        peak["peak_gpu_mib"] = torch.cuda.max_memory_allocated(device) / MIB
    return peak


def available_memory(device: torch.device) -> int:
    """Bytes that can still be allocated; for a CPU `free_memory`, or 4 GiB if that is unknown."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free_bytes = free_memory()
    return 4 << 30 if free_bytes is None else free_bytes


def free_memory() -> int | None:
    """Bytes of main memory that the kernel and the cgroup leave; None if both are unknown."""
    free_bytes = _kernel_bytes(Path("/proc/meminfo"), "MemAvailable:")
    return min([*free_bytes, *_cgroup(cgroup_folders("memory"))], default=None)


def _kernel_bytes(path: Path, key: str) -> list[int]:
    """The bytes that a line of the kernel's statistics states after its key, in KiB or bytes; [] if it has none."""
    try:
        lines = [line.split() for line in path.read_text("utf-8", "replace").splitlines()]
    except OSError:
        return []
    return [int(words[1]) * (1024 if "kB" in words else 1) for words in lines if words[:1] == [key]]


def allocated_memory(device: torch.device) -> int:
    """Bytes that are allocated now; of main memory the most so far where the system does not say it, 0 on Windows."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return _process_status_bytes("VmRSS:") or _peak_rss()


def reset_peak_memory(device: torch.device) -> None:
    """Restart the measurement of `peak_allocated_memory`, if the system can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_bytes(b"5")


def peak_allocated_memory(device: torch.device) -> int:
    """The most bytes that were allocated at once since `reset_peak_memory`."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return _process_status_bytes("VmHWM:") or _peak_rss()


def _peak_rss() -> int:
    """The most main memory that this process has had, in bytes; 0 on Windows."""
    try:
        import resource
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _process_status_bytes(key: str) -> int:
    return max(_kernel_bytes(Path("/proc/self/status"), key), default=0)


def _cgroup(folders: list[Path]) -> list[int]:
    """What remains of the limit of each control group, with the cached files that the kernel drops when it must."""
    remaining = []
    for folder in folders:
        for limit_name, usage_name, cache_key in _CGROUP_FILES:
            with suppress(OSError, ValueError):  # unlimited: "max"
                limit, usage = (int((folder / name).read_text("utf-8")) for name in (limit_name, usage_name))
                cached = max(_kernel_bytes(folder / "memory.stat", cache_key), default=0)
                remaining.append(max(0, limit - usage + cached))
    return remaining
