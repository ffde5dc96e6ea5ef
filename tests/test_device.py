"""Where tensors run: what is found, what is refused, and what a GPU is made ready with."""

import warnings
from collections.abc import Iterator

import pytest
import torch

from nmt_cli.device import find_device
from nmt_cli.errors import DeviceError


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
    assert str(caught.value) == f"--device {name}: use auto, cpu, cuda or cuda:N"


def test_auto_is_the_cpu_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("auto") == torch.device("cpu")
    with pytest.raises(DeviceError, match="--device cuda: no GPU that PyTorch can use"):
        find_device("cuda")


def test_a_gpu_is_found_made_the_current_one_and_attends_without_cudnn(
    two_gpus: list[torch.device],
) -> None:
    assert find_device("auto") == torch.device("cuda")
    assert two_gpus == []
    assert find_device("cuda:1") == torch.device("cuda:1") == two_gpus[0]
    assert not torch.backends.cuda.cudnn_sdp_enabled()
    with pytest.raises(DeviceError, match=r"--device cuda:2: this machine has 2 GPU\(s\)"):
        find_device("cuda:2")
