"""Old names of recipe keys: still accepted, with a note that gives the new name."""

from typing import Any, NamedTuple

from nmt_cli.config import RENAMED_KEYS
from nmt_cli.recipe.overrides import KeyPath, Override
from nmt_cli.yaml12 import LineNumbers


class RenamedKey(NamedTuple):
    """An old name that a recipe or an override uses."""

    section: str
    old: str
    new: str
    conflict: bool = False  # the new name is given, too

    def message(self) -> str:
        """A warning, or an error if there is a conflict."""
        if self.conflict:
            return f"{self.section}.{self.old}: is now {self.section}.{self.new}, which is given, too: use only that"
        return f"{self.section}.{self.old} is now {self.section}.{self.new}"


def rename_content_keys(content: dict[str, Any]) -> list[RenamedKey]:
    """Replace old names in the content of a recipe by the new ones."""
    renamed_keys: list[RenamedKey] = []
    for section in RENAMED_KEYS:
        if isinstance(values := content.get(section), dict):
            content[section], renamed_section_keys = _rename_section_keys(section, values)
            renamed_keys += renamed_section_keys
    return renamed_keys


def rename_line_numbers(line_numbers: LineNumbers) -> LineNumbers:
    """Line numbers by the new names of keys."""
    return {_rename_path(path): line for path, line in line_numbers.items()}


def rename_override_keys(overrides: list[Override]) -> tuple[list[Override], list[RenamedKey]]:
    """Overrides by the new names of keys, and the old names that were used."""
    given_paths = {override.path[:2] for override in overrides}
    renamed_overrides: list[Override] = []
    renamed_keys: list[RenamedKey] = []
    for path, value in overrides:
        new_path, new_value = _rename_path(path), value
        if new_path != path:
            section, old, new = str(path[0]), str(path[1]), str(new_path[1])
            renamed_keys.append(RenamedKey(section, old, new, conflict=new_path[:2] in given_paths))
        elif len(path) == 1 and isinstance(value, dict):
            new_value, renamed_section_keys = _rename_section_keys(str(path[0]), value)
            renamed_keys += renamed_section_keys
        renamed_overrides.append(Override(new_path, new_value))
    return renamed_overrides, renamed_keys


def _rename_section_keys(section: str, values: dict[str, Any]) -> tuple[dict[str, Any], list[RenamedKey]]:
    new_names = RENAMED_KEYS.get(section, {})
    renamed_keys = [
        RenamedKey(section, old, new, conflict=new in values) for old, new in new_names.items() if old in values
    ]
    renamed_values = {new_names.get(key, key): value for key, value in values.items()}
    return renamed_values, renamed_keys


def _rename_path(path: KeyPath) -> KeyPath:
    if len(path) < 2:
        return path
    section, key, *rest = path
    return (section, RENAMED_KEYS.get(str(section), {}).get(str(key), key), *rest)
