"""What resuming a run demands: a checkpoint to continue from, and the settings that it was started with."""

import json
from typing import Any

from nmt_cli.config import ADDED_KEYS
from nmt_cli.errors import RunError, pluralize
from nmt_cli.recipe.loader import Recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.folder import RunFolder

CHANGEABLE_ON_RESUME = (
    "training.updates",
    "training.export",
    "training.max_minutes",
    "training.patience",
    "training.log_every",
    "training.samples",
    "training.tensorboard",
    "training.timeout_minutes",
    "search.",
)


def check_resumable(folder: RunFolder, updates: int) -> None:
    """RunError if the run has done more updates than that, or has trained weights, but no checkpoint to resume from: it
    would lose them at update 0."""
    checkpoints = folder.checkpoints
    last, _ = checkpoints.last()
    if last is not None and last.update > updates:
        raise RunError(
            f"{folder.path}: has done {pluralize(last.update, 'update')}, "
            f"more than the training.updates of {updates:,}",
            hint="ask for as many or more, or start a new run with another --out",
        )
    if last is not None or not checkpoints.best_path.is_file():  # killed before its first checkpoint
        return
    best_update = max(checkpoints.intact_best_updates(), default=0)
    if best_update > 0:
        raise RunError(
            f"{folder.path}: has the weights after update {best_update:,}, but no intact checkpoint to resume from",
            hint=f"start a new run with --out DIR --set training.init_from={folder.path}",
        )


def reconcile_with_started_run(recipe: Recipe, started_recipe: Recipe, reporter: Reporter) -> Recipe:
    """The recipe to resume with, where `auto` keeps the value that it was resolved to when the run was started.

    What a recipe does not state of the keys of its corpus that came later stays as in the run: their defaults change
    what is prepared. Reports the settings that have changed since; RunError for those that must not.
    """
    if recipe.training.tokens_per_batch == "auto":
        recipe = recipe.with_values("training", tokens_per_batch=started_recipe.training.max_positions)
    unstated_keys = {"normalization", *ADDED_KEYS["corpus"]} - recipe.corpus.model_fields_set
    recipe = recipe.with_values("corpus", **{key: getattr(started_recipe.corpus, key) for key in unstated_keys})
    old_values, new_values = _flatten(started_recipe.to_dict()), _flatten(recipe.to_dict())
    changed_keys = [key for key in {**old_values, **new_values} if old_values.get(key) != new_values.get(key)]
    changed_keys = [key for key in changed_keys if key not in ("name", "corpus.root")]
    forbidden_keys = [key for key in changed_keys if not key.startswith(CHANGEABLE_ON_RESUME)]
    descriptions = {
        key: f"{key} ({_format_value(old_values, key)} -> {_format_value(new_values, key)})" for key in changed_keys
    }
    if forbidden_keys:
        raise RunError(
            "cannot resume with settings other than those the run was started with: "
            + ", ".join(descriptions[key] for key in forbidden_keys),
            hint="change them back, or use another --out",
        )
    for key in changed_keys:
        reporter.info(f"resuming with {descriptions[key]}")
    return recipe


def _format_value(values: dict[str, Any], key: str) -> str:
    return json.dumps(values[key], ensure_ascii=False) if key in values else "not there"


def _flatten(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {path: value}
    flattened: dict[str, Any] = {}
    for key, child in value.items():
        flattened |= _flatten(child, f"{path}.{key}" if path else key)
    return flattened
