"""The log of a run grows line by line and is truncated to the checkpoint that is resumed."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from nmt_cli.reporting import Reporter
from nmt_cli.training import metrics
from nmt_cli.training.metrics import MetricLogger, ValidationResult
from nmt_cli.training.state import TrainingState
from tests.conftest import Listener


def test_the_log_grows_by_one_line_per_record(tmp_path: Path) -> None:
    logger = MetricLogger(tmp_path, Reporter(quiet=True))
    logger.log({"update": 1, "text": "schön\n"})
    logger.log({"update": 2})
    lines = (tmp_path / "log.jsonl").read_text(encoding="utf-8").split("\n")
    assert [json.loads(line) for line in lines[:-1]] == [
        {"update": 1, "text": "schön\n"}, {"update": 2},
    ]  # fmt: skip


def test_the_log_is_cut_back_to_the_checkpoint(tmp_path: Path) -> None:
    logger = MetricLogger(tmp_path, Reporter(quiet=True))
    logger.truncate(5)
    for update in (5, 10, 15):
        logger.log({"update": update})
    with open(tmp_path / "log.jsonl", "a") as file:
        file.write('{"update": 7, "half')
    logger.truncate(10)
    assert (tmp_path / "log.jsonl").read_text() == '{"update": 5}\n{"update": 10}\n'


def test_tensorboard_shows_nothing_that_was_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, ...]] = []

    class Writer:
        def __init__(self, folder: str, purge_step: int | None = None) -> None:
            calls.append(("open", purge_step))

        def __getattr__(self, name: str) -> Any:
            return lambda *arguments: calls.append((name, *arguments))

    monkeypatch.setattr(metrics, "tensorboard_writer_class", lambda: Writer)
    logger = MetricLogger(tmp_path, Reporter(quiet=True), tensorboard=True)
    logger.log({"event": "train", "update": 15, "loss": 2.5})
    logger.truncate(10)
    logger.log({"event": "train", "update": 15, "loss": 2.0})
    assert calls == [
        ("open", None), ("add_scalar", "train/loss", 2.5, 15), ("flush",),
        ("close",), ("open", 11), ("add_scalar", "train/loss", 2.0, 15), ("flush",),
    ]  # fmt: skip


def test_a_validation_is_said_in_one_line_and_with_its_samples(tmp_path: Path) -> None:
    listener = Listener()
    state = TrainingState(update=12000, training_seconds=90.0)
    validation = ValidationResult(2.5, {"bleu": 30.126, "chrf": 55.0}, [{"source": "a", "hypothesis": "b"}])
    for is_best in (True, False):
        MetricLogger(tmp_path, listener).log_validation(state, validation, is_best=is_best)
    line = " 12,000 updates ·   1.5 min · dev loss 2.500 · bleu 30.13 · chrf 55.00"
    samples = ["              source: a", "          hypothesis: b"]
    assert listener.said == [f"{line} *", *samples, line, *samples]


@pytest.mark.parametrize(
    "loss, unit, shown",
    [
        (math.log(24.784), "subword", "dev loss 3.210 · perplexity 24.78 per subword"),
        (math.log(8103.084), "word", "dev loss 9.000 · perplexity 8,103.08 per word"),
        (1000.0, "subword", "dev loss 1000.000 · perplexity inf per subword"),
        (math.inf, "subword", "dev loss inf · perplexity inf per subword"),
        (math.nan, "subword", "dev loss nan · perplexity nan per subword"),
        (3.21, None, "dev loss 3.210"),  # a loss that is summed over all alignments
    ],
)
def test_a_validation_has_the_perplexity_where_there_is_one(
    tmp_path: Path, loss: float, unit: str | None, shown: str
) -> None:
    for scores in ({"bleu": 12.5}, {}):
        listener, validation = Listener(), ValidationResult(loss, scores, perplexity_unit=unit)
        MetricLogger(tmp_path, listener).log_validation(TrainingState(update=7), validation, is_best=bool(scores))
        text = shown + " · bleu 12.50 *" * bool(scores)
        assert listener.said == [f"      7 updates ·   0.0 min · {text}"]
