"""--set section.key=value: parsing such overrides and applying them to the content of a recipe."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from nmt_cli.errors import RecipeError
from nmt_cli.yaml12 import YamlError, read_yaml

KeyPath = tuple[str | int, ...]

_INDEX = re.compile(r"[0-9]{1,9}")


class Override(NamedTuple):
    """One --set."""

    path: KeyPath
    value: Any


def plain_value(value: Any) -> Any:
    """What JSON has instead of a value: the numbers of a NumPy scalar or array, else its text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def parse_overrides(overrides: Sequence[str]) -> tuple[list[Override], list[str]]:
    """Parse `a.b=value` texts; also returns a message for each that is malformed."""
    parsed, errors = [], []
    for override in overrides:
        dotted, separator, text = override.partition("=")
        keys = dotted.strip().split(".")
        if not separator or not all(keys):
            errors.append(f"--set {override}: write it as section.key=value")
            continue
        path = tuple(int(key) if _INDEX.fullmatch(key) else key for key in keys)
        try:
            parsed.append(Override(path, read_yaml(text)[0]))
        except YamlError as error:
            errors.append(f"--set {override}: {error}")
    return parsed, errors


def apply_overrides(content: dict[str, Any], overrides: Sequence[Override]) -> list[str]:
    """Change the content; returns a message for each override that does not fit it."""
    errors = []
    for path, value in overrides:
        container: Any = content
        try:
            for depth, key in enumerate(path[:-1]):
                container = _get_or_create_child(container, key, path[: depth + 1])
            _assign(container, path[-1], value, path)
        except RecipeError as error:
            errors += error.errors
    return errors


def _get_or_create_child(container: Any, key: str | int, path: KeyPath) -> Any:
    """The mapping or list under a key; a new mapping if there is none."""
    if isinstance(container, dict):
        child = container.get(str(key))
        if not isinstance(child, dict | list):
            child = container[str(key)] = {}
        return child
    _check_index(container, key, path)
    if not isinstance(container[key], dict | list):
        container[key] = {}
    return container[key]


def _assign(container: Any, key: str | int, value: Any, path: KeyPath) -> None:
    if isinstance(container, dict):
        container[str(key)] = value
    else:
        _check_index(container, key, path)
        container[key] = value


def _check_index(items: list[Any], key: str | int, path: KeyPath) -> None:
    """RecipeError if a list has no entry of this number."""
    if not isinstance(key, int) or key >= len(items):
        dotted_path, dotted_parent = (".".join(map(str, keys)) for keys in (path, path[:-1]))
        valid_indices = f"0 to {len(items) - 1}" if items else "none"
        raise RecipeError([f"--set {dotted_path}: {dotted_parent} is a list; its entries are {valid_indices}"])
