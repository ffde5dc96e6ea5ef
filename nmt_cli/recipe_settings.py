"""--set section.key=value: how such settings are read, and put into the content of a recipe."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from nmt_cli.errors import RecipeError
from nmt_cli.yaml12 import YamlError, read_yaml

KeyPath = tuple[str | int, ...]

_INDEX = re.compile(r"[0-9]{1,9}")


class Change(NamedTuple):
    """One --set: where, and what."""

    path: KeyPath
    value: Any


def parse(settings: Sequence[str]) -> tuple[list[Change], list[str]]:
    """What `a.b=value` settings ask for, and what is wrong with how they are written."""
    changes, problems = [], []
    for setting in settings:
        dotted, equals, text = setting.partition("=")
        keys = dotted.strip().split(".")
        if not equals or not all(keys):
            problems.append(f"--set {setting}: write it as section.key=value")
            continue
        path = tuple(int(key) if _INDEX.fullmatch(key) else key for key in keys)
        try:
            changes.append(Change(path, read_yaml(text)[0]))
        except YamlError as error:
            problems.append(f"--set {setting}: {error}")
    return changes, problems


def apply(content: dict[str, Any], changes: Sequence[Change]) -> list[str]:
    """Put the changes into the content; what could not be put there."""
    problems = []
    for path, value in changes:
        here: Any = content
        try:
            for number, key in enumerate(path[:-1]):
                here = _inside(here, key, path[: number + 1])
            _put(here, path[-1], value, path)
        except RecipeError as error:
            problems += error.problems
    return problems


def _inside(here: Any, key: str | int, path: KeyPath) -> Any:
    """The mapping or list under a key, made where there is none."""
    if isinstance(here, dict):
        inner = here.get(str(key))
        if not isinstance(inner, dict | list):
            inner = here[str(key)] = {}
        return inner
    _check_index(here, key, path)
    if not isinstance(here[key], dict | list):
        here[key] = {}
    return here[key]


def _put(here: Any, key: str | int, value: Any, path: KeyPath) -> None:
    if isinstance(here, dict):
        here[str(key)] = value
    else:
        _check_index(here, key, path)
        here[key] = value


def _check_index(items: list[Any], key: str | int, path: KeyPath) -> None:
    """RecipeError where a list has no entry of this number."""
    if not isinstance(key, int) or key >= len(items):
        whole, outer = (".".join(map(str, one)) for one in (path, path[:-1]))
        entries = f"0 to {len(items) - 1}" if items else "none"
        raise RecipeError([f"--set {whole}: {outer} is a list; its entries are {entries}"])
