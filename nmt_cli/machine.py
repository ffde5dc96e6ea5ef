"""What nmt doctor reports of this machine: its processor, C allocator and speed of matrix products."""

import ctypes
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch

# Instructions that speed up matrix products: x86-64, then ARM
_INSTRUCTION_SETS = (
    "avx2", "avx512_f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8",
    "neon", "dot", "bf16", "i8mm", "sve", "sve_bf16",
)  # fmt: skip


def processor_name(path: Path = Path("/proc/cpuinfo")) -> str:
    """The name of the processor; if unknown its architecture, such as aarch64."""
    lines = path.read_text("utf-8", "replace").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, names), "") or platform.processor() or platform.machine()


def instruction_sets() -> list[str]:
    """The instruction sets of the processor that speed up matrix products, by PyTorch's names."""
    features = torch.cpu.get_capabilities()
    return [name for name in _INSTRUCTION_SETS if features.get(name)]


class _DlInfo(ctypes.Structure):  # Dl_info of dlfcn.h
    _fields_ = (
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


def allocator_name() -> str:
    """The file name of the library that provides malloc, such as libc.so.6 or a preloaded libjemalloc.so.2.

    OSError or AttributeError if it cannot be determined.
    """
    library, symbol_info = ctypes.CDLL(None), _DlInfo()
    malloc = ctypes.cast(library.malloc, ctypes.c_void_p)
    if not library.dladdr(malloc, ctypes.byref(symbol_info)) or not symbol_info.file:
        raise OSError("malloc is in no file")
    return Path(symbol_info.file.decode(errors="replace")).name


def matmul_rates(multiply: Callable[[], object], operations: int, seconds: float, min_calls: int = 3) -> list[float]:
    """Operations per second of each call of `multiply`, which takes `operations`.

    After a warm-up call it is called for `seconds`, but at least `min_calls` times. On a GPU it must
    wait for the result.
    """
    multiply()
    rates: list[float] = []
    end = time.perf_counter() + seconds
    while len(rates) < min_calls or time.perf_counter() < end:
        started = time.perf_counter()
        multiply()
        rates.append(operations / (time.perf_counter() - started))
    return rates
