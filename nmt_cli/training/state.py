"""What a run knows about itself: validations, its place in time, sums since the last log line."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

Metric = Literal["bleu", "chrf", "ter", "loss"]

# Fields that checkpoints of earlier versions have under another name
EARLIER_NAMES = {
    "best": "best_score",
    "stale": "validations_since_best",
    "plateau_stale": "plateau_bad_validations",
    "rate_factor": "learning_rate_scale",
    "seconds": "training_seconds",
    "group": "batches_per_update",
    "waited": "sync_wait_seconds",
    "finished": "stop_reason",
    "part": "max_micro_batch_positions",
    "losses": "recent_losses",
    "norms": "recent_gradient_norms",
    "lowest_loss": "lowest_median_loss",
    "divergences": "divergence_count",
    "set_aside": "skipped_batches",
    "window": "metrics_since_log",
}
EARLIER_METRIC_NAMES = {"waited": "sync_wait_seconds", "transfer": "all_reduce_seconds"}


@dataclass
class ValidationResult:
    """What a validation found out."""

    loss: float  # negative log-likelihood a token, natural logarithm
    scores: dict[str, float]
    samples: list[dict[str, str]] = field(default_factory=list)

    def score(self, metric: Metric) -> float:
        """The number to make large."""
        if metric == "loss":
            return -self.loss
        return -self.scores[metric] if metric == "ter" else self.scores[metric]


@dataclass
class TrainingState:
    """All that a resumed run must know besides tensors; saved as JSON."""

    update: int = 0
    epoch: int = 0
    batch: int = 0
    best_score: float | None = None
    best_update: int = 0
    validations_since_best: int = 0  # validations since the best one
    plateau_bad_validations: int = 0
    learning_rate_scale: float = 1.0
    training_seconds: float = 0.0
    batches_per_update: int = 1  # batches an update, over all processes
    sync_wait_seconds: float = 0.0  # of the seconds: what a process waited for others, on average
    stop_reason: str | None = None
    max_micro_batch_positions: int | None = None  # positions that fit into memory at a time; None: every batch did
    recent_losses: list[float] = field(default_factory=list)  # of the last updates; see divergence.py
    recent_gradient_norms: list[float] = field(default_factory=list)
    lowest_median_loss: float | None = None
    divergence_count: int = 0
    skipped_batches: list[dict[str, Any]] = field(default_factory=list)  # epoch, batch, pairs
    metrics_since_log: dict[str, Any] = field(default_factory=dict)  # see TrainMetrics.to_record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "TrainingState":
        """The state of a checkpoint's JSON, that of earlier versions included; others are ignored."""
        current = {EARLIER_NAMES.get(key, key): value for key, value in record.items()}
        return cls(**{key: value for key, value in current.items() if key in cls.__annotations__})


@dataclass
class TrainMetrics:
    """Sums since the last line of the log; tensors stay on the device until it is written."""

    losses: list[Tensor] = field(default_factory=list)
    tokens: int = 0
    seconds: float = 0.0
    sync_wait_seconds: float = 0.0  # seconds that a process waited for the slowest one, on average
    all_reduce_seconds: float = 0.0  # seconds in which gradients travelled

    @classmethod
    def from_record(cls, record: dict[str, Any], device: torch.device) -> "TrainMetrics":
        """The way back from `record`; an empty one from an empty record."""
        current = {EARLIER_METRIC_NAMES.get(key, key): value for key, value in record.items()}
        losses = torch.tensor(current.get("losses", []), device=device)
        return cls(**{**current, "losses": list(losses)})

    def to_record(self) -> dict[str, Any]:
        """As a plain object; waits for the device."""
        losses = torch.stack(self.losses).tolist() if self.losses else []
        return {**vars(self), "losses": losses}

    def add(
        self, loss: Tensor, tokens: int, seconds: float, sync_wait_seconds: float, all_reduce_seconds: float
    ) -> None:
        """One update more."""
        self.losses.append(loss)
        self.tokens += tokens
        self.seconds += seconds
        self.sync_wait_seconds += sync_wait_seconds
        self.all_reduce_seconds += all_reduce_seconds

    def mean_loss(self) -> float:
        """Smoothed loss a token; waits for the device."""
        return float(torch.stack(self.losses).sum()) / self.tokens

    def tokens_per_second(self) -> float:
        """Target tokens a second."""
        return self.tokens / max(self.seconds, 1e-9)

    def time_fractions(self) -> dict[str, float]:
        """Of the time: what went into waiting for the slowest process, and into the exchange."""
        seconds = max(self.seconds, 1e-9)
        seconds_by_name = {
            "idle": self.sync_wait_seconds,
            "exchange": self.all_reduce_seconds,
        }  # measured by other clocks
        return {name: min(1.0, part_seconds / seconds) for name, part_seconds in seconds_by_name.items()}

    def progress_text(self, learning_rate: float) -> str:
        """For the progress bar."""
        return f"loss {self.mean_loss():.3f} · {self.tokens_per_second():,.0f} tok/s · lr {learning_rate:.2g}"
