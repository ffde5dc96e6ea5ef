"""Where tensors run and in which precision; settings of the machine that matter for speed."""

import ctypes
import re
import sys
import warnings
from typing import Literal

import torch

from nmt_cli.errors import DeviceError

Precision = Literal["auto", "fp32", "bf16"]
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def find_device(name: str) -> torch.device:
    """`auto` is the first GPU where there is one; DeviceError for one that is not there."""
    if name == "auto":
        return _ready(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    if not re.fullmatch(r"cpu|cuda(:(0|[1-9][0-9]{0,3}))?", name):
        raise DeviceError(f"--device {name}: use auto, cpu, cuda or cuda:N")
    kind, _, number = name.partition(":")
    if kind == "cuda" and not torch.cuda.is_available():
        raise DeviceError(f"--device {name}: no GPU that PyTorch can use; try --device cpu")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise DeviceError(f"--device {name}: this machine has {torch.cuda.device_count()} GPU(s)")
    return _ready(torch.device(name))


def _ready(device: torch.device) -> torch.device:
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


def choose_precision(wanted: Precision, device: torch.device) -> torch.dtype:
    """`auto` is bfloat16 where the device multiplies it faster than float32."""
    if wanted != "auto":
        return TYPES[wanted]
    if device.type == "cuda":
        fast = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        features = torch.cpu.get_capabilities()
        fast = bool(features.get("amx_bf16") or features.get("avx512_bf16"))
    return torch.bfloat16 if fast else torch.float32


def keep_memory(limit: int = 1 << 30) -> None:
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
    mallopt(_M_TRIM_THRESHOLD, limit)
    mallopt(_M_TOP_PAD, 64 << 20)


def describe(device: torch.device) -> str:
    """The device's name for logs and results."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"
