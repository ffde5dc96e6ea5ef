"""What a run measures, and where it is reported: log.jsonl, TensorBoard events, the terminal."""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from nmt_cli.errors import UserError, pip_install
from nmt_cli.fs import atomic_write_text, wrap_io_errors
from nmt_cli.reporting import Reporter
from nmt_cli.training.all_reduce import SyncedStep
from nmt_cli.training.config import Metric
from nmt_cli.training.scalars import PendingScalars
from nmt_cli.training.state import TrainingState

MAX_EXPONENT = 700.0  # e to this power is still a float
# Fields of TrainMetrics that checkpoints of earlier versions have under another name
EARLIER_METRIC_NAMES = {"waited": "sync_wait_seconds", "transfer": "all_reduce_seconds"}


@dataclass
class ValidationResult:
    """The scores of a validation."""

    loss: float  # negative log-likelihood per token, in nats
    scores: dict[str, float]
    samples: list[dict[str, str]] = field(default_factory=list)
    only_output: str | None = None  # the translation that all of several different sources have, if so
    baseline_loss: float | None = None  # of a model that knows only how frequent each token is
    token_probability: float | None = None
    """Of the translations, per token: that 999 in 1,000 lines reach."""
    perplexity_unit: str | None = None
    """What a token is called, such as subword; None where the loss is none that a perplexity is defined for."""

    def figures(self) -> dict[str, float]:
        """What is stored with the best checkpoint."""
        probability = {} if self.token_probability is None else {"token_probability": self.token_probability}
        return {"loss": self.loss, **self.scores, **probability}

    def loss_text(self) -> str:
        """The loss, and the perplexity where it has one."""
        text = f"dev loss {self.loss:.3f}"
        if self.perplexity_unit is None:
            return text
        perplexity = math.inf if self.loss > MAX_EXPONENT else math.exp(self.loss)
        return f"{text} · perplexity {perplexity:,.2f} per {self.perplexity_unit}"

    def score(self, metric: Metric) -> float:
        """The value of a metric, negated where lower is better."""
        if metric == "loss":
            return -self.loss
        return -self.scores[metric] if metric == "ter" else self.scores[metric]


@dataclass
class TrainMetrics:
    """Sums over the updates since the last line of the log; losses stay on the device until it is written."""

    losses: PendingScalars  # smoothed, summed over the tokens of an update
    tokens: int = 0
    seconds: float = 0.0
    sync_wait_seconds: float = 0.0  # that a process waited for the slowest one, on average
    all_reduce_seconds: float = 0.0

    @classmethod
    def from_record(cls, record: dict[str, Any], device: torch.device) -> "TrainMetrics":
        """Restore `to_record`; an empty record gives empty sums."""
        current = {EARLIER_METRIC_NAMES.get(key, key): value for key, value in record.items()}
        losses = PendingScalars(1, device)
        for loss in current.get("losses", []):
            losses.append(torch.tensor(loss))
        return cls(**{**current, "losses": losses})

    def to_record(self) -> dict[str, Any]:
        """As a JSON object; waits for the device."""
        return {**vars(self), "losses": self.losses.rows().flatten().tolist()}

    def clear(self) -> None:
        """Begin anew."""
        self.losses.clear()
        self.tokens, self.seconds, self.sync_wait_seconds, self.all_reduce_seconds = 0, 0.0, 0.0, 0.0

    def add(self, synced: SyncedStep, tokens: int, seconds: float) -> None:
        """Add one update."""
        self.losses.append(synced.loss)
        self.tokens += tokens
        self.seconds += seconds
        self.sync_wait_seconds += synced.sync_wait_seconds
        self.all_reduce_seconds += synced.all_reduce_seconds

    def mean_loss(self) -> float:
        """Smoothed loss per token; waits for the device."""
        return float(self.losses.rows().sum()) / self.tokens

    def tokens_per_second(self) -> float:
        """Target tokens per second."""
        return self.tokens / max(self.seconds, 1e-9)

    def time_fractions(self) -> dict[str, float]:
        """The fractions of the time spent waiting for the slowest process and in the all-reduce.

        Seconds are measured by different clocks, so a fraction is limited to 1.
        """
        seconds = max(self.seconds, 1e-9)
        return {
            "idle": min(1.0, self.sync_wait_seconds / seconds),
            "exchange": min(1.0, self.all_reduce_seconds / seconds),
        }

    def progress_text(self, learning_rate: float) -> str:
        """The text beside the progress bar."""
        return f"loss {self.mean_loss():.3f} · {self.tokens_per_second():,.0f} tok/s · lr {learning_rate:.2g}"


def tensorboard_writer_class() -> Any:
    """The class that writes TensorBoard events; UserError if the extra is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UserError(f"training.tensorboard: needs the extra: {pip_install('tensorboard')}") from error
    return SummaryWriter


class MetricLogger:
    """Reports the metrics of a run in its folder and on the terminal.

    With `read_only` nothing is written: of several processes that train together, only rank 0 writes.
    """

    def __init__(self, folder: Path, reporter: Reporter, *, tensorboard: bool = False, read_only: bool = False) -> None:
        self.folder, self.reporter, self.read_only = folder, reporter, read_only
        self.log_path = folder / "log.jsonl"
        self._tensorboard_writer: Any = None
        if tensorboard and not read_only:
            self._open_tensorboard()

    def _open_tensorboard(self, purge_step: int | None = None) -> None:
        """Begin a file of events; TensorBoard then shows none of earlier files from update `purge_step` on."""
        if self._tensorboard_writer is not None:
            self._tensorboard_writer.close()
        writer_class = tensorboard_writer_class()
        self._tensorboard_writer = writer_class(str(self.folder / "tensorboard"), purge_step=purge_step)

    def log(self, record: Mapping[str, Any]) -> None:
        """Append a record to log.jsonl; its floats become TensorBoard scalars under its event's name.

        RunError if it cannot be written.
        """
        if self.read_only:
            return
        with wrap_io_errors(self.log_path), open(self.log_path, "ab") as file:
            file.write(f"{json.dumps(record, ensure_ascii=False)}\n".encode())
        if self._tensorboard_writer is not None:
            values_by_name = {**record, **record.get("scores", {})}
            for key, value in values_by_name.items():
                if isinstance(value, float):
                    self._tensorboard_writer.add_scalar(f"{record['event']}/{key}", value, record["update"])
            self._tensorboard_writer.flush()

    def truncate(self, update: int) -> None:
        """Drop the records of later updates, which will be made again, and a line that is not complete.

        With -1 nothing remains, not even the validation of initial weights.
        """
        if self.read_only or not self.log_path.exists():
            return
        lines = []
        for line in self.log_path.read_bytes().split(b"\n"):
            with suppress(ValueError, TypeError, AttributeError, RecursionError):
                if json.loads(line.decode()).get("update", 0) <= update:
                    lines.append(line.decode() + "\n")
        atomic_write_text(self.log_path, "".join(lines))
        if self._tensorboard_writer is not None:
            self._open_tensorboard(purge_step=update + 1)

    def write_pairs(self, name: str, records: Sequence[Mapping[str, Any]]) -> None:
        """Write sentence pairs into the run folder as JSON lines."""
        if not self.read_only:
            lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
            atomic_write_text(self.folder / name, "".join(lines))

    def log_validation(self, state: TrainingState, validation: ValidationResult, is_best: bool) -> None:
        """Log a validation and print it with its samples, marked by a star if it is the best so far."""
        self.log(
            {
                "event": "validation",
                "update": state.update,
                "loss": validation.loss,
                "scores": validation.scores,
                "best": is_best,
                "seconds": state.training_seconds,
                "samples": validation.samples,
            }
        )
        figures = [validation.loss_text(), *(f"{name} {value:.2f}" for name, value in validation.scores.items())]
        star = " *" if is_best else ""
        self.reporter.info(
            f"{state.update:>7,} updates · {state.training_seconds / 60:5.1f} min · {' · '.join(figures)}{star}"
        )
        for sample in validation.samples:
            for key, text in sample.items():
                self.reporter.info(f"          {key:>10}: {text}", style="dim")
