"""nmt train: from a recipe to a run folder."""

import platform
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from nmt_cli import __version__
from nmt_cli.checkpoint import FORMAT
from nmt_cli.commands.beginning import begin, with_budget
from nmt_cli.commands.fine_tuning import Origin, find_origin, learned_words
from nmt_cli.commands.runs import (
    Model,
    adopt,
    build_model,
    check_weights,
    tokenizer_hashes,
)
from nmt_cli.data.prepared import PreparedData
from nmt_cli.decoding.translator import Translator
from nmt_cli.device import choose_precision, describe, keep_memory, limit_kernels
from nmt_cli.disk import write_whole
from nmt_cli.distributed import ALONE, EndedElsewhere, Processes
from nmt_cli.errors import DataError, DeviceError, RunError, TrainingError
from nmt_cli.evaluation.metrics import Score, bleu_tokenizer, score
from nmt_cli.evaluation.validation import Validator, translate_like_a_file
from nmt_cli.recipe import Recipe
from nmt_cli.reporting import Reporter
from nmt_cli.run_folder import RunFolder, WatchedRun
from nmt_cli.training.feed import BatchFeed
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
    processes: Processes = ALONE,
) -> TrainingResult:
    """Prepare the data if nobody has, train, and score the test text.

    Of several processes each calls this; rank 0 prepares, writes and speaks.

    Raises RunError where `out` exists and `resume` is off, or where the run cannot be resumed as
    asked; DataError for unusable text; Stopped where a signal ended training early; ProcessLost
    where another process is gone, EndedElsewhere where rank 0 raises what the user must mend.
    """
    folder = RunFolder(out) if processes.leads else WatchedRun(out)
    place = processes.after_first(lambda: processes.place(device))
    limit_kernels()
    dtype = choose_precision(recipe.training.precision, place)
    keep_memory()
    recipe, data = begin(recipe, folder, resume, reporter, processes)
    with ExitStack() as held:
        return _train(recipe, data, folder, held, place, dtype, reporter, processes, resume=resume)


def _train(
    recipe: Recipe,
    data: PreparedData,
    folder: RunFolder,
    held: ExitStack,
    place: torch.device,
    dtype: torch.dtype,
    reporter: Reporter,
    processes: Processes,
    *,
    resume: bool,
) -> TrainingResult:
    """Train, and keep others from the folder until `held` is closed."""
    split = data.split("dev")
    assert split is not None
    model = build_model(recipe, data.tokenizers.vocabulary)
    processes.after_first(lambda: _check_positions(model, data))
    recipe = with_budget(recipe, model, data, place, dtype, reporter, processes)
    section, target = recipe.training, recipe.corpus.target
    validator = processes.after_first(
        lambda: Validator(
            model, split, data.tokenizers, section, recipe.search, target, processes
        )
    )  # fmt: skip
    processes.first(lambda: _open_folder(folder, held, recipe, data))
    _introduce(recipe, model, data, describe(place), dtype, reporter, processes)
    feed = BatchFeed(data, section.budget, section.seed)
    model.to(place)
    trainer = Trainer(
        model, section, feed, folder, validator, reporter, device=place, dtype=dtype,
        processes=processes,
    )  # fmt: skip
    if section.init_from is not None and not folder.steps():
        _begin_with(processes.after_first(lambda: find_origin(recipe)), trainer, folder, reporter)
    if resume:
        _resume(trainer, folder, reporter)
    processes.watch(60 * section.timeout_minutes, "training.timeout_minutes")
    state = _run(trainer)
    if state.finished:
        reporter.say(state.finished)
    return _conclude(recipe, model, data, folder, state, reporter, processes)


def _check_positions(model: Model, data: PreparedData) -> None:
    """DataError where the model has fewer positions than its text needs."""
    dev = data.split("dev")
    both = [*data.variants, *([] if dev is None else [(dev.source, dev.target)])]
    limits = {"source": model.longest_source, "target": model.longest_target}
    for number, (side, limit) in enumerate(limits.items()):
        needed = max(int(stores[number].lengths().max()) for stores in both) + 1
        if limit is not None and needed > limit:
            raise DataError(
                f"the longest {side} needs {needed:,} positions, the model has {limit:,}: raise "
                "model.max_positions, or lower corpus.max_length (for development text: shorten it)"
            )


def _run(trainer: Trainer) -> TrainingState:
    """Train; where that fails for all processes alike, rank 0 says so."""
    try:
        return trainer.run()
    except (TrainingError, DeviceError) as error:
        if trainer.processes.leads:
            raise
        raise EndedElsewhere(str(error)) from error


def _open_folder(folder: RunFolder, held: ExitStack, recipe: Recipe, data: PreparedData) -> None:
    """Take the folder, and write what a run needs besides its checkpoints."""
    held.enter_context(folder.held())
    kept = {}
    if (folder.path / "manifest.json").exists():
        manifest = folder.read_json("manifest.json")
        kept = {key: manifest[key] for key in ("init_from",) if key in manifest}
        before = manifest.get("fingerprint")
        if before != data.fingerprint:
            raise RunError(
                f"{folder.path}: began with prepared data {before}, these are {data.fingerprint}"
            )
    if not folder.recipe.exists():  # which is written last: a run that began keeps what it has
        data.tokenizers.save(folder.path)
        words = learned_words(data, find_origin(recipe))
        if words is not None:
            words.save(folder.path)
    counts = {key: data.manifest[key] for key in ("read", "train", "splits", "vocabulary")}
    folder.write_json(
        "manifest.json",
        {
            "format": FORMAT,
            "fingerprint": data.fingerprint,
            "tokenizers": tokenizer_hashes(folder.path),
            "prepared": data.folder.name,
            "inputs": data.manifest["inputs"],
            **counts,
            **kept,
        },
    )
    write_whole(folder.recipe, recipe.to_yaml())


def _introduce(
    recipe: Recipe,
    model: Model,
    data: PreparedData,
    device: str,
    dtype: torch.dtype,
    reporter: Reporter,
    processes: Processes,
) -> None:
    parameters = sum(parameter.numel() for parameter in model.parameters())
    precision = str(dtype).removeprefix("torch.")
    reporter.say(
        f"{recipe.name}: {recipe.model.type}, {parameters:,} parameters, {precision} on {device}; "
        f"{data.manifest['train']:,} pairs, {recipe.training.updates:,} updates"
        + ("" if processes.alone else f", {processes.count} processes")
    )


def _begin_with(
    origin: Origin | None, trainer: Trainer, folder: RunFolder, reporter: Reporter
) -> None:
    """Give a new run the weights of the one that training.init_from names, and note which."""
    assert origin is not None
    checkpoint = origin.checkpoint()
    tensors = checkpoint.tensors()
    check_weights(trainer.model, tensors, origin.folder.path)
    trainer.begin_with(tensors)
    note = {"run": str(origin.folder.path), "checkpoint": checkpoint.update}
    folder.write_json("manifest.json", folder.read_json("manifest.json") | {"init_from": note})
    reporter.say(f"beginning with {origin.folder.path} after {checkpoint.update:,} updates")


def _resume(trainer: Trainer, folder: RunFolder, reporter: Reporter) -> None:
    processes = trainer.processes
    checkpoint, damaged = processes.after_first(folder.last)
    seen = processes.gather(checkpoint.update if checkpoint else 0)
    if len(set(seen)) > 1:
        raise RunError(
            f"{folder.path}: the processes see different checkpoints "
            f"({', '.join(map(str, seen))}): it must lie where all machines see the same"
        )
    before = f"using {checkpoint.folder.name}" if checkpoint else "there is none before it"
    for line in damaged:
        reporter.warn(f"{line}; {before}")
    folder.rewind_log(checkpoint.update if checkpoint else -1)
    if checkpoint is None:
        reporter.say("no checkpoint yet: starting at update 0")
        return
    trainer.resume(checkpoint)
    state, updates = trainer.state, trainer.config.updates
    if state.group != trainer.config.accumulate * processes.count:
        reporter.say(
            f"the run began with {state.group} batches an update and keeps them, "
            f"now over {processes.count} process(es)"
        )
    if state.group < processes.count:
        reporter.warn(f"{processes.count - state.group} process(es) will have nothing to do")
    if state.update >= updates:
        reporter.say(
            f"already at {state.update:,} of {updates:,} updates; for more use "
            f"--set training.updates={2 * updates}"
        )
    elif state.finished is None:
        reporter.say(f"resuming at update {state.update:,} of {updates:,}")


def _conclude(
    recipe: Recipe,
    model: Model,
    data: PreparedData,
    folder: RunFolder,
    state: TrainingState,
    reporter: Reporter,
    processes: Processes,
) -> TrainingResult:
    """Translate the test text with the best checkpoint, score it, write result.json."""
    best = processes.after_first(folder.best)
    for line in best.notes:
        reporter.warn(line)
    place = next(model.parameters()).device
    precision = recipe.search.precision
    if precision == "int8" and place.type != "cpu":  # for later, where there is no GPU
        precision = "auto"
    adopt(model, best.tensors(), folder.path, place, precision)
    keep_memory()
    started = time.perf_counter()
    scores = _score_test(recipe, model, data, folder, processes, place)
    folder.write_json(
        "result.json",
        {
            "recipe": recipe.name,
            "recipe_hash": recipe.hash(),
            "checkpoint": best.update,
            "updates": state.update,
            "beam": recipe.search.beam,
            "test": {one.name: asdict(one) for one in scores},
            "training_seconds": state.seconds,
            "test_seconds": time.perf_counter() - started,
            "finished": state.finished or "all updates done",
            "processes": processes.count,
            "hardware": describe(place),
            **peak_memory(place),
            "machine": platform.machine(),
            "versions": {"nmt": __version__, "torch": torch.__version__},
        },
    )
    settings = f"recipe:{recipe.hash()}|step:{best.update}|beam:{recipe.search.beam}"
    for one in scores:
        reporter.say(f"test {one.text}  {one.signature}|{settings}")
    idle = "" if processes.alone else f", {state.waited / max(state.seconds, 1e-9):.1%} of it idle"
    reporter.say(f"{folder.path}: done in {state.seconds / 60:.1f} minutes of training{idle}")
    return TrainingResult(folder.path, state, scores)


def _score_test(
    recipe: Recipe,
    model: Model,
    data: PreparedData,
    folder: RunFolder,
    processes: Processes,
    place: torch.device,
) -> list[Score]:
    """Scores of the test text, whose three sides are left in the run folder; none without one."""
    split = data.split("test")
    if split is None:
        return []
    translator = Translator(model, data.tokenizers, recipe.search, respell=False)
    texts = translate_like_a_file(translator, split.sources, processes, place)
    sides = {"source": split.sources, "target": split.references, "hypotheses": texts}
    for name, lines in sides.items():
        folder.write_text(f"test.{name}.txt", "".join(f"{line}\n" for line in lines))
    tokenize = recipe.training.metric_tokenize or bleu_tokenizer(recipe.corpus.target)
    return score(texts, [split.references], ["bleu", "chrf"], tokenize=tokenize)
