"""The training loop: updates, validations, checkpoints, and the way back when training diverges."""

import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmt_cli.allocator import return_freed_memory
from nmt_cli.device import describe_computation
from nmt_cli.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from nmt_cli.errors import DeviceError, RunError, TrainingError, UserError, is_out_of_memory
from nmt_cli.models.contract import TranslationModel
from nmt_cli.reporting import Progress
from nmt_cli.training.all_reduce import GradientAllReduce, extra_scalar_count
from nmt_cli.training.averaging import WeightAverager
from nmt_cli.training.batches import BatchIterator, BatchPrefetcher
from nmt_cli.training.checkpoints import (
    WEIGHTS_GROUP,
    Checkpoint,
    Checkpointer,
    NamedTensors,
    read_checkpoint,
    update_number,
)
from nmt_cli.training.compilation import compiled_graph_count, force_eager, should_compile, uncompile_layers
from nmt_cli.training.config import TrainingConfig
from nmt_cli.training.gradients import GradientAccumulator
from nmt_cli.training.loss_monitor import CHECK_EVERY_UPDATES, Divergence, LossMonitor
from nmt_cli.training.memory import peak_memory
from nmt_cli.training.metrics import MetricLogger, TrainMetrics, ValidationResult
from nmt_cli.training.optimizer import FlatOptimizer
from nmt_cli.training.parameters import FlatParameters
from nmt_cli.training.progress import judge_validation, not_learning
from nmt_cli.training.replicas import replica_count
from nmt_cli.training.schedule import scheduled_learning_rate
from nmt_cli.training.signals import TrainingInterrupted
from nmt_cli.training.state import TrainingState

BAR_TEXT_EVERY_UPDATES = 10  # updates between new texts beside the progress bar
MAX_DIVERGENCES = 3  # after this many without a better validation in between the run fails
LEARNING_RATE_BACKOFF = 0.5  # factor of the learning rate after each divergence


class Trainer:
    """Trains a model, which is already on its device, from its current or restored state to the end of the recipe.

    All that a resumed run must know is in `state`, the parameters, the optimizer and the average.
    """

    def __init__(
        self,
        model: TranslationModel[Any],
        config: TrainingConfig,
        batch_iterator: BatchIterator,
        checkpointer: Checkpointer,
        logger: MetricLogger,
        validate: Callable[[], ValidationResult],
        *,
        dtype: torch.dtype,
        processes: ProcessGroup = SINGLE_PROCESS,
    ) -> None:
        self.model, self.config, self.batch_iterator, self.validate = model, config, batch_iterator, validate
        self.checkpointer, self.logger, self.reporter = checkpointer, logger, logger.reporter
        self.processes, self.device = processes, model.device
        self.computes_in = describe_computation(dtype, self.device, processes.world_size)
        self.parameters = FlatParameters(model, dtype, extra_scalar_count(processes))
        self.gradient_all_reduce = GradientAllReduce(self.parameters, processes)
        betas = (config.beta1, config.beta2)
        self.optimizer = FlatOptimizer(self.parameters, config.optimizer, betas, config.epsilon, config.weight_decay)
        self.weight_averager = WeightAverager(self.parameters, config, checkpointer, self.reporter)
        self.loss_monitor = LossMonitor(
            warmup_updates=config.warmup_updates,
            vocabulary_size=model.vocabulary.target_size,
            clips_gradients=config.clip_norm is not None,
            device=self.device,
        )
        self.compiled = should_compile(config.compile, self.device) and bool(model.compilable_layers())
        replicas = replica_count(self.parameters.numel, batch_iterator.max_positions, self.device)
        self.gradient_accumulator = GradientAccumulator(
            model, self.parameters, device=self.device, seed=config.seed, smoothing=config.label_smoothing,
            replica_count=1 if self.compiled else replicas,
            on_split=self._report_split, all_reduce=self.gradient_all_reduce,
        )  # fmt: skip
        self.state = TrainingState(batches_per_update=config.gradient_accumulation * processes.world_size)
        self._metrics = TrainMetrics.from_record({}, self.device)
        self.prefetcher = BatchPrefetcher(batch_iterator, processes.rank, processes.world_size)
        self._seek_batches()
        self._initial_weights: Tensor | None = self.parameters.master.to("cpu", copy=True)
        self._initialized_from_run = False
        self._bar_text = ""
        self._split_reported = self._problem_reported = False

    def load_initial_weights(self, tensors: NamedTensors) -> None:
        """Start at update 0 with these weights instead of random ones, and validate them first.

        The best checkpoint is then never worse than them.
        """
        self.parameters.load_master(self.parameters.flatten(tensors))
        self.weight_averager.reset()
        self._initial_weights = self.parameters.master.to("cpu", copy=True)
        self._initialized_from_run = True

    def resume(self, checkpoint: Checkpoint) -> None:
        """Continue exactly from a checkpoint; RunError if it does not fit the recipe."""
        try:
            defaults = {"batches_per_update": self.config.gradient_accumulation}
            self.state = TrainingState.from_record(defaults | checkpoint.state)
            self.parameters.load_master(self.parameters.flatten(checkpoint.tensors()))
            self.optimizer.load_state_tensors(checkpoint.tensors("optimizer"))
            self.weight_averager.restore(checkpoint)
            self._metrics = TrainMetrics.from_record(self.state.metrics_since_log, self.device)
        except (LookupError, TypeError, ValueError) as error:
            raise RunError(f"{checkpoint.folder}: does not fit the recipe: {error}") from error
        self._seek_batches()
        if self.config.init_from is not None and not self._initialized_from_run:
            self._restore_initial_weights()
        self.state.stop_reason = self._find_stop_reason()  # a limit may have been raised since
        self.checkpointer.mark_best(self.state.best_update)

    def _restore_initial_weights(self) -> None:
        """Restore the weights that training.init_from gave to a resumed run, as long as they are its best ones.

        Otherwise it has regular checkpoints to roll back to.
        """
        best_checkpoint = self.checkpointer.best()
        self._initialized_from_run = best_checkpoint.update == 0
        self._initial_weights = (
            self.parameters.flatten(best_checkpoint.tensors()).cpu() if self._initialized_from_run else None
        )

    def _seek_batches(self) -> None:
        """Move the batch iterator to the position in the state."""
        state = self.state
        self.prefetcher.clear()
        self.batch_iterator.seek(state.epoch, state.batch, state.batches_per_update, state.skipped_batches)

    def run(self) -> TrainingState:
        """Train to the end of the recipe.

        Raises TrainingInterrupted after a signal, with a checkpoint saved; TrainingError if training
        diverges again and again; DeviceError if a single sentence pair does not fit into memory.
        """
        self.model.train()
        self._broadcast_weights()
        if self.state.update == 0:
            self.weight_averager.reset()
        if self._initialized_from_run and self.state.update == 0:
            self._validate()
        progress = self.reporter.progress("train", self.config.updates, self.state.update)
        replica_threads = self.gradient_accumulator.replica_threads
        with self.gradient_all_reduce.stop_signals, closing(self.prefetcher), replica_threads, progress as bar:
            if not self._is_finished():
                return_freed_memory()  # of preparing the data
                self._dry_run()
            while not self._is_finished():
                self._update(bar)
                validate_now = self._is_finished() or self.state.update % self.config.validate_every == 0
                save_now = validate_now or self.gradient_all_reduce.signal is not None
                if self._check_divergence(save_now, bar):
                    continue
                if self.state.update == 1 or self.state.update % self.config.log_every == 0:
                    self._log()
                if validate_now:
                    self._validate()
                if save_now:
                    self._save()
                stop_signal = self.gradient_all_reduce.signal  # which may have come during the validation
                if save_now and stop_signal is not None:
                    raise TrainingInterrupted(stop_signal, self.state.update)
        uncompile_layers(self.model)  # translating comes next
        return self.state

    def _is_finished(self) -> bool:
        return self.state.update >= self.config.updates or self.state.stop_reason is not None

    def _broadcast_weights(self) -> None:
        """Give all processes the weights of rank 0, as machines may round differently."""
        self.processes.broadcast(self.parameters.master)
        self.parameters.sync_compute_copy()

    def _dry_run(self) -> None:
        """Compile the model and try the largest batches, so that what fails does so before the first update."""
        largest_batches = self.batch_iterator.largest_batches()
        if self.compiled:
            compile_error = self.gradient_accumulator.compile(largest_batches[0], self.state)
            if compile_error is None:
                self.reporter.info("layers compiled by torch.compile; the log counts their graphs")
            else:
                self.compiled = False
                self.reporter.warning(f"training.compile: not on this machine: {compile_error}")
        elif self.config.compile == "on":
            self.reporter.warning("training.compile: on does nothing with this model, which has no layers to compile")
        self.gradient_accumulator.dry_run(largest_batches, self.state)

    def _update(self, bar: Progress) -> None:
        started = time.perf_counter()
        state, config = self.state, self.config
        rank_batches = self.prefetcher.next()
        state.update += 1
        synced = self.gradient_accumulator.accumulate_gradients(rank_batches, state)
        gradient_norm = self.optimizer.step(self._learning_rate(), config.clip_norm)
        self.loss_monitor.record(
            state.update, rank_batches.batch_indices, synced.loss / rank_batches.update_tokens, gradient_norm
        )
        self.weight_averager.update(state.update)
        state.epoch, state.batch = rank_batches.position
        if self.device.type == "cuda" and state.update % CHECK_EVERY_UPDATES == 0:
            torch.cuda.synchronize(self.device)  # so that queued kernels are part of the measured time
        seconds = self.processes.broadcast_scalar(time.perf_counter() - started)
        state.training_seconds += seconds
        state.sync_wait_seconds += synced.sync_wait_seconds
        self._metrics.add(synced, rank_batches.update_tokens, seconds)
        self.processes.watchdog.report_progress(f"after update {state.update}")
        if state.update % BAR_TEXT_EVERY_UPDATES == 0:
            self._bar_text = self._metrics.progress_text(self._learning_rate())
        bar.advance(1, self._bar_text)
        state.stop_reason = self._find_stop_reason()

    def _check_divergence(self, before_saving: bool, bar: Progress) -> bool:
        """Roll back if training has diverged; checked every few updates and before saving. Whether it did."""
        if not before_saving and self.state.update % CHECK_EVERY_UPDATES:
            return False
        divergence = self.loss_monitor.check(self.state, self.parameters.master if before_saving else None)
        if divergence is None:
            return False
        diverged_update = self.state.update
        self._roll_back(divergence)
        bar.advance(self.state.update - diverged_update)
        return True

    def _roll_back(self, divergence: Divergence) -> None:
        """Restore the last good state with a lower learning rate, without the batches to blame.

        TrainingError after MAX_DIVERGENCES of them in a row. None of this needs to be saved: a run that is
        killed now reaches the same point again from the same checkpoint.
        """
        diverged = self.state
        self.prefetcher.clear()
        divergence_count = diverged.divergence_count + 1
        skipped_batches, skipped_file = self._skip_batches(divergence, divergence_count)
        file_note = f"; its pairs are in {skipped_file}" if skipped_file else ""
        if divergence_count - diverged.overcome_divergences == MAX_DIVERGENCES:
            start = f" (with training.init_from={self.checkpointer.folder.parent})" if diverged.best_update else ""
            raise TrainingError(
                f"update {divergence.update:,}: {divergence.reason}{file_note}; diverged {MAX_DIVERGENCES} times: "
                f"start a new run{start} with a lower training.learning_rate or more training.warmup_updates, or look "
                "at these pairs"
            )
        checkpoint_path = self.processes.run_on_main(lambda: self._find_rollback_folder(divergence.first_bad_update))
        self._restart() if checkpoint_path is None else self.resume(read_checkpoint(Path(checkpoint_path)))
        self.checkpointer.delete_after(self.state.update)
        self.logger.truncate(self.state.update)
        self.state.divergence_count = divergence_count
        self.state.overcome_divergences = diverged.overcome_divergences
        self.state.last_divergence_update = divergence.update
        self.state.training_seconds = diverged.training_seconds
        self.state.learning_rate_scale = diverged.learning_rate_scale * LEARNING_RATE_BACKOFF
        self.state.skipped_batches = skipped_batches
        self._seek_batches()
        self.reporter.warning(
            f"update {divergence.update:,}: {divergence.reason}{file_note}; back to update {self.state.update:,} at "
            f"{self.state.learning_rate_scale:.3g} times the learning rate"
        )
        self.logger.log(
            {
                "event": "divergence",
                "update": self.state.update + 1,  # kept when the log is truncated to a checkpoint that knows of it
                "found": divergence.update,
                "reason": divergence.reason,
                "rate_factor": self.state.learning_rate_scale,
                "set_aside": skipped_file,
            }
        )

    def _skip_batches(self, divergence: Divergence, divergence_number: int) -> tuple[list[dict[str, Any]], str | None]:
        """All batches to skip from now on, and the name of the file with the pairs of the new ones, if any."""
        skipped_batches, records = list(self.state.skipped_batches), []
        for batch_index in divergence.batch_indices:
            pairs = self.batch_iterator.pair_indices(batch_index).tolist()
            skipped_batches.append({**batch_index._asdict(), "pairs": pairs})
            for pair, (source, target) in zip(pairs, self.batch_iterator.texts(batch_index), strict=True):
                record = {"update": divergence.update, **batch_index._asdict(), "pair": pair}
                records.append(record | {"source": source, "target": target})
        if not records:
            return skipped_batches, None
        name = f"diverged-{divergence.update:06d}-{divergence_number}.jsonl"
        self.logger.write_pairs(name, records)
        return skipped_batches, name

    def _find_rollback_folder(self, before_update: int) -> str | None:
        """The newest intact scheduled checkpoint before an update, or else the oldest one that is always kept; in an
        extended run that has none yet, likewise of those at which it ended. None if there is none of either.

        Checkpoints saved because of a signal do not count: an uninterrupted run would not have them.
        """
        config = self.config
        folders = self.checkpointer.scheduled_folders(config.validate_every, before=self.state.update + 1)
        newest_first = (folders or self._final_folders())[-config.keep_last_checkpoints :][::-1]
        for path in [p for p in newest_first if update_number(p) < before_update] or newest_first[-1:]:
            try:
                return str(read_checkpoint(path).folder)
            except RunError as error:
                self.reporter.warning(str(error))
        return None

    def _final_folders(self) -> list[Path]:
        """The intact checkpoints with which training has ended, oldest first; all intact ones if none is known to be
        such, and the state before the first update is gone, or would replace a best checkpoint."""
        checkpoints = []
        for path in self.checkpointer.step_folders():
            with suppress(RunError):
                checkpoints.append(read_checkpoint(path))
        final = [c.folder for c in checkpoints if c.state.get("last_validation_update") == c.update]
        must_not_restart = self._initial_weights is None or self.state.best_update > 0
        return final or ([c.folder for c in checkpoints] if must_not_restart else [])

    def _restart(self) -> None:
        """Return to the state before the first update; RunError if a resumed run no longer has it."""
        if self._initial_weights is None:
            raise RunError(
                f"{self.checkpointer.folder.parent}: training diverged, and no checkpoint to go back to is intact",
                hint="start a new run with a lower training.learning_rate",
            )
        self.logger.truncate(-1)
        self.parameters.load_master(self._initial_weights.to(self.device))
        self._broadcast_weights()
        self.optimizer.reset()
        self.weight_averager.reset()
        self.state = TrainingState(batches_per_update=self.state.batches_per_update)
        self._metrics.clear()
        self._seek_batches()
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
        metrics = self._metrics
        self._bar_text = metrics.progress_text(self._learning_rate())
        self.logger.log(
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
        metrics.clear()

    def _validate(self) -> None:
        started = time.perf_counter()
        state, config = self.state, self.config
        validation_weights = self.weight_averager.validation_weights(state.update)
        self.model.eval()
        return_freed_memory()  # an update and a search need blocks of other sizes, so here and below
        with force_eager(self.compiled), self.parameters.swapped_in(validation_weights):
            validation = self._validate_in_memory()
        return_freed_memory()
        self.model.train()
        state.last_validation_update = state.update
        is_best = judge_validation(state, validation, config)
        if is_best:
            named_weights = self.parameters.unflatten(validation_weights)
            self.checkpointer.write_best(state.update, named_weights, validation.figures())
        if is_best and state.update >= state.last_divergence_update:
            state.overcome_divergences = state.divergence_count
        self._apply_patience()
        state.training_seconds += self.processes.broadcast_scalar(time.perf_counter() - started)
        self.logger.log_validation(state, validation, is_best)
        problem = not_learning(state, validation, config)
        if problem is not None and not self._problem_reported:
            self.reporter.warning(problem)
        self._problem_reported = problem is not None

    def _validate_in_memory(self) -> ValidationResult:
        """The validation; DeviceError if memory runs out in it, UserError if it does in one of several processes, since
        a DeviceError is one that all of them share."""
        try:
            return self.validate()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            remedy = (
                "a new run needs a smaller training.tokens_per_batch"
                if self.config.metric == "loss"
                else "lower search.tokens_per_batch and continue with --resume"
            )
            error_class = DeviceError if self.processes.is_single else UserError
            raise error_class(
                f"not enough memory for the validation after update {self.state.update:,}: {remedy}"
            ) from error

    def _apply_patience(self) -> None:
        """Lower the learning rate or stop after too many stale validations."""
        state, config = self.state, self.config
        if config.schedule == "plateau" and state.plateau_stale_validations >= config.plateau_patience:
            state.learning_rate_scale *= config.plateau_factor
            state.plateau_stale_validations = 0
        state.stop_reason = self._find_stop_reason()

    def _find_stop_reason(self) -> str | None:
        """Why training ends before its last update; None if it does not."""
        state, config = self.state, self.config
        if config.patience is not None and state.stale_validations >= config.patience:
            return f"no better score or loss in {state.stale_validations} validations: stopped at {state.update}"
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
        self.state.computed_in = self.computes_in
        self.checkpointer.save(self.state.update, tensors, vars(self.state))
        self.checkpointer.mark_best(self.state.best_update)
        if self.state.update % self.config.validate_every == 0:
            self._initial_weights = None  # from now on there is a checkpoint to roll back to
        self.checkpointer.prune(
            self.config.keep_last_checkpoints, self.config.validate_every, self.state.last_validation_update
        )

    def _report_split(self, oom_positions: int, max_positions: int) -> None:
        self.logger.log(
            {"event": "split", "update": self.state.update, "positions": oom_positions, "part": max_positions}
        )
        if not self._split_reported:
            self.reporter.warning(
                f"not enough memory for a batch of {oom_positions:,} positions: such batches are split "
                "and their gradients summed; training.tokens_per_batch makes them smaller"
            )
        self._split_reported = True
