"""The course of a run, read from its log.jsonl; imports no torch.

A run that was killed and resumed did some updates twice: the earlier records of those are dropped,
so that what is left is the run that led to the weights. A last line that is still being written is
left for later.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nmt_cli.errors import RunError


@dataclass
class Series:
    """Points of one curve."""

    updates: list[int] = field(default_factory=list)
    minutes: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def x_values(self, axis: str) -> list[float]:
        """Where the points stand: `updates` or `minutes`."""
        return self.minutes if axis == "minutes" else list(map(float, self.updates))

    def add(self, record: dict[str, Any], value: Any) -> None:
        """Append a record's value where it has one."""
        if isinstance(value, int | float):
            self.updates.append(int(record["update"]))
            self.minutes.append(float(record.get("seconds", 0.0)) / 60)
            self.values.append(float(value))


@dataclass
class TrainingHistory:
    """What happened in a run, in the order of updates."""

    train_loss: Series = field(default_factory=Series)  # smoothed, nats per target token
    dev_loss: Series = field(default_factory=Series)  # not smoothed
    bleu: Series = field(default_factory=Series)  # of the development text
    learning_rate: Series = field(default_factory=Series)
    speed: Series = field(default_factory=Series)  # target tokens per second
    damaged_lines: int = 0  # lines that are not records


def read_training_history(run: Path) -> TrainingHistory:
    """Read a run's log; RunError where there is none, or nothing in it yet."""
    path = run / "log.jsonl"
    if not run.is_dir():
        raise RunError(f"{run}: no such run folder; nmt train RECIPE makes one")
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise RunError(f"{path}: cannot read: {error.strerror}") from error
    lines = text.split("\n")[:-1]
    entries = [_parse_record(line) for line in lines if line]
    records = _drop_repeated([entry for entry in entries if entry is not None])
    if not records:
        raise RunError(f"{path}: nothing is logged yet")
    history = TrainingHistory(damaged_lines=entries.count(None))
    for record in records:
        if record["event"] == "train":
            history.train_loss.add(record, record.get("loss"))
            history.learning_rate.add(record, record.get("learning_rate"))
            history.speed.add(record, record.get("tokens_per_second"))
        elif record["event"] == "validation":
            history.dev_loss.add(record, record.get("loss"))
            scores = record.get("scores")
            history.bleu.add(record, scores.get("bleu") if isinstance(scores, dict) else None)
    return history


def _parse_record(line: str) -> dict[str, Any] | None:
    """A record of training; None for a line that is none."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or not isinstance(record.get("update"), int):
        return None
    return record if isinstance(record.get("event"), str) else None


def _drop_repeated(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records but those that a resumed run did again."""
    unique: list[dict[str, Any]] = []
    for record in records:
        key = (record["update"], record["event"] == "validation")
        while unique and (unique[-1]["update"], unique[-1]["event"] == "validation") >= key:
            unique.pop()
        unique.append(record)
    return unique
