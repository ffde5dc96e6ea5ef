"""What counts as diverged, and how a run comes back from it."""

import json
import math
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt_cli.commands.train import train
from nmt_cli.errors import RunError, TrainingError
from nmt_cli.reporting import Reporter
from nmt_cli.runs.folder import RunFolder
from nmt_cli.runs.preparation import prepare_recipe
from nmt_cli.training import gradients
from nmt_cli.training.batches import BatchIndex, BatchIterator
from nmt_cli.training.loss_monitor import MEDIAN_WINDOW_UPDATES, Divergence, LossMonitor
from nmt_cli.training.signals import TrainingInterrupted
from nmt_cli.training.state import TrainingState
from nmt_cli.training.trainer import Trainer
from tests.conftest import log_records, toy_recipe
from tests.training.killing import differences

pytestmark = pytest.mark.precision

CPU = torch.device("cpu")
QUIET = Reporter(quiet=True)


def watched(
    losses: list[float], norms: list[float] | None = None, look_every: int = 7, **options: Any
) -> Divergence | None:
    """What a watch finds in a run of these losses and norms."""
    watch = LossMonitor(
        **{"warmup_updates": 10, "vocabulary_size": 1000, "clips_gradients": True, "device": CPU, **options}
    )
    state = TrainingState()
    for update, loss in enumerate(losses, 1):
        norm = norms[update - 1] if norms else 1.0
        watch.record(update, (BatchIndex(0, update),), torch.tensor(loss), torch.tensor(norm))
        if update % look_every == 0 or update == len(losses):
            divergence = watch.check(state)
            if divergence:
                return divergence
    return None


HEALTHY = [6.0 / (1 + n / 40) + 0.4 * math.sin(n) + 0.2 for n in range(300)]


def test_a_healthy_run_is_left_alone() -> None:
    assert watched(HEALTHY) is None
    assert watched(HEALTHY, [1000.0 if n % 50 == 0 else 1.0 for n in range(300)]) is None
    assert watched([0.01] * 100 + [0.5] * 5 + [0.01] * 100) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_found_at_its_update(bad: float) -> None:
    divergence = watched([*HEALTHY[:50], bad, *HEALTHY])
    assert divergence == Divergence(51, 51, "the loss is not finite", (BatchIndex(0, 51),))
    divergence = watched(HEALTHY, [1.0] * 4 + [bad] + [1.0] * 300)
    assert divergence == Divergence(5, 5, "the gradient is not finite", (BatchIndex(0, 5),))


def test_an_exploding_loss_is_found_at_its_update() -> None:
    divergence = watched([*HEALTHY[:200], 40.0, *HEALTHY[200:]])
    assert divergence is not None and (divergence.update, divergence.batch_indices) == (201, (BatchIndex(0, 201),))
    assert divergence.reason == "the loss is 40, its median 1.34"
    assert watched([*HEALTHY[:200], 13.0, *HEALTHY[200:]]) is None  # no worse than two guesses


def test_an_exploding_gradient_is_found_where_nothing_clips_it() -> None:
    norms = [1.0] * 200 + [2000.0] + [1.0] * 99
    divergence = watched(HEALTHY, norms, clips_gradients=False)
    assert divergence is not None and divergence.reason == "the gradient is 2e+03, its median 1"
    assert divergence.update == 201 and watched(HEALTHY, norms) is None


def test_a_loss_that_rises_and_stays_is_found_and_no_batch_blamed() -> None:
    divergence = watched(HEALTHY[:200] + [7.0] * 100)
    assert divergence is not None and divergence.reason.startswith("the loss rose from 1.34 to ")
    assert (
        200 < divergence.update < 200 + MEDIAN_WINDOW_UPDATES
        and divergence.first_bad_update == divergence.update - MEDIAN_WINDOW_UPDATES
    )
    assert divergence.batch_indices == ()
    assert watched([1.0] * 64 + [7.0] * 64, warmup_updates=500) is None


def test_what_is_found_does_not_depend_on_when_somebody_looks() -> None:
    for losses in (HEALTHY[:200] + [7.0] * 100, [*HEALTHY[:200], 40.0, *HEALTHY[200:]]):
        assert len({watched(losses, look_every=every) for every in (1, 7, 64, 300)}) == 1


def test_weights_that_are_not_finite_are_found_before_they_are_saved() -> None:
    watch = LossMonitor(warmup_updates=1, vocabulary_size=10, clips_gradients=True, device=CPU)
    state = TrainingState(update=9)
    assert watch.check(state, torch.ones(3)) is None
    divergence = watch.check(state, torch.tensor([1.0, math.nan]))
    assert divergence == Divergence(9, 9, "a weight is not finite")


def poison(monkeypatch: pytest.MonkeyPatch, bad: Callable[[Tensor], bool]) -> None:
    """Let the loss of every batch whose source ids are `bad` be NaN, as its gradient."""
    original = gradients.forward_backward

    def poisoned(model: Any, source: Any, *rest: Any, **options: Any) -> Tensor:
        loss: Tensor = original(model, source, *rest, **options)
        if not bad(source.ids):
            return loss
        next(model.parameters()).grad.fill_(math.nan)
        return loss * math.nan

    monkeypatch.setattr(gradients, "forward_backward", poisoned)


def batch_of(run: Path, recipe: Any, update: int) -> Tensor:
    """The source ids of the last batch that a run without divergence reads at this update."""
    data = prepare_recipe(recipe, QUIET).data
    training = recipe.training
    feed = BatchIterator(data, training.max_positions, training.seed, training.gradient_accumulation)
    updates = [feed.next_micro_batches().batches for _ in range(update)]
    return torch.from_numpy(updates[-1][-1][1].source.ids)


def stop_after(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Send a signal in the course of the (count)th update that is made, however they count."""
    original, made = Trainer._update, 0

    def stopping(self: Trainer, bar: Any) -> None:
        nonlocal made
        original(self, bar)
        made += 1
        if made == count:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Trainer, "_update", stopping)


@pytest.mark.parametrize("update, back", [(3, 0), (9, 6)])
def test_a_bad_batch_is_set_aside_and_the_last_good_state_restored(
    update: int, back: int, toy: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    recipe = toy_recipe(toy / "text", ema_decay=0.9, updates=30)
    bad = batch_of(toy, recipe, update)
    capsys.readouterr()
    poison(monkeypatch, lambda ids: torch.equal(ids, bad))
    result = train(recipe, toy / "run", QUIET)
    name = f"diverged-{update:06d}-1.jsonl"
    assert " ".join(capsys.readouterr().err.split()) == (
        f"warning: update {update}: the loss is not finite; its pairs are in {name}; back to "
        f"update {back} at 0.5 times the learning rate"
    )
    pairs = [json.loads(line) for line in (toy / "run" / name).read_text().splitlines()]
    assert len(pairs) == len(bad) and {pair["update"] for pair in pairs} == {update}
    train_source = (toy / "text" / "train.ab").read_text().splitlines()
    train_target = (toy / "text" / "train.ba").read_text().splitlines()
    assert all(pair["source"] == train_source[pair["pair"]] for pair in pairs)
    assert all(pair["target"] == train_target[pair["pair"]] for pair in pairs)
    state = result.state
    assert (state.update, state.divergence_count, state.learning_rate_scale) == (30, 1, 0.5)
    assert state.epoch > 1  # past the epochs that have these pairs in other batches
    (record,) = log_records(toy / "run", "divergence")
    assert (record["found"], record["update"], record["set_aside"]) == (update, back + 1, name)
    logged = [entry["update"] for entry in log_records(toy / "run", "train")]
    assert logged == sorted(set(logged))  # nothing of what was undone
    newest = RunFolder(toy / "run").checkpoints.last()[0]
    assert newest is not None and all(
        bool(value.isfinite().all())
        for group in ("model", "optimizer", "average")
        for value in newest.tensors(group).values()
    )


@pytest.mark.parametrize("stop", [2, 4, 8, 11, 14])
@pytest.mark.slow
def test_a_run_that_diverged_and_was_stopped_goes_on_bit_for_bit(
    stop: int, toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint that a signal left behind is none to go back to: the other run has none."""
    recipe = toy_recipe(toy / "text", updates=18, gradient_accumulation=2, schedule="constant", warmup_updates=2)
    bad = batch_of(toy, recipe, 9)
    poison(monkeypatch, lambda ids: torch.equal(ids, bad))
    train(recipe, toy / "straight", QUIET)
    assert log_records(toy / "straight", "divergence")[0]["found"] == 9
    with monkeypatch.context() as patched:
        stop_after(patched, stop)
        with pytest.raises(TrainingInterrupted):
            train(recipe, toy / "broken", QUIET)
    train(recipe, toy / "broken", QUIET, resume=True)
    odd = differences(toy / "straight", toy / "broken")
    assert [name for name in odd if not name.startswith("files:")] == []


@pytest.mark.slow
def test_an_extended_run_that_diverges_goes_back_to_where_it_had_ended(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not to what a signal left, which another run does not have, and not to the beginning."""

    def recipe(updates: int) -> Any:
        return toy_recipe(toy / "text", updates=updates, validate_every=40)

    bad = batch_of(toy, recipe(8), 12)
    poison(monkeypatch, lambda ids: torch.equal(ids, bad))
    train(recipe(8), toy / "straight", QUIET)
    shutil.copytree(toy / "straight", toy / "broken")
    for update in (9, 10):  # its two checkpoints are the newest
        with monkeypatch.context() as patched:
            stop_after(patched, 1)
            with pytest.raises(TrainingInterrupted, match=f"at update {update}"):
                train(recipe(16), toy / "broken", QUIET, resume=True)
    for name in ("straight", "broken"):
        train(recipe(16), toy / name, QUIET, resume=True)
        (record,) = log_records(toy / name, "divergence")
        assert (record["found"], record["update"]) == (12, 9)
    odd = differences(toy / "straight", toy / "broken")
    assert [name for name in odd if not name.startswith("files:")] == []


def test_a_rollback_leaves_no_run_that_cannot_be_resumed(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of an earlier version does not say where it had ended: it goes back to its checkpoint, not to update 0."""

    def recipe(updates: int) -> Any:
        return toy_recipe(toy / "text", updates=updates, validate_every=40)

    bad = batch_of(toy, recipe(8), 12)
    poison(monkeypatch, lambda ids: torch.equal(ids, bad))
    train(recipe(8), toy / "run", QUIET)
    path = RunFolder(toy / "run").checkpoints.step_folders()[-1] / "state.json"
    state = json.loads(path.read_text())
    del state["last_validation_update"]
    path.write_text(json.dumps(state))
    train(recipe(16), toy / "run", QUIET, resume=True)
    (record,) = log_records(toy / "run", "divergence")
    assert record["found"] == 12
    assert [entry["update"] for entry in log_records(toy / "run", "validation")] == [8, 16]  # it did not begin again


def test_a_rise_is_undone_back_to_before_it_and_later_checkpoints_are_gone(
    toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else a run that is stopped now would go on from a checkpoint of what was undone."""
    recipe, original = toy_recipe(toy / "text", updates=18), LossMonitor.check
    prepare_recipe(recipe, QUIET)
    capsys.readouterr()

    def look(self: LossMonitor, state: TrainingState, weights: Tensor | None = None) -> Any:
        if state.update == 18 and state.divergence_count == 0:
            return Divergence(18, 9, "the loss rose from 1 to 3")
        return original(self, state, weights)

    monkeypatch.setattr(LossMonitor, "check", look)
    with monkeypatch.context() as patched:
        stop_after(patched, 20)
        with pytest.raises(TrainingInterrupted, match="at update 8"):
            train(recipe, toy / "run", QUIET)
    assert [path.name[-2:] for path in RunFolder(toy / "run").checkpoints.step_folders()] == ["06", "08"]
    said = " ".join(capsys.readouterr().err.split())
    assert said == ("warning: update 18: the loss rose from 1 to 3; back to update 6 at 0.5 times the learning rate")
    assert not list((toy / "run").glob("diverged-*"))
    state = train(recipe, toy / "run", QUIET, resume=True).state
    assert (state.update, state.divergence_count, state.learning_rate_scale) == (18, 1, 0.5)


def test_pairs_that_were_set_aside_never_come_again(toy: Path) -> None:
    recipe = toy_recipe(toy / "text")
    feed = BatchIterator(prepare_recipe(recipe, QUIET).data, 256, 1)
    bad = feed.pair_indices(BatchIndex(0, 1)).tolist()
    feed.seek(0, 0, skipped_batches=[{"epoch": 0, "batch": 1, "pairs": bad}])
    size = len(feed.epoch_schedule().batches)
    for _ in range(size - 1):
        assert feed.next_micro_batches().batch_indices != (BatchIndex(0, 1),)
    assert feed.next_micro_batches().batch_indices == (BatchIndex(1, 0),)
    assert not set(bad) & {int(pair) for batch in feed.epoch_schedule().batches for pair in batch}


def test_after_three_times_training_stops_with_the_reason(
    toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    poison(monkeypatch, lambda ids: True)
    message = (
        r"^update 1: the loss is not finite; its pairs are in diverged-000001-3.jsonl; diverged 3 "
        r"times: start a new run with a lower training.learning_rate or more training.warmup_updates, or look at these "
        r"pairs$"
    )
    with pytest.raises(TrainingError, match=message):
        train(toy_recipe(toy / "text"), toy / "run", QUIET)
    assert capsys.readouterr().err.count("warning: update 1: the loss is not finite") == 2
    assert len(list((toy / "run").glob("diverged-*.jsonl"))) == 3
    assert RunFolder(toy / "run").checkpoints.step_folders() == []


def test_a_resumed_run_without_an_intact_checkpoint_to_go_back_to_is_refused() -> None:
    trainer: Any = SimpleNamespace(_initial_weights=None, checkpointer=SimpleNamespace(folder=Path("run/checkpoints")))
    with pytest.raises(RunError) as caught:
        Trainer._restart(trainer)
    assert str(caught.value) == "run: training diverged, and no checkpoint to go back to is intact"
    assert caught.value.hint == "start a new run with a lower training.learning_rate"


def test_divergences_that_a_better_validation_follows_do_not_end_a_run(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, original = toy_recipe(toy / "text", updates=30, metric="loss"), LossMonitor.check

    def diverge(self: LossMonitor, state: TrainingState, weights: Tensor | None = None) -> Any:
        if state.update == 6 * state.divergence_count + 6 and state.divergence_count < 4:
            original(self, state, weights)
            return Divergence(state.update, state.update, "the loss is not finite")
        return original(self, state, weights)

    monkeypatch.setattr(LossMonitor, "check", diverge)
    state = train(recipe, toy / "run", QUIET).state
    assert (state.update, state.divergence_count, state.overcome_divergences) == (30, 4, 4)


def test_a_rate_far_too_high_is_found_and_lowered(toy: Path) -> None:
    recipe = toy_recipe(
        toy / "text", updates=400, validate_every=100, learning_rate=3e38, clip_norm=None, warmup_updates=0,
        schedule="constant", metric="loss",
    )  # fmt: skip
    with pytest.raises(TrainingError, match="diverged 3 times"):
        train(recipe, toy / "run", QUIET)
