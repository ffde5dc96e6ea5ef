"""Arguments of the form NAME=PATH: what a run or a file is called in a picture."""

from collections.abc import Sequence
from pathlib import Path

from nmt_cli.errors import UserError


def named_paths(arguments: Sequence[str], already: Sequence[str] = ()) -> dict[str, Path]:
    """Name and path of each argument, in order.

    A path without a name is called after its last part, or, where two would be called the same,
    as it is written. UserError where that does not help either.
    """
    pairs = [_split(text) for text in arguments]
    names = [name or path.resolve().name for name, path in pairs]
    found: dict[str, Path] = {}
    for (name, path), short in zip(pairs, names, strict=True):
        label = short if name or [*names, *already].count(short) == 1 else str(path)
        if label in found or label in already:
            raise UserError(f"two are called {label}: give them names, as NAME={path}")
        found[label] = path
    return found


def _split(text: str) -> tuple[str, Path]:
    """NAME=PATH, or a path, which may itself hold an equals sign."""
    name, sign, path = text.partition("=")
    if sign and name and path and not Path(text).exists():
        return name, Path(path)
    return "", Path(text)
