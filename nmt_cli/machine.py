"""This machine: its processor and C allocator, and how fast it multiplies matrices."""

import ctypes
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch

# Instructions that products of matrices gain from: x86-64, then ARM
_INSTRUCTION_SETS = (
    "avx2", "avx512_f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8",
    "neon", "dot", "bf16", "i8mm", "sve", "sve_bf16",
)  # fmt: skip


def processor_name(path: Path = Path("/proc/cpuinfo")) -> str:
    """The processor as the system calls it; at least its architecture, as in aarch64."""
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, names), "") or platform.processor() or platform.machine()


def instruction_sets() -> list[str]:
    """Those of the processor's instruction sets that matter here, by PyTorch's names."""
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
    """The name of the library that has this process's malloc: libc.so.6, libjemalloc.so.2.

    Another one than the C library's is there where it was preloaded. OSError or AttributeError
    where the system does not tell.
    """
    library, symbol_info = ctypes.CDLL(None), _DlInfo()
    malloc = ctypes.cast(library.malloc, ctypes.c_void_p)
    if not library.dladdr(malloc, ctypes.byref(symbol_info)) or not symbol_info.file:
        raise OSError("malloc is in no file")
    return Path(symbol_info.file.decode(errors="replace")).name


def matmul_rates(multiply: Callable[[], object], operations: int, seconds: float, min_calls: int = 3) -> list[float]:
    """Operations a second of each call of `multiply`, which takes that many operations.

    It is called for `seconds`, but no fewer than `least` times, after a call that does not count.
    On a GPU it must wait until the product is there.
    """
    multiply()
    rates: list[float] = []
    end = time.perf_counter() + seconds
    while len(rates) < min_calls or time.perf_counter() < end:
        started = time.perf_counter()
        multiply()
        rates.append(operations / (time.perf_counter() - started))
    return rates
