"""nmt doctor: the machine and what is installed on it, as a bug report should begin.

What cannot be found out is None. Nothing private is in it: no path and no name of a user.
"""

import os
import platform
import re
import shutil
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import torch
from torch import nn

from nmt_cli import __version__
from nmt_cli.commands.engines import ENGINES
from nmt_cli.commands.export import FORMATS
from nmt_cli.device import AUTO, TYPES, automatic_precision, find_device
from nmt_cli.errors import UserError
from nmt_cli.export.format import require
from nmt_cli.machine import allocator, instruction_sets, processor_name, product_rates
from nmt_cli.models.quantized import Int8Linear
from nmt_cli.training.memory import free_memory
from nmt_cli.workers import usable_cores

SECONDS = 2.0  # for all measurements together
EXTRAS = {  # as in pyproject.toml, less those that only developers need
    "plot": ("matplotlib",),
    "tensorboard": ("tensorboard",),
    "export": ("ctranslate2", "onnx", "onnxruntime", "sentencepiece", "transformers"),
    "ray": ("ray",),
    "datasets": ("datasets",),
    "mtdata": ("mtdata",),
}
SPEED_VARIABLES = re.compile(  # of the environment
    r"(CUBLAS|DNNL|GOMP|KMP|MALLOC|MKL|OMP|ONEDNN|OPENBLAS|PYTORCH|TORCHINDUCTOR)_\w+"
    rf"|ATEN_CPU_CAPABILITY|CUDA_VISIBLE_DEVICES|GLIBC_TUNABLES|LD_PRELOAD|{AUTO}"
    "|NVIDIA_TF32_OVERRIDE|RAYON_NUM_THREADS|TOKENIZERS_PARALLELISM"
)
HIDDEN = "set, not shown"
_SMALLEST, _LARGEST = 256, {"cpu": 2048, "cuda": 8192}  # sides of the matrices that are multiplied
_CALLS = 7  # of a product, for which there must be time

T = TypeVar("T")
Multiply = Callable[[], object]


@dataclass(frozen=True)
class Package:
    """A package; `fault` is the type of error that importing it ends with."""

    name: str
    version: str | None
    fault: str | None = None


@dataclass(frozen=True)
class Gpu:
    """A GPU that PyTorch can use; memory in bytes."""

    name: str
    compute_capability: str
    memory: int
    free_memory: int | None


@dataclass(frozen=True)
class Speed:
    """The median speed of products of two square matrices, in 10^9 operations a second."""

    device: str
    precision: str
    side: int | None
    gflops: float | None


@dataclass(frozen=True)
class Diagnosis:
    """All that `nmt doctor` finds out; memory and disk in bytes."""

    versions: dict[str, str | None]
    system: str | None
    libc: str | None
    processor: str | None
    instruction_sets: list[str] | None
    cores: int | None
    threads: int
    load: float | None
    environment: dict[str, str]
    allocator: str | None
    cuda: str | None
    gpus: list[Gpu | None]
    gpu_warning: str | None
    precision: str | None
    precision_reason: str | None
    speeds: list[Speed]
    engines: dict[str, list[Package]]
    extras: dict[str, list[Package]]
    free_memory: int | None
    free_disk: int | None

    def record(self) -> dict[str, Any]:
        """As a plain object."""
        return asdict(self)


def diagnose(seconds: float = SECONDS) -> Diagnosis:
    """Look at everything, and measure for about `seconds`."""
    load = _told(lambda: os.getloadavg()[0])  # before we are a part of it
    device, gpus, warning = _devices()
    precision, reason = _precision(device)
    speeds = _speeds(device, seconds)
    return Diagnosis(
        versions=_versions(),
        system=_told(_system),
        libc=_told(lambda: " ".join(filter(None, platform.libc_ver()))) or None,
        processor=_told(processor_name) or None,
        instruction_sets=_told(instruction_sets),
        cores=_told(usable_cores),
        threads=torch.get_num_threads(),
        load=load,
        environment=speed_variables(os.environ),
        allocator=_told(allocator),
        cuda=torch.version.cuda,
        gpus=gpus,
        gpu_warning=warning,
        precision=precision,
        precision_reason=reason,
        speeds=speeds,
        engines={name: list(map(_imported, _packages(name))) for name in ENGINES},
        extras={name: list(map(_installed, EXTRAS[name])) for name in EXTRAS},
        free_memory=_told(free_memory),
        free_disk=_told(lambda: shutil.disk_usage(".").free),
    )


def speed_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that change how fast PyTorch is, without what a value may tell about its user.

    Of libraries the names are left. A value that holds a path or the user's name is not shown.
    """
    names = {environment.get("USER", ""), Path(environment.get("HOME", "")).name}
    found = {}
    for key in sorted(filter(SPEED_VARIABLES.fullmatch, environment)):
        value = environment[key]
        if key == "LD_PRELOAD":
            value = " ".join(one.rpartition("/")[2] for one in re.split(r"[\s:]+", value))
        plain = re.fullmatch(r"[\w.,:;=+\-\[\]{} ]{0,200}", value)
        private = any(len(name) > 2 and name.lower() in value.lower() for name in names)
        found[key] = value if plain and not private else HIDDEN
    return found


def _told(ask: Callable[[], T]) -> T | None:
    """The answer; None where there is none, since a broken machine is what we are for."""
    try:
        return ask()
    except Exception:
        return None


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"nmt": __version__, "Python": platform.python_version()}
    found["PyTorch"] = torch.__version__
    for name, package in (
        ("NumPy", "numpy"), ("tokenizers", "tokenizers"), ("sacreBLEU", "sacrebleu")
    ):  # fmt: skip
        found[name] = _installed(package).version
    return found


def _system() -> str:
    """The distribution where there is one, the kernel and the architecture."""
    kernel = f"{platform.system()} {platform.release()} {platform.machine()}"
    release = _told(platform.freedesktop_os_release) or {}
    return ", ".join(filter(None, [release.get("PRETTY_NAME"), kernel]))


def _devices() -> tuple[torch.device, list[Gpu | None], str | None]:
    """What `--device auto` is, all GPUs, and what PyTorch warns of: a driver that is too old."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        device = _told(lambda: find_device("auto")) or torch.device("cpu")
        count = (_told(torch.cuda.device_count) or 0) if device.type == "cuda" else 0
        gpus = [_told(partial(_gpu, number)) for number in range(count)]
    said = [str(one.message).partition("(Triggered")[0] for one in caught]
    return device, gpus, " ".join(said[0].split()) if said else None


def _gpu(number: int) -> Gpu:
    about = torch.cuda.get_device_properties(number)
    free = _told(lambda: int(torch.cuda.mem_get_info(number)[0]))
    return Gpu(about.name, f"{about.major}.{about.minor}", about.total_memory, free)


def _precision(device: torch.device) -> tuple[str | None, str | None]:
    if found := _told(lambda: automatic_precision(device)):
        return found
    return None, f"{AUTO} is neither fp32 nor bf16" if os.environ.get(AUTO) else None


def _speeds(device: torch.device, seconds: float) -> list[Speed]:
    """In every precision of a recipe that there is, on the CPU and the GPU."""
    places = [torch.device("cpu")] + [device] * (device.type == "cuda")
    wanted = [(place, name) for place in places for name in TYPES]
    wanted.insert(len(TYPES), (places[0], "int8"))
    return [_speed(place, name, seconds / len(wanted)) for place, name in wanted]


def _speed(device: torch.device, precision: str, seconds: float) -> Speed:
    """Of matrices as large as can be multiplied several times in these seconds."""
    try:
        with torch.inference_mode():
            side, rate = _measured(device, precision, seconds)
    except Exception:  # a machine may not have what this precision needs
        return Speed(device.type, precision, None, None)
    return Speed(device.type, precision, side, round(rate / 1e9, 1))


def _measured(device: torch.device, precision: str, seconds: float) -> tuple[int, float]:
    """The side of the matrices, and operations a second."""
    end, side = time.perf_counter() + seconds, _SMALLEST
    while True:
        multiply, operations = _product(device, precision, side), 2 * side**3
        (rate,) = product_rates(multiply, operations, 0, least=1)
        left = end - time.perf_counter()
        if side == _LARGEST[device.type] or _CALLS * 8 * operations / rate > left:
            return side, median(product_rates(multiply, operations, left))
        side *= 2


def _product(device: torch.device, precision: str, side: int) -> Multiply:
    """A function that multiplies two matrices of this size, and waits for the product."""
    if precision == "int8":  # as nmt translates with it, from float32 to float32
        layer, rows = Int8Linear(nn.Linear(side, side, bias=False)), torch.randn(side, side)
        return lambda: layer(rows)
    left, right = (torch.randn(side, side, device=device).to(TYPES[precision]) for _ in range(2))

    def multiply() -> None:
        left @ right
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return multiply


def _packages(engine: str) -> tuple[str, ...]:
    return FORMATS[engine].PACKAGES if engine in FORMATS else (engine,)


def _installed(package: str) -> Package:
    return Package(package, _told(lambda: version(package)))


def _imported(package: str) -> Package:
    """With the type of error where it is there but broken; its text may name folders."""
    found = _installed(package)
    if found.version is None:
        return found
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            require((package,), package)
    except UserError:
        return Package(package, found.version, ImportError.__name__)
    except Exception as error:
        return Package(package, found.version, type(error).__name__)
    return found
