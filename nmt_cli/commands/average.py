"""nmt average: the mean of the last checkpoints of a run, as a new run."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from nmt_cli.data.known_words import word_files
from nmt_cli.data.text_profile import profile_files
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.errors import RunError, pluralize
from nmt_cli.fs import atomic_folder, reject_external_symlinks
from nmt_cli.recipe.paths import run_recipe_path
from nmt_cli.runs.folder import RunFolder
from nmt_cli.training.checkpoints import Checkpoint, NamedTensors, read_checkpoint


@dataclass(frozen=True)
class AveragedRun:
    """The new run, and the updates after which its averaged checkpoints were saved."""

    folder: Path
    updates: list[int]


def average(run: Path, out: Path, last: int | None = None) -> AveragedRun:
    """Average the newest `last` checkpoints of `run` (all by default) into the run folder `out`.

    `out` appears completely or not at all. RunError if checkpoints are missing, damaged or of different shapes, or if
    a file of the run is a symbolic link to a file outside.
    """
    source, recipe_path = RunFolder(run), run_recipe_path(run)
    reject_external_symlinks(run)
    if RunFolder(out).exists():
        raise RunError(f"{out} exists: choose another folder")
    if out.resolve().is_relative_to(run.resolve()):
        raise RunError(f"{out} is inside the run that is averaged: choose another folder")
    manifest_path = run / "manifest.json"
    if not manifest_path.is_file():
        raise RunError(f"{run}: damaged: it has no {manifest_path.name}")
    tokenizers = Tokenizers.load(run)
    updates, mean_weights = _average_last(source, last)
    with atomic_folder(out) as scratch:
        target = RunFolder(scratch)
        target.checkpoints.folder.mkdir(parents=True)
        for path in [recipe_path, manifest_path, *word_files(run), *profile_files(run)]:
            shutil.copy(path, scratch / path.name)
        tokenizers.save(scratch)
        target.checkpoints.save_best(updates[-1], mean_weights, {"averaged": updates})
    return AveragedRun(out, updates)


def _average_last(run: RunFolder, last: int | None, *, retry: bool = True) -> tuple[list[int], NamedTensors]:
    """The updates and mean weights of the newest checkpoints; once more if a training deletes one meanwhile."""
    paths = run.checkpoints.step_folders()
    if not paths:
        best_name = run.checkpoints.best().folder.name  # RunError where there is none either
        raise RunError(f"{run.path}: has no step checkpoints to average, only {best_name}")
    if last is not None and last > len(paths):
        raise RunError(
            f"{run.path}: has {pluralize(len(paths), 'checkpoint')}, not {last}; "
            "training.average_checkpoints: N keeps the last N while training"
        )
    paths = paths[-(last or len(paths)) :]
    try:
        checkpoints = [read_checkpoint(path) for path in paths]
        return [checkpoint.update for checkpoint in checkpoints], _average_weights(checkpoints)
    except RunError:
        if not retry or all(path.is_dir() for path in paths):
            raise
    return _average_last(run, last, retry=False)


def _average_weights(checkpoints: list[Checkpoint]) -> NamedTensors:
    """The mean of the checkpoints' weights, summed in float64; RunError if names or shapes differ."""
    first, *others = checkpoints
    first_tensors = first.tensors()
    dtypes = {name: value.dtype for name, value in first_tensors.items()}
    sums = {name: value.double() for name, value in first_tensors.items()}
    del first_tensors
    for checkpoint in others:
        tensors = checkpoint.tensors()
        shapes = {name: value.shape for name, value in tensors.items()}
        if shapes != {name: value.shape for name, value in sums.items()}:
            raise RunError(f"{checkpoint.folder}: its weights have other names or shapes than {first.folder.name}")
        for name, value in tensors.items():
            sums[name] += value
    return {name: (value / len(checkpoints)).to(dtypes[name]) for name, value in sums.items()}
