"""training.init_from: a run that begins with the weights and the tokenizers of another one."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nmt_cli.checkpoint import Checkpoint
from nmt_cli.config import Section
from nmt_cli.data.prepared import PreparedData, Tokenizers
from nmt_cli.data.words import Words
from nmt_cli.errors import RecipeError, RunError
from nmt_cli.recipe import Recipe, load_recipe
from nmt_cli.run_folder import RunFolder

# What may be set anew: everything else decides the shape or the meaning of weights and pieces.
FREE = {
    "tokenizer": ("variants", "sampling"),
    "model": ("dropout", "attention_dropout", "activation_dropout"),
}


@dataclass(frozen=True)
class Origin:
    """The run that another one begins from."""

    folder: RunFolder
    recipe: Recipe
    tokenizers: Tokenizers

    def checkpoint(self) -> Checkpoint:
        """Its best weights; RunError where there are none."""
        return self.folder.best()


def find_origin(recipe: Recipe, begun: Path | None = None) -> Origin | None:
    """The run that training.init_from names; None where the recipe names none.

    A run that has `begun` is its own origin: it can be resumed when the other one is gone.
    Relative paths are looked for beside the recipe, then in the current folder. RunError where
    there is no such run.
    """
    if recipe.training.init_from is None:
        return None
    path = begun or _place(recipe, recipe.training.init_from)
    folder = RunFolder(path)
    if not folder.recipe.is_file():
        raise RunError(
            f"training.init_from: {recipe.training.init_from}: no run folder here; "
            "nmt train makes one, nmt import makes one of a MarianMT folder"
        )
    return Origin(folder, load_recipe(folder.recipe), Tokenizers.load(path))


def find_origin_or_begun(recipe: Recipe, out: Path) -> Origin | None:
    """The run that training.init_from names or, where it is gone, the one that has begun in `out`.

    RunError where there is neither.
    """
    try:
        return find_origin(recipe)
    except RunError:
        if not RunFolder(out).recipe.is_file():
            raise
        return find_origin(recipe, out)


def inherit(recipe: Recipe, origin: Origin) -> Recipe:
    """The recipe with the origin's tokenizer and model sections.

    Keys that the recipe does not state are taken from the origin. RecipeError names every one that
    it states otherwise, but for `FREE`.
    """
    sections: dict[str, Section] = {}
    problems: list[str] = []
    for name, free in FREE.items():
        mine, theirs = getattr(recipe, name), getattr(origin.recipe, name)
        problems += [f"{name}.{text}" for text in _differences(mine, theirs, free)]
        stated = {key: getattr(mine, key) for key in free if key in mine.model_fields_set}
        sections[name] = theirs.model_copy(update=stated)
    if problems:
        raise RecipeError(
            [
                f"training.init_from: {origin.folder.path} was trained otherwise: "
                + ", ".join(problems)
                + "; leave these keys out to take over its own"
            ]
        )
    training = recipe.training.model_copy(update={"init_from": _stated(recipe, origin)})
    changed: dict[str, Any] = {**sections, "training": training}
    return replace(recipe, **changed)


def learned_words(data: PreparedData, origin: Origin | None) -> Words | None:
    """The words of all text that a run learns from, its origin's too; None where they are unknown.

    They are where data were prepared, or the origin was trained or imported, without their list.
    """
    words = Words.load(data.folder)
    if words is None or origin is None:
        return words
    before = Words.load(origin.folder.path)
    return None if before is None else before.joined(words)


def _differences(mine: Section, theirs: Section, free: tuple[str, ...]) -> list[str]:
    """`key (old -> new)` for each key that is stated and does not agree."""
    before = theirs.model_dump(mode="json")
    stated = mine.model_dump(mode="json", include=set(mine.model_fields_set))
    return [
        f"{key} ({before.get(key)} -> {value})"
        for key, value in stated.items()
        if before.get(key) != value and (key not in free or key not in before)
    ]


def _stated(recipe: Recipe, origin: Origin) -> str:
    """The absolute path, so that the resolved recipe runs again from any folder.

    Of a run that has begun and whose origin is gone, the path that it was at.
    """
    wanted, before = recipe.training.init_from, origin.recipe.training.init_from
    assert wanted is not None
    place = _place(recipe, wanted)
    gone = before is not None and not place.is_dir() and Path(before).name == place.name
    return before if before is not None and gone else str(place)


def _place(recipe: Recipe, path: str) -> Path:
    """Where the run is, links not followed: `latest` may be another one tomorrow."""
    wanted = Path(path).expanduser()
    places = [folder / wanted for folder in (recipe.folder, Path.cwd()) if folder is not None]
    found = next((place for place in places if place.is_dir()), places[-1])
    return Path(os.path.abspath(found))
