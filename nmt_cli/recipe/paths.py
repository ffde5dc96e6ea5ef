"""Finding recipes: by path, or by the name of one that ships with this program. Imports no torch."""

import difflib
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from nmt_cli.errors import RecipeError, RunError, UserError, error_reason
from nmt_cli.fs import read_text

MAX_RECIPE_BYTES = 4_000_000


def shipped_recipes_folder() -> Path:
    """The folder of shipped recipes: inside the installed package, else beside it in a checkout."""
    package = Path(__file__).parent.parent
    packaged = package / "recipes"
    return packaged if packaged.is_dir() else package.parent / "recipes"


def shipped_recipes() -> dict[str, Path]:
    """Name to path of every shipped recipe."""
    return {path.stem: path for path in sorted(shipped_recipes_folder().glob("*.yaml"))}


def find_recipe(recipe: str | Path) -> Path:
    """The file of a recipe; RecipeError, with the nearest name beside it or of a shipped one, if there is none."""
    path = Path(recipe)
    if path.is_file():
        return path
    shipped = shipped_recipes()
    if str(recipe) in shipped:
        return shipped[str(recipe)]
    if path.is_dir():
        raise RecipeError([f"{recipe}: this is a folder; a recipe is a YAML file"])
    beside = {file.stem: file for suffix in (".yml", ".yaml") for file in path.parent.glob(f"*{suffix}")}
    near = _nearest(re.sub(r"\.ya?ml$", "", path.name), {name: Path(name) for name in shipped} | beside)
    hint = f"did you mean {near}?" if near else "nmt recipes lists the shipped ones"
    raise RecipeError([f"{recipe}: no such recipe, neither a file{_where(path)} nor a shipped one; {hint}"])


def missing_run(run: Path) -> RunError:
    """That there is no such run folder, with the run beside it, or in runs, that has nearly its name."""
    recipes = [recipe for folder in (Path("runs"), run.parent) for recipe in folder.glob("*/recipe.yaml")]
    near = _nearest(run.name, {recipe.parent.name: recipe.parent for recipe in recipes})
    hint = f"did you mean {near}?" if near else "nmt train RECIPE makes one"
    return RunError(f"{run}: no such run folder{_where(run)}; {hint}")


def _where(path: Path) -> str:
    """Where a path that does not begin at the root was looked for."""
    with suppress(OSError):  # the folder was deleted
        return "" if path.is_absolute() else f" in {Path.cwd()}"
    return ""


def _nearest(name: str, paths: Mapping[str, Path]) -> Path | None:
    """The path of the name that is most like another; None if none is."""
    matches = difflib.get_close_matches(name, sorted(paths), n=1)
    return paths[matches[0]] if matches else None


def run_recipe_path(run: Path) -> Path:
    """The recipe of a run; RunError, with what the path is instead, where there is no such folder, or it is no run."""
    if run.is_file():
        raise RunError(
            f"{run}: a file, not a run folder", hint="a run comes first; nmt translate RUN < FILE reads standard input"
        )
    if not run.is_dir():
        raise missing_run(run)
    path = run / "recipe.yaml"
    if not path.is_file():
        reason = "it is an export; name the run that was exported" if (run / "export.json").is_file() else ""
        raise RunError(f"{run}: not a run folder: {reason or 'it has no recipe.yaml'}")
    return path


def read_recipe_text(path: Path) -> str:
    """The text of a recipe; RecipeError where it cannot be read, is huge or is not UTF-8."""
    try:
        return read_text(path, MAX_RECIPE_BYTES)
    except (OSError, ValueError) as error:
        advice = ": save it as UTF-8" if isinstance(error.__cause__, UnicodeDecodeError) else ""
        raise RecipeError([f"{path}: cannot read the recipe: {error_reason(error)}{advice}"]) from error


def first_comment(path: Path) -> str:
    """The first comment line of a recipe."""
    lines = read_recipe_text(path).splitlines()
    return next((line.lstrip("# ").strip() for line in lines if line.startswith("#")), "")


def copy_recipe(source: Path, target: str | Path) -> Path:
    """Copy a recipe to a file or into a folder; UserError where it would overwrite, or text that ends with a slash
    names no folder.

    A name that is the file's is left out of a copy that is called otherwise, so that its runs are
    called after its own file.
    """
    path = Path(target)
    if path.is_dir():
        path /= source.name
    elif str(target).endswith(("/", os.sep)):
        raise UserError(f"{target}: no such folder: make it first, or leave out the slash to name the file")
    text = read_recipe_text(source)
    if path.stem != source.stem:
        text = re.sub(rf"^name: {re.escape(source.stem)} *\n", "", text, count=1, flags=re.MULTILINE)
    try:
        with open(path, "xb") as file:
            file.write(text.encode())
    except FileExistsError as error:
        raise UserError(f"{path} exists: choose another name") from error
    except OSError as error:
        raise UserError(f"{path}: cannot write: {error.strerror}") from error
    return path
