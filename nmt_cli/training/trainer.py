"""The training loop: updates, validations, checkpoints, and where each stands in time."""

import math
import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from nmt_cli.checkpoint import WEIGHTS, Checkpoint, RunFolder, Tensors, read_checkpoint
from nmt_cli.config import Section
from nmt_cli.device import Precision
from nmt_cli.errors import RunError
from nmt_cli.models.contract import TranslationModel
from nmt_cli.reporting import Progress, Reporter
from nmt_cli.training.divergence import LOOK_EVERY, Watch, go_back
from nmt_cli.training.feed import BatchFeed
from nmt_cli.training.gradients import Gradients
from nmt_cli.training.memory import peak_memory
from nmt_cli.training.records import Records
from nmt_cli.training.schedule import Schedule, rate
from nmt_cli.training.state import Metric, TrainingState, Validation, Window
from nmt_cli.training.stopping import Stopped, StopSignals
from nmt_cli.training.weights import Optimizer, OptimizerName, Weights

NOTE_EVERY = 10  # updates between new texts beside the progress bar


class TrainingConfig(Section):
    """The training section of a recipe."""

    init_from: str | None = None
    """Run folder whose best weights, tokenizers and model section this run begins with
    (fine-tuning); null: begin with random weights."""
    updates: int = Field(default=10_000, ge=1)
    """Updates of the weights after which training is done."""
    tokens_per_batch: Annotated[int, Field(ge=1)] | Literal["auto"] = 4096
    """Target positions a batch, padding and ends of sentences included; auto: as many as the memory
    takes, measured once at the start, at most 4096 on a CPU and 32768 on a GPU."""
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

    @property
    def budget(self) -> int:
        """tokens_per_batch as a number."""
        assert self.tokens_per_batch != "auto", "resolved before training begins"
        return self.tokens_per_batch

    @property
    def checkpoints_kept(self) -> int:
        """How many regular checkpoints stay: to average, and to have one before the last."""
        return max(2, self.average)

    def problems(self) -> list[str]:
        """Options that do not fit together."""
        if self.average > 1 and self.average_decay is not None:
            return ["average and average_decay: use one of them"]
        return []

    def doubts(self) -> list[str]:
        """See `Section.doubts`."""
        found = []
        if self.schedule != "plateau":
            keys = self.changed("plateau_factor", "plateau_patience")
            found += [f"{key}: does nothing without schedule: plateau" for key in keys]
        if self.metric == "loss":
            keys = self.changed("metric_tokenize", "validation_beam", "samples")
            found += [f"{key}: does nothing with metric: loss" for key in keys]
        if self.warmup >= self.updates:
            found.append(f"warmup: of {self.warmup} updates is not over after {self.updates}")
        if self.validate_every > self.updates:
            found.append(
                f"validate_every: {self.validate_every} is more than {self.updates} updates"
            )
        validations = -(-self.updates // self.validate_every)
        if self.average > validations:
            found.append(f"average: of {self.average}, but there are {validations} checkpoints")
        if self.patience is not None and self.patience >= validations:
            found.append(f"patience: {self.patience}, but there are {validations} validations")
        return found


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
        self.watch = Watch(
            warmup=config.warmup,
            vocabulary=model.vocabulary.target_size,
            clipped=config.clip_norm is not None,
        )
        self.gradients = Gradients(
            model, self.weights, device=device, seed=config.seed,
            smoothing=config.label_smoothing, on_split=self._tell_split,
        )  # fmt: skip
        self.feed.set_aside = self.state.set_aside
        self._initial: Tensor | None = self.weights.master.to("cpu", copy=True)
        self.average = self.weights.master.clone() if config.average_decay else None
        self._window = Window()
        self._note = ""
        self._split_told = False
        self._inherited = False

    def begin_with(self, tensors: Tensors) -> None:
        """Begin at update 0 with these weights instead of random ones, and validate them first.

        The best checkpoint is then never worse than what the run began with.
        """
        self.weights.set_master(self.weights.join(tensors))
        if self.average is not None:
            self.average.copy_(self.weights.master)
        self._initial = self.weights.master.to("cpu", copy=True)
        self._inherited = True

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on exactly where the checkpoint was written; RunError where it does not fit."""
        known = {k: v for k, v in checkpoint.state.items() if k in TrainingState.__annotations__}
        try:
            vars(self.state).update(vars(TrainingState(**known)))
            self.weights.set_master(self.weights.join(checkpoint.tensors()))
            self.optimizer.restore(checkpoint.tensors("optimizer"))
            if self.average is not None:
                self.average.copy_(self.weights.join(checkpoint.tensors("average")))
        except (LookupError, TypeError, ValueError) as error:
            raise RunError(f"{checkpoint.folder}: does not fit the recipe: {error}") from error
        self._follow()
        self.state.finished = self._finished()  # a limit may have been raised since
        self.folder.point_best(self.state.best_update)

    def _follow(self) -> None:
        """Let the feed stand where the state says."""
        self.feed.set_aside = self.state.set_aside
        self.feed.move_to(self.state.epoch, self.state.batch)

    def run(self) -> TrainingState:
        """Train to the end of the recipe; Stopped where a signal ended it early, after saving."""
        self.model.train()
        state, config = self.state, self.config
        if self._inherited and state.update == 0:
            self._validate()
        progress = self.reporter.progress("train", config.updates, state.update)
        with StopSignals() as signals, progress as bar:
            if state.update < config.updates and state.finished is None:
                self.gradients.rehearse(self.feed.largest(), state, self.optimizer.memory())
            while state.update < config.updates and state.finished is None:
                self._update(bar)
                over = state.update == config.updates or state.finished is not None
                validating = over or state.update % config.validate_every == 0
                saving = validating or signals.received is not None
                if self._diverged(saving, bar):
                    continue
                if state.update % config.log_every == 0:
                    self._log()
                if validating:
                    self._validate()
                if saving:
                    self._save()
                if signals.received is not None:
                    raise Stopped(signals.received, state.update)
        return state

    def _update(self, bar: Progress) -> None:
        started = time.perf_counter()
        state, config = self.state, self.config
        raw, places = [], []
        for _ in range(config.accumulate):
            raw.append(self.feed.next())
            places.append(self.feed.place)
        tokens = sum(int(batch.target_out.lengths.sum()) for batch in raw)
        state.update += 1
        losses = self.gradients.add_up(raw, state)
        norm = self.optimizer.update(self._rate(), config.clip_norm)
        self.watch.add(state.update, tuple(places), torch.stack(losses).sum() / tokens, norm)
        self._window.losses += losses
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
        state.finished = self._finished()

    def _diverged(self, saving: bool, bar: Progress) -> bool:
        """Look now and then, and before saving, whether training is sound; go back where not."""
        if not saving and self.state.update % LOOK_EVERY:
            return False
        found = self.watch.look(self.state, self.weights.master if saving else None)
        if found is None:
            return False
        reached = self.state.update
        go_back(self, found)
        self._window = Window()
        bar.advance(self.state.update - reached)
        return True

    def begin_again(self) -> None:
        """Be as before the first update; RunError where a resumed run does not know that."""
        if self._initial is None:
            raise RunError(f"{self.folder.path}: no whole checkpoint to go back to")
        self.weights.set_master(self._initial.to(self.device))
        self.optimizer.forget()
        if self.average is not None:
            self.average.copy_(self.weights.master)
        vars(self.state).update(vars(TrainingState()))
        self._follow()
        if self._inherited:
            self._validate()

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
                **peak_memory(self.device),
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
        better = not math.isnan(value) and (state.best is None or value > state.best)
        if better:
            state.best, state.best_update, state.stale = value, state.update, 0
            state.plateau_stale = 0
            named = self.weights.split(self.weights.master if flat is None else flat)
            self.folder.write_best(state.update, named, {"loss": found.loss, **found.scores})
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
        state.finished = self._finished()

    def _finished(self) -> str | None:
        """Why training is over before its last update; None where it is not."""
        state, config = self.state, self.config
        if config.patience is not None and state.stale >= config.patience:
            return f"no better validation in {state.stale}: stopped at {state.update}"
        if config.max_minutes is not None and state.seconds > 60 * config.max_minutes:
            return f"stopped by training.max_minutes at update {state.update}"
        return None

    def _averaged(self) -> Tensor | None:
        """The weights to validate, where they are not the present ones."""
        if self.average is not None:
            return self.average
        if self.config.average == 1:
            return None
        total, count = self.weights.master.clone(), 1
        steps = self.folder.regular(self.config.validate_every, before=self.state.update)
        for path in steps[1 - self.config.average :]:
            try:
                total += self.weights.join(read_checkpoint(path).tensors())
                count += 1
            except RunError as error:
                self.reporter.warn(f"{error}; left out of the average")
        return total / count if count > 1 else None

    def _save(self) -> None:
        tensors = {
            WEIGHTS: self.weights.split(self.weights.master),
            "optimizer": self.optimizer.tensors(),
        }
        if self.average is not None:
            tensors["average"] = self.weights.split(self.average)
        self.folder.save(self.state.update, tensors, vars(self.state))
        self.folder.point_best(self.state.best_update)
        if self.state.update % self.config.validate_every == 0:
            self._initial = None
        self.folder.prune(self.config.checkpoints_kept, self.config.validate_every)

    def _tell_split(self, largest: int, part: int) -> None:
        """A batch did not fit into memory."""
        self.records.write(
            {"event": "split", "update": self.state.update, "positions": largest, "part": part}
        )
        if not self._split_told:
            self.reporter.warn(
                f"not enough memory for a batch of {largest:,} positions: such batches are split "
                "and their gradients summed; training.tokens_per_batch makes them smaller"
            )
        self._split_told = True

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
