"""nmt export: a folder that translates as the run does, or none."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from nmt_cli.errors import DeviceError, RunError, UserError
from nmt_cli.export import ctranslate2, ctranslate2_support
from nmt_cli.export.exporting import FORMATS, export, incompatibilities
from nmt_cli.fs import sha256_of_file
from nmt_cli.recipe.loader import build_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.folder import RunFolder
from tests.conftest import Call
from tests.margins import clear_lines
from tests.opening import open_translator

pytest.importorskip("ctranslate2")
QUIET = Reporter(quiet=True)
TEXT = ["The old man reads a book.", "Two dogs don't see 1995 houses, do they?", "a book"]


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the tiny run, with a test text."""
    folder = tmp_path / "run"
    shutil.copytree(tiny_run, folder)
    for side in ("source", "target"):
        (folder / f"test.{side}.txt").write_text("".join(f"{line}\n" for line in TEXT))
    return folder


def test_an_export_explains_itself(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "exports" / "ct2"
    for beam in (1, 5):  # so that each must be translated the same
        assert all(clear_lines(open_translator([run], [f"search.beam={beam}"], "cpu"), TEXT))
    exported = export(run, "ctranslate2", out, QUIET)
    assert (exported.folder, exported.format, exported.quantization) == (out, "ctranslate2", "float32")
    assert exported.parity.lines == 3 and exported.parity.greedy == exported.parity.beam == 1.0
    content = json.loads((out / "export.json").read_text())
    assert content["format"] == "ctranslate2" and content["quantization"] == "float32"
    assert content["checkpoint"] == 10 and content["run"] == "tiny"
    assert content["weights"] == RunFolder(run).checkpoints.best().state["files"]["model.safetensors"]
    assert content["parity"]["greedy"] == 1.0 and "version:" in content["parity"]["signature"]
    assert set(content["versions"]) == {"nmt", "torch", "ctranslate2"}
    assert content["files"] == {path.name: sha256_of_file(path) for path in out.iterdir() if path.name != "export.json"}
    assert {"model.bin", "config.json", "shared_vocabulary.json", "tokenizer.json"} == set(content["files"])
    assert [path.name for path in out.parent.iterdir()] == ["ct2"]


def test_a_folder_that_exists_is_not_written_to(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / "precious.txt").write_text("mine")
    with pytest.raises(RunError, match="mine exists: choose another folder"):
        export(run, "ctranslate2", out, QUIET)
    assert [path.name for path in out.iterdir()] == ["precious.txt"]


def test_an_export_that_translates_otherwise_is_not_kept(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ctranslate2.export_model

    def damaged(model: Any, *rest: Any) -> None:
        model.output.bias.data[40] += 9.0
        original(model, *rest)
        model.output.bias.data[40] -= 9.0

    monkeypatch.setattr(ctranslate2, "export_model", damaged)
    with pytest.raises(
        UserError, match=r"the export to ctranslate2 in float32 translates differently: greedy: 0 of 3 lines"
    ):
        export(run, "ctranslate2", tmp_path / "out", QUIET)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_what_cannot_be_exported_is_named(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UserError, match=r"no format 'tensorrt'; choose from ctranslate2"):
        export(run, "tensorrt", out, QUIET)
    with pytest.raises(UserError, match=r"--quantization int4: ctranslate2 has float32, int8"):
        export(run, "ctranslate2", out, QUIET, quantization="int4")
    with pytest.raises(DeviceError, match="CTranslate2 does not support bfloat16 on this cpu"):
        export(run, "ctranslate2", out, QUIET, quantization="bfloat16", device="cpu")
    with pytest.raises(RunError, match="no such run folder"):
        export(tmp_path / "no", "ctranslate2", out, QUIET)
    text = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(text.replace("coverage_penalty: 0.0", "coverage_penalty: 0.2"))
    with pytest.raises(UserError, match=r"run cannot be exported to ctranslate2: search.coverage_penalty: "):
        export(run, "ctranslate2", out, QUIET)
    assert not out.exists()


def test_problems_are_known_from_the_recipe_alone() -> None:
    recipe = build_recipe({"name": "x", "corpus": {"source": "en", "target": "de"}, "model": {"type": "rnn"}})
    (problem,) = incompatibilities(recipe, "ctranslate2")
    assert problem == "model.type: CTranslate2 runs transformer, not rnn"


def test_without_text_of_the_run_lines_are_made_up(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exported = export(tiny_run, "ctranslate2", tmp_path / "a", Reporter())
    assert exported.parity.lines == 100 and exported.parity.bleu is None
    assert capsys.readouterr().err == ""
    exported = export(tiny_run, "ctranslate2", tmp_path / "b", Reporter(), quantization="int8")
    assert "no test or development text with references: BLEU with int8 is not checked" in (capsys.readouterr().err)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_named_as_its_module(name: str) -> None:
    assert FORMATS[name].__name__.endswith(f".{name}")  # type: ignore[attr-defined]


def test_the_command_says_how_the_two_compare(run: Path, tmp_path: Path, nmt: Call) -> None:
    folder = tmp_path / "out"
    arguments = ["export", run, "--to", "ctranslate2", "--out"]
    code, out, err = nmt(*arguments, folder)
    assert (code, out) == (0, "")
    assert err.startswith(
        f"{folder}: ctranslate2, float32; of 3 lines 3 are translated the same greedily, 3 at beam 5; "
    )
    _, out, _ = nmt(*arguments, tmp_path / "int8", "--quantization", "int8", "--json")
    record = json.loads(out)
    assert record["quantization"] == "int8" and record["parity"]["lines"] == 3


def test_a_missing_extra_is_one_line(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctranslate2, "PACKAGES", ("ctranslate2_that_is_not_here",))
    with pytest.raises(
        UserError, match=r"^nmt export --to ctranslate2 needs ctranslate2_that_is_not_here: install the extra"
    ):
        export(run, "ctranslate2", tmp_path / "out", QUIET)
    monkeypatch.setattr(ctranslate2_support, "PACKAGES", ctranslate2.PACKAGES)
    with pytest.raises(UserError, match=r"^engine ctranslate2 needs ctranslate2_"):
        open_translator([run], [], "cpu", engine="ctranslate2")
