"""nmt train: from a recipe to a run folder."""

import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from nmt_cli import __version__
from nmt_cli.checkpoint import FORMAT, RunFolder, write_whole
from nmt_cli.commands.prepare import prepare_recipe
from nmt_cli.commands.runs import Model, build_model, load_weights, tokenizer_hashes
from nmt_cli.data.prepared import PreparedData
from nmt_cli.decoding.translator import Translator
from nmt_cli.device import choose_precision, describe, find_device, keep_memory
from nmt_cli.enclosed import own_file, read_json
from nmt_cli.errors import DataError, RunError
from nmt_cli.evaluation.metrics import Score, bleu_tokenizer, score
from nmt_cli.evaluation.validation import Validator
from nmt_cli.recipe import Recipe, load_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.training.feed import BatchFeed
from nmt_cli.training.state import TrainingState
from nmt_cli.training.trainer import Trainer

FREE_TO_CHANGE = ("training.updates", "training.max_minutes", "training.patience", "search.")


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
    place = find_device(device)
    dtype = choose_precision(recipe.training.precision, place)
    if begun:
        _compare(recipe, load_recipe(own_file(out, "recipe.yaml")), reporter)
    keep_memory()
    prepared = prepare_recipe(recipe, reporter)
    recipe, data = prepared.recipe, prepared.data
    split = data.split("dev")
    if split is None:
        raise DataError(f"{data.folder}: no development part")
    model = build_model(recipe, data.tokenizers.vocabulary)
    _open_folder(folder, recipe, data)
    _introduce(recipe, model, data, describe(place), dtype, reporter)
    feed = BatchFeed(data, recipe.training.tokens_per_batch, recipe.training.seed)
    model.to(place)
    validator = Validator(
        model, split, data.tokenizers, recipe.training, recipe.search, recipe.corpus.target
    )
    trainer = Trainer(
        model, recipe.training, feed, folder, validator, reporter, device=place, dtype=dtype
    )
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


def _compare(recipe: Recipe, before: Recipe, reporter: Reporter) -> None:
    """Say which settings changed since the run began; RunError for those that cannot."""
    old, new = _flat(before.to_dict()), _flat(recipe.to_dict())
    changed = [key for key in new if old.get(key) != new[key]]
    changed = [key for key in changed if key not in ("name", "corpus.root")]
    fixed = [key for key in changed if not key.startswith(FREE_TO_CHANGE)]
    shown = {key: f"{key} ({old.get(key)} -> {new[key]})" for key in changed}
    if fixed:
        raise RunError(
            "cannot resume with other settings than the run began with: "
            + ", ".join(shown[key] for key in fixed)
        )
    for key in changed:
        reporter.say(f"resuming with {shown[key]}")


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
    manifest_path = folder.path / "manifest.json"
    if manifest_path.exists():
        before = read_json(own_file(folder.path, "manifest.json")).get("fingerprint")
        if before != data.fingerprint:
            raise RunError(
                f"{folder.path}: began with prepared data {before}, these are {data.fingerprint}"
            )
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


def _resume(trainer: Trainer, folder: RunFolder, reporter: Reporter) -> None:
    checkpoint, damaged = folder.last()
    for line in damaged:
        reporter.warn(f"{line}; using the one before it")
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
    elif state.finished:
        state.finished = None
    else:
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
