"""The machine, and how fast it multiplies matrices: the limit that speeds are compared with."""

import argparse
import json
import os
import platform
from typing import Any

import torch

from nmt_cli.machine import instruction_sets, matmul_rates, processor_name
from nmt_cli.workers import usable_cores

MATMUL_SHAPE = (4096, 512, 2048)  # of a feed-forward layer: tokens, d_model, d_ff
MEASURING_SECONDS = 1.0
GPU_MATRIX_SIZE, MATMULS_PER_SYNC = 8192, 20


def peak_cpu_flops(dtype: torch.dtype, shape: tuple[int, int, int] = MATMUL_SHAPE) -> float:
    """Operations per second of the fastest of several matrix products on the CPU."""
    rows, inner, columns = shape
    left, right = torch.randn(rows, inner).to(dtype), torch.randn(inner, columns).to(dtype)
    return max(matmul_rates(lambda: left @ right, 2 * rows * inner * columns, MEASURING_SECONDS))


def processor() -> str:
    """The processor's name and its vector instruction sets."""
    return f"{processor_name()} ({', '.join(instruction_sets()) or 'plain'})"


def peak_gpu_flops() -> float:
    """Operations per second of the fastest of several large bf16 matrix products on the GPU."""
    left, right = (torch.randn(GPU_MATRIX_SIZE, GPU_MATRIX_SIZE, device="cuda").bfloat16() for _ in range(2))

    def multiply() -> None:
        for _ in range(MATMULS_PER_SYNC):
            left @ right
        torch.cuda.synchronize()

    return max(matmul_rates(multiply, MATMULS_PER_SYNC * 2 * GPU_MATRIX_SIZE**3, MEASURING_SECONDS))


def describe_machine(device: str = "cpu") -> dict[str, Any]:
    """The machine that a figure is measured on."""
    facts: dict[str, Any] = {
        "processor": processor(),
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
        "peak_fp32": peak_cpu_flops(torch.float32),
    }
    features = torch.cpu.get_capabilities()
    if features.get("amx_bf16") or features.get("avx512_bf16"):
        facts["peak_bf16"] = peak_cpu_flops(torch.bfloat16)
    if device != "cpu":
        facts |= {"gpu": torch.cuda.get_device_name(), "peak_bf16": peak_gpu_flops()}
    return facts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    print(json.dumps(describe_machine(parser.parse_args().device), indent=1))
