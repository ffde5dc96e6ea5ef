"""Training from a recipe to a run folder, and going on after it was stopped."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from nmt_cli.checkpoint import RunFolder
from nmt_cli.commands.average import average
from nmt_cli.commands.train import train
from nmt_cli.errors import RunError, UserError
from nmt_cli.recipe import load_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.training.stopping import Stopped
from nmt_cli.training.trainer import Trainer
from tests.conftest import toy_recipe

QUIET = Reporter(quiet=True)


def final_weights(run: Path) -> dict[str, torch.Tensor]:
    newest = RunFolder(run).steps()[-1]
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


@pytest.mark.parametrize("model", ["transformer", "rnn"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_stopped_run_goes_on_to_bit_identical_weights(
    toy: Path, monkeypatch: pytest.MonkeyPatch, model: str, precision: str
) -> None:
    recipe = toy_recipe(
        toy / "text", model, precision=precision, accumulate=2, average_decay=0.9, updates=20
    )
    train(recipe, toy / "straight", QUIET)
    with monkeypatch.context() as patched:
        stop_after(patched, 8)
        with pytest.raises(Stopped, match="SIGTERM at update 8"):
            train(recipe, toy / "broken", QUIET)
    assert RunFolder(toy / "broken").steps()[-1].name == "step-000008"
    train(recipe, toy / "broken", QUIET, resume=True)
    expected, found = final_weights(toy / "straight"), final_weights(toy / "broken")
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    results = [RunFolder(toy / run).read_json("result.json") for run in ("straight", "broken")]
    assert results[0]["test"] == results[1]["test"]


def test_the_same_seed_gives_the_same_run_and_another_seed_another(toy: Path) -> None:
    for run, seed in (("one", 1), ("same", 1), ("other", 2)):
        train(toy_recipe(toy / "text", seed=seed), toy / run, QUIET)
    one, same, other = (final_weights(toy / run) for run in ("one", "same", "other"))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_the_run_folder_explains_itself(toy: Path) -> None:
    recipe = toy_recipe(toy / "text")
    train(recipe, toy / "run", QUIET)
    run = toy / "run"
    again = load_recipe(run / "recipe.yaml")
    assert again.to_dict() == recipe.to_dict()
    assert (run / "tokenizer.json").is_file()
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert {"train", "validation"} == {record["event"] for record in records}
    trained = [record for record in records if record["event"] == "train"]
    assert [record["update"] for record in trained] == [3, 6, 9, 12]
    assert all(record["tokens_per_second"] > 0 for record in trained)
    result = json.loads((run / "result.json").read_text())
    assert result["recipe_hash"] == recipe.hash() and result["updates"] == 12
    assert "version:" in result["test"]["bleu"]["signature"]
    assert not list(run.rglob("*.pt")) and not list(run.rglob("*.pkl"))


def test_an_existing_folder_is_refused_in_one_line(toy: Path) -> None:
    (toy / "run").mkdir()
    (toy / "run" / "precious.txt").write_text("mine")
    with pytest.raises(RunError, match=r"run exists: go on with --resume, or .* --out DIR$"):
        train(toy_recipe(toy / "text"), toy / "run", QUIET)
    assert [path.name for path in (toy / "run").iterdir()] == ["precious.txt"]


def test_resuming_a_finished_run_says_so_and_changes_nothing(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = toy_recipe(toy / "text")
    train(recipe, toy / "run", QUIET)
    before = final_weights(toy / "run")
    train(recipe, toy / "run", Reporter(), resume=True)
    assert "already at 12 of 12 updates; for more use --set training.updates=24" in (
        capsys.readouterr().err
    )
    after = final_weights(toy / "run")
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_resuming_with_other_settings_names_them(toy: Path) -> None:
    train(toy_recipe(toy / "text"), toy / "run", QUIET)
    changed = toy_recipe(toy / "text", learning_rate=0.5, label_smoothing=0.0)
    message = r"learning_rate \(0.001 -> 0.5\), training.label_smoothing \(0.1 -> 0.0\)"
    with pytest.raises(RunError, match=message):
        train(changed, toy / "run", QUIET, resume=True)


def test_resuming_before_the_first_checkpoint_starts_at_zero(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(toy_recipe(toy / "text"), toy / "fresh", Reporter(), resume=True)
    assert "no checkpoint yet: starting at update 0" in capsys.readouterr().err


def test_patience_ends_a_run_that_gets_no_better(toy: Path) -> None:
    recipe = toy_recipe(
        toy / "text", updates=50, validate_every=1, patience=3, learning_rate=1e-9, metric="chrf"
    )
    result = train(recipe, toy / "run", QUIET)
    assert result.state.update < 50
    assert "no better validation in 3" in str(result.state.finished)


def test_plateau_lowers_the_rate(toy: Path) -> None:
    recipe = toy_recipe(
        toy / "text", updates=8, validate_every=1, schedule="plateau", plateau_patience=2,
        learning_rate=1e-9, metric="chrf", warmup=0,
    )  # fmt: skip
    assert train(recipe, toy / "run", QUIET).state.rate_factor < 1.0


def test_the_best_of_averaged_checkpoints_is_their_mean(toy: Path) -> None:
    recipe = toy_recipe(toy / "text", average=2, updates=12, learning_rate=1e-2, metric="loss")
    train(recipe, toy / "run", QUIET)
    folder = RunFolder(toy / "run")
    assert folder.best().update == 12
    steps = [load_file(path / "model.safetensors") for path in folder.steps()[-2:]]
    for name, value in folder.best().tensors().items():
        torch.testing.assert_close(value, (steps[0][name] + steps[1][name]) / 2)
    made = average(toy / "run", toy / "mean", 2)
    assert made.updates == [6, 12]
    for name, value in RunFolder(toy / "mean").best().tensors().items():
        torch.testing.assert_close(value, folder.best().tensors()[name])


def test_no_gpu_where_one_was_asked_for_is_one_line(toy: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UserError, match="--device cuda: no GPU that PyTorch can use"):
        train(toy_recipe(toy / "text"), toy / "run", QUIET, device="cuda")
    assert not (toy / "run").exists()


def test_a_time_limit_is_a_safety_stop_that_says_so(toy: Path) -> None:
    result = train(toy_recipe(toy / "text", max_minutes=1e-9), toy / "run", QUIET)
    assert result.state.finished == "stopped by training.max_minutes at update 1"
