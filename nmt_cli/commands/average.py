"""nmt average: the mean of a run's last checkpoints as a run of its own."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from nmt_cli.checkpoint import Checkpoint, Tensors, read_checkpoint
from nmt_cli.data.prepared import Tokenizers
from nmt_cli.data.words import word_files
from nmt_cli.disk import refuse_ways_out
from nmt_cli.errors import RunError
from nmt_cli.run_folder import RunFolder


@dataclass(frozen=True)
class Averaged:
    """The new run and the updates whose weights are in it."""

    folder: Path
    updates: list[int]


def average(run: Path, out: Path, last: int | None = None) -> Averaged:
    """Average the newest `last` checkpoints of `run` (all by default) into the run folder `out`.

    `out` appears whole or not at all; RunError where checkpoints are missing, damaged or do not go
    together, DataError where a file of the run is a link out of it.
    """
    source = RunFolder(run)
    if not source.recipe.is_file():
        raise RunError(f"{run}: not a run folder: it has no recipe.yaml")
    refuse_ways_out(run)
    if RunFolder(out).exists():
        raise RunError(f"{out} exists: choose another folder")
    steps = source.steps()
    if not steps:
        raise RunError(f"{run}: no checkpoint yet")
    if last is not None and last > len(steps):
        raise RunError(
            f"{run}: has {len(steps)} checkpoints, not {last}; "
            "training.average: N keeps the last N while training"
        )
    chosen = [read_checkpoint(path) for path in steps[-(last or len(steps)) :]]
    copied = [source.recipe, run / "manifest.json"]
    for path in copied:
        if not path.is_file():
            raise RunError(f"{run}: damaged: it has no {path.name}")
    tokenizers = Tokenizers.load(run)
    mean = _mean(chosen)
    updates = [checkpoint.update for checkpoint in chosen]
    scratch = out.absolute().with_name(f".{out.name}.{os.getpid()}")
    try:
        target = RunFolder(scratch)
        target.checkpoints.mkdir(parents=True)
        for path in [*copied, *word_files(run)]:
            shutil.copy(path, scratch / path.name)
        tokenizers.save(scratch)
        target.save_best(updates[-1], mean, {"averaged": updates})
        scratch.rename(out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Averaged(out, updates)


def _mean(chosen: list[Checkpoint]) -> Tensors:
    """The mean of the checkpoints' weights; RunError where names or shapes differ.

    Sums are taken in float64, where the order of a few float32 numbers does not matter.
    """
    total: Tensors = {}
    kinds = {}
    for number, checkpoint in enumerate(chosen):
        tensors = checkpoint.tensors()
        shapes = {name: value.shape for name, value in tensors.items()}
        if number and shapes != {name: value.shape for name, value in total.items()}:
            raise RunError(
                f"{checkpoint.folder}: its weights are not those of {chosen[0].folder.name}"
            )
        for name, value in tensors.items():
            total[name] = total[name] + value.double() if number else value.double()
            kinds[name] = value.dtype
    return {name: (value / len(chosen)).to(kinds[name]) for name, value in total.items()}
