"""training.init_from: a run that begins with the weights and the tokenizers of another one."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nmt_cli.config import Section
from nmt_cli.data.known_words import WordSet
from nmt_cli.data.prepared.store import PreparedData, Tokenizers
from nmt_cli.errors import RecipeError, RunError
from nmt_cli.recipe.loader import Recipe, load_recipe
from nmt_cli.runs.checkpoint import Checkpoint
from nmt_cli.runs.folder import RunFolder

# What may be set anew: everything else decides the shape or the meaning of weights and pieces.
OVERRIDABLE_KEYS = {
    "tokenizer": ("subword_samples", "subword_sampling"),
    "model": ("dropout", "attention_dropout", "activation_dropout"),
}


@dataclass(frozen=True)
class BaseRun:
    """The run that another one begins from."""

    folder: RunFolder
    recipe: Recipe
    tokenizers: Tokenizers

    def checkpoint(self) -> Checkpoint:
        """Its best weights; RunError where there are none."""
        return self.folder.best_checkpoint()


def find_base_run(recipe: Recipe, started_run: Path | None = None) -> BaseRun | None:
    """The run that training.init_from names; None where the recipe names none.

    A run that has `begun` is its own origin: it can be resumed when the other one is gone.
    Relative paths are looked for beside the recipe, then in the current folder. RunError where
    there is no such run.
    """
    if recipe.training.init_from is None:
        return None
    path = started_run or _resolve_run_path(recipe, recipe.training.init_from)
    folder = RunFolder(path)
    if not folder.recipe_path.is_file():
        raise RunError(
            f"training.init_from: {recipe.training.init_from}: no run folder here; "
            "nmt train makes one, nmt import makes one of a MarianMT folder"
        )
    return BaseRun(folder, load_recipe(folder.recipe_path), Tokenizers.load(path))


def find_base_or_started_run(recipe: Recipe, out: Path) -> BaseRun | None:
    """The run that training.init_from names or, where it is gone, the one that has begun in `out`.

    RunError where there is neither.
    """
    try:
        return find_base_run(recipe)
    except RunError:
        if not RunFolder(out).recipe_path.is_file():
            raise
        return find_base_run(recipe, out)


def inherit_sections(recipe: Recipe, base_run: BaseRun) -> Recipe:
    """The recipe with the origin's tokenizer and model sections.

    Keys that the recipe does not state are taken from the origin. RecipeError names every one that
    it states otherwise, but for `FREE`.
    """
    sections: dict[str, Section] = {}
    conflicts: list[str] = []
    for name, overridable in OVERRIDABLE_KEYS.items():
        own_section, base_section = getattr(recipe, name), getattr(base_run.recipe, name)
        conflicts += [f"{name}.{difference}" for difference in _differences(own_section, base_section, overridable)]
        explicit_values = {key: getattr(own_section, key) for key in overridable if key in own_section.model_fields_set}
        sections[name] = base_section.model_copy(update=explicit_values)
    if conflicts:
        raise RecipeError(
            [
                f"training.init_from: {base_run.folder.path} was trained otherwise: "
                + ", ".join(conflicts)
                + "; leave these keys out to take over its own"
            ]
        )
    training = recipe.training.model_copy(update={"init_from": _resolve_init_from(recipe, base_run)})
    replacements: dict[str, Any] = {**sections, "training": training}
    return replace(recipe, **replacements)


def training_words(data: PreparedData, base_run: BaseRun | None) -> WordSet | None:
    """The words of all text that a run learns from, its origin's too; None where they are unknown.

    They are where data were prepared, or the origin was trained or imported, without their list.
    """
    words = WordSet.load(data.folder)
    if words is None or base_run is None:
        return words
    base_words = WordSet.load(base_run.folder.path)
    return None if base_words is None else base_words.union(words)


def _differences(own_section: Section, base_section: Section, overridable: tuple[str, ...]) -> list[str]:
    """`key (old -> new)` for each key that is stated and does not agree."""
    base_values = base_section.model_dump(mode="json")
    explicit_values = own_section.model_dump(mode="json", include=set(own_section.model_fields_set))
    return [
        f"{key} ({base_values.get(key)} -> {value})"
        for key, value in explicit_values.items()
        if base_values.get(key) != value and (key not in overridable or key not in base_values)
    ]


def _resolve_init_from(recipe: Recipe, base_run: BaseRun) -> str:
    """The absolute path, so that the resolved recipe runs again from any folder.

    Of a run that has begun and whose origin is gone, the path that it was at.
    """
    init_from, base_init_from = recipe.training.init_from, base_run.recipe.training.init_from
    assert init_from is not None
    run_path = _resolve_run_path(recipe, init_from)
    is_gone = base_init_from is not None and not run_path.is_dir() and Path(base_init_from).name == run_path.name
    return base_init_from if base_init_from is not None and is_gone else str(run_path)


def _resolve_run_path(recipe: Recipe, path: str) -> Path:
    """Where the run is, links not followed: `latest` may be another one tomorrow."""
    run_path = Path(path).expanduser()
    candidates = [folder / run_path for folder in (recipe.folder, Path.cwd()) if folder is not None]
    existing = next((candidate for candidate in candidates if candidate.is_dir()), candidates[-1])
    return Path(os.path.abspath(existing))
