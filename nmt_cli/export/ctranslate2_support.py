"""What CTranslate2 can do with a run, and where its search means something else than ours.

Imports torch only where CTranslate2 sees a GPU.
"""

import os
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from nmt_cli.decoding.config import SearchConfig
from nmt_cli.errors import DeviceError, pluralize
from nmt_cli.models.configs import ModelConfig, TransformerConfig

PACKAGES: tuple[str, ...] = ("ctranslate2",)
QUANTIZATIONS: tuple[str, ...] = (
    "float32", "int8", "bfloat16", "float16", "int8_float16", "int8_bfloat16",
)  # fmt: skip
INSTRUCTIONS_VARIABLE = "CT2_FORCE_CPU_ISA"  # environment variable, which CTranslate2 reads
_RECENT_AVX512 = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512_bf16"}
MIN_VERSION = (4, 8, 5)  # the first that is imported without PyTorch


@cache
def import_ctranslate2() -> Any:
    """The package, set up for this processor; ImportError without it.

    It imports asyncio, which takes longer than all the rest of it, for generators that are not used here. So it gets a
    stand-in that imports asyncio when something asks for a part of it.
    """
    if (instructions := fastest_instructions()) is not None:
        os.environ.setdefault(INSTRUCTIONS_VARIABLE, instructions)
    if "asyncio" in sys.modules:
        return import_module("ctranslate2")
    stand_in = ModuleType("asyncio")
    stand_in.__getattr__ = lambda name: getattr(import_module("asyncio"), name)  # type: ignore[method-assign]
    sys.modules["asyncio"] = stand_in
    try:
        return import_module("ctranslate2")
    finally:
        del sys.modules["asyncio"]


def fastest_instructions(cpu_info: Path = Path("/proc/cpuinfo")) -> str | None:
    """The instructions that CTranslate2 should compute with; None: those that it chooses by itself.

    It chooses AVX2 where there is AVX512, too, for which early processors lower their clock, but recent ones do not.
    """
    try:
        with cpu_info.open(encoding="utf-8", errors="replace") as lines:
            flags = next((line for line in lines if line.startswith("flags")), "").split()
    except OSError:
        return None
    return "AVX512" if set(flags) >= _RECENT_AVX512 else None


def missing_reason() -> str | None:
    """Why CTranslate2 cannot be used in this installation; None if it can."""
    try:
        package = import_ctranslate2()
    except ImportError:
        return "ctranslate2 is not installed here"
    version = str(package.__version__)
    numbers = tuple(int(number) for number in version.split(".")[:3] if number.isdigit())
    minimum = ".".join(map(str, MIN_VERSION))
    return None if numbers >= MIN_VERSION else f"ctranslate2 {version} is older than {minimum}"


def incompatibilities(config: ModelConfig, search: SearchConfig) -> list[str]:
    """See `ExportFormat.incompatibilities`."""
    reasons = []
    if type(config) is not TransformerConfig:  # a subclass may compute otherwise
        reasons.append(f"model.type: CTranslate2 runs transformer, not {config.type}")
    return reasons + [f"{reason}: set it to 0" for reason in unsupported_options(search)]


def unsupported_options(search: SearchConfig) -> list[str]:
    """The options that CTranslate2 does not have, each as `search.key: reason`."""
    if not search.coverage_penalty:
        return []
    return ["search.coverage_penalty: CTranslate2 computes it from one layer's attention"]


def search_differences(search: SearchConfig) -> list[str]:
    """The options with which CTranslate2 translates otherwise than our own search, each as `search.key: reason`."""
    reasons = []
    if search.sampling:
        reasons.append("search.sampling: CTranslate2 draws other samples, which are not reproducible")
    if search.n_best > 1:
        reasons.append("search.n_best: CTranslate2 may stop before the others of the n best have ended")
    if search.no_repeat_ngram is not None:
        reasons.append("search.no_repeat_ngram: CTranslate2 forbids what the source itself repeats")
    if search.precision == "bf16":
        reasons.append("search.precision: bf16 is asked for")
    return reasons


def resolve_device(name: str) -> tuple[str, int]:
    """CTranslate2's kind and index of the device that `--device` names; DeviceError for one that is not there.

    `auto` is a GPU only if PyTorch can use it, too: its CPU build cannot, and all else asks PyTorch.
    """
    gpu_count = int(import_ctranslate2().get_cuda_device_count())
    if name == "auto":
        return ("cuda" if gpu_count and import_module("torch").cuda.is_available() else "cpu"), 0
    kind, _, index = name.partition(":")
    if kind == "cpu" and not index:
        return "cpu", 0
    if kind == "cuda" and (not index or (index.isascii() and index.isdigit())) and int(index or 0) < gpu_count:
        return "cuda", int(index or 0)
    raise DeviceError(f"--device {name}: CTranslate2 can use cpu and {pluralize(gpu_count, 'GPU')} here")
