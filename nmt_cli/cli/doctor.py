"""The face of doctor."""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nmt_cli.cli.options import Json, put

if TYPE_CHECKING:  # with torch
    from nmt_cli.commands.doctor import Diagnosis, Gpu, Package, Speed

GIB = 1 << 30
UNKNOWN = "unknown"


def doctor(as_json: Json = False) -> None:
    """Say what a bug report begins with: versions, machine, precision, speed, extras.

    Measures for about two seconds how fast matrices are multiplied.
    Prints no path and no user name, so that it can be posted in public.

    Example: nmt doctor > doctor.txt
    """
    from nmt_cli.commands.doctor import diagnose

    found = diagnose()
    if as_json:
        put(json.dumps(found.record(), ensure_ascii=False))
        return
    rows = [*_software(found), *_machine(found), *_packages(found)]
    width = max(len(label) for label, _ in rows) + 2
    for label, text in rows:
        put(f"{label:{width}}{UNKNOWN if text is None else text}")


def _software(found: "Diagnosis") -> Iterator[tuple[str, str | None]]:
    yield from found.versions.items()
    yield "CUDA", found.cuda or "none: this PyTorch is built without it"
    yield "system", found.system
    yield "C library", found.libc
    yield "malloc from", found.allocator
    count = len(found.environment) or "no"
    yield "environment", f"{count} variable{'s' * (count != 1)} set that can change speed"
    for key, value in found.environment.items():
        yield f"  {key}", value


def _machine(found: "Diagnosis") -> Iterator[tuple[str, str | None]]:
    yield "processor", found.processor
    sets = found.instruction_sets
    yield "instruction sets", None if sets is None else ", ".join(sets) or "none that matter here"
    threads = f"{found.threads} PyTorch thread{'s' * (found.threads != 1)}"
    load = UNKNOWN if found.load is None else f"{found.load:.1f}"
    yield "cores", f"{found.cores or UNKNOWN} usable, {threads}, load {load} before measuring"
    for number, gpu in enumerate(found.gpus):
        yield f"GPU {number}", None if gpu is None else _gpu(gpu)
    if not found.gpus:
        yield "GPU", "none that PyTorch can use"
    if found.gpu_warning:
        yield "  warning", found.gpu_warning
    yield "precision: auto", f"{found.precision or UNKNOWN} ({found.precision_reason or UNKNOWN})"
    yield from _speeds(found.speeds)
    yield "free memory", _size(found.free_memory)
    yield "free disk", _size(found.free_disk)


def _gpu(gpu: "Gpu") -> str:
    memory = f"{_size(gpu.memory)} of memory, {_size(gpu.free_memory)} free"
    return f"{gpu.name}, compute capability {gpu.compute_capability}, {memory}"


def _speeds(speeds: "Sequence[Speed]") -> Iterator[tuple[str, str | None]]:
    yield "matrix products", "median speed, in 10^9 operations a second"
    for one in speeds:
        place = "CPU" if one.device == "cpu" else "GPU"
        text = f"{one.gflops:9,.1f}  ({one.side} x {one.side})" if one.gflops else None
        yield f"  {place}, {one.precision}", text


def _packages(found: "Diagnosis") -> Iterator[tuple[str, str | None]]:
    yield "engines", "what nmt translate --engine can use"
    for name, packages in found.engines.items():
        yield f"  {name}", _installed(name, packages, "export")
    yield "extras", "what pip install 'nmt-cli[EXTRA]' adds"
    for name, packages in found.extras.items():
        yield f"  {name}", _installed(name, packages, name)


def _installed(label: str, packages: "Sequence[Package]", extra: str) -> str:
    """The packages with their versions, and how to get those that are missing."""
    missing = [one for one in packages if one.version is None]
    advice = f": pip install 'nmt-cli[{extra}]'" if missing else ""
    if len(missing) == len(packages):
        return f"not installed{advice}"
    if [one.name for one in packages] == [label]:
        return _version(packages[0]) + advice
    return ", ".join(f"{one.name} {_version(one)}" for one in packages) + advice


def _version(package: "Package") -> str:
    fault = f" (importing it ends with {package.fault})" if package.fault else ""
    return f"{package.version or 'not installed'}{fault}"


def _size(count: int | None) -> str:
    return UNKNOWN if count is None else f"{count / GIB:.1f} GiB"
