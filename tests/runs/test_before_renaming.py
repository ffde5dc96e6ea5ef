"""A run and prepared data from before keys were renamed are opened, resumed and recognised as they were."""

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT, Call
from tests.margins import clear_lines
from tests.opening import open_translator

FIXTURE = ROOT / "tests/fixtures/before_renaming"
PREPARED = "before-df3c83666016"


@pytest.fixture
def before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the fixture in the current folder: recipe, texts, prepared data and interrupted run."""
    folder = tmp_path / "before"
    shutil.copytree(FIXTURE, folder)
    recipe = folder / "run/recipe.yaml"
    recipe.write_text(recipe.read_text().replace("ROOT", str(folder)))
    monkeypatch.chdir(folder)
    return folder


def test_prepared_data_are_up_to_date(before: Path, nmt: Call) -> None:
    files = {path: path.stat().st_mtime_ns for path in (before / "prepared").rglob("*")}
    code, _, err = nmt(
        "prepare",
        "before.yaml",
        "--set",
        "corpus.normalization=nfc",
        "--set",
        "corpus.drop_overlap=none",
        "--set",
        "corpus.filters=null",
    )
    assert code == 0, err
    assert "up to date" in err and PREPARED in err
    written = [path.name for path in (before / "prepared").rglob("*") if path.stat().st_mtime_ns != files.get(path)]
    assert set(written) <= {"prepared", "inputs.json"}


@pytest.mark.slow
def test_a_resumed_run_ends_as_one_that_was_not_interrupted(before: Path, nmt: Call) -> None:
    code, _, err = nmt("train", "before.yaml", "--out", "run", "--resume")
    assert code == 0, err
    assert not [line for line in err.splitlines() if "run/recipe.yaml" in line and " is now " in line]
    assert validation_losses(before / "run/log.jsonl") == pytest.approx(
        validation_losses(before / "finished_log.jsonl"), rel=1e-3
    )
    code, out, err = nmt("translate", "run", stdin=(before / "in.en").read_bytes())
    assert code == 0, err
    assert " is now " not in err
    assert len(out.splitlines()) == len((before / "in.en").read_text().splitlines())


def test_an_interrupted_run_translates(before: Path, nmt: Call) -> None:
    code, out, err = nmt("translate", "run", stdin=(before / "in.en").read_bytes())
    assert code == 0, err
    assert " is now " not in err
    assert len(out.splitlines()) == len((before / "in.en").read_text().splitlines())


def test_split_long_and_keep_none_translate_as_before_there_were_sentences(before: Path) -> None:
    """lines.de is what the version before search.keep, 9463353, printed for lines.en, in fp32 and without its guard."""
    settings = ["search.split=long", "search.keep=none", "search.repair_degenerate=false", "search.precision=fp32"]
    lines, expected = (Path(name).read_text("utf-8").split("\n")[:-1] for name in ("lines.en", "lines.de"))
    translator = open_translator([Path("run")], settings, "cpu")
    texts = [translation.text for translation in translator.translate(lines)]
    is_clear = clear_lines(translator, lines)
    differing = [
        line for line, *pair, sure in zip(lines, texts, expected, is_clear, strict=True) if sure and len({*pair}) > 1
    ]
    assert differing == []
    by_default = open_translator([Path("run")], settings[2:], "cpu").translate(lines)
    assert [translation.text for translation in by_default] != texts


def validation_losses(log: Path) -> dict[int, float]:
    records = [json.loads(line) for line in log.read_text().splitlines()]
    return {record["update"]: record["loss"] for record in records if record["event"] == "validation"}
