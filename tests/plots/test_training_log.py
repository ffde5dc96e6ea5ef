"""The course of a run from its log: resumed, still training, damaged."""

import json
from pathlib import Path
from typing import Any

import pytest

from nmt_cli import models
from nmt_cli.errors import RunError
from nmt_cli.plots.training_log import NothingLoggedError, read_training_history


def train(update: int, loss: float, seconds: float = 0.0) -> dict[str, Any]:
    return {
        "event": "train", "update": update, "epoch": 0, "loss": loss, "learning_rate": loss / 100,
        "tokens_per_second": 1000.0 * loss, "seconds": seconds or 6.0 * update,
    }  # fmt: skip


def validation(update: int, loss: float, bleu: float | None = None) -> dict[str, Any]:
    scores = {} if bleu is None else {"bleu": bleu, "chrf": 2 * bleu}
    return {
        "event": "validation", "update": update, "loss": loss, "scores": scores, "best": True,
        "seconds": 6.0 * update, "samples": [],
    }  # fmt: skip


def write_log(run: Path, *records: Any, end: str = "\n") -> Path:
    run.mkdir(parents=True, exist_ok=True)
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    (run / "log.jsonl").write_text("\n".join(lines) + end)
    return run


def test_every_quantity_is_read_with_updates_and_minutes(tmp_path: Path) -> None:
    run = write_log(tmp_path, train(10, 5), train(20, 4), validation(20, 3, 12.5), train(30, 3))
    course = read_training_history(run)
    assert course.train_loss.values == [5, 4, 3] and course.train_loss.updates == [10, 20, 30]
    assert course.train_loss.x_values("minutes") == [1, 2, 3]
    assert course.train_loss.x_values("updates") == [10, 20, 30]
    assert (course.dev_loss.values, course.dev_loss.minutes) == ([3], [2])
    assert (course.bleu.values, course.bleu.updates) == ([12.5], [20])
    assert (course.chrf.values, course.ter.values) == ([25], [])
    assert course.learning_rate.values == [0.05, 0.04, 0.03]
    assert course.speed.values == [5000, 4000, 3000] and course.damaged_lines == 0


def test_a_model_that_was_added_says_itself_whether_it_writes_all_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(models._CLASSES, "other_ctc", "nmt_cli.models.ctc.CTC")
    run = write_log(tmp_path, train(10, 5))
    (run / "recipe.yaml").write_text("model: {type: other_ctc}\n")
    assert read_training_history(run).is_ctc


def test_what_a_resumed_run_did_again_counts_once(tmp_path: Path) -> None:
    """Killed after update 30, it went on from the checkpoint of update 10."""
    run = write_log(
        tmp_path, train(10, 9), validation(10, 8, 1), train(20, 7, 200), validation(20, 6, 2),
        train(30, 5, 300), train(20, 4), validation(20, 3.5, 3), train(30, 3), train(40, 2),
    )  # fmt: skip
    course = read_training_history(run)
    assert course.train_loss.values == [9, 4, 3, 2]
    assert course.train_loss.updates == [10, 20, 30, 40]
    assert course.train_loss.minutes == [1, 2, 3, 4]
    assert course.bleu.values == [1, 3]


def test_a_run_that_began_anew_leaves_nothing_of_the_old_one(tmp_path: Path) -> None:
    course = read_training_history(write_log(tmp_path, train(10, 9), validation(10, 8), train(5, 4)))
    assert course.train_loss.updates == [5] and course.dev_loss.values == []


def test_the_line_that_is_being_written_is_left_for_later(tmp_path: Path) -> None:
    run = write_log(tmp_path, train(10, 5), '{"event": "train", "upd', end="")
    course = read_training_history(run)
    assert course.train_loss.values == [5] and course.damaged_lines == 0


def test_damaged_lines_are_counted_and_left_out(tmp_path: Path) -> None:
    odd = ['{"event": "tra{"event"', "[]", '{"update": "x", "event": "train"}', "7", "\x00" * 5]
    course = read_training_history(write_log(tmp_path, train(10, 5), *odd, train(20, 4)))
    assert course.train_loss.values == [5, 4] and course.damaged_lines == len(odd)


def test_other_events_and_other_scores_are_no_curves(tmp_path: Path) -> None:
    other = {"event": "note", "update": 15, "loss": 99}
    odd = {**validation(20, 2), "scores": {"comet": 50}}
    course = read_training_history(write_log(tmp_path, train(10, 5), other, odd))
    assert (course.train_loss.values, course.dev_loss.values) == ([5], [2])
    assert course.bleu.values == course.chrf.values == course.ter.values == []


def test_a_run_without_a_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no: no such run folder; nmt train RECIPE makes one"):
        read_training_history(tmp_path / "no")
    with pytest.raises(RunError, match=r"not a run folder: it has no recipe\.yaml$"):
        read_training_history(tmp_path)
    (tmp_path / "recipe.yaml").write_text("")
    with pytest.raises(NothingLoggedError) as caught:
        read_training_history(tmp_path)
    assert str(caught.value) == f"{tmp_path}: nothing is logged yet"


@pytest.mark.parametrize("records", [[""], [{"event": "divergence", "update": 3, "reason": "the loss is nan"}]])
def test_a_log_without_a_loss_is_said_to_have_nothing_yet(records: list[Any], tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"[^l]: nothing is logged yet$"):
        read_training_history(write_log(tmp_path, *records))
