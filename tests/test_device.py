"""Where tensors run: what is found, what is refused, and what a GPU is made ready with."""

import os
import warnings
from collections.abc import Iterator

import pytest
import torch

from nmt_cli import device
from nmt_cli.device import DTYPES, automatic_precision, choose_dtype, device_name, find_device
from nmt_cli.errors import DeviceError
from nmt_cli.models.quantized import max_quantized_input


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[torch.device]]:
    """PyTorch believes in two GPUs; the list has those that were made the current one."""
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    before = torch.backends.cuda.cudnn_sdp_enabled()
    with warnings.catch_warnings():
        yield chosen
    torch.backends.cuda.enable_cudnn_sdp(before)


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:01", "cpu:0", "CUDA"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(DeviceError) as caught:
        find_device(name)
    assert str(caught.value) == f"--device {name}: use auto, cpu, cuda, cuda:N or mps"


def test_auto_is_the_cpu_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("auto") == torch.device("cpu")
    with pytest.raises(DeviceError, match="--device cuda: no GPU that PyTorch can use"):
        find_device("cuda")


def test_a_gpu_is_found_made_the_current_one_and_attends_without_cudnn(two_gpus: list[torch.device]) -> None:
    assert find_device("auto") == torch.device("cuda")
    assert two_gpus == []
    assert find_device("cuda:1") == torch.device("cuda:1") == two_gpus[0]
    assert not torch.backends.cuda.cudnn_sdp_enabled()
    with pytest.raises(DeviceError, match="--device cuda:2: this machine has 2 GPUs"):
        find_device("cuda:2")


@pytest.mark.parametrize(
    "cores, variables, expected",
    [(2, {}, [2]), (64, {}, []), (80, {}, []), (2, {"OMP_NUM_THREADS": ""}, [2]), (2, {"OMP_NUM_THREADS": "4"}, []),
     (2, {"MKL_NUM_THREADS": "4"}, [])],
)  # fmt: skip
def test_pytorch_has_no_more_threads_than_cores_unless_the_user_says_it(
    cores: int, variables: dict[str, str], expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: list[int] = []
    monkeypatch.setattr(device, "usable_cores", lambda: cores)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    monkeypatch.setattr(torch, "set_num_threads", changes.append)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    find_device("cpu")
    assert changes == expected


@pytest.mark.parametrize("name", ["fp32", "bf16"])
def test_the_environment_says_what_auto_stands_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NMT_AUTO_PRECISION", name)
    cpu = torch.device("cpu")
    assert choose_dtype("auto", cpu) == DTYPES[name]
    assert automatic_precision(cpu) == (name, "NMT_AUTO_PRECISION is set")
    assert choose_dtype("fp32", cpu) == torch.float32  # what is named is not overridden
    assert choose_dtype("bf16", cpu) == torch.bfloat16


@pytest.mark.parametrize(
    ("features", "speedup", "expected"),
    [
        ("amx_bf16 avx512_bf16", 0.0, ("bf16", "the CPU has amx_bf16")),
        ("avx512_bf16", 1.9, ("bf16", "the CPU multiplies bf16 1.9 times as fast as fp32")),
        ("avx512_bf16", 0.5, ("fp32", "the CPU multiplies bf16 0.5 times as fast as fp32")),
        ("avx2", 9.9, ("fp32", "the CPU has no instructions for bfloat16")),
    ],
)
def test_auto_is_what_the_cpu_is_fast_with(
    features: str, speedup: float, expected: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NMT_AUTO_PRECISION", raising=False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(features.split(), True))
    monkeypatch.setattr(device, "_bf16_speedup", lambda: speedup)
    assert automatic_precision(torch.device("cpu")) == expected


def test_auto_is_what_was_measured_before_and_float32_where_nothing_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NMT_AUTO_PRECISION", raising=False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert automatic_precision(torch.device("cpu"), "bf16") == ("bf16", "it was measured before")
    assert automatic_precision(torch.device("mps")) == ("fp32", "nothing was measured on mps")


@pytest.mark.parametrize("speedup, precision", [(1.9, "bf16"), (0.5, "fp32")])
def test_auto_is_measured_where_pytorch_does_not_say_what_the_cpu_has(
    speedup: float, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NMT_AUTO_PRECISION", raising=False)
    monkeypatch.delattr(torch.cpu, "get_capabilities")  # as in older versions
    monkeypatch.setattr(device, "_bf16_speedup", lambda: speedup)
    assert automatic_precision(torch.device("cpu"))[0] == precision
    assert max_quantized_input.__wrapped__() == 127


def test_the_speed_of_bf16_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    device._bf16_speedup.cache_clear()
    assert 0.01 < device._bf16_speedup() < 100
    monkeypatch.setattr(torch, "mm", None)
    assert device._bf16_speedup() > 0


def test_another_word_for_auto_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NMT_AUTO_PRECISION", "fp16")
    with pytest.raises(DeviceError) as caught:
        choose_dtype("auto", torch.device("cpu"))
    assert str(caught.value) == "NMT_AUTO_PRECISION=fp16: use fp32 or bf16"


def test_fewer_kernels_are_kept_unless_the_environment_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    key = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
    monkeypatch.setenv(key, "7")
    device.limit_kernel_cache()
    assert os.environ[key] == "7"
    monkeypatch.delenv(key)
    device.limit_kernel_cache()
    assert os.environ[key] == "384"


def test_an_apple_gpu_is_taken_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="no Apple GPU that PyTorch can use; try --device cpu"):
        find_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert find_device("mps") == torch.device("mps")
    monkeypatch.delenv(device.AUTO_PRECISION_VARIABLE, raising=False)
    assert automatic_precision(torch.device("mps"))[0] == "fp32"


@pytest.mark.parametrize("threads, name", [(1, "CPU, 1 thread"), (2, "CPU, 2 threads")])
def test_a_cpu_is_named_with_its_threads(threads: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert device_name(torch.device("cpu")) == name
