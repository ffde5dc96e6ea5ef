"""Opening runs in the precision that search asks for."""

import shutil
from pathlib import Path

import pytest
import torch
import yaml

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


def test_a_run_opens_where_its_corpus_is_not_known_any_more(tiny_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    content = yaml.safe_load((run / "recipe.yaml").read_text())
    content["corpus"] |= {"name": "gone"}
    del content["corpus"]["drop_overlap"]  # a key that came later
    (run / "recipe.yaml").write_text(yaml.safe_dump(content))
    opened = open_run(run, torch.device("cpu"), "fp32").recipe.corpus
    assert (opened.name, opened.drop_overlap) == ("gone", "none")
