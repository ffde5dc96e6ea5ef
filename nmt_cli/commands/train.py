"""nmt train: from a recipe to a run folder."""

import json
import os
import platform
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from nmt_cli import __version__
from nmt_cli.checkpoint import FORMAT, RunFolder
from nmt_cli.commands.fine_tuning import Origin, find_origin, inherit
from nmt_cli.commands.prepare import prepare_recipe
from nmt_cli.commands.runs import (
    Model,
    build_model,
    check_weights,
    load_weights,
    tokenizer_hashes,
)
from nmt_cli.data.prepared import PreparedData
from nmt_cli.decoding.translator import Translator
from nmt_cli.device import choose_precision, describe, find_device, keep_memory
from nmt_cli.disk import refuse_ways_out, write_whole
from nmt_cli.errors import DataError, RunError
from nmt_cli.evaluation.metrics import Score, bleu_tokenizer, score
from nmt_cli.evaluation.validation import Validator
from nmt_cli.recipe import Recipe, load_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.training.budget import measure_budget
from nmt_cli.training.feed import BatchFeed
from nmt_cli.training.memory import peak_memory
from nmt_cli.training.records import event_writer
from nmt_cli.training.state import TrainingState
from nmt_cli.training.trainer import Trainer

FREE_TO_CHANGE = (
    "training.updates",
    "training.max_minutes",
    "training.patience",
    "training.log_every",
    "training.samples",
    "training.tensorboard",
    "search.",
)


@dataclass(frozen=True)
class TrainingResult:
    """What a finished run achieved."""

    folder: Path
    state: TrainingState
    scores: list[Score]


def train(
    recipe: Recipe, out: Path, reporter: Reporter, *, resume: bool = False, device: str = "auto"
) -> TrainingResult:
    """Prepare the data if nobody has, train, and score the test text.

    Raises RunError where `out` exists and `resume` is off, or where the run cannot be resumed as
    asked; DataError for unusable text; Stopped where a signal ended training early.
    """
    folder = RunFolder(out)
    begun = folder.recipe.is_file()
    _check_place(folder, resume)
    if out.is_dir():
        refuse_ways_out(out)
    place = find_device(device)
    dtype = choose_precision(recipe.training.precision, place)
    if recipe.training.tensorboard:
        event_writer()  # now, and not when all is prepared
    origin = find_origin(recipe, out if begun else None)
    recipe = recipe if origin is None else inherit(recipe, origin)
    if begun:
        recipe = _compare(recipe, load_recipe(folder.recipe), reporter)
    keep_memory()
    prepared = prepare_recipe(recipe, reporter, origin=origin)
    recipe, data = prepared.recipe, prepared.data
    split = data.split("dev")
    if split is None:
        raise DataError(f"{data.folder}: no development part")
    model = build_model(recipe, data.tokenizers.vocabulary)
    recipe = _with_budget(recipe, model, data, place, dtype, reporter)
    validator = Validator(
        model, split, data.tokenizers, recipe.training, recipe.search, recipe.corpus.target
    )
    _open_folder(folder, recipe, data)
    _introduce(recipe, model, data, describe(place), dtype, reporter)
    feed = BatchFeed(data, recipe.training.budget, recipe.training.seed)
    model.to(place)
    trainer = Trainer(
        model, recipe.training, feed, folder, validator, reporter, device=place, dtype=dtype
    )
    if origin is not None and not folder.steps():
        _begin_with(find_origin(recipe), trainer, folder, reporter)
    if resume:
        _resume(trainer, folder, reporter)
    state = trainer.run()
    if state.finished:
        reporter.say(state.finished)
    return _conclude(recipe, model, data, folder, state, reporter)


def _check_place(folder: RunFolder, resume: bool) -> None:
    """RunError where no run can be written or gone on with, before hours of work go there."""
    out = folder.path
    standing = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not standing.is_dir():
        raise RunError(f"{out}: {standing} is a file, not a folder: choose another --out")
    if folder.exists() and not resume:
        raise RunError(f"{out} exists: go on with --resume, or train elsewhere with --out DIR")
    if folder.exists() and not folder.checkpoints.is_dir():
        raise RunError(f"{out}: not a run folder: train elsewhere with --out DIR")
    effective = os.access in os.supports_effective_ids
    if not os.access(standing, os.W_OK | os.X_OK, effective_ids=effective):
        raise RunError(f"{out}: cannot write into {standing}: choose another --out")


def _compare(recipe: Recipe, before: Recipe, reporter: Reporter) -> Recipe:
    """Say which settings changed since the run began; RunError for those that cannot.

    Returns the recipe with what was resolved when the run began.
    """
    if recipe.training.tokens_per_batch == "auto":
        recipe = _with_tokens(recipe, before.training.budget)
    old, new = _flat(before.to_dict()), _flat(recipe.to_dict())
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    changed = [key for key in changed if key not in ("name", "corpus.root")]
    fixed = [key for key in changed if not key.startswith(FREE_TO_CHANGE)]
    shown = {key: f"{key} ({_value(old, key)} -> {_value(new, key)})" for key in changed}
    if fixed:
        raise RunError(
            "cannot resume with other settings than the run began with: "
            + ", ".join(shown[key] for key in fixed)
        )
    for key in changed:
        reporter.say(f"resuming with {shown[key]}")
    return recipe


def _with_budget(
    recipe: Recipe,
    model: Model,
    data: PreparedData,
    device: torch.device,
    dtype: torch.dtype,
    reporter: Reporter,
) -> Recipe:
    """The recipe with a number in the place of `tokens_per_batch: auto`."""
    if recipe.training.tokens_per_batch != "auto":
        return recipe
    seed = recipe.training.seed
    tokens, needed, available = measure_budget(model, data, device=device, dtype=dtype, seed=seed)
    takes = "more" if needed is None else f"{needed / (1 << 30):.1f} GiB"
    reporter.say(
        f"training.tokens_per_batch: auto is {tokens:,} here: it takes {takes} of "
        f"{available / (1 << 30):.1f} GiB that are free"
    )
    return _with_tokens(recipe, tokens)


def _with_tokens(recipe: Recipe, tokens: int) -> Recipe:
    return replace(recipe, training=recipe.training.model_copy(update={"tokens_per_batch": tokens}))


def _value(settings: dict[str, Any], key: str) -> str:
    return json.dumps(settings[key], ensure_ascii=False) if key in settings else "not there"


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {path: value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found |= _flat(inner, f"{path}.{key}" if path else key)
    return found


def _open_folder(folder: RunFolder, recipe: Recipe, data: PreparedData) -> None:
    """Write what a run needs besides its checkpoints."""
    folder.checkpoints.mkdir(parents=True, exist_ok=True)
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
) -> None:
    parameters = sum(parameter.numel() for parameter in model.parameters())
    precision = str(dtype).removeprefix("torch.")
    reporter.say(
        f"{recipe.name}: {recipe.model.type}, {parameters:,} parameters, {precision} on {device}; "
        f"{data.manifest['train']:,} pairs, {recipe.training.updates:,} updates"
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
    checkpoint, damaged = folder.last()
    before = f"using {checkpoint.folder.name}" if checkpoint else "there is none before it"
    for line in damaged:
        reporter.warn(f"{line}; {before}")
    folder.rewind_log(checkpoint.update if checkpoint else 0)
    if checkpoint is None:
        reporter.say("no checkpoint yet: starting at update 0")
        return
    trainer.resume(checkpoint)
    state, updates = trainer.state, trainer.config.updates
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
) -> TrainingResult:
    """Translate the test text with the best checkpoint, score it, write result.json."""
    best = folder.best()
    for line in best.notes:
        reporter.warn(line)
    load_weights(model, best.tensors(), folder.path)
    model.eval()
    started = time.perf_counter()
    scores = _score_test(recipe, model, data, folder)
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
            "hardware": describe(next(model.parameters()).device),
            **peak_memory(next(model.parameters()).device),
            "machine": platform.machine(),
            "versions": {"nmt": __version__, "torch": torch.__version__},
        },
    )
    settings = f"recipe:{recipe.hash()}|step:{best.update}|beam:{recipe.search.beam}"
    for one in scores:
        reporter.say(f"test {one.text}  {one.signature}|{settings}")
    reporter.say(f"{folder.path}: done in {state.seconds / 60:.1f} minutes of training")
    return TrainingResult(folder.path, state, scores)


def _score_test(recipe: Recipe, model: Model, data: PreparedData, folder: RunFolder) -> list[Score]:
    """Scores of the test text, whose three sides are left in the run folder; none without one."""
    split = data.split("test")
    if split is None:
        return []
    translator = Translator(model, data.tokenizers, recipe.search)
    texts = [one.text for one in translator.translate(split.sources)]
    sides = {"source": split.sources, "target": split.references, "hypotheses": texts}
    for name, lines in sides.items():
        write_whole(folder.path / f"test.{name}.txt", "".join(f"{line}\n" for line in lines))
    tokenize = recipe.training.metric_tokenize or bleu_tokenizer(recipe.corpus.target)
    return score(texts, [split.references], ["bleu", "chrf"], tokenize=tokenize)
