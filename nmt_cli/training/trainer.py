"""The training loop: updates, validations, checkpoints, and where each stands in time."""

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nmt_cli.checkpoint import WEIGHTS, Checkpoint, Tensors
from nmt_cli.device import keep_memory
from nmt_cli.distributed import ALONE, Processes
from nmt_cli.errors import RunError
from nmt_cli.models.contract import TranslationModel
from nmt_cli.reporting import Progress, Reporter
from nmt_cli.run_folder import RunFolder
from nmt_cli.training.averaging import Average
from nmt_cli.training.compilation import compiles, forget_compiled, graphs, uncompiled
from nmt_cli.training.divergence import LOOK_EVERY, Watch, go_back
from nmt_cli.training.exchange import Exchange, riders
from nmt_cli.training.feed import BatchFeed
from nmt_cli.training.gradients import Gradients
from nmt_cli.training.memory import peak_memory
from nmt_cli.training.records import Records, tell_validation
from nmt_cli.training.schedule import rate
from nmt_cli.training.settings import TrainingConfig
from nmt_cli.training.state import TrainingState, Validation, Window
from nmt_cli.training.stopping import Stopped
from nmt_cli.training.weights import Optimizer, Weights

NOTE_EVERY = 10  # updates between new texts beside the progress bar


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
        processes: Processes = ALONE,
    ) -> None:
        self.model, self.config, self.feed, self.folder = model.to(device), config, feed, folder
        self.validate, self.reporter, self.device = validate, reporter, device
        self.processes = processes
        self.weights = Weights(model, dtype, riders(processes))
        self.exchange = Exchange(self.weights, processes)
        betas = (config.beta1, config.beta2)
        self.optimizer = Optimizer(
            self.weights, config.optimizer, betas, config.epsilon, config.weight_decay
        )
        self.records = Records(folder, tensorboard=config.tensorboard and processes.leads)
        self.state = TrainingState(group=config.accumulate * processes.count)
        self.watch = Watch(
            warmup=config.warmup,
            vocabulary=model.vocabulary.target_size,
            clipped=config.clip_norm is not None,
        )
        self.gradients = Gradients(
            model, self.weights, device=device, seed=config.seed,
            smoothing=config.label_smoothing, on_split=self._tell_split, exchange=self.exchange,
        )  # fmt: skip
        self.compiled = compiles(config.compile, device) and bool(model.repeated())
        self._follow()
        self._initial: Tensor | None = self.weights.master.to("cpu", copy=True)
        self.average = Average(self.weights, config, folder, reporter)
        self._window = Window()
        self._note = ""
        self._split_told = False
        self._inherited = False

    def begin_with(self, tensors: Tensors) -> None:
        """Begin at update 0 with these weights instead of random ones, and validate them first.

        The best checkpoint is then never worse than what the run began with.
        """
        self.weights.set_master(self.weights.join(tensors))
        self.average.begin()
        self._initial = self.weights.master.to("cpu", copy=True)
        self._inherited = True

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on exactly where the checkpoint was written; RunError where it does not fit."""
        known = {k: v for k, v in checkpoint.state.items() if k in TrainingState.__annotations__}
        known = {"group": self.config.accumulate, **known}  # in runs older than this field
        try:
            vars(self.state).update(vars(TrainingState(**known)))
            self.weights.set_master(self.weights.join(checkpoint.tensors()))
            self.optimizer.restore(checkpoint.tensors("optimizer"))
            self.average.restore(checkpoint)
            self._window = Window.of(self.state.window, self.device)
        except (LookupError, TypeError, ValueError) as error:
            raise RunError(f"{checkpoint.folder}: does not fit the recipe: {error}") from error
        self._follow()
        if self.config.init_from is not None and not self._inherited:
            self._recall()
        self.state.finished = self._finished()  # a limit may have been raised since
        self.folder.point_best(self.state.best_update)

    def _recall(self) -> None:
        """Know what a resumed run began with, as long as that is its best; else it has regular
        checkpoints to go back to."""
        best = self.folder.best()
        self._inherited = best.update == 0
        self._initial = self.weights.join(best.tensors()).cpu() if self._inherited else None

    def _follow(self) -> None:
        """Let the feed stand where the state says."""
        self.feed.set_aside = self.state.set_aside
        self.feed.move_to(self.state.epoch, self.state.batch, self.state.group)

    def run(self) -> TrainingState:
        """Train to the end of the recipe; Stopped where a signal ended it early, after saving."""
        self.model.train()
        state, config = self.state, self.config
        self._share()
        if state.update == 0:
            self.average.begin()
        if self._inherited and state.update == 0:
            self._validate()
        progress = self.reporter.progress("train", config.updates, state.update)
        with self.exchange.signals, progress as bar:
            if state.update < config.updates and state.finished is None:
                self._rehearse()
            while state.update < config.updates and state.finished is None:
                self._update(bar)
                over = state.update == config.updates or state.finished is not None
                validating = over or state.update % config.validate_every == 0
                saving = validating or self.exchange.signal is not None
                if self._diverged(saving, bar):
                    continue
                if state.update % config.log_every == 0:
                    self._log()
                if validating:
                    self._validate()
                if saving:
                    self._save()
                if saving and self.exchange.signal is not None:
                    raise Stopped(self.exchange.signal, state.update)
        forget_compiled(self.model)  # what follows is search
        return state

    def _share(self) -> None:
        """Give all processes the same weights, whatever each machine has computed."""
        self.processes.share(self.weights.master)
        self.weights.synchronize()

    def _rehearse(self) -> None:
        """Find out what fails before the first update: the compiler, or the memory."""
        largest = self.feed.largest()
        if self.compiled:
            problem = self.gradients.compile(largest[0], self.state)
            if problem is None:
                self.reporter.say("layers compiled by torch.compile; the log counts their graphs")
            else:
                self.compiled = False
                self.reporter.warn(f"training.compile: not on this machine: {problem}")
        self.gradients.rehearse(largest, self.state, self.optimizer.memory())

    def _update(self, bar: Progress) -> None:
        started = time.perf_counter()
        state, config = self.state, self.config
        share = self.feed.share(self.processes.rank, self.processes.count)
        state.update += 1
        agreed = self.gradients.add_up(share, state)
        norm = self.optimizer.update(self._rate(), config.clip_norm)
        self.watch.add(state.update, share.places, agreed.loss / share.tokens, norm)
        self.average.add(state.update)
        state.epoch, state.batch = self.feed.epoch, self.feed.index
        if self.device.type == "cuda" and state.update % LOOK_EVERY == 0:
            torch.cuda.synchronize(self.device)  # what was only asked for so far takes time, too
        seconds = self.processes.agreed(time.perf_counter() - started)
        state.seconds += seconds
        state.waited += agreed.waited
        self._window.add(agreed.loss, share.tokens, seconds, agreed.waited, agreed.transfer)
        self.processes.watchdog.progress(f"after update {state.update}")
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
        bar.advance(self.state.update - reached)
        return True

    def begin_again(self) -> None:
        """Be as before the first update; RunError where a resumed run does not know that."""
        if self._initial is None:
            raise RunError(f"{self.folder.path}: no whole checkpoint to go back to")
        self.folder.rewind_log(-1)
        self.weights.set_master(self._initial.to(self.device))
        self._share()
        self.optimizer.forget()
        self.average.begin()
        vars(self.state).update(vars(TrainingState(group=self.state.group)))
        self._window = Window()
        self._follow()
        if self._inherited:
            self._validate()

    def _rate(self) -> float:
        config = self.config
        full = rate(
            config.schedule, config.learning_rate, self.state.update, warmup=config.warmup,
            updates=config.updates, width=self.model.width,
        )  # fmt: skip
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
                **({} if self.processes.alone else window.shares()),
                **({"graphs": graphs()} if self.compiled else {}),
                **peak_memory(self.device),
            }
        )

    def _validate(self) -> None:
        started = time.perf_counter()
        state, config = self.state, self.config
        flat = self.average.flat(state.update)
        self.model.eval()
        with uncompiled(self.compiled), self.weights.showing(flat):
            found = self.validate()
        keep_memory()  # what the search has freed lies between what it leaves: give it back
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
        state.seconds += self.processes.agreed(time.perf_counter() - started)
        tell_validation(self.records, self.reporter, state, found, better)

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

    def _save(self) -> None:
        tensors = {
            WEIGHTS: self.weights.split(self.weights.master),
            "optimizer": self.optimizer.tensors(),
            **self.average.tensors(),
        }
        self.state.window = self._window.record()
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
