"""nmt doctor."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from nmt_cli.cli.options import Json, print_line
from nmt_cli.errors import pip_install, pluralize

if TYPE_CHECKING:  # with torch
    from nmt_cli.commands.doctor import Diagnosis, Gpu, Package, Speed

GIB = 1 << 30
UNKNOWN = "unknown"


def doctor(as_json: Json = False) -> None:
    """Print what a bug report starts with: versions, machine, precision, speed, extras.

    Spends about two seconds on measuring how fast matrices are multiplied.
    Prints no path and no user name, so that the output can be posted in public.

    Example: nmt doctor > doctor.txt
    """
    from nmt_cli.commands.doctor import diagnose

    diagnosis = diagnose()
    if as_json:
        print_line(json.dumps(asdict(diagnosis), ensure_ascii=False))
        return
    rows = [*_software_rows(diagnosis), *_machine_rows(diagnosis), *_package_rows(diagnosis)]
    width = max(len(label) for label, _ in rows) + 2
    for label, text in rows:
        print_line(f"{label:{width}}{UNKNOWN if text is None else text}")


def _software_rows(diagnosis: "Diagnosis") -> Iterator[tuple[str, str | None]]:
    yield from diagnosis.versions.items()
    yield "CUDA", diagnosis.cuda or "none: this PyTorch is built without it"
    yield "system", diagnosis.system
    yield "C library", diagnosis.libc
    yield "malloc from", diagnosis.allocator
    count = len(diagnosis.environment) or "no"
    yield "environment", f"{count} variable{'s' * (count != 1)} set that can change speed"
    for key, value in diagnosis.environment.items():
        yield f"  {key}", value


def _machine_rows(diagnosis: "Diagnosis") -> Iterator[tuple[str, str | None]]:
    yield "processor", diagnosis.processor
    instruction_sets = diagnosis.instruction_sets
    yield (
        "instruction sets",
        None if instruction_sets is None else ", ".join(instruction_sets) or "none that matter here",
    )
    threads = pluralize(diagnosis.threads, "PyTorch thread")
    load = UNKNOWN if diagnosis.load is None else f"{diagnosis.load:.1f}"
    cores = f"{diagnosis.cores or UNKNOWN} usable ({diagnosis.cores_reason or UNKNOWN})"
    yield "cores", f"{cores}, {threads}, load {load} before measuring"
    for number, gpu in enumerate(diagnosis.gpus):
        yield f"GPU {number}", None if gpu is None else _describe_gpu(gpu)
    if not diagnosis.gpus:
        yield "GPU", "none that PyTorch can use"
    if diagnosis.gpu_warning:
        yield "  warning", diagnosis.gpu_warning
    yield ("precision: auto", f"{diagnosis.precision or UNKNOWN} ({diagnosis.precision_reason or UNKNOWN})")
    yield "engine: auto", f"{diagnosis.engine} ({diagnosis.engine_reason})"
    yield from _speed_rows(diagnosis.speeds)
    yield "free memory", _format_gib(diagnosis.free_memory)
    yield "free disk", _format_gib(diagnosis.free_disk)


def _describe_gpu(gpu: "Gpu") -> str:
    memory = f"{_format_gib(gpu.memory)} of memory, {_format_gib(gpu.free_memory)} free"
    return f"{gpu.name}, compute capability {gpu.compute_capability}, {memory}"


def _speed_rows(speeds: "Sequence[Speed]") -> Iterator[tuple[str, str | None]]:
    yield "matrix products", "median speed, in 10^9 operations per second"
    for speed in speeds:
        device_name = "CPU" if speed.device == "cpu" else "GPU"
        text = f"{speed.gflops:9,.1f}  ({speed.side} x {speed.side})" if speed.gflops else None
        yield f"  {device_name}, {speed.precision}", text


def _package_rows(diagnosis: "Diagnosis") -> Iterator[tuple[str, str | None]]:
    yield "engines", "what nmt translate --engine can use"
    for name, packages in diagnosis.engines.items():
        yield f"  {name}", _describe_packages(name, packages, "export" if name == "onnx" else None)
    yield "extras", f"what {pip_install('EXTRA')} adds"
    for name, packages in diagnosis.extras.items():
        yield f"  {name}", _describe_packages(name, packages, name)


def _describe_packages(label: str, packages: "Sequence[Package]", extra: str | None) -> str:
    """The packages with their versions, and how to get those that are missing: by an extra, or by their names."""
    missing = [package for package in packages if package.version is None]
    command = pip_install(extra) if extra else f"pip install {' '.join(package.name for package in missing)}"
    hint = f": {command}" if missing else ""
    if len(missing) == len(packages):
        return f"not installed{hint}"
    if [package.name for package in packages] == [label]:
        return _describe_version(packages[0]) + hint
    return ", ".join(f"{package.name} {_describe_version(package)}" for package in packages) + hint


def _describe_version(package: "Package") -> str:
    failure = f" (importing it ends with {package.fault})" if package.fault else ""
    return f"{package.version or 'not installed'}{failure}"


def _format_gib(byte_count: int | None) -> str:
    return UNKNOWN if byte_count is None else f"{byte_count / GIB:.1f} GiB"
