"""nmt translate --engine ctranslate2, onnx: the same lines out, from an export kept in the run."""

import io
import json
import shutil
from pathlib import Path
from threading import Event, Thread

import pytest
from typer.testing import CliRunner

from nmt_cli.cli.app import build_app
from nmt_cli.errors import DeviceError, RunError, UserError
from nmt_cli.export.cached import lock_exports
from nmt_cli.export.exporting import export
from nmt_cli.inference.translator import Translator
from nmt_cli.reporting import Reporter
from nmt_cli.runs.folder import RunFolder
from nmt_cli.translation import opening
from tests.conftest import Listener
from tests.inference.test_translator import TABLE
from tests.margins import clear_lines
from tests.opening import open_translator
from tests.streams import translate_stream

pytest.importorskip("ctranslate2")


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_run, tmp_path / "run")
    return tmp_path / "run"


def opened(run: Path, *settings: str, quantization: str | None = None, engine: str = "ctranslate2") -> Translator:
    return open_translator(
        [run], list(settings), "cpu",
        engine=engine, quantization=quantization, reporter=Reporter(),
    )  # fmt: skip


def exports(run: Path) -> list[str]:
    return [path.name for path in (run / "exports").iterdir() if path.is_dir()]


@pytest.mark.parametrize("engine", ["ctranslate2", "onnx"])
@pytest.mark.parametrize("beam", [1, 2])
def test_every_line_comes_out_as_from_our_own_search(beam: int, engine: str, run: Path) -> None:
    data = b"\n".join(TABLE)
    settings = [f"search.beam={beam}", "search.max_length=6"]
    own_translator = open_translator([run], settings, "cpu")
    certain = clear_lines(own_translator, [line.decode(errors="replace") for line in TABLE])
    ours = list(translate_stream(own_translator, io.BytesIO(data)))
    translator = opened(run, *settings, engine=engine)
    theirs = list(translate_stream(translator, io.BytesIO(data)))
    assert exports(run) == [f"{engine}-float32"]
    assert len(theirs) == len(TABLE)
    for our_line, other, sure in zip(ours, theirs, certain, strict=True):
        assert (our_line.line, our_line.warnings) == (other.line, other.warnings)
        assert not sure or our_line.translation.text == other.translation.text
        for a, b in zip(our_line.translation.candidates, other.translation.candidates, strict=True):
            assert not sure or a.score == pytest.approx(b.score, abs=1e-3)


def test_a_run_is_exported_once_for_each_checkpoint(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = f"exporting to {run / 'exports' / 'ctranslate2-float32'}, once for this checkpoint"
    first = opened(run).translate(["a book"])
    assert said in capsys.readouterr().err
    model = run / "exports" / "ctranslate2-float32" / "model.bin"
    made = model.stat().st_mtime_ns
    assert opened(run).translate(["a book"]) == first
    assert said not in capsys.readouterr().err and model.stat().st_mtime_ns == made

    folder = RunFolder(run)
    changed = {name: value * 1.5 for name, value in folder.checkpoints.best().tensors().items()}
    folder.checkpoints.save_best(20, changed, {})
    again = opened(run)
    assert said in capsys.readouterr().err
    content = json.loads((model.parent / "export.json").read_text())
    assert content["checkpoint"] == 20
    ours = open_translator([run], [], "cpu")
    assert clear_lines(ours, ["a book"]) == [True]
    assert again.translate(["a book"])[0].text == ours.translate(["a book"])[0].text
    assert exports(run) == ["ctranslate2-float32"]


def test_of_two_processes_one_makes_the_export_and_the_other_waits_for_it(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, is_up_to_date = Event(), opening.is_up_to_date

    def ask(folder: Path, run_folder: RunFolder) -> bool:
        answer = is_up_to_date(folder, run_folder)
        asked.set()
        return answer

    monkeypatch.setattr(opening, "is_up_to_date", ask)
    other = Listener()
    options = {"device": "cpu", "engine": "ctranslate2", "reporter": other}
    thread = Thread(target=open_translator, args=([run],), kwargs=options)
    with lock_exports(run):
        thread.start()
        assert asked.wait(60)
        export(run, "ctranslate2", run / "exports" / "ctranslate2-float32", Reporter(quiet=True), device="cpu")
    thread.join()
    assert other.said == [] and exports(run) == ["ctranslate2-float32"]


@pytest.mark.parametrize("options", [{"engine": "onnx"}, {"engine": "ctranslate2"}, {"quantization": "int8"}])
def test_an_export_that_cannot_be_made_says_why_it_is_needed_and_what_to_do(options: dict[str, str], run: Path) -> None:
    (run / "exports").write_text("")  # not a folder, which holds for root, too
    with pytest.raises(
        RunError, match=r"exports: cannot be written: File exists; the exports for other engines are kept there$"
    ) as error:
        opened(run, **options)
    assert "a user who may write there" in error.value.hint and "\n" not in f"{error.value}{error.value.hint}"


@pytest.mark.parametrize("damage", ["half", "gone", "no manifest", "not json"])
def test_a_damaged_export_is_made_again(damage: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = opened(run).translate(["a book"])
    folder = run / "exports" / "ctranslate2-float32"
    if damage == "half":
        content = (folder / "model.bin").read_bytes()
        (folder / "model.bin").write_bytes(content[: len(content) // 2])
    elif damage == "gone":
        (folder / "shared_vocabulary.json").unlink()
    elif damage == "no manifest":
        (folder / "export.json").unlink()
    else:
        (folder / "export.json").write_text("[]")
    capsys.readouterr()
    assert opened(run).translate(["a book"]) == first
    assert "once for this checkpoint" in capsys.readouterr().err


def test_each_type_of_weights_has_its_own_export(run: Path) -> None:
    opened(run, quantization="int8")
    assert exports(run) == ["ctranslate2-int8"]
    with pytest.raises(DeviceError, match="CTranslate2 does not support bfloat16 on this cpu"):
        opened(run, "search.precision=bf16")
    assert exports(run) == ["ctranslate2-int8"]


def test_a_precision_that_an_engine_does_not_have_is_refused_by_its_name(run: Path) -> None:
    for name, options in (
        ("search.precision", {"overrides": ["search.precision=bf16"]}),
        ("quantization", {"overrides": [], "quantization": "bfloat16"}),
    ):
        with pytest.raises(UserError) as error:
            open_translator([run], device="cpu", engine="onnx", **options)  # type: ignore[arg-type]
        assert str(error.value) == f"{name}: engine onnx has float32, not bfloat16"
    assert not (run / "exports").exists()


def test_8_bits_are_asked_for_by_the_precision_of_search_too(run: Path) -> None:
    opened(run, "search.precision=int8")
    assert exports(run) == ["ctranslate2-int8"]


def test_samples_of_our_own_search_over_graphs_are_those_of_the_run(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["search.sampling=true", "search.n_best=3"]
    theirs = opened(run, *settings, engine="onnx").translate(["a book"])[0]
    assert "other draws" not in capsys.readouterr().err
    ours = open_translator([run], settings, "cpu").translate(["a book"])[0]
    assert [hypothesis.text for hypothesis in theirs.candidates] == [hypothesis.text for hypothesis in ours.candidates]


def test_what_another_engine_does_not_do_is_refused(run: Path) -> None:
    with pytest.raises(UserError, match="engine tpu: use one of auto, torch, ctranslate2, onnx"):
        open_translator([run], [], "cpu", engine="tpu")
    with pytest.raises(UserError, match="engine ctranslate2: an ensemble needs engine torch"):
        open_translator([run, run], [], "cpu", engine="ctranslate2")
    with pytest.raises(UserError, match="engine ctranslate2: alignments need engine torch"):
        open_translator([run], [], "cpu", engine="ctranslate2", align=True)
    with pytest.raises(UserError, match="quantization: only with engine ctranslate2"):
        open_translator([run], [], "cpu", quantization="int8")
    with pytest.raises(UserError, match=r"engine ctranslate2 does not support this recipe: search.coverage_penalty: "):
        opened(run, "search.coverage_penalty=0.2")
    with pytest.raises(UserError, match=r"search.coverage_penalty: the graphs do not return atten"):
        opened(run, "search.coverage_penalty=0.2", engine="onnx")
    assert not (run / "exports").exists()


def test_samples_are_said_to_be_other_draws(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    translator = opened(run, "search.sampling=true", "search.n_best=3")
    assert "search.sampling: engine ctranslate2 draws other samples than engine torch" in (capsys.readouterr().err)
    assert len(translator.translate(["a book"])[0].candidates) == 3


def test_translations_begin_with_their_prefixes(run: Path) -> None:
    lines, prefixes = ["a book", "", "dogs"], ["Der alte", "x", ""]
    theirs = opened(run, "search.max_length=12").translate(lines, prefixes)
    ours = open_translator([run], ["search.max_length=12"], "cpu")
    assert all(clear_lines(ours, lines, prefixes))
    assert [translation.text for translation in theirs] == [
        translation.text for translation in ours.translate(lines, prefixes)
    ]
    assert theirs[0].text.startswith("Der alte")


def test_the_command_takes_the_engine_and_the_type_of_its_weights(run: Path) -> None:
    arguments = ["translate", str(run), "--device", "cpu"]
    text = "a book\n\ndogs"
    assert all(clear_lines(open_translator([run], [], "cpu"), text.split("\n")))
    ours = CliRunner().invoke(build_app(), arguments, input=text)
    other = [*arguments, "--engine", "ctranslate2", "--quantization", "float32"]
    theirs = CliRunner().invoke(build_app(), other, input=text)
    assert theirs.exit_code == 0 and theirs.stdout == ours.stdout
    assert len(theirs.stdout.split("\n")) == 4
