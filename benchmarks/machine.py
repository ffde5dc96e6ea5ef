"""The machine, and how fast it multiplies matrices: the limit that every figure is held to."""

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import torch

SHAPE = (4096, 512, 2048)  # what a feed-forward layer multiplies: tokens, width, inner width
SECONDS = 1.0


def peak(dtype: torch.dtype, shape: tuple[int, int, int] = SHAPE) -> float:
    """Operations a second of a CPU's matrix product, the best of several stretches."""
    rows, inner, columns = shape
    left, right = torch.randn(rows, inner).to(dtype), torch.randn(inner, columns).to(dtype)
    best = 0.0
    for _ in range(5):
        started, count = time.perf_counter(), 0
        while time.perf_counter() - started < SECONDS / 5:
            left @ right
            count += 1
        best = max(best, 2 * rows * inner * columns * count / (time.perf_counter() - started))
    return best


def processor() -> str:
    """The processor's name, with what it multiplies narrow numbers with."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ] if Path("/proc/cpuinfo").exists() else [platform.processor()]  # fmt: skip
    features = torch.cpu.get_capabilities()
    wanted = ("avx2", "avx512_f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8")
    return f"{names[0]} ({', '.join(one for one in wanted if features.get(one)) or 'plain'})"


def peak_of_card() -> float:
    """The best rate of large bf16 products that a GPU reaches, whose time it keeps itself."""
    left, right = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        left @ right
    times = []
    for _ in range(3):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(20):
            left @ right
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) / 20_000)
    return 2 * 8192**3 / min(times)


def describe(device: str = "cpu") -> dict[str, Any]:
    """The machine of a figure."""
    facts: dict[str, Any] = {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
        "peak_fp32": peak(torch.float32),
    }
    features = torch.cpu.get_capabilities()
    if features.get("amx_bf16") or features.get("avx512_bf16"):
        facts["peak_bf16"] = peak(torch.bfloat16)
    if device != "cpu":
        facts |= {"gpu": torch.cuda.get_device_name(), "peak_bf16": peak_of_card()}
    return facts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    print(json.dumps(describe(parser.parse_args().device), indent=1))
