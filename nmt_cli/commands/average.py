"""nmt average: the mean of a run's last checkpoints as a run of its own."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from nmt_cli.checkpoint import RunFolder, Tensors, read_checkpoint
from nmt_cli.data.prepared import Tokenizers
from nmt_cli.disk import refuse_ways_out
from nmt_cli.errors import RunError


@dataclass(frozen=True)
class Averaged:
    """The new run and the updates whose weights are in it."""

    folder: Path
    updates: list[int]


def average(run: Path, out: Path, last: int | None = None) -> Averaged:
    """Average the newest `last` checkpoints of `run` (all by default) into the run folder `out`."""
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
    total: Tensors = {}
    for checkpoint in chosen:
        for name, value in checkpoint.tensors().items():
            total[name] = total[name] + value if name in total else value
    mean = {name: value / len(chosen) for name, value in total.items()}
    target = RunFolder(out)
    target.checkpoints.mkdir(parents=True)
    for path in [source.recipe, run / "manifest.json"]:
        shutil.copy(path, out / path.name)
    Tokenizers.load(run).save(out)
    updates = [checkpoint.update for checkpoint in chosen]
    target.save_best(updates[-1], mean, {"averaged": updates})
    return Averaged(out, updates)
