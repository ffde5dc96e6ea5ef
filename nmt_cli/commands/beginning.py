"""What must hold and be known before a run trains: folder, settings, data, size of a batch."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from nmt_cli.commands.fine_tuning import find_origin, inherit
from nmt_cli.commands.prepare import Prepared, prepare_recipe
from nmt_cli.commands.runs import Model
from nmt_cli.data.prepared import PreparedData
from nmt_cli.disk import refuse_ways_out
from nmt_cli.distributed import Processes
from nmt_cli.errors import DataError, RunError
from nmt_cli.recipe import Recipe, build_recipe, load_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.run_folder import RunFolder
from nmt_cli.training.budget import measure_budget
from nmt_cli.training.records import event_writer

FREE_TO_CHANGE = (
    "training.updates",
    "training.max_minutes",
    "training.patience",
    "training.log_every",
    "training.samples",
    "training.tensorboard",
    "training.timeout_minutes",
    "search.",
)


def begin(
    recipe: Recipe, folder: RunFolder, resume: bool, reporter: Reporter, processes: Processes
) -> tuple[Recipe, PreparedData]:
    """The recipe with all that is resolved before training, and the data, prepared by rank 0."""
    found: list[Prepared] = []

    def prepare() -> dict[str, Any]:
        found.append(_prepare(recipe, folder, resume, reporter))
        return {"recipe": found[0].recipe.to_dict(), "folder": str(found[0].data.folder)}

    told = processes.first(prepare)
    if found:
        return found[0].recipe, found[0].data
    return build_recipe(told["recipe"]), PreparedData(Path(told["folder"]))


def _prepare(recipe: Recipe, folder: RunFolder, resume: bool, reporter: Reporter) -> Prepared:
    """Make sure that the run may begin, and its data are there."""
    out, begun = folder.path, folder.recipe.is_file()
    _check_place(folder, resume)
    if out.is_dir():
        refuse_ways_out(out)
    if recipe.training.tensorboard:
        event_writer()  # now, and not when all is prepared
    origin = find_origin(recipe, out if begun else None)
    recipe = recipe if origin is None else inherit(recipe, origin)
    if begun:
        recipe = _compare(recipe, load_recipe(folder.recipe), reporter)
    prepared = prepare_recipe(recipe, reporter, origin=origin)
    if prepared.data.split("dev") is None:
        raise DataError(f"{prepared.data.folder}: no development part")
    return prepared


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


def with_budget(
    recipe: Recipe,
    model: Model,
    data: PreparedData,
    device: torch.device,
    dtype: torch.dtype,
    reporter: Reporter,
    processes: Processes,
) -> Recipe:
    """The recipe with a number in the place of `tokens_per_batch: auto`."""
    if recipe.training.tokens_per_batch != "auto":
        return recipe
    tokens, needed, available = processes.first(
        lambda: measure_budget(
            model, data, device=device, dtype=dtype, seed=recipe.training.seed,
            sharers=processes.local_count,
        )
    )  # fmt: skip
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
