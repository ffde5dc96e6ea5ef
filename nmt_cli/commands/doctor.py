"""nmt doctor: the machine and its software, for bug reports.

What cannot be determined is None. The report has nothing private: no paths and no user names.
"""

import os
import platform
import re
import shutil
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import PureWindowsPath
from statistics import median
from typing import TypeVar

import torch
from torch import nn

from nmt_cli import __version__
from nmt_cli.device import AUTO_PRECISION_VARIABLE, DTYPES, automatic_precision, find_device
from nmt_cli.errors import UserError
from nmt_cli.export import ctranslate2_support
from nmt_cli.export.cached import ENGINES
from nmt_cli.export.exporting import FORMATS
from nmt_cli.export.format import require_packages
from nmt_cli.machine import allocator_name, instruction_sets, matmul_rates, processor_name
from nmt_cli.models.quantized import Int8Linear
from nmt_cli.training.memory import free_memory
from nmt_cli.translation.engine_choice import ENGINE_VARIABLE
from nmt_cli.workers import usable_cores_and_reason

MEASUREMENT_SECONDS = 2.0  # of all measurements together
EXTRAS = {  # as in pyproject.toml, without those for developers
    "plot": ("matplotlib",),
    "mojibake": ("ftfy",),
    "serve": ("python-multipart", "starlette", "uvicorn"),
    "tensorboard": ("tensorboard",),
    "export": ("onnx", "onnxruntime", "sentencepiece", "transformers"),
    "ray": ("ray",),
    "datasets": ("datasets",),
    "mtdata": ("mtdata",),
}
SPEED_VARIABLES = re.compile(  # environment variables
    r"(CT2|CUBLAS|DNNL|GOMP|KMP|MALLOC|MKL|OMP|ONEDNN|OPENBLAS|PYTORCH|TORCHINDUCTOR)_\w+"
    rf"|ATEN_CPU_CAPABILITY|CUDA_VISIBLE_DEVICES|GLIBC_TUNABLES|LD_PRELOAD|{AUTO_PRECISION_VARIABLE}"
    "|NVIDIA_TF32_OVERRIDE|RAYON_NUM_THREADS|TOKENIZERS_PARALLELISM"
)
HIDDEN_VALUE = "set, not shown"
_MIN_MATRIX_SIZE = 256  # rows and columns
_MAX_MATRIX_SIZE = {"cpu": 2048, "cuda": 8192}
_MIN_TIMED_PRODUCTS = 7  # for which there must be time at a matrix size

T = TypeVar("T")
Multiply = Callable[[], object]


@dataclass(frozen=True)
class Package:
    """A package; `fault` is the type of the error that importing it raises."""

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
    """The median speed of products of two square matrices, in 10^9 operations per second."""

    device: str
    precision: str
    side: int | None
    gflops: float | None


@dataclass(frozen=True)
class Diagnosis:
    """The report of `nmt doctor`; memory and disk in bytes."""

    versions: dict[str, str | None]
    system: str | None
    libc: str | None
    processor: str | None
    instruction_sets: list[str] | None
    cores: int | None
    cores_reason: str | None
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
    engine: str
    engine_reason: str
    engines: dict[str, list[Package]]
    extras: dict[str, list[Package]]
    free_memory: int | None
    free_disk: int | None


def diagnose(seconds: float = MEASUREMENT_SECONDS) -> Diagnosis:
    """Collect the report, and measure speeds for about `seconds`."""
    load = _value_or_none(lambda: os.getloadavg()[0])  # before the measurements add to it
    environment = speed_variables(os.environ)  # before the engines that are looked at add to them
    device, gpus, warning = _devices()
    cores, cores_reason = _value_or_none(usable_cores_and_reason) or (None, None)
    precision, reason = _precision(device)
    engine, engine_reason = _automatic_engine(device)
    speeds = _measure_speeds(device, seconds)
    return Diagnosis(
        versions=_versions(),
        system=_value_or_none(_system),
        libc=_value_or_none(lambda: " ".join(filter(None, platform.libc_ver()))) or None,
        processor=_value_or_none(processor_name) or None,
        instruction_sets=_value_or_none(instruction_sets),
        cores=cores,
        cores_reason=cores_reason,
        threads=torch.get_num_threads(),
        load=load,
        environment=environment,
        allocator=_value_or_none(allocator_name),
        cuda=torch.version.cuda,
        gpus=gpus,
        gpu_warning=warning,
        precision=precision,
        precision_reason=reason,
        speeds=speeds,
        engine=engine,
        engine_reason=engine_reason,
        engines={name: list(map(_imported_package, _engine_packages(name))) for name in ENGINES},
        extras={name: list(map(_installed_package, EXTRAS[name])) for name in EXTRAS},
        free_memory=_value_or_none(free_memory),
        free_disk=_value_or_none(lambda: shutil.disk_usage(".").free),
    )


def speed_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Environment variables that affect the speed of PyTorch, without private values.

    Libraries are reduced to their file names. A value that contains a path or the user's name is not shown.
    """
    homes = [environment.get(key, "") for key in ("HOME", "USERPROFILE")]
    private_names = {environment.get("USER", ""), environment.get("USERNAME", "")}
    private_names |= {PureWindowsPath(home).name for home in homes}  # separated by either slash
    variables = {}
    for key in sorted(filter(SPEED_VARIABLES.fullmatch, environment)):
        value = environment[key]
        if key == "LD_PRELOAD":
            value = " ".join(library.rpartition("/")[2] for library in re.split(r"[\s:]+", value))
        is_plain = re.fullmatch(r"[\w.,:;=+\-\[\]{} ]{0,200}", value)
        is_private = any(len(name) > 2 and name.lower() in value.lower() for name in private_names)
        variables[key] = value if is_plain and not is_private else HIDDEN_VALUE
    return variables


def _value_or_none(query: Callable[[], T]) -> T | None:
    """The answer, or None on any error: the report must work on a broken machine."""
    try:
        return query()
    except Exception:
        return None


def _versions() -> dict[str, str | None]:
    return {
        "nmt": __version__,
        "Python": platform.python_version(),
        "PyTorch": torch.__version__,
        "NumPy": _installed_package("numpy").version,
        "tokenizers": _installed_package("tokenizers").version,
        "sacreBLEU": _installed_package("sacrebleu").version,
    }


def _system() -> str:
    """The distribution (if there is one), kernel and architecture."""
    kernel = f"{platform.system()} {platform.release()} {platform.machine()}"
    release = _value_or_none(platform.freedesktop_os_release) or {}
    return ", ".join(filter(None, [release.get("PRETTY_NAME"), kernel]))


def _devices() -> tuple[torch.device, list[Gpu | None], str | None]:
    """The device of `--device auto`, all GPUs, and PyTorch's warning, for example of an old driver."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        device = _value_or_none(lambda: find_device("auto")) or torch.device("cpu")
        count = (_value_or_none(torch.cuda.device_count) or 0) if device.type == "cuda" else 0
        gpus = [_value_or_none(partial(_gpu_properties, number)) for number in range(count)]
    messages = [str(record.message).partition("(Triggered")[0] for record in caught]
    return device, gpus, " ".join(messages[0].split()) if messages else None


def _gpu_properties(number: int) -> Gpu:
    properties = torch.cuda.get_device_properties(number)
    free_bytes = _value_or_none(lambda: int(torch.cuda.mem_get_info(number)[0]))
    return Gpu(properties.name, f"{properties.major}.{properties.minor}", properties.total_memory, free_bytes)


def _precision(device: torch.device) -> tuple[str | None, str | None]:
    if precision_and_reason := _value_or_none(lambda: automatic_precision(device)):
        return precision_and_reason
    is_set = bool(os.environ.get(AUTO_PRECISION_VARIABLE))
    return None, f"{AUTO_PRECISION_VARIABLE} is neither fp32 nor bf16" if is_set else None


def _automatic_engine(device: torch.device) -> tuple[str, str]:
    """What `nmt translate --engine auto` is where nothing in the run or the options speaks against it, and why."""
    if os.environ.get(ENGINE_VARIABLE) == "torch":
        return "torch", f"{ENGINE_VARIABLE} is set"
    if device.type != "cpu":
        return "torch", "CTranslate2 is for CPUs here"
    missing = ctranslate2_support.missing_reason()
    if missing is not None:
        return "torch", missing
    return "ctranslate2", "for a transformer; its folder says in which type of weights, exports/auto.json"


def _measure_speeds(device: torch.device, seconds: float) -> list[Speed]:
    """Measure every precision that a recipe can have, on the CPU and the GPU."""
    devices = [torch.device("cpu")] + [device] * (device.type == "cuda")
    measurements = [(target_device, name) for target_device in devices for name in DTYPES]
    measurements.insert(len(DTYPES), (devices[0], "int8"))
    return [_measure_speed(target_device, name, seconds / len(measurements)) for target_device, name in measurements]


def _measure_speed(device: torch.device, precision: str, seconds: float) -> Speed:
    """Measure the largest matrices that can be multiplied several times in `seconds`."""
    try:
        with torch.inference_mode():
            size, rate = _largest_timed_product(device, precision, seconds)
    except Exception:  # the machine may not support this precision
        return Speed(device.type, precision, None, None)
    return Speed(device.type, precision, size, round(rate / 1e9, 1))


def _largest_timed_product(device: torch.device, precision: str, seconds: float) -> tuple[int, float]:
    """The rows of the square matrices, and operations per second."""
    deadline, size = time.perf_counter() + seconds, _MIN_MATRIX_SIZE
    while True:
        multiply, operations = _make_product(device, precision, size), 2 * size**3
        (rate,) = matmul_rates(multiply, operations, 0, min_calls=1)
        remaining_seconds = deadline - time.perf_counter()
        if size == _MAX_MATRIX_SIZE[device.type] or _MIN_TIMED_PRODUCTS * 8 * operations / rate > remaining_seconds:
            return size, median(matmul_rates(multiply, operations, remaining_seconds))
        size *= 2


def _make_product(device: torch.device, precision: str, size: int) -> Multiply:
    """A function that multiplies two matrices of this size and waits for the product."""
    if precision == "int8":  # the layer that nmt translates with; input and output are float32
        layer, rows = Int8Linear(nn.Linear(size, size, bias=False)), torch.randn(size, size)
        return lambda: layer(rows)
    left, right = (torch.randn(size, size, device=device).to(DTYPES[precision]) for _ in range(2))

    def multiply() -> None:
        left @ right
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return multiply


def _engine_packages(engine: str) -> tuple[str, ...]:
    return FORMATS[engine].PACKAGES if engine in FORMATS else (engine,)


def _installed_package(package: str) -> Package:
    return Package(package, _value_or_none(lambda: version(package)))


def _imported_package(package: str) -> Package:
    """The package, with the type of the error if it is installed but broken; the text may contain paths."""
    installed = _installed_package(package)
    if installed.version is None:
        return installed
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            require_packages((package,), package)
    except UserError:
        return Package(package, installed.version, ImportError.__name__)
    except Exception as error:
        return Package(package, installed.version, type(error).__name__)
    return installed
