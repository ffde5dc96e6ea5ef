"""nmt train: from a recipe to a run folder."""

import platform
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from nmt_cli import __version__
from nmt_cli.data.prepared.store import PreparedData
from nmt_cli.decoding.torch_engine import TorchEngine
from nmt_cli.device import choose_dtype, device_name, keep_freed_memory, limit_kernel_cache
from nmt_cli.distributed.process_group import SINGLE_PROCESS, MainProcessFailed, ProcessGroup
from nmt_cli.errors import DataError, DeviceError, RunError, TrainingError
from nmt_cli.evaluation.metrics import Score, corpus_scores, default_bleu_tokenizer
from nmt_cli.evaluation.validation import Validator, translate_as_cli
from nmt_cli.fs import atomic_write_text
from nmt_cli.inference.translator import Translator
from nmt_cli.recipe.loader import Recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.checkpoint import FORMAT_VERSION
from nmt_cli.runs.folder import ReadOnlyRun, RunFolder
from nmt_cli.runs.init_from import BaseRun, find_base_run, training_words
from nmt_cli.runs.loading import Model, build_model, check_weights, load_for_inference, tokenizer_hashes
from nmt_cli.runs.setup import prepare_run, with_resolved_batch_size
from nmt_cli.training.batches import BatchIterator
from nmt_cli.training.memory import peak_memory
from nmt_cli.training.state import TrainingState
from nmt_cli.training.trainer import Trainer


@dataclass(frozen=True)
class TrainingResult:
    """What a finished run achieved."""

    folder: Path
    state: TrainingState
    scores: list[Score]


def train(
    recipe: Recipe,
    out: Path,
    reporter: Reporter,
    *,
    resume: bool = False,
    device: str = "auto",
    processes: ProcessGroup = SINGLE_PROCESS,
) -> TrainingResult:
    """Prepare the data if nobody has, train, and score the test text.

    Of several processes each calls this; rank 0 prepares, writes and speaks.

    Raises RunError where `out` exists and `resume` is off, or where the run cannot be resumed as
    asked; DataError for unusable text; Stopped where a signal ended training early; PeerLost
    where another process is gone, MainProcessFailed where rank 0 raises what the user must mend.
    """
    folder = RunFolder(out) if processes.is_main else ReadOnlyRun(out)
    torch_device = processes.main_first(lambda: processes.device_for(device))
    limit_kernel_cache()
    dtype = choose_dtype(recipe.training.precision, torch_device)
    keep_freed_memory()
    recipe, data = prepare_run(recipe, folder, resume, reporter, processes)
    with ExitStack() as exit_stack:
        return _train_run(recipe, data, folder, exit_stack, torch_device, dtype, reporter, processes, resume=resume)


def _train_run(
    recipe: Recipe,
    data: PreparedData,
    folder: RunFolder,
    exit_stack: ExitStack,
    device: torch.device,
    dtype: torch.dtype,
    reporter: Reporter,
    processes: ProcessGroup,
    *,
    resume: bool,
) -> TrainingResult:
    """Train, and keep others from the folder until `held` is closed."""
    split = data.split("dev")
    assert split is not None
    model = build_model(recipe, data.tokenizers.vocabulary)
    processes.main_first(lambda: _check_positions(model, data))
    recipe = with_resolved_batch_size(recipe, model, data, device, dtype, reporter, processes)
    training_config, target_language = recipe.training, recipe.corpus.target
    validator = processes.main_first(
        lambda: Validator(
            model, split, data.tokenizers, training_config, recipe.search, target_language, processes
        )
    )  # fmt: skip
    processes.run_on_main(lambda: _set_up_run_folder(folder, exit_stack, recipe, data))
    _log_run_summary(recipe, model, data, device_name(device), dtype, reporter, processes)
    batch_iterator = BatchIterator(data, training_config.max_positions, training_config.seed)
    model.to(device)
    trainer = Trainer(
        model, training_config, batch_iterator, folder, validator, reporter, device=device, dtype=dtype,
        processes=processes,
    )  # fmt: skip
    if training_config.init_from is not None and not folder.step_folders():
        _load_base_weights(processes.main_first(lambda: find_base_run(recipe)), trainer, folder, reporter)
    if resume:
        _resume(trainer, folder, reporter)
    processes.start_watchdog(60 * training_config.timeout_minutes, "training.timeout_minutes")
    state = _run_trainer(trainer)
    if state.stop_reason:
        reporter.info(state.stop_reason)
    return _finish_run(recipe, model, data, folder, state, reporter, processes)


def _check_positions(model: Model, data: PreparedData) -> None:
    """DataError where the model has fewer positions than its text needs."""
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


def _run_trainer(trainer: Trainer) -> TrainingState:
    """Train; where that fails for all processes alike, rank 0 says so."""
    try:
        return trainer.run()
    except (TrainingError, DeviceError) as error:
        if trainer.processes.is_main:
            raise
        raise MainProcessFailed(str(error)) from error


def _set_up_run_folder(folder: RunFolder, exit_stack: ExitStack, recipe: Recipe, data: PreparedData) -> None:
    """Take the folder, and write what a run needs besides its checkpoints."""
    exit_stack.enter_context(folder.lock())
    preserved_entries = {}
    if (folder.path / "manifest.json").exists():
        manifest = folder.read_json("manifest.json")
        preserved_entries = {key: manifest[key] for key in ("init_from",) if key in manifest}
        previous_fingerprint = manifest.get("fingerprint")
        if previous_fingerprint != data.fingerprint:
            raise RunError(
                f"{folder.path}: began with prepared data {previous_fingerprint}, these are {data.fingerprint}"
            )
    if not folder.recipe_path.exists():  # which is written last: a run that began keeps what it has
        data.tokenizers.save(folder.path)
        words = training_words(data, find_base_run(recipe))
        if words is not None:
            words.save(folder.path)
    counts = {key: data.manifest[key] for key in ("read", "train", "splits", "vocabulary")}
    folder.write_json(
        "manifest.json",
        {
            "format": FORMAT_VERSION,
            "fingerprint": data.fingerprint,
            "tokenizers": tokenizer_hashes(folder.path),
            "prepared": data.folder.name,
            "inputs": data.manifest["inputs"],
            **counts,
            **preserved_entries,
        },
    )
    atomic_write_text(folder.recipe_path, recipe.to_yaml())


def _log_run_summary(
    recipe: Recipe,
    model: Model,
    data: PreparedData,
    device: str,
    dtype: torch.dtype,
    reporter: Reporter,
    processes: ProcessGroup,
) -> None:
    parameters = sum(parameter.numel() for parameter in model.parameters())
    precision = str(dtype).removeprefix("torch.")
    reporter.info(
        f"{recipe.name}: {recipe.model.type}, {parameters:,} parameters, {precision} on {device}; "
        f"{data.manifest['train']:,} pairs, {recipe.training.updates:,} updates"
        + ("" if processes.is_single else f", {processes.world_size} processes")
    )


def _load_base_weights(base_run: BaseRun | None, trainer: Trainer, folder: RunFolder, reporter: Reporter) -> None:
    """Give a new run the weights of the one that training.init_from names, and note which."""
    assert base_run is not None
    checkpoint = base_run.checkpoint()
    tensors = checkpoint.tensors()
    check_weights(trainer.model, tensors, base_run.folder.path)
    trainer.load_initial_weights(tensors)
    provenance = {"run": str(base_run.folder.path), "checkpoint": checkpoint.update}
    folder.write_json("manifest.json", folder.read_json("manifest.json") | {"init_from": provenance})
    reporter.info(f"beginning with {base_run.folder.path} after {checkpoint.update:,} updates")


def _resume(trainer: Trainer, folder: RunFolder, reporter: Reporter) -> None:
    processes = trainer.processes
    checkpoint, damage_messages = processes.main_first(folder.last_checkpoint)
    updates_by_rank = processes.all_gather(checkpoint.update if checkpoint else 0)
    if len(set(updates_by_rank)) > 1:
        raise RunError(
            f"{folder.path}: the processes see different checkpoints "
            f"({', '.join(map(str, updates_by_rank))}): it must lie where all machines see the same"
        )
    fallback = f"using {checkpoint.folder.name}" if checkpoint else "there is none before it"
    for line in damage_messages:
        reporter.warning(f"{line}; {fallback}")
    folder.truncate_log(checkpoint.update if checkpoint else -1)
    if checkpoint is None:
        reporter.info("no checkpoint yet: starting at update 0")
        return
    trainer.resume(checkpoint)
    state, updates = trainer.state, trainer.config.updates
    if state.batches_per_update != trainer.config.accumulate * processes.world_size:
        reporter.info(
            f"the run began with {state.batches_per_update} batches an update and keeps them, "
            f"now over {processes.world_size} process(es)"
        )
    if state.batches_per_update < processes.world_size:
        reporter.warning(f"{processes.world_size - state.batches_per_update} process(es) will have nothing to do")
    if state.update >= updates:
        reporter.info(
            f"already at {state.update:,} of {updates:,} updates; for more use --set training.updates={2 * updates}"
        )
    elif state.stop_reason is None:
        reporter.info(f"resuming at update {state.update:,} of {updates:,}")


def _finish_run(
    recipe: Recipe,
    model: Model,
    data: PreparedData,
    folder: RunFolder,
    state: TrainingState,
    reporter: Reporter,
    processes: ProcessGroup,
) -> TrainingResult:
    """Translate the test text with the best checkpoint, score it, write result.json."""
    best_checkpoint = processes.main_first(folder.best_checkpoint)
    for note in best_checkpoint.warnings:
        reporter.warning(note)
    device = next(model.parameters()).device
    precision = recipe.search.precision
    if precision == "int8" and device.type != "cpu":  # for later, where there is no GPU
        precision = "auto"
    load_for_inference(model, best_checkpoint.tensors(), folder.path, device, precision)
    keep_freed_memory()
    start_time = time.perf_counter()
    scores = _score_test(recipe, model, data, folder, processes, device)
    folder.write_json(
        "result.json",
        {
            "recipe": recipe.name,
            "recipe_hash": recipe.hash(),
            "checkpoint": best_checkpoint.update,
            "updates": state.update,
            "beam": recipe.search.beam,
            "test": {test_score.name: asdict(test_score) for test_score in scores},
            "training_seconds": state.training_seconds,
            "test_seconds": time.perf_counter() - start_time,
            "finished": state.stop_reason or "all updates done",
            "processes": processes.world_size,
            "hardware": device_name(device),
            **peak_memory(device),
            "machine": platform.machine(),
            "versions": {"nmt": __version__, "torch": torch.__version__},
        },
    )
    signature_suffix = f"recipe:{recipe.hash()}|step:{best_checkpoint.update}|beam:{recipe.search.beam}"
    for test_score in scores:
        reporter.info(f"test {test_score.text}  {test_score.signature}|{signature_suffix}")
    idle_note = (
        "" if processes.is_single else f", {state.sync_wait_seconds / max(state.training_seconds, 1e-9):.1%} of it idle"
    )
    reporter.info(f"{folder.path}: done in {state.training_seconds / 60:.1f} minutes of training{idle_note}")
    return TrainingResult(folder.path, state, scores)


def _score_test(
    recipe: Recipe, model: Model, data: PreparedData, folder: RunFolder, processes: ProcessGroup, device: torch.device
) -> list[Score]:
    """Scores of the test text, whose three sides are left in the run folder; none without one."""
    split = data.split("test")
    if split is None:
        return []
    translator = Translator(TorchEngine(model), data.tokenizers, recipe.search, rescore_canonical=False)
    hypotheses = translate_as_cli(translator, split.sources, processes, device)
    lines_by_side = {"source": split.sources, "target": split.references, "hypotheses": hypotheses}
    for side, lines in lines_by_side.items():
        folder.write_text(f"test.{side}.txt", "".join(f"{line}\n" for line in lines))
    tokenize = recipe.training.metric_tokenize or default_bleu_tokenizer(recipe.corpus.target)
    return corpus_scores(hypotheses, [split.references], ["bleu", "chrf"], tokenize=tokenize)
