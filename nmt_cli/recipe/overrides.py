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
            for depth in range(1, len(path)):
                key = _key_in(container, path[:depth])
                child = container.get(key) if isinstance(container, dict) else container[key]
                if not isinstance(child, dict | list):
                    child = container[key] = {}
                container = child
            container[_key_in(container, path)] = value
        except RecipeError as error:
            errors += error.errors
    return errors


def _key_in(container: dict[str, Any] | list[Any], path: KeyPath) -> Any:
    """The last key of a path as a mapping has it, or a list; RecipeError if the list has no entry of this number."""
    key = path[-1]
    if isinstance(container, dict):
        return str(key)
    if not isinstance(key, int) or key >= len(container):
        dotted_path, dotted_parent = (".".join(map(str, keys)) for keys in (path, path[:-1]))
        valid_indices = f"0 to {len(container) - 1}" if container else "none"
        raise RecipeError([f"--set {dotted_path}: {dotted_parent} is a list; its entries are {valid_indices}"])
    return key
