"""nmt doctor: it tells what is true of this machine, nothing private, and never fails."""

import json
import os
import platform
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch

from nmt_cli import __version__, machine
from nmt_cli.commands import doctor as command
from nmt_cli.commands.doctor import EXTRAS, Diagnosis, Gpu, Package, Speed, diagnose, speed_variables
from nmt_cli.device import automatic_precision
from nmt_cli.workers import usable_cores_and_reason
from tests.conftest import ROOT, Call, environment

BRIEF = 0.01  # seconds of measuring
GIB = 1 << 30
MADE_UP = Diagnosis(
    versions={"nmt": "0.1.0", "NumPy": None}, system="Linux 6.1 x86_64", libc="glibc 2.36",
    processor="Some CPU", instruction_sets=["avx2"], cores=2, cores_reason="of 64, by CPU quota", threads=1, load=0.25,
    environment={"OMP_NUM_THREADS": "1"}, allocator="libjemalloc.so.2", cuda="12.8",
    gpus=[Gpu("Some GPU", "9.0", 80 * GIB, 79 * GIB), Gpu("Other GPU", "7.5", 16 * GIB, None),
          None],
    gpu_warning=None, precision="bf16", precision_reason="compute capability 9.0",
    speeds=[Speed("cpu", "fp32", 1024, 120.04), Speed("cuda", "bf16", 8192, 654321.0),
            Speed("cpu", "int8", None, None)],
    engine="ctranslate2",
    engine_reason="for a transformer",
    engines={"ctranslate2": [Package("ctranslate2", "4.8.5", "ImportError")],
             "onnx": [Package("onnx", "1.2"), Package("onnxruntime", None)]},
    extras={"plot": [Package("matplotlib", "3.11.2")], "mtdata": [Package("mtdata", None)]},
    free_memory=int(1.5 * GIB), free_disk=None,
)  # fmt: skip
TEXT = """\
nmt                0.1.0
NumPy              unknown
CUDA               12.8
system             Linux 6.1 x86_64
C library          glibc 2.36
malloc from        libjemalloc.so.2
environment        1 variable set that can change speed
  OMP_NUM_THREADS  1
processor          Some CPU
instruction sets   avx2
cores              2 usable (of 64, by CPU quota), 1 PyTorch thread, load 0.2 before measuring
GPU 0              Some GPU, compute capability 9.0, 80.0 GiB of memory, 79.0 GiB free
GPU 1              Other GPU, compute capability 7.5, 16.0 GiB of memory, unknown free
GPU 2              unknown
precision: auto    bf16 (compute capability 9.0)
engine: auto       ctranslate2 (for a transformer)
matrix products    median speed, in 10^9 operations per second
  CPU, fp32            120.0  (1024 x 1024)
  GPU, bf16        654,321.0  (8192 x 8192)
  CPU, int8        unknown
free memory        1.5 GiB
free disk          unknown
engines            what nmt translate --engine can use
  ctranslate2      4.8.5 (importing it ends with ImportError)
  onnx             onnx 1.2, onnxruntime not installed: pip install "nmt-cli[export]"
extras             what pip install "nmt-cli[EXTRA]" adds
  plot             matplotlib 3.11.2
  mtdata           not installed: pip install "nmt-cli[mtdata]"
"""


@pytest.fixture(scope="module")
def diagnosis() -> Diagnosis:
    """Of this machine."""
    return diagnose(BRIEF)


@pytest.mark.precision
def test_what_is_told_is_true_of_this_machine(diagnosis: Diagnosis) -> None:
    assert diagnosis.versions["nmt"] == __version__
    assert diagnosis.versions["Python"] == platform.python_version()
    assert diagnosis.versions["PyTorch"] == torch.__version__
    assert diagnosis.versions["NumPy"] == numpy.__version__
    assert all(diagnosis.versions.values())
    assert diagnosis.system and diagnosis.processor and diagnosis.free_memory and diagnosis.free_disk
    assert (diagnosis.cores, diagnosis.cores_reason) == usable_cores_and_reason()
    assert diagnosis.threads == torch.get_num_threads()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    assert (diagnosis.precision, diagnosis.precision_reason) == automatic_precision(device)
    assert diagnosis.engines["torch"] == [Package("torch", torch.__version__)]
    assert bool(diagnosis.gpus) == torch.cuda.is_available()


def test_every_precision_is_measured_on_the_cpu(diagnosis: Diagnosis) -> None:
    speeds = {speed.precision: speed for speed in diagnosis.speeds if speed.device == "cpu"}
    assert list(speeds) == ["fp32", "bf16", "int8"]
    assert all(speed.side and speed.gflops and speed.gflops > 0 for speed in speeds.values())


def test_the_largest_matrices_are_multiplied_for_which_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def sides(rate: float) -> int | None:
        monkeypatch.setattr(command, "matmul_rates", lambda multiply, operations, seconds, min_calls=3: [rate])
        return command._measure_speed(torch.device("cpu"), "fp32", 0.5).side

    assert sides(1e15) == 2048
    assert sides(1e9) == 256
    assert sides(5e9) == 512  # 7 products of 512 take 0.4 s


def test_the_speed_is_operations_by_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(machine.time, "perf_counter", lambda: clock.now)
    costs = iter([9.0, 2.0, 4.0, 1.0, 3.0])  # the first call warms up

    def multiply() -> None:
        clock.now += next(costs)

    assert machine.matmul_rates(multiply, 12, 6.5) == [6.0, 3.0, 12.0]
    assert next(costs) == 3.0  # 7 s are over


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="not Linux")
def test_malloc_is_that_of_the_c_library_or_of_what_is_preloaded(tmp_path: Path) -> None:
    assert "libc" in machine.allocator_name() or "LD_PRELOAD" in os.environ
    source, library = tmp_path / "own.c", tmp_path / "libown.so"
    source.write_text(
        "#include <stddef.h>\nextern void *__libc_malloc(size_t);\n"
        "void *malloc(size_t size) { return __libc_malloc(size); }\n"
    )
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no C compiler")
    program = "from nmt_cli.machine import allocator_name; print(allocator_name())"
    changed = environment() | {"LD_PRELOAD": str(library)}
    done = subprocess.run([sys.executable, "-c", program], env=changed, capture_output=True)
    assert done.stdout == b"libown.so\n"


def test_the_processor_has_at_least_an_architecture(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor : 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: x\n")
    assert machine.processor_name(info) == "Some CPU @ 2 GHz"
    info.write_text("processor : 0\nCPU part : 0xd40\n")
    assert machine.processor_name(info) in (platform.processor(), platform.machine())


def test_the_extras_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {
        name: tuple(requirement.partition(">")[0] for requirement in packages)
        for name, packages in project["optional-dependencies"].items()
        if name not in ("dev", "fuzz")
    }
    assert declared == EXTRAS


def test_variables_that_change_speed_are_told_without_what_is_private() -> None:
    variables = speed_variables(
        {
            "HOME": "/home/anna", "USER": "anna", "PATH": "/bin", "NMT_DATA": "/home/anna/data",
            "OMP_NUM_THREADS": "4", "MKL_DYNAMIC": "FALSE", "NMT_AUTO_PRECISION": "bf16",
            "LD_PRELOAD": "/home/anna/lib/libjemalloc.so.2:/opt/libx.so",
            "MALLOC_CONF": "dirty_decay_ms:30000,metadata_thp:auto",
            "ONEDNN_VERBOSE": "profile Anna", "PYTORCH_KERNEL_CACHE_PATH": "/data/bert",
            "PYTORCH_ALLOC_CONF": "expandable_segments:True", "MKL_X": "a\nb", "SECRET": "x",
        }
    )  # fmt: skip
    assert variables == {
        "LD_PRELOAD": "libjemalloc.so.2 libx.so",
        "MALLOC_CONF": "dirty_decay_ms:30000,metadata_thp:auto",
        "MKL_DYNAMIC": "FALSE",
        "MKL_X": "set, not shown",
        "NMT_AUTO_PRECISION": "bf16",
        "OMP_NUM_THREADS": "4",
        "ONEDNN_VERBOSE": "set, not shown",
        "PYTORCH_ALLOC_CONF": "expandable_segments:True",
        "PYTORCH_KERNEL_CACHE_PATH": "set, not shown",
    }


def test_the_name_of_the_user_is_kept_back_on_windows_too() -> None:
    names = {"USERNAME": "anna", "USERPROFILE": "C:\\Users\\Anna.Work"}
    values = {"OMP_PLACES": "anna", "MKL_X": "anna.work", "OMP_NUM_THREADS": "4"}
    hidden = dict.fromkeys(("OMP_PLACES", "MKL_X"), "set, not shown")
    assert speed_variables(names | values) == hidden | {"OMP_NUM_THREADS": "4"}
    assert speed_variables({"USERPROFILE": names["USERPROFILE"], "MKL_X": "anna.work"}) == {"MKL_X": "set, not shown"}


def test_another_word_for_auto_is_told_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NMT_AUTO_PRECISION", "/home/anna")
    reported = diagnose(BRIEF)
    assert reported.precision is None
    assert reported.precision_reason == "NMT_AUTO_PRECISION is neither fp32 nor bf16"
    assert "anna" not in json.dumps(asdict(reported))


@pytest.mark.parametrize("kind", [ImportError, OSError])
def test_a_package_that_cannot_be_imported_is_told_by_the_kind_of_error(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "broken_engine.py").write_text(f"raise {kind.__name__}('/home/anna/x.so')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(command, "version", lambda name: "1.0")
    assert command._imported_package("broken_engine") == Package("broken_engine", "1.0", kind.__name__)


def test_gpus_are_listed_and_what_pytorch_warns_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_other_device(name: str) -> torch.device:
        warnings.warn("The driver\nis too old. (Triggered internally at x.cpp:1.)", stacklevel=1)
        return torch.device("cuda")

    def about(number: int) -> SimpleNamespace:
        if number == 2:
            raise RuntimeError("fallen off the bus")
        return SimpleNamespace(name="Some GPU", major=9, minor=0, total_memory=80 * GIB)

    monkeypatch.setattr(command, "find_device", find_other_device)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_properties", about)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda number: (GIB, GIB) if number else 1 / 0)
    device, gpus, warning = command._devices()
    assert (device, warning) == (torch.device("cuda"), "The driver is too old.")
    first, second = (Gpu("Some GPU", "9.0", 80 * GIB, free) for free in (None, GIB))
    assert gpus == [first, second, None]


def fails(*_: Any, **__: Any) -> Any:
    raise RuntimeError("/home/anna: cannot be told")


def test_what_cannot_be_told_is_unknown(nmt: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[tuple[Any, list[str]]] = [
        (command, ["find_device", "automatic_precision", "allocator_name", "instruction_sets",
                   "processor_name", "matmul_rates", "free_memory", "usable_cores_and_reason", "version"]),
        (command.os, ["getloadavg"]), (command.shutil, ["disk_usage"]),
        (platform, ["libc_ver", "freedesktop_os_release", "system"]),
    ]  # fmt: skip
    for place, names in places:
        for name in names:
            monkeypatch.setattr(place, name, fails)
    monkeypatch.delenv("NMT_AUTO_PRECISION", raising=False)
    code, out, err = nmt("doctor")
    assert (code, err) == (0, "") and "anna" not in out
    count = torch.get_num_threads()
    threads = f"{count} PyTorch thread{'s' * (count != 1)}"
    rows = [line for line in out.splitlines() if "unknown" in line]
    assert [" ".join(row.split()) for row in rows] == [
        "NumPy unknown", "tokenizers unknown", "sacreBLEU unknown", "system unknown",
        "C library unknown", "malloc from unknown", "processor unknown",
        "instruction sets unknown",
        f"cores unknown usable (unknown), {threads}, load unknown before measuring",
        "precision: auto unknown (unknown)", "CPU, fp32 unknown", "CPU, bf16 unknown",
        "CPU, int8 unknown", "free memory unknown", "free disk unknown",
    ]  # fmt: skip


@pytest.fixture
def doctor_output(nmt: Call, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What is printed of a machine that is made up."""

    def tell(*options: str, **changes: Any) -> str:
        monkeypatch.setattr(command, "diagnose", lambda: replace(MADE_UP, **changes))
        code, out, err = nmt("doctor", *options)
        assert (code, err) == (0, "")
        return out

    return tell


def test_the_text_is_aligned(doctor_output: Callable[..., str]) -> None:
    assert doctor_output() == TEXT


def test_what_is_not_there_is_said(doctor_output: Callable[..., str]) -> None:
    out = doctor_output(cuda=None, gpus=[], gpu_warning="The driver is too old.", environment={},
               instruction_sets=[], threads=3)  # fmt: skip
    lines = {" ".join(line.split()) for line in out.splitlines()}
    assert lines >= {
        "CUDA none: this PyTorch is built without it",
        "environment no variables set that can change speed",
        "instruction sets none that matter here",
        "cores 2 usable (of 64, by CPU quota), 3 PyTorch threads, load 0.2 before measuring",
        "GPU none that PyTorch can use",
        "warning The driver is too old.",
    }


def test_json_is_one_object_on_one_line(doctor_output: Callable[..., str]) -> None:
    out = doctor_output("--json")
    assert out.count("\n") == 1 and json.loads(out) == asdict(MADE_UP)
