"""Where recipes lie: a path, or the name of one that ships with this program. Imports no torch."""

import difflib
from pathlib import Path

from nmt_cli.errors import RecipeError, UserError


def shipped_folder() -> Path:
    """The folder of shipped recipes: inside the installed package, else beside it in a checkout."""
    package = Path(__file__).parent
    inside = package / "recipes"
    return inside if inside.is_dir() else package.parent / "recipes"


def shipped_recipes() -> dict[str, Path]:
    """Name to path of every shipped recipe."""
    return {path.stem: path for path in sorted(shipped_folder().glob("*.yaml"))}


def find_recipe(recipe: str | Path) -> Path:
    """The file of a recipe; RecipeError where there is none, with the nearest name."""
    path = Path(recipe)
    if path.is_file():
        return path
    shipped = shipped_recipes()
    if str(recipe) in shipped:
        return shipped[str(recipe)]
    if path.is_dir():
        raise RecipeError([f"{recipe}: this is a folder; a recipe is a YAML file"])
    near = difflib.get_close_matches(str(recipe), list(shipped), 1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise RecipeError([f"{recipe}: no such recipe, neither a file nor a shipped one{hint}"])


def describe(path: Path) -> str:
    """The first comment line of a recipe."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            return line.lstrip("# ").strip()
    return ""


def copy_recipe(source: Path, target: Path) -> Path:
    """Copy a shipped recipe to a file or into a folder; UserError where it would overwrite."""
    path = target / source.name if target.is_dir() else target
    if path.exists():
        raise UserError(f"{path} exists: choose another name")
    try:
        path.write_bytes(source.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot write: {error.strerror}") from error
    return path
