"""Arguments of the form NAME=PATH, which name a run or file in a plot or a comparison."""

from collections.abc import Sequence
from pathlib import Path

from nmt_cli.errors import UserError


def labelled_paths(arguments: Sequence[str], taken: Sequence[str] = ()) -> dict[str, Path]:
    """Path of each argument by its name, in order.

    The name of a path without one is its last component, or the path as written if that is not unique. UserError if
    that is not unique either; `taken` are names that are already in use.
    """
    pairs = [_split_argument(text) for text in arguments]
    names = [name or path.resolve().name for name, path in pairs]
    labelled: dict[str, Path] = {}
    for (name, path), default_label in zip(pairs, names, strict=True):
        label = default_label if name or [*names, *taken].count(default_label) == 1 else str(path)
        if label in labelled or label in taken:
            raise UserError(f"the name {label} is used twice: rename one of them with NAME={path}")
        labelled[label] = path
    return labelled


def _split_argument(text: str) -> tuple[str, Path]:
    """Name and path of NAME=PATH; no name for a path, which may itself contain an equals sign."""
    name, separator, path = text.partition("=")
    if separator and name and path and not Path(text).exists():
        return name, Path(path)
    return "", Path(text)
