"""The training loop: updates, validations, checkpoints, and where each stands in time."""

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nmt_cli.device import keep_freed_memory
from nmt_cli.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from nmt_cli.errors import RunError
from nmt_cli.models.contract import TranslationModel
from nmt_cli.reporting import Progress, Reporter
from nmt_cli.runs.checkpoint import WEIGHTS_GROUP, Checkpoint, NamedTensors
from nmt_cli.runs.folder import RunFolder
from nmt_cli.training.all_reduce import GradientAllReduce, extra_scalar_count
from nmt_cli.training.averaging import WeightAverager
from nmt_cli.training.batches import BatchIterator
from nmt_cli.training.compilation import compiled_graph_count, force_eager, should_compile, uncompile_layers
from nmt_cli.training.config import TrainingConfig
from nmt_cli.training.gradients import GradientAccumulator
from nmt_cli.training.loss_monitor import CHECK_EVERY_UPDATES, LossMonitor, roll_back
from nmt_cli.training.memory import peak_memory
from nmt_cli.training.metric_log import MetricLogger, log_validation
from nmt_cli.training.parameters import FlatOptimizer, FlatParameters
from nmt_cli.training.schedule import scheduled_learning_rate
from nmt_cli.training.signals import TrainingInterrupted
from nmt_cli.training.state import TrainingState, TrainMetrics, ValidationResult

BAR_TEXT_EVERY_UPDATES = 10  # updates between new texts beside the progress bar


class Trainer:
    """Trains one model in one run folder."""

    def __init__(
        self,
        model: TranslationModel[Any],
        config: TrainingConfig,
        batch_iterator: BatchIterator,
        folder: RunFolder,
        validate: Callable[[], ValidationResult],
        reporter: Reporter,
        *,
        device: torch.device,
        dtype: torch.dtype,
        processes: ProcessGroup = SINGLE_PROCESS,
    ) -> None:
        self.model, self.config, self.batch_iterator, self.folder = (model.to(device), config, batch_iterator, folder)
        self.validate, self.reporter, self.device = validate, reporter, device
        self.processes = processes
        self.parameters = FlatParameters(model, dtype, extra_scalar_count(processes))
        self.gradient_all_reduce = GradientAllReduce(self.parameters, processes)
        betas = (config.beta1, config.beta2)
        self.optimizer = FlatOptimizer(self.parameters, config.optimizer, betas, config.epsilon, config.weight_decay)
        self.metric_logger = MetricLogger(folder, tensorboard=config.tensorboard and processes.is_main)
        self.state = TrainingState(batches_per_update=config.gradient_accumulation * processes.world_size)
        self.loss_monitor = LossMonitor(
            warmup_updates=config.warmup_updates,
            vocabulary_size=model.vocabulary.target_size,
            clips_gradients=config.clip_norm is not None,
        )
        self.gradient_accumulator = GradientAccumulator(
            model, self.parameters, device=device, seed=config.seed,
            smoothing=config.label_smoothing, on_split=self._report_split, all_reduce=self.gradient_all_reduce,
        )  # fmt: skip
        self.compiled = should_compile(config.compile, device) and bool(model.compilable_layers())
        self._sync_iterator()
        self._initial_weights: Tensor | None = self.parameters.master.to("cpu", copy=True)
        self.weight_averager = WeightAverager(self.parameters, config, folder, reporter)
        self._metrics = TrainMetrics()
        self._bar_text = ""
        self._split_reported = False
        self._initialized_from_run = False

    def load_initial_weights(self, tensors: NamedTensors) -> None:
        """Begin at update 0 with these weights instead of random ones, and validate them first.

        The best checkpoint is then never worse than what the run began with.
        """
        self.parameters.load_master(self.parameters.flatten(tensors))
        self.weight_averager.reset()
        self._initial_weights = self.parameters.master.to("cpu", copy=True)
        self._initialized_from_run = True

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on exactly where the checkpoint was written; RunError where it does not fit."""
        try:
            defaults = {"batches_per_update": self.config.gradient_accumulation}
            state = TrainingState.from_record(defaults | checkpoint.state)
            vars(self.state).update(vars(state))
            self.parameters.load_master(self.parameters.flatten(checkpoint.tensors()))
            self.optimizer.load_state_tensors(checkpoint.tensors("optimizer"))
            self.weight_averager.restore(checkpoint)
            self._metrics = TrainMetrics.from_record(self.state.metrics_since_log, self.device)
        except (LookupError, TypeError, ValueError) as error:
            raise RunError(f"{checkpoint.folder}: does not fit the recipe: {error}") from error
        self._sync_iterator()
        if self.config.init_from is not None and not self._initialized_from_run:
            self._restore_initial_weights()
        self.state.stop_reason = self._find_stop_reason()  # a limit may have been raised since
        self.folder.set_best(self.state.best_update)

    def _restore_initial_weights(self) -> None:
        """Know what a resumed run began with, as long as that is its best; else it has regular
        checkpoints to go back to."""
        best_checkpoint = self.folder.best_checkpoint()
        self._initialized_from_run = best_checkpoint.update == 0
        self._initial_weights = (
            self.parameters.flatten(best_checkpoint.tensors()).cpu() if self._initialized_from_run else None
        )

    def _sync_iterator(self) -> None:
        """Let the feed stand where the state says."""
        self.batch_iterator.skipped_batches = self.state.skipped_batches
        self.batch_iterator.seek(self.state.epoch, self.state.batch, self.state.batches_per_update)

    def run(self) -> TrainingState:
        """Train to the end of the recipe; Stopped where a signal ended it early, after saving."""
        self.model.train()
        state, config = self.state, self.config
        self._broadcast_weights()
        if state.update == 0:
            self.weight_averager.reset()
        if self._initialized_from_run and state.update == 0:
            self._validate()
        progress = self.reporter.progress("train", config.updates, state.update)
        with self.gradient_all_reduce.stop_signals, progress as bar:
            if state.update < config.updates and state.stop_reason is None:
                self._dry_run()
            while state.update < config.updates and state.stop_reason is None:
                self._update(bar)
                is_last = state.update == config.updates or state.stop_reason is not None
                validate_now = is_last or state.update % config.validate_every == 0
                save_now = validate_now or self.gradient_all_reduce.signal is not None
                if self._check_divergence(save_now, bar):
                    continue
                if state.update % config.log_every == 0:
                    self._log()
                if validate_now:
                    self._validate()
                if save_now:
                    self._save()
                if save_now and self.gradient_all_reduce.signal is not None:
                    raise TrainingInterrupted(self.gradient_all_reduce.signal, state.update)
        uncompile_layers(self.model)  # what follows is search
        return state

    def _broadcast_weights(self) -> None:
        """Give all processes the same weights, whatever each machine has computed."""
        self.processes.broadcast(self.parameters.master)
        self.parameters.sync_compute_copy()

    def _dry_run(self) -> None:
        """Find out what fails before the first update: the compiler, or the memory."""
        largest_batches = self.batch_iterator.largest_batches()
        if self.compiled:
            compile_error = self.gradient_accumulator.compile(largest_batches[0], self.state)
            if compile_error is None:
                self.reporter.info("layers compiled by torch.compile; the log counts their graphs")
            else:
                self.compiled = False
                self.reporter.warning(f"training.compile: not on this machine: {compile_error}")
        self.gradient_accumulator.dry_run(largest_batches, self.state, self.optimizer.state_numel())

    def _update(self, bar: Progress) -> None:
        started = time.perf_counter()
        state, config = self.state, self.config
        rank_batches = self.batch_iterator.next_micro_batches(self.processes.rank, self.processes.world_size)
        state.update += 1
        synced = self.gradient_accumulator.accumulate_gradients(rank_batches, state)
        gradient_norm = self.optimizer.step(self._learning_rate(), config.clip_norm)
        self.loss_monitor.record(
            state.update, rank_batches.batch_indices, synced.loss / rank_batches.update_tokens, gradient_norm
        )
        self.weight_averager.update(state.update)
        state.epoch, state.batch = self.batch_iterator.epoch, self.batch_iterator.next_batch
        if self.device.type == "cuda" and state.update % CHECK_EVERY_UPDATES == 0:
            torch.cuda.synchronize(self.device)  # what was only asked for so far takes time, too
        seconds = self.processes.broadcast_scalar(time.perf_counter() - started)
        state.training_seconds += seconds
        state.sync_wait_seconds += synced.sync_wait_seconds
        self._metrics.add(
            synced.loss, rank_batches.update_tokens, seconds, synced.sync_wait_seconds, synced.all_reduce_seconds
        )
        self.processes.watchdog.report_progress(f"after update {state.update}")
        if state.update % BAR_TEXT_EVERY_UPDATES == 0:
            self._bar_text = self._metrics.progress_text(self._learning_rate())
        bar.advance(1, self._bar_text)
        state.stop_reason = self._find_stop_reason()

    def _check_divergence(self, before_saving: bool, bar: Progress) -> bool:
        """Look now and then, and before saving, whether training is sound; go back where not."""
        if not before_saving and self.state.update % CHECK_EVERY_UPDATES:
            return False
        divergence = self.loss_monitor.check(self.state, self.parameters.master if before_saving else None)
        if divergence is None:
            return False
        update_before = self.state.update
        roll_back(self, divergence)
        bar.advance(self.state.update - update_before)
        return True

    def restart(self) -> None:
        """Be as before the first update; RunError where a resumed run does not know that."""
        if self._initial_weights is None:
            raise RunError(f"{self.folder.path}: no whole checkpoint to go back to")
        self.folder.truncate_log(-1)
        self.parameters.load_master(self._initial_weights.to(self.device))
        self._broadcast_weights()
        self.optimizer.reset()
        self.weight_averager.reset()
        vars(self.state).update(vars(TrainingState(batches_per_update=self.state.batches_per_update)))
        self._metrics = TrainMetrics()
        self._sync_iterator()
        if self._initialized_from_run:
            self._validate()

    def _learning_rate(self) -> float:
        config = self.config
        scheduled_rate = scheduled_learning_rate(
            config.schedule, config.learning_rate, self.state.update, warmup_updates=config.warmup_updates,
            total_updates=config.updates, d_model=self.model.d_model,
        )  # fmt: skip
        return scheduled_rate * self.state.learning_rate_scale

    def _log(self) -> None:
        metrics, self._metrics = self._metrics, TrainMetrics()
        self._bar_text = metrics.progress_text(self._learning_rate())
        self.metric_logger.log(
            {
                "event": "train",
                "update": self.state.update,
                "epoch": self.state.epoch,
                "loss": metrics.mean_loss(),
                "learning_rate": self._learning_rate(),
                "tokens_per_second": metrics.tokens_per_second(),
                "seconds": self.state.training_seconds,
                **({} if self.processes.is_single else metrics.time_fractions()),
                **({"graphs": compiled_graph_count()} if self.compiled else {}),
                **peak_memory(self.device),
            }
        )

    def _validate(self) -> None:
        started = time.perf_counter()
        state, config = self.state, self.config
        validation_weights = self.weight_averager.validation_weights(state.update)
        self.model.eval()
        with force_eager(self.compiled), self.parameters.swapped_in(validation_weights):
            validation = self.validate()
        keep_freed_memory()  # what the search has freed lies between what it leaves: give it back
        self.model.train()
        score = validation.score(config.metric)
        is_best = not math.isnan(score) and (state.best_score is None or score > state.best_score)
        if is_best:
            state.best_score, state.best_update, state.validations_since_best = (score, state.update, 0)
            state.plateau_bad_validations = 0
            named_weights = self.parameters.unflatten(
                self.parameters.master if validation_weights is None else validation_weights
            )
            self.folder.write_best_checkpoint(
                state.update, named_weights, {"loss": validation.loss, **validation.scores}
            )
        else:
            state.validations_since_best += 1
            state.plateau_bad_validations += 1
        self._apply_patience()
        state.training_seconds += self.processes.broadcast_scalar(time.perf_counter() - started)
        log_validation(self.metric_logger, self.reporter, state, validation, is_best)

    def _apply_patience(self) -> None:
        """Lower the rate or stop where validations have not become better for long."""
        state, config = self.state, self.config
        if config.schedule == "plateau" and state.plateau_bad_validations >= config.plateau_patience:
            state.learning_rate_scale *= config.plateau_factor
            state.plateau_bad_validations = 0
        state.stop_reason = self._find_stop_reason()

    def _find_stop_reason(self) -> str | None:
        """Why training is over before its last update; None where it is not."""
        state, config = self.state, self.config
        if config.patience is not None and state.validations_since_best >= config.patience:
            return f"no better validation in {state.validations_since_best}: stopped at {state.update}"
        if config.max_minutes is not None and state.training_seconds > 60 * config.max_minutes:
            return f"stopped by training.max_minutes at update {state.update}"
        return None

    def _save(self) -> None:
        tensors = {
            WEIGHTS_GROUP: self.parameters.unflatten(self.parameters.master),
            "optimizer": self.optimizer.state_tensors(),
            **self.weight_averager.tensors(),
        }
        self.state.metrics_since_log = self._metrics.to_record()
        self.folder.save_checkpoint(self.state.update, tensors, vars(self.state))
        self.folder.set_best(self.state.best_update)
        if self.state.update % self.config.validate_every == 0:
            self._initial_weights = None
        self.folder.prune(self.config.keep_last_checkpoints, self.config.validate_every)

    def _report_split(self, oom_positions: int, max_positions: int) -> None:
        """A batch did not fit into memory."""
        self.metric_logger.log(
            {"event": "split", "update": self.state.update, "positions": oom_positions, "part": max_positions}
        )
        if not self._split_reported:
            self.reporter.warning(
                f"not enough memory for a batch of {oom_positions:,} positions: such batches are split "
                "and their gradients summed; training.tokens_per_batch makes them smaller"
            )
        self._split_reported = True
