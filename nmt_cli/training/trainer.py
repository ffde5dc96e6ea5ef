"""The training loop: updates, validations, checkpoints, and where each stands in time."""

import time
from collections.abc import Callable
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from nmt_cli.checkpoint import WEIGHTS, Checkpoint, RunFolder, read_checkpoint
from nmt_cli.config import Section
from nmt_cli.device import Precision
from nmt_cli.models.contract import TranslationModel
from nmt_cli.models.dropout import seed_masks
from nmt_cli.reporting import Progress, Reporter
from nmt_cli.training.feed import BatchFeed, to_tensors
from nmt_cli.training.loss import backward
from nmt_cli.training.records import Records
from nmt_cli.training.schedule import Schedule, rate
from nmt_cli.training.state import Metric, TrainingState, Validation, Window
from nmt_cli.training.stopping import Stopped, StopSignals
from nmt_cli.training.weights import Optimizer, OptimizerName, Weights

NOTE_EVERY = 10  # updates between new texts beside the progress bar


class TrainingConfig(Section):
    """The training section of a recipe."""

    updates: int = Field(default=10_000, ge=1)
    """Updates of the weights after which training is done."""
    tokens_per_batch: int = Field(default=4096, ge=1)
    """Target positions a batch, padding and ends of sentences included."""
    accumulate: int = Field(default=1, ge=1)
    """Batches whose gradients are summed for one update."""
    optimizer: OptimizerName = "adam"
    """adam or adamw."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Highest rate; for schedule noam the factor before d_model^-0.5."""
    schedule: Schedule = "inverse_sqrt"
    """How the rate goes on after the warm-up."""
    warmup: int = Field(default=400, ge=0)
    """Updates over which the rate rises linearly to its highest."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of Adam's mean of gradients."""
    beta2: float = Field(default=0.98, ge=0, lt=1)
    """Decay of Adam's mean of squared gradients."""
    epsilon: float = Field(default=1e-9, gt=0)
    """Added to the square root in Adam."""
    weight_decay: float = Field(default=0.0, ge=0, lt=1)
    """Decay of matrices, at its best with adamw."""
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Share of each target's probability that is spread over the vocabulary."""
    clip_norm: float | None = Field(default=1.0, gt=0)
    """Longest gradient; null: as long as it is."""
    precision: Precision = "auto"
    """Type computed in: auto is bf16 where the machine is faster with it; weights are always kept
    in float32."""
    seed: int = Field(default=1, ge=0, lt=1 << 63)
    """Decides initial weights, order of batches and dropout."""
    validate_every: int = Field(default=500, ge=1)
    """Updates between validations; each writes a checkpoint."""
    metric: Metric = "bleu"
    """What the best checkpoint is best at, on the development text."""
    metric_tokenize: str | None = None
    """sacreBLEU tokenizer for BLEU; null: by the target language (zh for Chinese, char
    for Japanese, Korean and others without spaces, else 13a)."""
    validation_beam: int = Field(default=1, ge=1)
    """Beam of the translations that are scored while training."""
    patience: int | None = Field(default=None, ge=1)
    """Stop after so many validations in a row without a better one; null: never."""
    plateau_factor: float = Field(default=0.5, gt=0, lt=1)
    """Schedule plateau: the rate is multiplied with this ..."""
    plateau_patience: int = Field(default=2, ge=1)
    """... after so many validations in a row without a better one."""
    average: int = Field(default=1, ge=1)
    """Validate and keep as best the mean of the last so many checkpoints."""
    average_decay: float | None = Field(default=None, gt=0, lt=1)
    """Validate and keep as best an exponential moving average of the weights with this decay."""
    log_every: int = Field(default=50, ge=1)
    """Updates between lines of the log."""
    samples: int = Field(default=2, ge=0)
    """Translations of the development text shown after each validation."""
    tensorboard: bool = False
    """Also write TensorBoard events into the run folder (extra nmt-cli[tensorboard])."""
    max_minutes: float | None = Field(default=None, gt=0)
    """Safety stop; a run that reaches it depends on the speed of the machine, and says so."""

    def problems(self) -> list[str]:
        """Options that do not fit together."""
        if self.average > 1 and self.average_decay is not None:
            return ["average and average_decay: use one of them"]
        return []


class Trainer:
    """Trains one model in one run folder."""

    def __init__(
        self,
        model: TranslationModel[Any],
        config: TrainingConfig,
        feed: BatchFeed,
        folder: RunFolder,
        validate: Callable[[], Validation],
        reporter: Reporter,
        *,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.model, self.config, self.feed, self.folder = model.to(device), config, feed, folder
        self.validate, self.reporter, self.device = validate, reporter, device
        self.weights = Weights(model, dtype)
        betas = (config.beta1, config.beta2)
        self.optimizer = Optimizer(
            self.weights, config.optimizer, betas, config.epsilon, config.weight_decay
        )
        self.records = Records(folder, tensorboard=config.tensorboard)
        self.state = TrainingState()
        self.average = self.weights.master.clone() if config.average_decay else None
        self._window = Window()
        self._note = ""

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on exactly where the checkpoint was written."""
        known = {k: v for k, v in checkpoint.state.items() if k in TrainingState.__annotations__}
        self.state = TrainingState(**known)
        self.weights.set_master(self.weights.join(checkpoint.tensors()))
        self.optimizer.restore(checkpoint.tensors("optimizer"))
        if self.average is not None:
            self.average.copy_(self.weights.join(checkpoint.tensors("average")))
        self.feed.move_to(self.state.epoch, self.state.batch)

    def run(self) -> TrainingState:
        """Train to the end of the recipe; Stopped where a signal ended it early, after saving."""
        self.model.train()
        state, config = self.state, self.config
        progress = self.reporter.progress("train", config.updates, state.update)
        with StopSignals() as signals, progress as bar:
            while state.update < config.updates and state.finished is None:
                self._update(bar)
                if state.update % config.log_every == 0:
                    self._log()
                over = state.update == config.updates or state.finished is not None
                if over or state.update % config.validate_every == 0:
                    self._validate()
                    self._save()
                elif signals.received is not None:
                    self._save()
                if signals.received is not None:
                    raise Stopped(signals.received, state.update)
        return state

    def _update(self, bar: Progress) -> None:
        started = time.perf_counter()
        state, config = self.state, self.config
        raw = [self.feed.next() for _ in range(config.accumulate)]
        tokens = sum(int(batch.target_out.lengths.sum()) for batch in raw)
        state.update += 1
        for number, one in enumerate(raw):
            batch = to_tensors(one, self.device)
            seed_masks(config.seed, state.update, number)
            loss = backward(
                self.model, *batch, smoothing=config.label_smoothing, scale=1.0 / tokens
            )
            self.weights.collect_gradient()
            self._window.losses.append(loss.smoothed)
        self.optimizer.update(self._rate(), config.clip_norm)
        if self.average is not None and config.average_decay is not None:
            decay = min(config.average_decay, (1 + state.update) / (10 + state.update))
            self.average.lerp_(self.weights.master, 1 - decay)
        state.epoch, state.batch = self.feed.epoch, self.feed.index
        self._window.tokens += tokens
        self._window.seconds += time.perf_counter() - started
        state.seconds += time.perf_counter() - started
        if state.update % NOTE_EVERY == 0:
            self._note = self._window.describe(self._rate())
        bar.advance(1, self._note)
        limit = config.max_minutes
        if limit is not None and state.seconds > 60 * limit:
            state.finished = f"stopped by training.max_minutes at update {state.update}"

    def _rate(self) -> float:
        config = self.config
        full = rate(
            config.schedule,
            config.learning_rate,
            self.state.update,
            warmup=config.warmup,
            updates=config.updates,
            width=self.model.width,
        )
        return full * self.state.rate_factor

    def _log(self) -> None:
        window, self._window = self._window, Window()
        self._note = window.describe(self._rate())
        self.records.write(
            {
                "event": "train",
                "update": self.state.update,
                "epoch": self.state.epoch,
                "loss": window.loss(),
                "learning_rate": self._rate(),
                "tokens_per_second": window.speed(),
                "seconds": self.state.seconds,
            }
        )

    def _validate(self) -> None:
        started = time.perf_counter()
        state, config = self.state, self.config
        flat = self._averaged()
        self.model.eval()
        with self.weights.showing(flat):
            found = self.validate()
        self.model.train()
        value = found.value(config.metric)
        better = state.best is None or value > state.best
        if better:
            state.best, state.best_update, state.stale = value, state.update, 0
            state.plateau_stale = 0
            named = self.weights.split(self.weights.master if flat is None else flat)
            self.folder.save_best(state.update, named, {"loss": found.loss, **found.scores})
        else:
            state.stale += 1
            state.plateau_stale += 1
        self._react()
        state.seconds += time.perf_counter() - started
        self._tell(found, better)

    def _react(self) -> None:
        """Lower the rate or stop where validations have not become better for long."""
        state, config = self.state, self.config
        if config.schedule == "plateau" and state.plateau_stale >= config.plateau_patience:
            state.rate_factor *= config.plateau_factor
            state.plateau_stale = 0
        if config.patience is not None and state.stale >= config.patience:
            state.finished = f"no better validation in {state.stale}: stopped at {state.update}"

    def _averaged(self) -> Tensor | None:
        """The weights to validate, where they are not the present ones."""
        if self.average is not None:
            return self.average
        earlier = self.folder.steps()[1 - self.config.average :] if self.config.average > 1 else []
        if not earlier:
            return None
        total = self.weights.master.clone()
        for path in earlier:
            total += self.weights.join(read_checkpoint(path).tensors())
        return total / (len(earlier) + 1)

    def _save(self) -> None:
        tensors = {
            WEIGHTS: self.weights.split(self.weights.master),
            "optimizer": self.optimizer.tensors(),
        }
        if self.average is not None:
            tensors["average"] = self.weights.split(self.average)
        self.folder.save(self.state.update, tensors, vars(self.state))
        self.folder.prune(max(2, self.config.average))

    def _tell(self, found: Validation, better: bool) -> None:
        state = self.state
        self.records.write(
            {
                "event": "validation",
                "update": state.update,
                "loss": found.loss,
                "scores": found.scores,
                "best": better,
                "seconds": state.seconds,
                "samples": found.samples,
            }
        )
        scores = " · ".join(f"{name} {value:.2f}" for name, value in found.scores.items())
        star = " *" if better else ""
        self.reporter.say(
            f"{state.update:>7,} updates · {state.seconds / 60:5.1f} min · "
            f"dev loss {found.loss:.3f} · {scores}{star}"
        )
        for sample in found.samples:
            for key, text in sample.items():
                self.reporter.say(f"          {key:>10}: {text}", style="dim")
