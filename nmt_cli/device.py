"""Where tensors run and in which precision; settings of the machine that matter for speed."""

import ctypes
import os
import re
import sys
import time
import warnings
from functools import cache
from typing import Literal

import torch

from nmt_cli.errors import DeviceError

Precision = Literal["auto", "fp32", "bf16"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
MIN_BF16_SPEEDUP = 1.2  # times as fast as float32: less does not make up for the precision
AUTO_PRECISION_VARIABLE = "NMT_AUTO_PRECISION"  # environment variable: what `auto` stands for, fp32 or bf16

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def find_device(name: str) -> torch.device:
    """`auto` is the first GPU where there is one; DeviceError for one that is not there."""
    if name == "auto":
        return _fill_config(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    if not re.fullmatch(r"cpu|cuda(:(0|[1-9][0-9]{0,3}))?", name):
        raise DeviceError(f"--device {name}: use auto, cpu, cuda or cuda:N")
    kind, _, number = name.partition(":")
    if kind == "cuda" and not torch.cuda.is_available():
        raise DeviceError(f"--device {name}: no GPU that PyTorch can use; try --device cpu")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise DeviceError(f"--device {name}: this machine has {torch.cuda.device_count()} GPU(s)")
    return _fill_config(torch.device(name))


def _fill_config(device: torch.device) -> torch.device:
    """A device with PyTorch's settings for it.

    Attention by cuDNN is off: it plans anew for every shape, and batches and steps of a search have
    hundreds. Recurrent layers have their weights among all others, which cuDNN warns about.
    """
    if device.type == "cuda":
        torch.backends.cuda.enable_cudnn_sdp(False)
        warnings.filterwarnings("ignore", message="RNN module weights are not part of single")
        if device.index is not None:
            torch.cuda.set_device(device)
    return device


def choose_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The type to compute in; `auto` is what `automatic_precision` says."""
    name = automatic_precision(device)[0] if precision == "auto" else precision
    return DTYPES[name]


def automatic_precision(device: torch.device) -> tuple[str, str]:
    """What `auto` stands for on a device, and why.

    It is bfloat16 where the device multiplies it faster than float32, which is measured where a CPU
    has AVX512-BF16 without AMX: some have twice the speed with it, others half. NMT_AUTO_PRECISION
    in the environment overrides that. DeviceError for another value of it than fp32 or bf16.
    """
    override = os.environ.get(AUTO_PRECISION_VARIABLE)
    if override in DTYPES:
        return override, f"{AUTO_PRECISION_VARIABLE} is set"
    if override:
        raise DeviceError(f"{AUTO_PRECISION_VARIABLE}={override}: use fp32 or bf16")
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return ("bf16" if major >= 8 else "fp32"), f"compute capability {major}.{minor}"
    features = torch.cpu.get_capabilities()
    if features.get("amx_bf16"):
        return "bf16", "the CPU has amx_bf16"
    if not features.get("avx512_bf16"):
        return "fp32", "the CPU has no instructions for bfloat16"
    speedup = _bf16_speedup()
    reason = f"the CPU multiplies bf16 {speedup:.1f} times as fast as fp32"
    return ("bf16" if speedup >= MIN_BF16_SPEEDUP else "fp32"), reason


@cache
def _bf16_speedup() -> float:
    """How many times as fast as float32 this CPU multiplies bfloat16; takes about 45 ms.

    Of several products in turns the fastest of each type counts, so that other work on the machine
    changes little.
    """
    seconds: dict[torch.dtype, float] = {}
    operands = {dtype: torch.ones(512, 512, dtype=dtype) for dtype in DTYPES.values()}
    for _ in range(5):
        for dtype, operand in operands.items():
            started = time.perf_counter()
            torch.mm(operand, operand)
            elapsed = time.perf_counter() - started
            seconds[dtype] = min(elapsed, seconds.get(dtype, elapsed))
    return seconds[torch.float32] / seconds[torch.bfloat16]


def limit_kernel_cache() -> None:
    """Let oneDNN keep 512 compiled kernels, not 1,024, each of which takes half a MiB in bfloat16.

    A training makes fewer (see data/batching.py); it is search that never comes to an end. Only
    before the first product; ONEDNN_PRIMITIVE_CACHE_CAPACITY in the environment overrides it.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "512")


def keep_freed_memory(max_bytes: int = 1 << 30) -> None:
    """Let the C allocator keep up to `limit` bytes of freed memory instead of returning it.

    Training frees and takes the same large blocks at every update; giving them back costs a page
    fault for each page taken again. What was freed before this call is given back. Does nothing
    where the C library is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        library = ctypes.CDLL("libc.so.6")
        mallopt, trim = library.mallopt, library.malloc_trim
    except (OSError, AttributeError):
        return
    trim(0)
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, max_bytes)
    mallopt(_M_TOP_PAD, 64 << 20)


def device_name(device: torch.device) -> str:
    """The device's name for logs and results."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"
