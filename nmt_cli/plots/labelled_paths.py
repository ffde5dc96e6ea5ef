"""Arguments of the form NAME=PATH: what a run or a file is called in a picture."""

from collections.abc import Sequence
from pathlib import Path

from nmt_cli.errors import UserError


def labelled_paths(arguments: Sequence[str], taken: Sequence[str] = ()) -> dict[str, Path]:
    """Name and path of each argument, in order.

    A path without a name is called after its last part, or, where two would be called the same,
    as it is written. UserError where that does not help either.
    """
    pairs = [_split_argument(text) for text in arguments]
    names = [name or path.resolve().name for name, path in pairs]
    labelled: dict[str, Path] = {}
    for (name, path), default_label in zip(pairs, names, strict=True):
        label = default_label if name or [*names, *taken].count(default_label) == 1 else str(path)
        if label in labelled or label in taken:
            raise UserError(f"two are called {label}: give them names, as NAME={path}")
        labelled[label] = path
    return labelled


def _split_argument(text: str) -> tuple[str, Path]:
    """NAME=PATH, or a path, which may itself hold an equals sign."""
    name, separator, path = text.partition("=")
    if separator and name and path and not Path(text).exists():
        return name, Path(path)
    return "", Path(text)
