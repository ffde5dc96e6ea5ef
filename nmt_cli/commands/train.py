"""nmt train: from a recipe to a run folder."""

import gc
import platform
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from nmt_cli import __version__
from nmt_cli.allocator import return_freed_memory
from nmt_cli.data.tokenization.tokenizer import token_name
from nmt_cli.decoding.torch_engine import TorchEngine
from nmt_cli.device import device_name, resolved_precision
from nmt_cli.distributed.process_group import SINGLE_PROCESS, MainProcessFailed, ProcessGroup
from nmt_cli.errors import DeviceError, TrainingError, pluralize
from nmt_cli.evaluation.calibration import fit_calibration
from nmt_cli.evaluation.metrics import Score, corpus_scores, default_bleu_tokenizer
from nmt_cli.evaluation.validation import Validator, translate_as_cli, unigram_loss
from nmt_cli.export.automatic import export_automatically
from nmt_cli.fs import atomic_write_text
from nmt_cli.inference.confidence import CONFIDENCE_FILE, CalibrationFile, calibration_key
from nmt_cli.inference.translator import Translator
from nmt_cli.models.contract import Autoregressive
from nmt_cli.recipe.loader import Recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.loading import load_for_inference
from nmt_cli.runs.setup import TrainingRun, set_up_training
from nmt_cli.training.checkpoints import Checkpoint
from nmt_cli.training.memory import peak_memory
from nmt_cli.training.state import TrainingState
from nmt_cli.translation.engine_choice import own_search_reason


@dataclass(frozen=True)
class TrainingResult:
    """The folder, final state and test scores of a finished run."""

    folder: Path
    state: TrainingState
    scores: list[Score]
    scores_by_text: dict[str, list[Score]] = field(default_factory=dict)
    """Of each text of the test text, where there are several."""


def train(
    recipe: Recipe,
    out: Path,
    reporter: Reporter,
    *,
    resume: bool = False,
    device: str = "auto",
    processes: ProcessGroup = SINGLE_PROCESS,
) -> TrainingResult:
    """Prepare the data if needed, train, and score the test text.

    Each of several processes calls this; only rank 0 prepares, writes and reports.

    RunError if `out` exists and `resume` is off, or if the run cannot be resumed with this recipe; DataError for text
    that cannot be used; TrainingInterrupted after a signal; PeerLost if another process is gone; MainProcessFailed if
    rank 0 raises an error that the user must fix.
    """
    run = set_up_training(recipe, out, reporter, resume=resume, device=device, processes=processes)
    validator = processes.main_first(lambda: _make_validator(run))
    with run.open_folder():
        state = _run_trainer(run, validator, resume)
        if state.stop_reason:
            reporter.info(state.stop_reason)
        return _finish(run, state)


def _make_validator(run: TrainingRun) -> Validator:
    split, recipe = run.data.split("dev"), run.recipe
    assert split is not None
    tokenizers = run.data.tokenizers
    _, training_targets = run.data.variants[0]
    return Validator(
        run.model,
        split,
        tokenizers,
        recipe.training,
        recipe.search,
        run.profile,
        run.processes,
        unigram_loss(training_targets, split.target_ids, tokenizers.vocabulary.target_size),
        token_name(recipe.tokenizer.type) if isinstance(run.model, Autoregressive) else None,
    )


def _run_trainer(run: TrainingRun, validator: Validator, resume: bool) -> TrainingState:
    """Train; only rank 0 reports an error that all processes share."""
    trainer = run.make_trainer(validator, resume=resume)
    run.processes.start_watchdog(60 * run.recipe.training.timeout_minutes, "training.timeout_minutes")
    try:
        return trainer.run()
    except (TrainingError, DeviceError) as error:
        if run.processes.is_main:
            raise
        raise MainProcessFailed(str(error)) from error


def _finish(run: TrainingRun, state: TrainingState) -> TrainingResult:
    """Translate the test text with the best checkpoint, score it, and write result.json."""
    recipe, reporter = run.recipe, run.reporter
    checkpoint = run.processes.main_first(run.folder.checkpoints.best)
    for message in checkpoint.warnings:
        reporter.warning(message)
    precision = recipe.search.precision
    if precision == "int8" and run.device.type != "cpu":  # int8 is for later translation on a CPU
        precision = "auto"
    load_for_inference(run.model, checkpoint.tensors(), run.folder.path, run.device, precision)
    gc.collect()  # the trainer, which refers to itself, and with it the moments of the optimizer
    return_freed_memory()
    start_time = time.perf_counter()
    result = TrainingResult(run.folder.path, state, *_score_test(run))
    test_seconds = time.perf_counter() - start_time
    return_freed_memory()
    run.processes.run_on_main(lambda: _fit_confidence(run, precision, (state.update, checkpoint.update)))
    return_freed_memory()
    if run.processes.is_main:
        _write_result(run, result, checkpoint, test_seconds, resolved_precision(precision, run.device))
        _export(run)
    if note := _scores_note(run, checkpoint.update):
        reporter.info(note)
    signature_suffix = f"recipe:{recipe.hash()}|step:{checkpoint.update}|beam:{recipe.search.beam}"
    for score in result.scores:
        reporter.info(f"test {score.text}  {score.signature}|{signature_suffix}")
    for name, text_scores in result.scores_by_text.items():
        reporter.info(f"test of {name}: " + ", ".join(score.text for score in text_scores))
    if checkpoint.update == 0:
        reporter.warning("the best checkpoint is the one that training began with: development scores got no better")
    idle_fraction = state.sync_wait_seconds / max(state.training_seconds, 1e-9)
    idle_note = "" if run.processes.is_single else f", {idle_fraction:.1%} of it idle"
    reporter.info(f"{run.folder.path}: done in {state.training_seconds / 60:.1f} minutes of training{idle_note}")
    return result


def _scores_note(run: TrainingRun, best_update: int) -> str:
    """How the scores of validations and of the test text are computed, which differs; empty without any."""
    config, notes = run.recipe.training, []
    development, test = run.data.split("dev"), run.data.split("test")
    if development is not None and config.metric != "loss":
        weights = "weights of each update"
        if config.ema_decay is not None:
            weights = "moving average of the weights"
        elif config.average_checkpoints > 1:
            weights = f"mean weights of up to {config.average_checkpoints} checkpoints"
        lines = pluralize(len(development.sources), "development line")
        notes.append(f"validations: {lines}, {_search_name(config.validation_beam)}, {weights}")
    if test is not None:
        lines, search = pluralize(len(test.sources), "line"), _search_name(run.recipe.search.beam)
        notes.append(
            f"test: {lines}, {search} as nmt translate, weights of the best validation (update {best_update:,})"
        )
    return "; ".join(notes)


def _search_name(beam: int) -> str:
    return "greedy" if beam == 1 else f"beam {beam}"


def _export(run: TrainingRun) -> None:
    """Export for CTranslate2 what `nmt translate` will use it for, and say how it compares."""
    runs = [run.folder.path]
    if not run.recipe.training.export or own_search_reason(runs, run.recipe, device="cpu") is not None:
        return
    start_time = time.perf_counter()
    automatic = export_automatically(run.folder.path, run.data.split("dev"))
    seconds = time.perf_counter() - start_time
    place = "" if own_search_reason(runs, run.recipe) is None else "on a CPU "
    run.reporter.info(f"{place}nmt translate uses {automatic.text} (exported in {seconds:.1f} s)")


def _write_result(
    run: TrainingRun, result: TrainingResult, checkpoint: Checkpoint, test_seconds: float, test_precision: str
) -> None:
    by_text = {name: _as_object(scores) for name, scores in result.scores_by_text.items()}
    state = result.state
    run.folder.write_json(
        "result.json",
        {
            "recipe": run.recipe.name,
            "recipe_hash": run.recipe.hash(),
            "checkpoint": checkpoint.update,
            "updates": state.update,
            "beam": run.recipe.search.beam,
            "test": _as_object(result.scores),
            **({"test_by_text": by_text} if by_text else {}),
            "training_seconds": state.training_seconds,
            "test_seconds": test_seconds,
            "test_engine": "torch",
            "test_precision": test_precision,
            "finished": state.stop_reason or "all updates done",
            "processes": run.processes.world_size,
            "hardware": device_name(run.device),
            "precision": run.precision,
            **peak_memory(run.device),
            "machine": platform.machine(),
            "versions": {"nmt": __version__, "torch": torch.__version__},
        },
    )


def _as_object(scores: list[Score]) -> dict[str, Any]:
    return {score.name: asdict(score) for score in scores}


def _fit_confidence(run: TrainingRun, precision: str, updates: tuple[int, int]) -> None:
    """Write how sure translations are, fitted to the development text; where it cannot be, delete what is of other
    weights.

    Not where the run was finished before with the same updates of last and best checkpoint: `nmt calibrate` may have
    written more since then.
    """
    path = run.folder.path / CONFIDENCE_FILE
    has_finished = (run.folder.path / "result.json").is_file()
    result = run.folder.read_json("result.json") if has_finished else {}
    if path.is_file() and (result.get("updates"), result.get("checkpoint")) == updates:
        return
    split = run.data.split("dev")
    assert split is not None
    translator = Translator(TorchEngine(run.model), run.data.tokenizers, run.recipe.search, run.profile)
    fit = fit_calibration(translator, split.sources, split.references)
    if fit is not None:
        key = calibration_key("torch", resolved_precision(precision, run.device))
        CalibrationFile(fit.good_chrf, {key: fit.calibration}).save(run.folder.path)
    elif path.is_file() and result.get("checkpoint") != updates[1]:
        path.unlink()
        run.reporter.warning(f"{path}: belongs to other weights: deleted; nmt calibrate makes a new one")


def _score_test(run: TrainingRun) -> tuple[list[Score], dict[str, list[Score]]]:
    """Scores of the test text, if there is one, and of each of its texts, if there are several; writes the text and its
    translations into the run folder."""
    split = run.data.split("test")
    if split is None:
        return [], {}
    translator = Translator(
        TorchEngine(run.model), run.data.tokenizers, run.recipe.search, run.profile, rescore_canonical=False
    )
    hypotheses = translate_as_cli(translator, split.sources, run.processes, run.device)
    texts = {"source": split.sources, "target": split.references, "hypotheses": hypotheses}
    if run.processes.is_main:
        for name, lines in texts.items():
            atomic_write_text(run.folder.path / f"test.{name}.txt", "".join(f"{line}\n" for line in lines))
    tokenize = run.recipe.training.metric_tokenize or default_bleu_tokenizer(run.recipe.corpus.target)

    def scores_of(first: int, end: int) -> list[Score]:
        references = [split.references[first:end]]
        return corpus_scores(hypotheses[first:end], references, ["bleu", "chrf"], tokenize=tokenize)

    by_text = {text.name: scores_of(text.first, text.end) for text in split.texts}
    return scores_of(0, len(split.sources)), by_text
