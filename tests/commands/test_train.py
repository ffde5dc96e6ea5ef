"""Training from a recipe to a run folder, and going on after it was stopped."""

import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from nmt_cli import device
from nmt_cli.commands import train as training
from nmt_cli.commands.average import average
from nmt_cli.commands.tokenize import open_tokenizer
from nmt_cli.commands.train import train
from nmt_cli.data.prepared.store import PreparedData
from nmt_cli.distributed.process_group import ProcessGroup
from nmt_cli.errors import DataError, DeviceError, RunError, UserError
from nmt_cli.evaluation import metrics
from nmt_cli.evaluation.metrics import corpus_scores
from nmt_cli.evaluation.validation import Validator
from nmt_cli.export import ctranslate2_support
from nmt_cli.export.cached import AutomaticEngine
from nmt_cli.inference.line_plan import LinePlan, LinePlanner
from nmt_cli.models import MODELS
from nmt_cli.models.quantized import quantize
from nmt_cli.recipe.loader import build_recipe, load_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs import loading as runs
from nmt_cli.runs.folder import RunFolder
from nmt_cli.runs.loading import open_run
from nmt_cli.runs.preparation import prepare_recipe
from nmt_cli.training.config import TrainingConfig
from nmt_cli.training.signals import TrainingInterrupted
from nmt_cli.training.state import TrainingState
from nmt_cli.training.trainer import Trainer
from tests.conftest import SYLLABLES, Call, Listener, environment, in_float32, toy_content, toy_recipe, write_syllables
from tests.training.killing import differences

pytestmark = pytest.mark.precision

QUIET = Reporter(quiet=True)


def final_weights(run: Path) -> dict[str, torch.Tensor]:
    newest = RunFolder(run).checkpoints.step_folders()[-1]
    return load_file(newest / "model.safetensors")


def stop_after(monkeypatch: pytest.MonkeyPatch, update: int) -> None:
    """As if a signal had come during this update."""
    original = Trainer._update

    def stopping(self: Trainer, bar: Any) -> None:
        original(self, bar)
        if self.state.update == update:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Trainer, "_update", stopping)


@pytest.mark.parametrize(
    "precision, model",
    [
        ("fp32", "transformer"),
        ("bf16", "rnn"),
        pytest.param("fp32", "rnn", marks=pytest.mark.slow),
        pytest.param("bf16", "transformer", marks=pytest.mark.slow),
    ],
)
def test_a_stopped_run_goes_on_to_bit_identical_weights(
    toy: Path, monkeypatch: pytest.MonkeyPatch, model: str, precision: str
) -> None:
    recipe = toy_recipe(toy / "text", model, precision=precision, gradient_accumulation=2, ema_decay=0.9, updates=20)
    train(recipe, toy / "straight", QUIET)
    with monkeypatch.context() as patched:
        stop_after(patched, 8)
        with pytest.raises(TrainingInterrupted, match="SIGTERM at update 8"):
            train(recipe, toy / "broken", QUIET)
    assert RunFolder(toy / "broken").checkpoints.step_folders()[-1].name == "step-000008"
    train(recipe, toy / "broken", QUIET, resume=True)
    expected, resumed = final_weights(toy / "straight"), final_weights(toy / "broken")
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)
    results = [RunFolder(toy / run).read_json("result.json") for run in ("straight", "broken")]
    assert results[0]["test"] == results[1]["test"]


def test_the_same_seed_gives_the_same_run_and_another_seed_another(toy: Path) -> None:
    for run, seed in (("one", 1), ("same", 1), ("other", 2)):
        train(toy_recipe(toy / "text", seed=seed), toy / run, QUIET)
    first, same, other = (final_weights(toy / run) for run in ("one", "same", "other"))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_the_run_folder_explains_itself(toy: Path) -> None:
    recipe = toy_recipe(toy / "text")
    train(recipe, toy / "run", QUIET)
    run = toy / "run"
    again = load_recipe(run / "recipe.yaml")
    assert again.to_dict() == recipe.to_dict()
    assert (run / "tokenizer.json").is_file()
    assert (run / "words.source.txt").read_text() == "".join(f"{word}\n" for word in SYLLABLES)
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert {"train", "validation"} == {record["event"] for record in records}
    trained = [record for record in records if record["event"] == "train"]
    assert [record["update"] for record in trained] == [1, 3, 6, 9, 12]  # with the first rate of the warm-up
    assert trained[0]["learning_rate"] == recipe.training.learning_rate / recipe.training.warmup_updates
    assert all(record["tokens_per_second"] > 0 for record in trained)
    result = json.loads((run / "result.json").read_text())
    assert result["recipe_hash"] == recipe.hash() and result["updates"] == 12
    assert "version:" in result["test"]["bleu"]["signature"]
    assert not list(run.rglob("*.pt")) and not list(run.rglob("*.pkl"))


@pytest.mark.parametrize("model, shown", [("rnn", r" · perplexity \d+\.\d\d per word"), ("ctc", "")])
def test_a_validation_shows_the_perplexity_of_a_model_that_has_one(toy: Path, model: str, shown: str) -> None:
    content = toy_content(toy / "text", updates=2, validate_every=2, metric="loss", precision="fp32", samples=0)
    content["model"] = MODELS[model].config_class.tiny_configs()[0].model_dump(mode="json")
    listener = Listener()
    train(build_recipe(content), toy / "run", listener)
    (line,) = [line for line in listener.said if "dev loss" in line]
    assert re.search(rf"dev loss \d\.\d+{shown} \*$", line)


def test_each_text_of_the_test_text_is_scored_too(toy: Path) -> None:
    for side in ("ab", "ba"):
        shutil.copy(toy / f"text/dev.{side}", toy / f"text/other.{side}")
    content = in_float32(toy_content(toy / "text", updates=4, samples=0))
    tagged = {"name": "other", "tag": "<2ba>"}
    content["corpus"] |= {"train": ["train", {"name": "train", "tag": "<2ba>"}], "dev": ["dev", tagged]}
    content["corpus"] |= {"test": ["test", tagged, "test"], "drop_overlap": "none"}
    listener = Listener()
    result = train(build_recipe(content), toy / "run", listener)
    written = json.loads((toy / "run/result.json").read_text())
    assert list(written["test_by_text"]) == ["test.ab", "other.ab", "test.ab (2)"] == list(result.scores_by_text)
    lines = {
        name: (toy / f"run/test.{name}.txt").read_text().splitlines() for name in ("source", "target", "hypotheses")
    }
    count, others = (len((toy / f"text/{name}.ab").read_text().splitlines()) for name in ("test", "other"))
    assert len(lines["source"]) == 2 * count + others
    for name, first, end in (("test.ab", 0, count), ("other.ab", count, count + others)):
        expected = corpus_scores(lines["hypotheses"][first:end], [lines["target"][first:end]], ["bleu", "chrf"])
        assert written["test_by_text"][name]["chrf"]["score"] == pytest.approx(expected[1].score)
        said = f"test of {name}: {expected[0].text}, {expected[1].text}"
        assert said in listener.said
    assert any(line.startswith("validations: 40 development lines, greedy, weights") for line in listener.said)
    assert written["test_by_text"]["test.ab"] == written["test_by_text"]["test.ab (2)"] != written["test"]
    assert all(line.startswith("<2ba> ") for line in lines["source"][count : count + others])


def test_a_run_of_data_prepared_without_a_list_of_words_has_none(toy: Path) -> None:
    prepared = prepare_recipe(toy_recipe(toy / "text"), QUIET).data.folder
    (prepared / "words.source.txt").unlink()
    train(toy_recipe(toy / "text"), toy / "run", QUIET)
    assert [path.name for path in Path("prepared").glob("toy-*")] == [prepared.name]
    assert not list((toy / "run").glob("words*"))


def test_a_resumed_run_keeps_its_list_of_words(toy: Path) -> None:
    train(toy_recipe(toy / "text"), toy / "run", QUIET)
    (toy / "run/words.source.txt").write_text("ba\n")
    train(toy_recipe(toy / "text", updates=14), toy / "run", QUIET, resume=True)
    assert (toy / "run/words.source.txt").read_text() == "ba\n"


def test_an_existing_folder_is_refused_in_one_line(toy: Path) -> None:
    (toy / "run").mkdir()
    (toy / "run" / "precious.txt").write_text("mine")
    with pytest.raises(RunError, match=r"run exists$"):
        train(toy_recipe(toy / "text"), toy / "run", QUIET)
    assert [path.name for path in (toy / "run").iterdir()] == ["precious.txt"]


def test_a_resumed_run_computes_in_the_precision_that_was_measured_at_its_start(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy machine may measure another one the next time."""
    monkeypatch.delenv("NMT_AUTO_PRECISION", raising=False)
    for updates, has_bf16, speedup, precision in (
        (4, True, 1.9, "bf16"), (8, True, 0.5, "bf16"), (12, False, 0.0, "fp32"), (16, True, 0.5, "bf16")
    ):  # fmt: skip
        features = {"avx2": True, "avx512_bf16": has_bf16}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda features=features: features)
        monkeypatch.setattr(device, "_bf16_speedup", lambda speedup=speedup: speedup)
        train(toy_recipe(toy / "text", updates=updates, precision="auto"), toy / "run", QUIET, resume=updates > 4)
        assert json.loads((toy / "run/result.json").read_text())["precision"] == precision
    train(toy_recipe(toy / "text", updates=4, precision="auto"), toy / "other", QUIET)
    assert json.loads((toy / "other/result.json").read_text())["precision"] == "fp32"


@pytest.mark.slow
@pytest.mark.parametrize(
    "before, now, differs",
    [
        ("CPU, 2 threads", "CPU, 1 thread", True),
        ("CPU, 2 threads", "CPU, 2 threads", False),
        ("CPU, 2 threads", "GPU", True),
        ("GPU", "GPU", False),  # there the number of threads changes nothing
        (None, "CPU, 1 thread", False),  # a checkpoint that does not say it
    ],
)
def test_resuming_on_what_rounds_otherwise_says_that_weights_may_differ(
    toy: Path, monkeypatch: pytest.MonkeyPatch, before: str | None, now: str, differs: bool
) -> None:
    monkeypatch.setattr(device, "device_name", lambda _: before)
    train(toy_recipe(toy / "text", updates=6, precision="fp32"), toy / "run", QUIET)
    newest = RunFolder(toy / "run").checkpoints.step_folders()[-1] / "state.json"
    state = json.loads(newest.read_text())
    assert state["computed_in"] == f"fp32 on {before}"
    if before is None:
        newest.write_text(json.dumps({key: value for key, value in state.items() if key != "computed_in"}))
    for device_now, is_told in ((now, differs), (now, False)):  # the second time it is that of the run
        monkeypatch.setattr(device, "device_name", lambda _, name=device_now: name)
        updates, listener = json.loads(newest.read_text())["update"] + 6, Listener()
        train(toy_recipe(toy / "text", updates=updates, precision="fp32"), toy / "run", listener, resume=True)
        notes = [line for line in listener.said if "uninterrupted" in line]
        assert notes == is_told * [
            f"now in fp32 on {now}, before in fp32 on {before}: the final weights may differ from those of an "
            "uninterrupted run"
        ]
        newest = RunFolder(toy / "run").checkpoints.step_folders()[-1] / "state.json"
    listener = Listener()
    monkeypatch.setattr(device, "device_name", lambda _: "other")
    train(toy_recipe(toy / "text", updates=updates, precision="fp32"), toy / "run", listener, resume=True)
    assert not any("uninterrupted" in line for line in listener.said)  # nothing is left to compute


def test_resuming_a_finished_run_says_so_and_changes_nothing(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = toy_recipe(toy / "text")
    train(recipe, toy / "run", QUIET)
    before = final_weights(toy / "run")
    train(recipe, toy / "run", Reporter(), resume=True)
    assert "already at 12 of 12 updates; for more use --set training.updates=24" in (capsys.readouterr().err)
    after = final_weights(toy / "run")
    assert all(torch.equal(before[name], after[name]) for name in before)
    recipe_text = (toy / "run/recipe.yaml").read_text()
    with pytest.raises(RunError, match=r"run: has done 12 updates, more than the training.updates of 3$"):
        train(toy_recipe(toy / "text", updates=3), toy / "run", QUIET, resume=True)
    assert (toy / "run/recipe.yaml").read_text() == recipe_text


@pytest.mark.parametrize("lost", ["deleted", "damaged", "averaged", "pointer"])
def test_a_run_with_weights_but_no_checkpoint_to_resume_from_is_refused_untouched(
    lost: str, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished)
    run = tmp_path / "run"
    if lost == "averaged":
        average(finished / "run", run)
    else:
        shutil.copytree(finished / "run", run)
    for folder in RunFolder(run).checkpoints.step_folders():
        shutil.rmtree(folder) if lost != "damaged" else (folder / "optimizer.safetensors").write_bytes(b"x")
    if lost == "pointer":
        (run / "checkpoints" / "best.json").write_text("")

    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}

    before = files()
    with pytest.raises(RunError, match="has the weights after update 12, but no intact checkpoint to") as refused:
        train(toy_recipe(finished / "text", updates=14), run, QUIET, resume=True)
    assert refused.value.hint == f"start a new run with --out DIR --set training.init_from={run}"
    assert files() == before


def test_resuming_a_finished_run_keeps_what_was_calibrated_since(
    toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = toy_recipe(toy / "text")
    train(recipe, toy / "run", QUIET)
    (toy / "run/confidence.json").write_text("{}")
    calls: list[object] = []
    monkeypatch.setattr("nmt_cli.commands.train.fit_calibration", lambda *rest: calls.append(rest))
    train(recipe, toy / "run", QUIET, resume=True)
    assert not calls and (toy / "run/confidence.json").read_text() == "{}"
    result = json.loads((toy / "run/result.json").read_text())
    (toy / "run/result.json").write_text(json.dumps(result | {"updates": 11}))
    train(recipe, toy / "run", QUIET, resume=True)  # with more updates, of which none was better
    assert len(calls) == 1 and (toy / "run/confidence.json").exists()
    train(toy_recipe(toy / "text", updates=14), toy / "run", Reporter(), resume=True)
    assert len(calls) == 2 and not (toy / "run/confidence.json").exists()
    message = f"{toy / 'run/confidence.json'}: belongs to other weights: deleted; nmt calibrate makes a new one"
    assert message in " ".join(capsys.readouterr().err.split())


def test_resuming_with_other_settings_names_them(toy: Path) -> None:
    train(toy_recipe(toy / "text"), toy / "run", QUIET)
    changed = toy_recipe(toy / "text", learning_rate=0.5, label_smoothing=0.0)
    message = r"learning_rate \(0.001 -> 0.5\), training.label_smoothing \(0.1 -> 0.0\)"
    with pytest.raises(RunError, match=message):
        train(changed, toy / "run", QUIET, resume=True)


FIXED = [
    ({"training": {"clip_norm": None}}, r"training.clip_norm \(1.0 -> null\)"),
    ({"model": {"d_model": 64}}, r"model.d_model \(32 -> 64\)"),
    ({"tokenizer": {"vocab_size": 50}}, r"tokenizer.vocab_size \(60 -> 50\)"),
    ({"corpus": {"train": "dev"}}, r'corpus.train \("train" -> "dev"\)'),
    ({"training": {"validate_every": 3}}, r"training.validate_every \(6 -> 3\)"),
    ({"training": {"tokens_per_batch": 99}}, r"training.tokens_per_batch \(256 -> 99\)"),
]  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with text, prepared data and a run that is done."""
    place = tmp_path_factory.mktemp("finished")
    write_syllables(place / "text", {"train": 300, "dev": 20, "test": 20})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        train(toy_recipe(place / "text"), place / "run", QUIET)
    return place


@pytest.mark.parametrize("change, message", FIXED)
def test_resuming_refuses_what_cannot_be_changed(
    change: dict[str, Any], message: str, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished)
    content = toy_content(finished / "text")
    for section, values in change.items():
        content[section] = content[section] | values
    before = sorted(finished.rglob("*"))
    with pytest.raises(RunError, match="cannot resume with settings other .* with: " + message):
        train(build_recipe(content), finished / "run", QUIET, resume=True)
    assert sorted(finished.rglob("*")) == before


def test_resuming_with_another_model_names_what_is_there_no_more(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished)
    with pytest.raises(RunError) as caught:
        train(toy_recipe(finished / "text", "rnn"), finished / "run", QUIET, resume=True)
    assert 'model.type ("transformer" -> "rnn")' in str(caught.value)
    assert "model.d_model (32 -> not there)" in str(caught.value)
    assert "model.hidden_size (not there -> 32)" in str(caught.value)


def test_resuming_lists_each_change_of_what_can_be_changed(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(toy_recipe(toy / "text"), toy / "run", QUIET)
    content = toy_content(toy / "text", updates=14, patience=9, samples=0, log_every=2)
    content["search"]["beam"] = 1
    content["name"] = "another"
    train(build_recipe(content), toy / "run", Reporter(), resume=True)
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("resuming")]
    assert said == [
        "resuming with training.updates (12 -> 14)",
        "resuming with training.patience (null -> 9)",
        "resuming with training.log_every (3 -> 2)",
        "resuming with training.samples (1 -> 0)",
        "resuming with search.beam (2 -> 1)",
        "resuming at update 12 of 14",
    ]
    assert load_recipe(toy / "run" / "recipe.yaml").training.updates == 14


def test_resuming_with_other_text_under_the_same_names_is_refused(toy: Path) -> None:
    train(toy_recipe(toy / "text"), toy / "run", QUIET)
    for side in ("ab", "ba"):
        path = toy / "text" / f"train.{side}"
        path.write_text(path.read_text() + "ba ba ba ba ba ba ba ba\n")
    with pytest.raises(RunError, match=r"run: was started with prepared data \w+, these are \w+") as refused:
        train(toy_recipe(toy / "text"), toy / "run", QUIET, resume=True)
    assert refused.value.hint.endswith("undo that, or use another --out")


def test_a_run_whose_recipe_is_gone_is_not_resumed_with_other_text_and_stays_as_it_is(toy: Path) -> None:
    train(toy_recipe(toy / "text", updates=2), toy / "run", QUIET)
    (toy / "run/recipe.yaml").unlink()
    before = {path: path.read_bytes() for path in (toy / "run").rglob("*") if path.is_file()}
    for side in ("ab", "ba"):
        path = toy / "text" / f"train.{side}"
        path.write_text(path.read_text() + "ba ba ba ba ba ba ba ba\n")
    with pytest.raises(RunError, match=r"run: was started with prepared data \w+, these are \w+$") as refused:
        train(toy_recipe(toy / "text", updates=4), toy / "run", QUIET, resume=True)
    assert refused.value.hint.endswith("has changed since: undo that, or use another --out")
    assert {path: path.read_bytes() for path in (toy / "run").rglob("*") if path.is_file()} == before


def test_prepared_data_without_development_text_come_with_a_remedy(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PreparedData, "split", lambda data, name: None)
    with pytest.raises(DataError, match="no development text") as refused:
        train(toy_recipe(toy / "text"), toy / "run", QUIET)
    assert refused.value.hint == "delete the folder and run nmt prepare again"


def test_a_run_that_patience_ended_stays_ended_when_resumed_and_goes_on_with_more(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed after it ended and before its test was scored, it must not train on."""
    options = {"updates": 50, "validate_every": 1, "learning_rate": 1e-30, "warmup_updates": 0, "metric": "chrf"}
    first = train(toy_recipe(toy / "text", patience=3, **options), toy / "run", QUIET)
    again = train(toy_recipe(toy / "text", patience=3, **options), toy / "run", Reporter(), resume=True)
    assert again.state.update == first.state.update
    assert again.state.stop_reason == first.state.stop_reason
    assert str(first.state.stop_reason) in capsys.readouterr().err
    more = train(toy_recipe(toy / "text", patience=5, **options), toy / "run", QUIET, resume=True)
    assert more.state.update == first.state.update + 2


def test_an_average_is_over_the_same_checkpoints_after_a_signal(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkpoints that signals leave are in no average, and push none out."""
    recipe = toy_recipe(toy / "text", average_checkpoints=3, validate_every=3, metric="loss")
    train(recipe, toy / "straight", QUIET)
    for update in (4, 5, 7, 8):
        with monkeypatch.context() as patched:
            stop_after(patched, update)
            with pytest.raises(TrainingInterrupted):
                train(recipe, toy / "broken", QUIET, resume=True)
    train(recipe, toy / "broken", QUIET, resume=True)
    assert RunFolder(toy / "straight").checkpoints.best().update == 12
    best = [RunFolder(toy / run).checkpoints.best().tensors() for run in ("straight", "broken")]
    assert all(torch.equal(best[0][name], best[1][name]) for name in best[0])


def test_a_damaged_checkpoint_is_left_out_of_the_average_with_a_warning(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(toy_recipe(toy / "text", average_checkpoints=3, validate_every=3), toy / "run", QUIET)
    (toy / "run" / "checkpoints" / "step-000009" / "state.json").write_text("{}")
    recipe = toy_recipe(toy / "text", average_checkpoints=3, validate_every=3, updates=15)
    train(recipe, toy / "run", QUIET, resume=True)
    said = " ".join(capsys.readouterr().err.split())
    assert "step-000009: checkpoint of format None" in said and "left out of the average" in said


def test_damaged_checkpoints_are_named_and_training_ends_as_without(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = toy_recipe(toy / "text", updates=18)
    train(recipe, toy / "straight", QUIET)
    train(recipe, toy / "broken", QUIET)
    (toy / "broken" / "checkpoints" / "step-000018" / "optimizer.safetensors").write_bytes(b"x")
    train(recipe, toy / "broken", Reporter(), resume=True)
    said = " ".join(capsys.readouterr().err.split())
    assert "step-000018: damaged checkpoint: optimizer.safetensors is not what was written" in said
    assert "; using step-000012 resuming at update 12 of 18" in said
    assert differences(toy / "straight", toy / "broken") == []


def test_a_damaged_best_checkpoint_is_named_where_it_is_used(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished / "run", tmp_path / "run")
    (best,) = (tmp_path / "run" / "checkpoints").glob("best-*/model.safetensors")
    best.write_bytes(b"")
    run = open_run(tmp_path / "run", torch.device("cpu"), "fp32")
    said = " ".join(capsys.readouterr().err.split())
    assert run.update == 12 and said.startswith("warning: ")
    assert said.endswith("model.safetensors is not what was written; using step-000012 instead")


@pytest.mark.parametrize("group", ["model", "optimizer"])
def test_a_checkpoint_of_another_model_is_one_line(group: str, toy: Path) -> None:
    train(toy_recipe(toy / "text"), toy / "run", QUIET)
    folder = RunFolder(toy / "run")
    newest = folder.checkpoints.last()[0]
    assert newest is not None
    tensors = {name: newest.tensors(name) for name in ("model", "optimizer")}
    tensors[group] = {name: value[..., :1] if value.ndim else value
                      for name, value in tensors[group].items()}  # fmt: skip
    folder.checkpoints.save(13, tensors, newest.state)
    with pytest.raises(RunError, match=r"step-000013: does not fit the recipe: .* another (size|shape)"):
        train(toy_recipe(toy / "text", updates=20), toy / "run", QUIET, resume=True)


def test_a_checkpoint_with_sums_that_no_log_has_is_one_line(toy: Path) -> None:
    train(toy_recipe(toy / "text"), toy / "run", QUIET)
    folder = RunFolder(toy / "run")
    newest = folder.checkpoints.last()[0]
    assert newest is not None
    tensors = {name: newest.tensors(name) for name in ("model", "optimizer")}
    folder.checkpoints.save(13, tensors, newest.state | {"window": {"unheard_of": 1}})
    with pytest.raises(RunError, match=r"step-000013: does not fit the recipe: .*unheard_of"):
        train(toy_recipe(toy / "text", updates=20), toy / "run", QUIET, resume=True)


@pytest.mark.parametrize("name", ["recipe.yaml", "tokenizer.json", "manifest.json",
                                  "checkpoints/best.json", "checkpoints/step-000012",
                                  "checkpoints/step-000012/state.json",
                                  "checkpoints/step-000012/model.safetensors"])  # fmt: skip
def test_nothing_in_a_run_leads_out_of_it(
    name: str, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished)
    shutil.copytree(finished / "run", tmp_path / "run")
    (tmp_path / "run" / name).rename(tmp_path / "outside")
    (tmp_path / "run" / name).symlink_to(tmp_path / "outside")
    message = f"run/{name}: a link that leads out of"
    with pytest.raises(RunError, match=message):
        open_run(tmp_path / "run", torch.device("cpu"), "fp32")
    with pytest.raises(RunError, match=message):
        train(toy_recipe(finished / "text"), tmp_path / "run", QUIET, resume=True)
    with pytest.raises(RunError, match=message):
        average(tmp_path / "run", tmp_path / "mean")
    with pytest.raises(RunError, match=message):
        open_tokenizer(tmp_path / "run", None)


def test_tensorboard_without_the_extra_is_one_line(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError) as caught:
        train(toy_recipe(toy / "text", tensorboard=True), toy / "run", QUIET)
    assert str(caught.value) == ('training.tensorboard: needs the extra: pip install "nmt-cli[tensorboard]"')
    assert not (toy / "run").exists()


def test_a_tokenizer_of_the_metric_that_cannot_be_had_is_found_before_training(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("Please install\n mecab")

    monkeypatch.setattr(metrics, "build_metric", fail)
    recipe = toy_recipe(toy / "text", metric_tokenize="ja-mecab")
    with pytest.raises(UserError, match=r"^training.metric_tokenize ja-mecab: Please install mec"):
        train(recipe, toy / "run", QUIET)
    assert not (toy / "run").exists()


def test_resuming_before_the_first_checkpoint_starts_at_zero(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(toy_recipe(toy / "text"), toy / "fresh", Reporter(), resume=True)
    assert "no checkpoint yet: starting at update 0" in capsys.readouterr().err


def test_patience_ends_a_run_that_gets_no_better(toy: Path) -> None:
    recipe = toy_recipe(toy / "text", updates=50, validate_every=1, patience=3, warmup_updates=0, learning_rate=1e-30)
    result = train(recipe, toy / "run", QUIET)
    assert result.state.update < 50
    assert "no better score or loss in 3 validations" in str(result.state.stop_reason)


def test_plateau_lowers_the_rate(toy: Path) -> None:
    recipe = toy_recipe(
        toy / "text", updates=8, validate_every=1, schedule="plateau", plateau_patience=2,
        learning_rate=1e-9, metric="chrf", warmup_updates=0,
    )  # fmt: skip
    assert train(recipe, toy / "run", QUIET).state.learning_rate_scale < 1.0


def test_the_best_of_averaged_checkpoints_is_their_mean(toy: Path) -> None:
    recipe = toy_recipe(toy / "text", average_checkpoints=2, updates=12, learning_rate=1e-2, metric="loss")
    train(recipe, toy / "run", QUIET)
    folder = RunFolder(toy / "run")
    assert folder.checkpoints.best().update == 12
    steps = [load_file(path / "model.safetensors") for path in folder.checkpoints.step_folders()[-2:]]
    for name, value in folder.checkpoints.best().tensors().items():
        torch.testing.assert_close(value, (steps[0][name] + steps[1][name]) / 2)
    made = average(toy / "run", toy / "mean", 2)
    assert made.updates == [6, 12]
    for name, value in RunFolder(toy / "mean").checkpoints.best().tensors().items():
        torch.testing.assert_close(value, folder.checkpoints.best().tensors()[name])


def test_no_gpu_where_one_was_asked_for_is_one_line(toy: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UserError, match="--device cuda: no GPU that PyTorch can use"):
        train(toy_recipe(toy / "text"), toy / "run", QUIET, device="cuda")
    assert not (toy / "run").exists()


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_the_test_text_is_translated_as_nmt_translate_does(
    toy: Path, monkeypatch: pytest.MonkeyPatch, nmt: Call, precision: str
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(runs, "quantize", lambda model: (seen.append(model), quantize(model)))
    write_syllables(toy / "text", {"train": 300, "dev": 20, "test": 400})  # several blocks
    content = toy_content(toy / "text", precision="bf16")
    content["search"] = {"precision": precision, "beam": 2}
    train(build_recipe(content), toy / "run", QUIET)
    assert len(seen) == (precision == "int8")
    source = (toy / "run/test.source.txt").read_bytes()
    code, out, _ = nmt("translate", toy / "run", stdin=source)
    assert code == 0 and len(set(out.splitlines())) > 9
    assert out == (toy / "run/test.hypotheses.txt").read_text()
    result = json.loads((toy / "run/result.json").read_text())
    assert (result["precision"], result["test_engine"], result["test_precision"]) == ("bf16", "torch", precision)


def test_the_test_text_is_corrected_as_nmt_translate_does(
    toy: Path, monkeypatch: pytest.MonkeyPatch, nmt: Call
) -> None:
    """With search.correct_typos, in which the words of the training text take part."""
    draw, words = random.Random(1), ["house", "children", "letter", "sleeps", "garden"]
    for split, count in (("train", 300), ("dev", 20), ("test", 20)):
        lines = [draw.choices(words, k=4) for _ in range(count)]
        typed = [[word.replace("ou", "uo") for word in line] for line in lines] if split == "test" else lines
        for side, texts in (("ab", typed), ("ba", [line[::-1] for line in lines])):
            (toy / f"text/{split}.{side}").write_text("".join(" ".join(line) + "\n" for line in texts))
    content = in_float32(toy_content(toy / "text"))
    content["search"] |= {"correct_typos": True}
    read_texts: list[str] = []
    original = LinePlanner.plan

    def plan(planner: LinePlanner, lines: Sequence[str]) -> list[LinePlan]:
        plans = original(planner, lines)
        read_texts.extend(plan.line for plan in plans)
        return plans

    monkeypatch.setattr(LinePlanner, "plan", plan)
    train(build_recipe(content), toy / "run", QUIET)
    source = (toy / "run/test.source.txt").read_bytes()
    assert b"huose" in source and "huose" not in " ".join(read_texts)
    code, out, err = nmt("translate", toy / "run", stdin=source)
    assert code == 0 and "read “huose” as “house”" in err
    assert out == (toy / "run/test.hypotheses.txt").read_text()


@pytest.mark.parametrize("device, place", [("cpu", ""), ("cuda", "on a CPU ")])
def test_what_was_exported_is_said_to_be_for_cpus_where_there_is_a_gpu(
    device: str, place: str, toy: Path, auto_engine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = AutomaticEngine("ctranslate2", "float32", "search.precision is fp32", "")
    monkeypatch.setattr(training, "export_automatically", lambda *arguments: engine)
    monkeypatch.setattr(ctranslate2_support, "resolve_device", lambda name: (device, 0))
    reporter, data = Listener(), SimpleNamespace(split=lambda name: None)
    run: Any = SimpleNamespace(folder=RunFolder(toy), recipe=toy_recipe(toy / "text"), data=data, reporter=reporter)
    training._export(run)
    said = (
        rf"{place}nmt translate uses engine ctranslate2, float32: search\.precision is fp32 \(exported in \d+\.\d s\)"
    )
    assert re.fullmatch(said, reporter.said[0])


TEST_NOTE = "test: 1 line, beam 2 as nmt translate, weights of the best validation (update 1,200)"


@pytest.mark.parametrize(
    ("changes", "has_test", "said"),
    [
        ({}, True, f"validations: 3 development lines, greedy, weights of each update; {TEST_NOTE}"),
        ({"validation_beam": 3, "average_checkpoints": 3}, False,
         "validations: 3 development lines, beam 3, mean weights of up to 3 checkpoints"),
        ({"ema_decay": 0.99}, False, "validations: 3 development lines, greedy, moving average of the weights"),
        ({"metric": "loss"}, True, TEST_NOTE),
        ({"metric": "loss"}, False, ""),
    ],
)  # fmt: skip
def test_how_validations_and_the_test_are_scored_is_said(
    toy: Path, changes: dict[str, Any], has_test: bool, said: str
) -> None:
    texts = {"dev": SimpleNamespace(sources=["a"] * 3), "test": SimpleNamespace(sources=["a"]) if has_test else None}
    recipe = toy_recipe(toy / "text", **changes)
    run: Any = SimpleNamespace(recipe=recipe, data=SimpleNamespace(split=texts.get))
    assert training._scores_note(run, 1200) == said


def test_two_processes_do_not_train_in_one_folder(toy: Path) -> None:
    recipe = toy_recipe(toy / "text")
    train(recipe, toy / "run", QUIET)
    log = (toy / "run/log.jsonl").read_bytes()
    with RunFolder(toy / "run").lock(), pytest.raises(RunError) as refused:
        train(recipe, toy / "run", QUIET, resume=True)
    assert str(refused.value) == f"{toy}/run: another process is training here"
    assert (toy / "run/log.jsonl").read_bytes() == log
    train(recipe, toy / "run", QUIET, resume=True)
    assert not (toy / "run/lock").exists()


def test_a_time_limit_is_a_safety_stop_that_says_so(toy: Path) -> None:
    result = train(toy_recipe(toy / "text", max_minutes=1e-9), toy / "run", QUIET)
    assert result.state.stop_reason == "stopped by training.max_minutes at update 1"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("train", r"longest target needs 41 positions, the model has 16: raise model.max_positions"),
        ("dev", r"longest target needs 41 positions.*for development text: shorten it"),
    ],
)
def test_text_longer_than_the_models_positions_is_refused_before_anything_is_written(
    toy: Path, name: str, message: str
) -> None:
    for side, length in (("ab", 10), ("ba", 40)):
        path = toy / f"text/{name}.{side}"
        path.write_text(" ".join(["ba"] * length) + "\n" + path.read_text())
    content = toy_content(toy / "text")
    content["model"] |= {"positions": "learned", "max_positions": 16}
    with pytest.raises(DataError, match=message):
        train(build_recipe(content), toy / "run", QUIET)
    assert not (toy / "run").exists()


def test_sampled_variants_of_the_text_must_fit_too(toy: Path) -> None:
    content = toy_content(toy / "text")
    content["tokenizer"] |= {"type": "bpe", "vocab_size": 300, "subword_samples": 3, "subword_sampling": 0.5}
    data = prepare_recipe(build_recipe(content), QUIET).data
    longest = [max(int(side.lengths().max()) for side in sides) + 1 for sides in data.variants]
    assert longest[0] < max(longest)
    content["model"] |= {"positions": "learned", "max_positions": max(longest) - 1}
    with pytest.raises(DataError, match=f"needs {max(longest)} positions, the model has"):
        train(build_recipe(content), toy / "run", QUIET)


@pytest.mark.parametrize(
    ("metric", "remedy"),
    [("bleu", r"lower search\.tokens_per_batch"), ("loss", r"a new run needs a smaller training\.tokens_per_batch")],
)
def test_a_lack_of_memory_in_a_validation_names_what_to_lower(
    toy: Path, monkeypatch: pytest.MonkeyPatch, metric: str, remedy: str
) -> None:
    def fail(_: Validator) -> None:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(Validator, "__call__", fail)
    with pytest.raises(DeviceError, match=f"validation after update 1: {remedy}"):
        train(toy_recipe(toy / "text", updates=1, precision="fp32", metric=metric), toy / "run", QUIET)


def test_a_lack_of_memory_in_one_of_several_processes_is_reported_by_that_one() -> None:
    def fail() -> None:
        raise RuntimeError("CUDA out of memory")

    trainer: Any = SimpleNamespace(
        validate=fail, processes=ProcessGroup(1, 2), config=TrainingConfig(), state=TrainingState(update=7)
    )
    with pytest.raises(UserError, match=r"validation after update 7: lower search\.tokens_per_batch") as caught:
        Trainer._validate_in_memory(trainer)
    assert not isinstance(caught.value, DeviceError)  # of which rank 1 would say nothing


@pytest.mark.parametrize(
    "given, spin_count", [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)]
)
def test_threads_that_wait_spin_for_a_short_time_unless_the_environment_says_otherwise(
    given: dict[str, str], spin_count: str | None
) -> None:
    code = (
        "import os, sys\nfrom nmt_cli.cli import training\nfrom nmt_cli.errors import UserError\n"
        "try:\n    training.train('no-such-recipe')\nexcept UserError:\n"
        "    print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
    )
    names = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    clean = {name: value for name, value in environment().items() if name not in names}
    result = subprocess.run([sys.executable, "-c", code], env=clean | given, capture_output=True, text=True, check=True)
    assert result.stdout == f"{spin_count} False\n"
