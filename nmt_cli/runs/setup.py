"""Setting up a training: what is resolved, checked and written before the first update."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from nmt_cli.allocator import keep_freed_memory
from nmt_cli.data.known_words import WordSet
from nmt_cli.data.prepared.fingerprint import HELD_OUT_KEY
from nmt_cli.data.prepared.store import PreparedData
from nmt_cli.data.text_profile import LANGUAGES_FILE, TextProfile, profile_files
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.device import DTYPES, describe_computation, limit_kernel_cache, resolved_precision
from nmt_cli.distributed.process_group import ProcessGroup
from nmt_cli.errors import DataError, RunError, pluralize
from nmt_cli.fs import atomic_write_text, reject_external_symlinks
from nmt_cli.recipe.loader import Recipe, build_recipe, load_run_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.folder import RunFolder, tokenizer_hashes
from nmt_cli.runs.init_from import find_base_folder, find_base_run, inherit_sections, training_profile, training_words
from nmt_cli.runs.loading import Model, build_model, check_weights
from nmt_cli.runs.preparation import PreparationResult, prepare_recipe
from nmt_cli.runs.resuming import check_resumable, reconcile_with_started_run
from nmt_cli.training.batch_size import find_batch_size
from nmt_cli.training.batches import BatchIterator
from nmt_cli.training.checkpoints import FORMAT_VERSION, Checkpoint, Checkpointer
from nmt_cli.training.compilation import should_compile
from nmt_cli.training.config import TrainingConfig
from nmt_cli.training.metrics import MetricLogger, ValidationResult, tensorboard_writer_class
from nmt_cli.training.trainer import Trainer

COPIED_KEYS = ("read", "train", "splits", "vocabulary", HELD_OUT_KEY)  # of the prepared data's manifest
FEW_VALIDATIONS = 5  # of a training that is too short to keep all kernels


@dataclass(frozen=True)
class TrainingRun:
    """Everything that a training needs, resolved and checked before its folder is touched."""

    recipe: Recipe  # with the sections and paths that training.init_from and `auto` stand for
    data: PreparedData
    profile: TextProfile
    model: Model
    folder: RunFolder
    device: torch.device
    precision: str  # fp32 or bf16
    processes: ProcessGroup
    reporter: Reporter

    @contextmanager
    def open_folder(self) -> Iterator[None]:
        """Hold the lock of the run folder, in which rank 0 first writes what a run has besides checkpoints."""
        with ExitStack() as exit_stack:

            def lock_and_write() -> None:
                exit_stack.enter_context(self.folder.lock())
                self._write_folder()

            self.processes.run_on_main(lock_and_write)
            self._report_summary()
            yield

    def _write_folder(self) -> None:
        folder, data = self.folder, self.data
        recipe_text = self.recipe.to_yaml()  # before the run is written: a path in it may not be UTF-8
        manifest = folder.read_json("manifest.json") if (folder.path / "manifest.json").exists() else None
        counts = {key: data.manifest[key] for key in COPIED_KEYS if key in data.manifest}
        if manifest is not None:
            self._check_data(manifest, counts)
        if not folder.recipe_path.exists():  # it is written last: a run that has it has the other files too
            data.tokenizers.save(folder.path)
            words = training_words(data, find_base_folder(self.recipe))
            if words is not None:
                words.save(folder.path)
            if profile_files(data.folder):
                self.profile.save(folder.path)
            if (data.folder / LANGUAGES_FILE).is_file():
                shutil.copy(data.folder / LANGUAGES_FILE, folder.path / LANGUAGES_FILE)
        folder.write_json(
            "manifest.json",
            {
                "format": FORMAT_VERSION,
                "fingerprint": data.fingerprint,
                "tokenizers": tokenizer_hashes(folder.path),
                "prepared": data.folder.name,
                "inputs": data.manifest["inputs"],
                **counts,
                "precision": self.precision if manifest is None else manifest.get("precision", self.precision),
                **({"init_from": manifest["init_from"]} if manifest and "init_from" in manifest else {}),
            },
        )
        atomic_write_text(folder.recipe_path, recipe_text)

    def _check_data(self, manifest: dict[str, Any], counts: dict[str, Any]) -> None:
        """RunError if the run was started with other data."""
        folder, data = self.folder, self.data
        if manifest.get("fingerprint") != data.fingerprint:
            raise RunError(
                f"{folder.path}: was started with prepared data {manifest.get('fingerprint')}, "
                f"these are {data.fingerprint}",
                hint="the corpus, tokenizer or augmentation has changed since: undo that, or use another --out",
            )
        differences = [
            f"{key} was {manifest[key]}, is {count}"
            for key, count in counts.items()
            if manifest.get(key, count) != count
        ]
        if folder.recipe_path.is_file() and Tokenizers.load(folder.path).digest() != data.tokenizers.digest():
            differences.append("their tokenizer cuts text otherwise")
        if differences:
            raise RunError(
                f"{folder.path}: was started with prepared data that are gone, and prepared anew they differ "
                f"({differences[0]})",
                hint="prepare them with the version of nmt that the run began with, or use another --out",
            )

    def _report_summary(self) -> None:
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        self.reporter.info(
            f"{self.recipe.name}: {self.recipe.model.type}, {parameters:,} parameters, "
            f"{describe_computation(self.dtype, self.device, self.processes.world_size)}; "
            f"{pluralize(self.data.manifest['train'], 'pair')}, {pluralize(self.recipe.training.updates, 'update')}"
        )

    @property
    def dtype(self) -> torch.dtype:
        """The type of `precision`."""
        return DTYPES[self.precision]

    def make_trainer(self, validate: Callable[[], ValidationResult], *, resume: bool) -> Trainer:
        """A trainer with the state to start from: random weights, those of training.init_from, or a checkpoint."""
        config, read_only = self.recipe.training, not self.processes.is_main
        trainer = Trainer(
            self.model.to(self.device),
            config,
            BatchIterator(self.data, config.max_positions, config.seed),
            Checkpointer(self.folder.checkpoints.folder, read_only=read_only),
            MetricLogger(self.folder.path, self.reporter, tensorboard=config.tensorboard, read_only=read_only),
            validate,
            dtype=self.dtype,
            processes=self.processes,
        )
        checkpoint = self._find_checkpoint(trainer) if resume else None
        if checkpoint is not None:
            self._resume(trainer, checkpoint)
        elif config.init_from is not None:
            self._load_initial_weights(trainer)
        return trainer

    def _load_initial_weights(self, trainer: Trainer) -> None:
        """Load the weights of the run that training.init_from names, and record which."""
        base_folder = self.processes.main_first(lambda: find_base_folder(self.recipe))
        assert base_folder is not None
        checkpoint, tensors = base_folder.checkpoints.load_best()
        for message in checkpoint.warnings:
            self.reporter.warning(f"training.init_from: {message}")
        check_weights(self.model, tensors, base_folder.path)
        trainer.load_initial_weights(tensors)
        if self.processes.is_main:
            provenance = {"run": str(base_folder.path), "checkpoint": checkpoint.update}
            manifest = self.folder.read_json("manifest.json")
            self.folder.write_json("manifest.json", manifest | {"init_from": provenance})
        self.reporter.info(f"starting from {base_folder.path} after {pluralize(checkpoint.update, 'update')}")

    def _find_checkpoint(self, trainer: Trainer) -> Checkpoint | None:
        """The last intact checkpoint, to which the log is cut; None where there is none, which is reported."""
        checkpoint, damage_messages = self.processes.main_first(self.folder.checkpoints.last)
        updates_by_rank = self.processes.all_gather(checkpoint.update if checkpoint else 0)
        if len(set(updates_by_rank)) > 1:
            raise RunError(
                f"{self.folder.path}: the processes see different checkpoints, of updates "
                f"{', '.join(map(str, updates_by_rank))}: put the run on a disk that all machines share"
            )
        fallback = f"using {checkpoint.folder.name}" if checkpoint else "there is none before it"
        for message in damage_messages:
            self.reporter.warning(f"{message}; {fallback}")
        trainer.logger.truncate(checkpoint.update if checkpoint else -1)
        if checkpoint is None:
            self.reporter.info(
                f"no {'intact checkpoint' if damage_messages else 'checkpoint yet'}: starting at update 0"
            )
        return checkpoint

    def _resume(self, trainer: Trainer, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint, and report what that means."""
        reporter, processes = self.reporter, self.processes
        trainer.resume(checkpoint)
        state, updates = trainer.state, trainer.config.updates
        if state.batches_per_update != trainer.config.gradient_accumulation * processes.world_size:
            reporter.info(
                f"keeping {pluralize(state.batches_per_update, 'batch')} per update, as the run was started, "
                f"now over {pluralize(processes.world_size, 'process')}"
            )
        if state.batches_per_update < processes.world_size:
            reporter.warning(
                f"{pluralize(processes.world_size - state.batches_per_update, 'process')} will have nothing to do: "
                f"{state.batches_per_update} would be as fast"
            )
        if state.update >= updates:
            reporter.info(
                f"already at {state.update:,} of {updates:,} updates; for more use --set training.updates={2 * updates}"
            )
        elif state.stop_reason is None:
            reporter.info(f"resuming at update {state.update:,} of {updates:,}")
            if state.computed_in not in (None, trainer.computes_in):
                reporter.info(
                    f"now in {trainer.computes_in}, before in {state.computed_in}: the final weights may differ from "
                    "those of an uninterrupted run"
                )


def set_up_training(
    recipe: Recipe, out: Path, reporter: Reporter, *, resume: bool, device: str, processes: ProcessGroup
) -> TrainingRun:
    """Prepare the data and build the model; nothing is written into `out`.

    RunError if `out` exists and `resume` is off, or if the run cannot be resumed with this recipe;
    DataError for text that cannot be used; DeviceError for a device that is not there.
    """
    folder = RunFolder(out)
    torch_device = processes.main_first(lambda: processes.device_for(device))
    limit_kernel_cache(kernel_limit(recipe.training))
    keep_freed_memory(one_arena=True)  # for the threads of replicas
    recipe, data = _prepare(recipe, folder, resume, reporter, processes)
    precision = processes.run_on_main(lambda: _resolve_precision(recipe, folder, torch_device))
    model = build_model(recipe, data.tokenizers.vocabulary)
    processes.main_first(lambda: _check_positions(model, data))
    profile = processes.main_first(lambda: _text_profile(recipe, data, folder))
    run = TrainingRun(recipe, data, profile, model, folder, torch_device, precision, processes, reporter)
    return replace(run, recipe=_resolve_batch_size(run))


def _resolve_precision(recipe: Recipe, folder: RunFolder, device: torch.device) -> str:
    """The name of the precision to train in; what was measured when the run was started is not measured again."""
    manifest_path = folder.path / "manifest.json"
    started = folder.read_json("manifest.json").get("precision") if manifest_path.is_file() else None
    measured = str(started) if str(started) in DTYPES else None
    return resolved_precision(recipe.training.precision, device, measured)


def kernel_limit(config: TrainingConfig) -> int:
    """How many kernels oneDNN may cache in a training: all that a long one needs, fewer in one with few validations.

    A kernel that was displaced is made anew amid the tensors of an update and breaks up its memory, for which a long
    training pays again and again. Those of `multi30k-en-de-transformer` take 200 MiB.
    """
    return 384 if config.updates <= FEW_VALIDATIONS * config.validate_every else 1024


def _prepare(
    recipe: Recipe, folder: RunFolder, resume: bool, reporter: Reporter, processes: ProcessGroup
) -> tuple[Recipe, PreparedData]:
    """The resolved recipe and its prepared data, which rank 0 prepares."""
    prepared: list[PreparationResult] = []

    def prepare_on_main() -> dict[str, Any]:
        prepared.append(_prepare_on_main(recipe, folder, resume, reporter))
        return {"recipe": prepared[0].recipe.to_dict(), "folder": str(prepared[0].data.folder)}

    shared = processes.run_on_main(prepare_on_main)
    if prepared:
        return prepared[0].recipe, prepared[0].data
    return build_recipe(shared["recipe"]), PreparedData(Path(shared["folder"]))


def _prepare_on_main(recipe: Recipe, folder: RunFolder, resume: bool, reporter: Reporter) -> PreparationResult:
    out, has_started = folder.path, folder.recipe_path.is_file()
    folder.check_trainable(resume=resume)
    if out.is_dir():
        reject_external_symlinks(out)
    if has_started:
        check_resumable(folder, recipe.training.updates)
    if recipe.training.tensorboard:
        tensorboard_writer_class()  # fails now rather than after the preparation
    base_run = find_base_run(recipe, out if has_started else None)
    recipe = recipe if base_run is None else inherit_sections(recipe, base_run)
    if has_started:
        started_recipe = load_run_recipe(folder.recipe_path) if base_run is None else base_run.recipe
        recipe = reconcile_with_started_run(recipe, started_recipe, reporter)
    prepared = prepare_recipe(recipe, reporter, base_run=base_run, started_run=folder if has_started else None)
    if prepared.data.split("dev") is None:
        raise DataError(
            f"{prepared.data.folder}: no development text", hint="delete the folder and run nmt prepare again"
        )
    return prepared


def _text_profile(recipe: Recipe, data: PreparedData, folder: RunFolder) -> TextProfile:
    """How the run treats text: as it was started, or as its data and the run that training.init_from names say."""
    if folder.recipe_path.is_file():
        profile, words = TextProfile.load(folder.path, recipe.corpus), WordSet.load(folder.path)
    else:
        base = find_base_folder(recipe)
        profile, words = training_profile(recipe.corpus, data, base), training_words(data, base)
    return replace(profile, known_words=words) if recipe.search.correct_typos else profile


def _check_positions(model: Model, data: PreparedData) -> None:
    """DataError if the text needs more positions than the model has."""
    dev = data.split("dev")
    store_pairs = [*data.variants, *([] if dev is None else [(dev.source_ids, dev.target_ids)])]
    limits = {"source": model.max_source_positions, "target": model.max_target_positions}
    for index, (side, limit) in enumerate(limits.items()):
        needed_positions = max(int(store_pair[index].lengths().max()) for store_pair in store_pairs) + 1
        if limit is not None and needed_positions > limit:
            raise DataError(
                f"the longest {side} needs {needed_positions:,} positions, the model has {limit:,}: raise "
                "model.max_positions, or lower corpus.max_length (for development text: shorten it)"
            )


def _memory_share(needed_bytes: int | None) -> str:
    """What a batch takes: None is more than there is, 0 what the system does not say."""
    if needed_bytes is None:
        return "more"
    return f"{needed_bytes / (1 << 30):.1f} GiB" if needed_bytes else "a part"


def _resolve_batch_size(run: TrainingRun) -> Recipe:
    """The recipe with a number in place of `tokens_per_batch: auto`, measured by rank 0."""
    recipe, processes = run.recipe, run.processes
    if recipe.training.tokens_per_batch != "auto":
        return recipe
    tokens, needed_bytes, available_bytes = processes.run_on_main(
        lambda: find_batch_size(
            run.model, run.data, device=run.device, dtype=run.dtype, seed=recipe.training.seed,
            processes_per_machine=processes.local_world_size,
            may_have_replicas=not (
                should_compile(recipe.training.compile, run.device) and run.model.compilable_layers()
            ),
        )
    )  # fmt: skip
    run.reporter.info(
        f"training.tokens_per_batch: auto is {tokens:,} here: it takes {_memory_share(needed_bytes)} of "
        f"{available_bytes / (1 << 30):.1f} GiB that are free"
    )
    return recipe.with_values("training", tokens_per_batch=tokens)
