"""Opening runs in the precision that search asks for."""

from pathlib import Path

import pytest
import torch

from nmt_cli.errors import DeviceError
from nmt_cli.models.quantized import Int8Linear
from nmt_cli.runs.loading import open_run
from tests.opening import open_translator


def test_int8_rounds_every_linear_layer_of_a_run_and_translates(tiny_run: Path) -> None:
    run = open_run(tiny_run, torch.device("cpu"), "int8")
    assert any(isinstance(layer, Int8Linear) for layer in run.model.modules())
    translator = open_translator([tiny_run], ["search.precision=int8"], "cpu")
    translations = translator.translate(["The old man reads a book.", ""])
    assert len(translations) == 2 and translations[0].candidates and not translations[1].candidates


def test_int8_is_refused_where_it_cannot_run(tiny_run: Path) -> None:
    with pytest.raises(DeviceError, match="int8 runs on a CPU; use auto here, or --device cpu"):
        open_run(tiny_run, torch.device("cuda"), "int8")
