"""The device and precision to compute in, and settings of PyTorch that matter for speed."""

import os
import re
import time
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch

from nmt_cli.config import Precision
from nmt_cli.errors import DeviceError, pluralize
from nmt_cli.workers import usable_cores

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
MIN_BF16_SPEEDUP = 1.2  # over float32; less is not worth the lower precision
AUTO_PRECISION_VARIABLE = "NMT_AUTO_PRECISION"  # environment variable: fp32 or bf16 in place of auto


def find_device(name: str) -> torch.device:
    """The device of `--device`; `auto` is the first CUDA GPU if there is one. DeviceError for one that is not there.

    PyTorch is set up for it.
    """
    limit_threads()
    if name == "auto":
        return _configured(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    if not re.fullmatch(r"cpu|mps|cuda(:(0|[1-9][0-9]{0,3}))?", name):
        raise DeviceError(f"--device {name}: use auto, cpu, cuda, cuda:N or mps")
    if name == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("--device mps: no Apple GPU that PyTorch can use; try --device cpu")
    kind, _, number = name.partition(":")
    if kind == "cuda" and not torch.cuda.is_available():
        raise DeviceError(f"--device {name}: no GPU that PyTorch can use; try --device cpu")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise DeviceError(f"--device {name}: this machine has {pluralize(torch.cuda.device_count(), 'GPU')}")
    return _configured(torch.device(name))


def limit_threads() -> None:
    """Give PyTorch no more threads than `usable_cores`; by itself it does not see a limit on the CPU time.

    OMP_NUM_THREADS and MKL_NUM_THREADS override it.
    """
    is_set = os.environ.get("OMP_NUM_THREADS") or os.environ.get("MKL_NUM_THREADS")
    if not is_set and torch.get_num_threads() > usable_cores():
        torch.set_num_threads(usable_cores())


def _configured(device: torch.device) -> torch.device:
    """The device, after setting up PyTorch for it.

    Attention by cuDNN is turned off: it makes a plan for every shape, of which batches and search
    steps have hundreds. cuDNN warns that weights of recurrent layers are views of one flat tensor.
    """
    if device.type == "cuda":
        torch.backends.cuda.enable_cudnn_sdp(False)
        warnings.filterwarnings("ignore", message="RNN module weights are not part of single")
        if device.index is not None:
            torch.cuda.set_device(device)
    return device


def choose_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The type to compute in; see `automatic_precision` for `auto`."""
    return DTYPES[resolved_precision(precision, device)]


def resolved_precision(precision: str, device: torch.device, measured: str | None = None) -> str:
    """The name of a precision, of the one that `auto` stands for where it is that.

    `measured` is what an earlier measurement on such a device has chosen, which is not repeated.
    """
    return automatic_precision(device, measured)[0] if precision == "auto" else precision


def automatic_precision(device: torch.device, measured: str | None = None) -> tuple[str, str]:
    """The precision that `auto` means on a device (fp32 or bf16), and the reason.

    It is bf16 if the device multiplies it faster than fp32. This is measured on CPUs with
    AVX512-BF16 but without AMX, of which some are twice as fast with bf16 and others half as fast, and where PyTorch
    does not say what the CPU has; `measured` is the result where that has been done.
    The environment variable NMT_AUTO_PRECISION overrides it; DeviceError for other values of it.
    """
    override = os.environ.get(AUTO_PRECISION_VARIABLE)
    if override in DTYPES:
        return override, f"{AUTO_PRECISION_VARIABLE} is set"
    if override:
        raise DeviceError(f"{AUTO_PRECISION_VARIABLE}={override}: use fp32 or bf16")
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return ("bf16" if major >= 8 else "fp32"), f"compute capability {major}.{minor}"
    if device.type != "cpu":
        return "fp32", f"nothing was measured on {device.type}"
    features = cpu_features()
    if features.get("amx_bf16"):
        return "bf16", "the CPU has amx_bf16"
    if features and not features.get("avx512_bf16"):
        return "fp32", "the CPU has no instructions for bfloat16"
    if measured is not None:
        return measured, "it was measured before"
    speedup = _bf16_speedup()
    reason = f"the CPU multiplies bf16 {speedup:.1f} times as fast as fp32"
    return ("bf16" if speedup >= MIN_BF16_SPEEDUP else "fp32"), reason


def cpu_features() -> Mapping[str, Any]:
    """What the CPU can do, by PyTorch's names; empty with an older PyTorch, which does not say it."""
    features: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return features


@cache
def _bf16_speedup() -> float:
    """The speed of bfloat16 matrix products on this CPU relative to float32; takes about 60 ms.

    The fastest of many products counts, so that other work on the machine has little influence.
    """
    seconds: dict[torch.dtype, float] = {}
    operands = {dtype: torch.ones(512, 512, dtype=dtype) for dtype in DTYPES.values()}
    for _ in range(20):
        for dtype, operand in operands.items():
            started = time.perf_counter()
            torch.mm(operand, operand)
            elapsed = time.perf_counter() - started
            seconds[dtype] = min(elapsed, seconds.get(dtype, elapsed))
    return seconds[torch.float32] / seconds[torch.bfloat16]


def limit_kernel_cache(kernels: int = 384) -> None:
    """Let oneDNN cache this many compiled kernels instead of 1,024; each takes half a MiB in bfloat16.

    Training needs fewer shapes (see data/batching.py); search has no limit on them. It must be called
    before the first matrix product. The environment variable ONEDNN_PRIMITIVE_CACHE_CAPACITY
    overrides it.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(kernels))


def device_name(device: torch.device) -> str:
    """The name of the device for logs and results."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return device.type
    threads = torch.get_num_threads()
    return f"CPU, {pluralize(threads, 'thread')}"


def describe_computation(dtype: torch.dtype, device: torch.device, process_count: int) -> str:
    """What the last bits of a result depend on, such as `fp32 on CPU, 2 threads`."""
    precision = next(name for name, named_dtype in DTYPES.items() if named_dtype == dtype)
    processes = "" if process_count == 1 else f", {process_count} processes"
    return f"{precision} on {device_name(device)}{processes}"
