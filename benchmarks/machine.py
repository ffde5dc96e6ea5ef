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


def peak(dtype: torch.dtype, device: str = "cpu", shape: tuple[int, int, int] = SHAPE) -> float:
    """Operations a second of a matrix product, the best of several stretches."""
    rows, inner, columns = shape
    left = torch.randn(rows, inner, device=device).to(dtype)
    right = torch.randn(inner, columns, device=device).to(dtype)
    best = 0.0
    for _ in range(5):
        started, count = time.perf_counter(), 0
        while time.perf_counter() - started < SECONDS / 5:
            left @ right
            if device != "cpu":
                torch.cuda.synchronize()
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


def describe(device: str = "cpu") -> dict[str, Any]:
    """The machine of a figure."""
    facts: dict[str, Any] = {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
        "peak_fp32": peak(torch.float32, device),
    }
    features = torch.cpu.get_capabilities()
    if device != "cpu" or features.get("amx_bf16") or features.get("avx512_bf16"):
        facts["peak_bf16"] = peak(torch.bfloat16, device)
    if device != "cpu":
        facts["gpu"] = torch.cuda.get_device_name()
    return facts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    print(json.dumps(describe(parser.parse_args().device), indent=1))
