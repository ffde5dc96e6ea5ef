"""What must hold and be known before a run trains: folder, settings, data, size of a batch."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from nmt_cli.commands.prepare import PreparationResult, prepare_recipe
from nmt_cli.data.prepared.store import PreparedData
from nmt_cli.distributed.process_group import ProcessGroup
from nmt_cli.errors import DataError, RunError
from nmt_cli.fs import reject_external_symlinks
from nmt_cli.recipe.loader import Recipe, build_recipe, load_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.folder import RunFolder
from nmt_cli.runs.init_from import find_base_run, inherit_sections
from nmt_cli.runs.loading import Model
from nmt_cli.training.batch_size import find_batch_size
from nmt_cli.training.metric_log import tensorboard_writer_class

CHANGEABLE_ON_RESUME = (
    "training.updates",
    "training.max_minutes",
    "training.patience",
    "training.log_every",
    "training.samples",
    "training.tensorboard",
    "training.timeout_minutes",
    "search.",
)


def prepare_run(
    recipe: Recipe, folder: RunFolder, resume: bool, reporter: Reporter, processes: ProcessGroup
) -> tuple[Recipe, PreparedData]:
    """The recipe with all that is resolved before training, and the data, prepared by rank 0."""
    prepared: list[PreparationResult] = []

    def prepare_on_main() -> dict[str, Any]:
        prepared.append(_prepare_on_main(recipe, folder, resume, reporter))
        return {"recipe": prepared[0].recipe.to_dict(), "folder": str(prepared[0].data.folder)}

    shared = processes.run_on_main(prepare_on_main)
    if prepared:
        return prepared[0].recipe, prepared[0].data
    return build_recipe(shared["recipe"]), PreparedData(Path(shared["folder"]))


def _prepare_on_main(recipe: Recipe, folder: RunFolder, resume: bool, reporter: Reporter) -> PreparationResult:
    """Make sure that the run may begin, and its data are there."""
    out, has_started = folder.path, folder.recipe_path.is_file()
    _check_output_dir(folder, resume)
    if out.is_dir():
        reject_external_symlinks(out)
    if recipe.training.tensorboard:
        tensorboard_writer_class()  # now, and not when all is prepared
    base_run = find_base_run(recipe, out if has_started else None)
    recipe = recipe if base_run is None else inherit_sections(recipe, base_run)
    if has_started:
        recipe = _reconcile_with_started_run(recipe, load_recipe(folder.recipe_path), reporter)
    prepared = prepare_recipe(recipe, reporter, base_run=base_run)
    if prepared.data.split("dev") is None:
        raise DataError(f"{prepared.data.folder}: no development part")
    return prepared


def _check_output_dir(folder: RunFolder, resume: bool) -> None:
    """RunError where no run can be written or gone on with, before hours of work go there."""
    out = folder.path
    existing = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise RunError(f"{out}: {existing} is a file, not a folder", hint="choose another --out")
    if folder.exists() and not resume:
        raise RunError(f"{out} exists", hint="go on with --resume, or train elsewhere with --out DIR")
    if folder.exists() and not folder.checkpoints_path.is_dir():
        raise RunError(f"{out}: not a run folder", hint="train elsewhere with --out DIR")
    effective_ids = os.access in os.supports_effective_ids
    if not os.access(existing, os.W_OK | os.X_OK, effective_ids=effective_ids):
        raise RunError(f"{out}: cannot write into {existing}", hint="choose another --out")


def _reconcile_with_started_run(recipe: Recipe, started_recipe: Recipe, reporter: Reporter) -> Recipe:
    """Say which settings changed since the run began; RunError for those that cannot.

    Returns the recipe with what was resolved when the run began.
    """
    if recipe.training.tokens_per_batch == "auto":
        recipe = _with_tokens_per_batch(recipe, started_recipe.training.max_positions)
    old_values, new_values = _flatten(started_recipe.to_dict()), _flatten(recipe.to_dict())
    changed_keys = [key for key in {**old_values, **new_values} if old_values.get(key) != new_values.get(key)]
    changed_keys = [key for key in changed_keys if key not in ("name", "corpus.root")]
    forbidden_keys = [key for key in changed_keys if not key.startswith(CHANGEABLE_ON_RESUME)]
    descriptions = {
        key: f"{key} ({_format_value(old_values, key)} -> {_format_value(new_values, key)})" for key in changed_keys
    }
    if forbidden_keys:
        raise RunError(
            "cannot resume with other settings than the run began with: "
            + ", ".join(descriptions[key] for key in forbidden_keys)
        )
    for key in changed_keys:
        reporter.info(f"resuming with {descriptions[key]}")
    return recipe


def with_resolved_batch_size(
    recipe: Recipe,
    model: Model,
    data: PreparedData,
    device: torch.device,
    dtype: torch.dtype,
    reporter: Reporter,
    processes: ProcessGroup,
) -> Recipe:
    """The recipe with a number in the place of `tokens_per_batch: auto`."""
    if recipe.training.tokens_per_batch != "auto":
        return recipe
    tokens, needed_bytes, available_bytes = processes.run_on_main(
        lambda: find_batch_size(
            model, data, device=device, dtype=dtype, seed=recipe.training.seed,
            processes_per_machine=processes.local_world_size,
        )
    )  # fmt: skip
    usage = "more" if needed_bytes is None else f"{needed_bytes / (1 << 30):.1f} GiB"
    reporter.info(
        f"training.tokens_per_batch: auto is {tokens:,} here: it takes {usage} of "
        f"{available_bytes / (1 << 30):.1f} GiB that are free"
    )
    return _with_tokens_per_batch(recipe, tokens)


def _with_tokens_per_batch(recipe: Recipe, tokens: int) -> Recipe:
    return replace(recipe, training=recipe.training.model_copy(update={"tokens_per_batch": tokens}))


def _format_value(values: dict[str, Any], key: str) -> str:
    return json.dumps(values[key], ensure_ascii=False) if key in values else "not there"


def _flatten(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {path: value}
    flattened: dict[str, Any] = {}
    for key, child in value.items():
        flattened |= _flatten(child, f"{path}.{key}" if path else key)
    return flattened
