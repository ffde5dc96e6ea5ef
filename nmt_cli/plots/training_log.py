"""The training history of a run, read from its log.jsonl; imports no torch.

A run that was killed and resumed repeats some updates: their earlier records are dropped, so that the history is that
of the final weights. An incomplete last line, which is still being written, is ignored.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nmt_cli.errors import RunError, UserError
from nmt_cli.models import config_class
from nmt_cli.recipe.paths import read_recipe_text, run_recipe_path
from nmt_cli.yaml12 import read_yaml

SCORES = ("bleu", "chrf", "ter")  # of the development text


@dataclass
class Series:
    """The points of a curve."""

    updates: list[int] = field(default_factory=list)
    minutes: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def x_values(self, axis: str) -> list[float]:
        """The x-coordinates of the points; `axis` is `updates` or `minutes`."""
        return self.minutes if axis == "minutes" else list(map(float, self.updates))

    def add(self, record: dict[str, Any], value: Any) -> None:
        """Append the value of a record, if it is a number."""
        if isinstance(value, int | float):
            self.updates.append(int(record["update"]))
            self.minutes.append(float(record.get("seconds", 0.0)) / 60)
            self.values.append(float(value))


@dataclass
class TrainingHistory:
    """The logged values of a run, in the order of updates."""

    train_loss: Series = field(default_factory=Series)  # label-smoothed, in nats per target token
    dev_loss: Series = field(default_factory=Series)  # not smoothed
    bleu: Series = field(default_factory=Series)  # of the development text, as the other scores
    chrf: Series = field(default_factory=Series)
    ter: Series = field(default_factory=Series)  # where training.metric is ter
    learning_rate: Series = field(default_factory=Series)
    speed: Series = field(default_factory=Series)  # target tokens per second
    damaged_lines: int = 0  # complete lines that are not records
    is_ctc: bool = False  # its losses are sums over all alignments, and not to be compared with those of other models


class NothingLoggedError(RunError):
    """A run that has no loss in its log yet."""


def read_training_history(run: Path) -> TrainingHistory:
    """Read the log of a run; NothingLoggedError if it has no loss yet, RunError if there is no such run."""
    path = run / "log.jsonl"
    try:
        if not path.exists():
            run_recipe_path(run)
            raise NothingLoggedError(f"{run}: nothing is logged yet")
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise RunError(f"{path}: cannot read: {error.strerror}") from error
    lines = text.split("\n")[:-1]
    entries = [_parse_record(line) for line in lines if line]
    records = _drop_repeated([entry for entry in entries if entry is not None])
    history = TrainingHistory(damaged_lines=entries.count(None), is_ctc=_is_ctc(run))
    for record in records:
        if record["event"] == "train":
            history.train_loss.add(record, record.get("loss"))
            history.learning_rate.add(record, record.get("learning_rate"))
            history.speed.add(record, record.get("tokens_per_second"))
        elif record["event"] == "validation":
            history.dev_loss.add(record, record.get("loss"))
            scores = record.get("scores")
            for name in SCORES:
                series: Series = getattr(history, name)
                series.add(record, scores.get(name) if isinstance(scores, dict) else None)
    if not history.train_loss.values and not history.dev_loss.values:
        raise NothingLoggedError(f"{run}: nothing is logged yet")
    return history


def _is_ctc(run: Path) -> bool:
    """Whether the model of a run writes all words at once; False where its recipe does not say."""
    try:
        recipe, _ = read_yaml(read_recipe_text(run_recipe_path(run)))
        return config_class(recipe["model"]["type"]).writes_all_at_once
    except (LookupError, TypeError, ValueError, UserError):
        return False


def _parse_record(line: str) -> dict[str, Any] | None:
    """The record in a line of the log; None if the line is not a record."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or not isinstance(record.get("update"), int):
        return None
    return record if isinstance(record.get("event"), str) else None


def _drop_repeated(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records without those that a resumed run repeats."""
    unique: list[dict[str, Any]] = []
    for record in records:
        key = (record["update"], record["event"] == "validation")
        while unique and (unique[-1]["update"], unique[-1]["event"] == "validation") >= key:
            unique.pop()
        unique.append(record)
    return unique
