"""What a run knows about itself: validations, its place in time, sums since the last log line."""

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

Metric = Literal["bleu", "chrf", "ter", "loss"]


@dataclass
class Validation:
    """What a validation found out."""

    loss: float  # negative log-likelihood a token, natural logarithm
    scores: dict[str, float]
    samples: list[dict[str, str]] = field(default_factory=list)

    def value(self, metric: Metric) -> float:
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
    best: float | None = None
    best_update: int = 0
    stale: int = 0  # validations since the best one
    plateau_stale: int = 0
    rate_factor: float = 1.0
    seconds: float = 0.0
    group: int = 1  # batches an update, over all processes
    waited: float = 0.0  # of the seconds: what a process waited for others, on average
    finished: str | None = None
    part: int | None = None  # positions that fit into memory at a time; None: every batch did
    losses: list[float] = field(default_factory=list)  # of the last updates; see divergence.py
    norms: list[float] = field(default_factory=list)
    lowest_loss: float | None = None
    divergences: int = 0
    set_aside: list[dict[str, Any]] = field(default_factory=list)  # epoch, batch, pairs
    window: dict[str, Any] = field(default_factory=dict)  # see Window.record


@dataclass
class Window:
    """Sums since the last line of the log; tensors stay on the device until it is written."""

    losses: list[Tensor] = field(default_factory=list)
    tokens: int = 0
    seconds: float = 0.0
    waited: float = 0.0  # seconds that a process waited for the slowest one, on average
    transfer: float = 0.0  # seconds in which gradients travelled

    @classmethod
    def of(cls, record: dict[str, Any], device: torch.device) -> "Window":
        """The way back from `record`; an empty one from an empty record."""
        losses = torch.tensor(record.get("losses", []), device=device)
        return cls(**{**record, "losses": list(losses)})

    def record(self) -> dict[str, Any]:
        """As a plain object; waits for the device."""
        losses = torch.stack(self.losses).tolist() if self.losses else []
        return {**vars(self), "losses": losses}

    def add(
        self, loss: Tensor, tokens: int, seconds: float, waited: float, transfer: float
    ) -> None:
        """One update more."""
        self.losses.append(loss)
        self.tokens += tokens
        self.seconds += seconds
        self.waited += waited
        self.transfer += transfer

    def loss(self) -> float:
        """Smoothed loss a token; waits for the device."""
        return float(torch.stack(self.losses).sum()) / self.tokens

    def speed(self) -> float:
        """Target tokens a second."""
        return self.tokens / max(self.seconds, 1e-9)

    def shares(self) -> dict[str, float]:
        """Of the time: what went into waiting for the slowest process, and into the exchange."""
        seconds = max(self.seconds, 1e-9)
        parts = {"idle": self.waited, "exchange": self.transfer}  # measured by other clocks
        return {name: min(1.0, part / seconds) for name, part in parts.items()}

    def describe(self, rate: float) -> str:
        """For the progress bar."""
        return f"loss {self.loss():.3f} · {self.speed():,.0f} tok/s · lr {rate:.2g}"
