"""The progress of a run: what a resumed run must know besides tensors."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Fields that checkpoints of earlier versions have under another name
EARLIER_NAMES = {
    "best": "best_score",
    "stale": "stale_validations",
    "validations_since_best": "stale_validations",
    "plateau_stale": "plateau_stale_validations",
    "plateau_bad_validations": "plateau_stale_validations",
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


@dataclass
class TrainingState:
    """Saved as JSON in each checkpoint."""

    update: int = 0
    epoch: int = 0
    batch: int = 0  # the next batch of the epoch
    best_score: float | None = None
    best_update: int = 0
    best_loss: float | None = None  # of the checkpoint with best_score; None: not known
    lowest_validation_loss: float | None = None  # of all validations
    last_validation_update: int = 0
    stale_validations: int = 0  # in a row, in which neither score nor loss was the best so far
    plateau_stale_validations: int = 0  # the same, but since the learning rate was last lowered
    learning_rate_scale: float = 1.0
    training_seconds: float = 0.0
    batches_per_update: int = 1  # over all processes
    sync_wait_seconds: float = 0.0  # part of training_seconds that a process waited for others, on average
    computed_in: str | None = None  # the last update: precision, device, threads, processes; None: not known
    stop_reason: str | None = None
    max_micro_batch_positions: int | None = None  # larger batches are split; None: every batch fitted into memory
    recent_losses: list[float] = field(default_factory=list)  # of the last updates, for the LossMonitor
    recent_gradient_norms: list[float] = field(default_factory=list)
    lowest_median_loss: float | None = None
    divergence_count: int = 0
    overcome_divergences: int = 0  # of them, those after which a validation was the best so far
    last_divergence_update: int = 0
    skipped_batches: list[dict[str, Any]] = field(default_factory=list)  # epoch, batch and pairs of what diverged
    metrics_since_log: dict[str, Any] = field(default_factory=dict)  # TrainMetrics.to_record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "TrainingState":
        """The state in a checkpoint's JSON, also of an earlier version; other keys are ignored."""
        current = {EARLIER_NAMES.get(key, key): value for key, value in record.items()}
        return cls(**{key: value for key, value in current.items() if key in cls.__annotations__})
