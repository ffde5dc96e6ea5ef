"""Recipes: their sections read from YAML, overridden by --set, and written resolved."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, get_args

from pydantic import ValidationError

from nmt_cli.config import ADDED_KEYS, Section, original_form
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.tokenization.tokenizer import TokenizerConfig
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.errors import RecipeError, UserError, suggest
from nmt_cli.models import MODELS, config_class
from nmt_cli.models.configs import ModelConfig
from nmt_cli.recipe.aliases import rename_content_keys, rename_line_numbers, rename_override_keys
from nmt_cli.recipe.overrides import KeyPath, apply_overrides, parse_overrides, plain_value
from nmt_cli.recipe.paths import find_recipe, read_recipe_text
from nmt_cli.reporting import Reporter
from nmt_cli.training.config import TrainingConfig
from nmt_cli.yaml12 import LineNumbers, YamlError, read_yaml, write_yaml

SECTIONS = ("corpus", "tokenizer", "model", "training", "search")
DEFAULT_MODEL = "transformer"

_NAME = re.compile(r"(?!\.)[^/\x00-\x1f\x7f]{1,100}")  # it becomes the name of a folder
_NUMBER_WITH_COMMA = re.compile(r"[-+]?[0-9]+,[0-9]+")


@dataclass(frozen=True)
class Recipe:
    """All settings of a run, in the order in which data flows."""

    name: str
    corpus: CorpusConfig
    tokenizer: TokenizerConfig
    model: ModelConfig
    training: TrainingConfig
    search: SearchConfig
    folder: Path | None = None  # searched first for relative paths

    def with_values(self, section: str, **values: Any) -> "Recipe":
        """This recipe with other values for some keys of a section; they are not checked."""
        return replace(self, **{section: getattr(self, section).model_copy(update=values)})

    def warnings(self, section: str) -> list[str]:
        """Options of a section that do nothing, or hardly what was meant, each as `section.key: why`."""
        messages: list[str] = getattr(self, section).warnings()
        if section == "search" and self.search.coverage_penalty and not self.model.has_attention:
            messages = [*messages, f"coverage_penalty: does nothing: {self.model.type} has no attention here"]
        return [f"{section}.{message}" for message in messages]

    def to_dict(self) -> dict[str, Any]:
        """All keys with their values, defaults included."""
        sections = {key: getattr(self, key).model_dump(mode="json") for key in SECTIONS}
        return {"name": self.name, **sections}

    def to_yaml(self) -> str:
        """The resolved recipe; reading it gives this recipe again."""
        return write_yaml(self.to_dict())

    def hash(self) -> str:
        """Eight digits that identify the resolved recipe."""
        sections = {key: original_form(key, values) for key, values in self.to_dict().items() if key != "name"}
        text = json.dumps({"name": self.name, **sections}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


class _FieldError(NamedTuple):
    path: KeyPath
    message: str


class _UnionMismatch(NamedTuple):
    """A branch of a union (pydantic's name for it) whose type is not that of the value."""

    path: KeyPath
    branch: str
    value: Any


def load_recipe(
    recipe: str | Path,
    overrides: Sequence[str] = (),
    reporter: Reporter | None = None,
    *,
    checked_sections: Sequence[str] = SECTIONS,
) -> Recipe:
    """Read a recipe by path or by the name of a shipped one, with `section.key=value` overrides.

    `reporter`, if given, warns of old names of keys in the file. RecipeError lists every problem.
    """
    path = find_recipe(recipe)
    parsed_overrides, override_errors = parse_overrides(overrides)
    parsed_overrides, renamed_keys = rename_override_keys(parsed_overrides)
    override_errors += [f"--set {renamed.message()}" for renamed in renamed_keys if renamed.conflict]
    try:
        content, line_numbers = read_yaml(read_recipe_text(path))
    except YamlError as error:
        raise RecipeError([f"{path}: {error}", *override_errors]) from error
    if not isinstance(content, dict):
        expected = f"a recipe is a mapping with the keys name, {', '.join(SECTIONS)}"
        raise RecipeError([f"{path}: {expected}", *override_errors])
    content.setdefault("name", path.stem)
    errors = []
    for renamed in rename_content_keys(content):
        message = f"{path}:{line_numbers[renamed.section, renamed.old]}: {renamed.message()}"
        if renamed.conflict:
            errors.append(message)
        elif reporter is not None:
            reporter.warning(message)
    line_numbers = rename_line_numbers(line_numbers)
    override_errors += apply_overrides(content, parsed_overrides)
    overridden = frozenset(override.path for override in parsed_overrides)
    try:
        loaded = build_recipe(
            content, str(path), line_numbers, path.absolute().parent, overridden, checked_sections=checked_sections
        )
    except RecipeError as error:
        raise RecipeError([*errors, *error.errors, *override_errors]) from error
    if errors or override_errors:
        raise RecipeError([*errors, *override_errors])
    return loaded


def load_run_recipe(path: Path, overrides: Sequence[str] = (), *, checked_sections: Sequence[str] = SECTIONS) -> Recipe:
    """The recipe of a run, with overrides.

    Keys that were added after it was written have the value with which everything is as it was. Only in
    `checked_sections` must values fit together: what was right when the run was trained need not be checked again, and
    its corpus may be gone.
    """
    recipe = load_recipe(path, overrides, checked_sections=checked_sections)
    for name, added_values in ADDED_KEYS.items():
        section = getattr(recipe, name)
        defaults = section.model_dump(mode="json")
        unstated_keys = added_values.keys() - section.model_fields_set
        missing = {key: added_values[key] for key in unstated_keys if defaults[key] != added_values[key]}
        recipe = recipe.with_values(name, **missing)
    return recipe


def change_search(search: SearchConfig, changes: Mapping[str, Any], label: str) -> SearchConfig:
    """A search section with other values for some keys; RecipeError lists every problem, after `label`."""
    text = json.dumps(changes, default=plain_value, ensure_ascii=False)
    if not text.isprintable() and re.search("[\ud800-\udfff]", text):
        raise RecipeError([f"{label}: {text!a}: not UTF-8 text"])
    values = json.loads(text)
    errors: list[_FieldError] = []
    changed = _parse_section("search", SearchConfig, search.model_dump(mode="json") | values, errors)
    if isinstance(changed, SearchConfig):
        errors = _cross_field_errors({"search": changed}, ("search",)) or [
            _FieldError(("search", "keep_patterns", index), f"“{pattern}” matches the empty string: say what it keeps")
            for index, pattern in enumerate(changed.keep_patterns)
            if pattern not in search.keep_patterns and any(not match[0] for match in re.finditer(pattern, "aa "))
        ]  # of new patterns alone: a run may have such a one
    if errors:
        raise RecipeError([_format_error(field_error, label, {}, frozenset()) for field_error in errors])
    assert isinstance(changed, SearchConfig)
    return changed


def build_recipe(
    content: dict[str, Any],
    label: str = "recipe",
    line_numbers: LineNumbers | None = None,
    folder: Path | None = None,
    overridden: frozenset[KeyPath] = frozenset(),
    *,
    checked_sections: Sequence[str] = SECTIONS,
) -> Recipe:
    """A recipe from plain values; RecipeError lists every problem.

    `line_numbers` are those of the values in the file `label`; `overridden` are the keys that --set changed. In
    `checked_sections` values that are valid on their own must also fit together.
    """
    errors: list[_FieldError] = []
    sections: dict[str, Any] = {}
    known_keys = ("name", *SECTIONS)
    errors += [_unknown_key((key,), known_keys) for key in content if key not in known_keys]
    if (problem := _name_problem(content.get("name"))) is not None:
        errors.append(_FieldError(("name",), problem))
    classes: dict[str, type[Section]] = {
        "corpus": CorpusConfig,
        "tokenizer": TokenizerConfig,
        "training": TrainingConfig,
        "search": SearchConfig,
    }
    model_class = _model_class(content.get("model"), overridden, errors)
    if model_class is not None:
        classes["model"] = model_class
    if "corpus" not in content:
        errors.append(_FieldError(("corpus",), "missing: a recipe must say where its text is"))
        del classes["corpus"]
    for key, section_class in classes.items():
        sections[key] = _parse_section(key, section_class, content.get(key), errors)
    if not errors:
        errors = _cross_field_errors(sections, checked_sections)
    if errors:
        raise RecipeError([_format_error(field_error, label, line_numbers or {}, overridden) for field_error in errors])
    return Recipe(name=content["name"], folder=folder, **sections)


def _name_problem(name: Any) -> str | None:
    """What is wrong with the name of a recipe, by default that of its file."""
    if not isinstance(name, str):
        return f"should be text, in quotes where it looks like a number, not {_format_value(name)}"
    if re.search("[\ud800-\udfff]", name):
        return "should be UTF-8 text; a recipe without a name has that of its file"
    if not _NAME.fullmatch(name) or len(name.encode()) > 200:
        return "should be a name without slashes, at most 100 characters, not beginning with a dot"
    return None


def _model_class(section: Any, overridden: frozenset[KeyPath], errors: list[_FieldError]) -> type[ModelConfig] | None:
    """The class of the model section, or None after adding to `errors` what is wrong with its type."""
    section = section if isinstance(section, dict) else {}  # what else it is gets its own message
    name = section.get("type", DEFAULT_MODEL)
    if not isinstance(name, str) or name not in MODELS:
        message = f"no model {name!r}; {suggest(str(name), MODELS)}; see nmt models"
    elif "type" in section and ("model", "type") in overridden and (leftover := _leftover_keys(section, name)):
        message = (
            f"{name} has no {', '.join(leftover)}, which the recipe sets;"
            f" --set 'model={{type: {name}}}' replaces the whole section"
        )
    else:
        return config_class(name)
    errors.append(_FieldError(("model", "type"), message))
    return None


def _leftover_keys(section: dict[str, Any], model: str) -> list[str]:
    """Keys of the section that other models have, but not this one."""
    others: set[str] = set()
    for name in MODELS:
        with suppress(UserError):  # an unfinished model
            others |= config_class(name).model_fields.keys()
    return [key for key in section if key in others - config_class(model).model_fields.keys()]


def _parse_section(key: str, section_class: type[Section], value: Any, errors: list[_FieldError]) -> Section | None:
    """The section, or None after adding its problems to `errors`."""
    value = {} if value is None else value
    if not isinstance(value, dict):
        errors.append(_FieldError((key,), f"should be a mapping, not {_format_value(value)}"))
        return None
    try:
        return section_class.model_validate_json(json.dumps(value))
    except ValidationError as error:
        errors += _section_errors(section_class, key, value, error.errors(include_url=False))
        return None


def _section_errors(
    section_class: type[Section], key: str, value: Any, pydantic_errors: Sequence[Any]
) -> list[_FieldError]:
    """The problems of a section, without those of union branches that the value does not belong to."""
    explained = [_explain_error(section_class, key, value, item) for item in pydantic_errors]
    field_errors = [item for item in explained if not isinstance(item, _UnionMismatch)]
    mismatches: dict[KeyPath, list[_UnionMismatch]] = {}
    for item in explained:
        if isinstance(item, _UnionMismatch):
            mismatches.setdefault(item.path, []).append(item)
    for path, path_mismatches in sorted(mismatches.items(), key=lambda item: -len(item[0])):  # the innermost first
        if not any(item.path[: len(path)] == path for item in field_errors):
            branches = " or ".join(dict.fromkeys(_describe_branch(item.branch) for item in path_mismatches))
            field_errors.append(
                _FieldError(path, f"should be {branches}, not {_format_value(path_mismatches[0].value)}")
            )
    return field_errors


def _explain_error(section_class: type[Section], key: str, value: Any, error: Any) -> "_FieldError | _UnionMismatch":
    """A problem with its path in the recipe, or a union branch that does not fit the value."""
    path: list[str | int] = [key]
    innermost_class: type[Section] = section_class
    current_value = parent = value
    for index, element in enumerate(error["loc"]):
        is_last = index == len(error["loc"]) - 1
        is_child = (isinstance(current_value, dict) and element in current_value) or (
            isinstance(current_value, list) and isinstance(element, int)
        )
        if is_child:
            path.append(element)
            parent, current_value = current_value, current_value[element]
            innermost_class = _nested_section_class(innermost_class, element)
        elif is_last and error["type"] == "missing":
            path.append(element)
        elif not _branch_matches(str(element), current_value):
            return _UnionMismatch(tuple(path), str(element), current_value)
    if error["type"] == "extra_forbidden":
        if (number := _number_with_comma(parent, str(path[-1]), innermost_class)) is not None:
            return _FieldError(tuple(path), f"unknown key; a comma ends a value here: write {number}")
        return _unknown_key(tuple(path), list(innermost_class.model_fields))
    if error["type"] == "missing":
        return _FieldError(tuple(path), "missing")
    message = f"{_rephrase(error['msg'])}, not {_format_value(current_value)}"
    if isinstance(current_value, str) and _NUMBER_WITH_COMMA.fullmatch(current_value):
        is_fractional = error["type"].startswith("float")
        message += f"; write {current_value.replace(',', '.' if is_fractional else '')}"
    return _FieldError(tuple(path), message)


def _number_with_comma(mapping: dict[str, Any], key: str, section_class: type[Section]) -> str | None:
    """What `{rate: 0,003}` means, which YAML reads as {rate: 0, 003: null}; None for a key that is no such part."""
    keys = list(mapping)
    before = keys[max(0, keys.index(key) - 1)]
    field = section_class.model_fields.get(before)
    if field is None or not key.isdecimal() or mapping[key] is not None or type(mapping[before]) is not int:
        return None
    is_fractional = float in (field.annotation, *get_args(field.annotation))
    return f"{before}: {mapping[before]}{'.' if is_fractional else ''}{key}"


def _nested_section_class(section_class: type[Section], key: str | int) -> type[Section]:
    """The section class within the type of a field, through unions and lists; else `section_class` itself."""
    field = section_class.model_fields.get(str(key))
    annotations = [] if field is None else [field.annotation]
    for annotation in annotations:  # extended during the iteration
        annotations += get_args(annotation)
        if isinstance(annotation, type) and issubclass(annotation, Section):
            return annotation
    return section_class


def _branch_matches(branch: str, value: Any) -> bool:
    """Whether a union branch, by pydantic's name, fits the value."""
    python_types = {"text": str, "a mapping": dict, "a list": list, "an integer": int}
    expected_type = python_types.get(_describe_branch(branch))  # None for a literal, which fits only itself
    return expected_type is not None and isinstance(value, expected_type) and not isinstance(value, bool)


def _describe_branch(branch: str) -> str:
    if branch.startswith("literal["):
        return branch[len("literal[") : -1].replace("'", "")
    if branch in ("int", "constrained-int"):
        return "an integer"
    return "text" if branch == "str" else "a list" if branch.startswith("tuple") else "a mapping"


def _rephrase(text: str) -> str:
    text = text.removeprefix("Input ").replace("an object", "a mapping")
    return text.replace("a valid integer", "an integer").replace("a valid", "a")


def _format_value(value: Any) -> str:
    type_prefixes = {str: "the text ", bool: "the truth value ", list: "the list ", dict: "the mapping "}
    return type_prefixes.get(type(value), "") + json.dumps(value, ensure_ascii=False)[:80]


def _unknown_key(path: tuple[str | int, ...], known_keys: Sequence[str]) -> _FieldError:
    return _FieldError(path, f"unknown key; {suggest(str(path[-1]), known_keys)}")


def _cross_field_errors(sections: dict[str, Any], checked_sections: Sequence[str]) -> list[_FieldError]:
    """Problems of values that are valid on their own but not in combination."""
    messages_by_section = {key: sections[key].errors() for key in checked_sections if key != "model"}
    if "model" in checked_sections:
        messages_by_section["model"] = sections["model"].errors(sections["tokenizer"].joint)
    errors = []
    for key, messages in messages_by_section.items():
        for message in messages:
            dotted_key, _, reason = message.partition(": ")
            path = [int(element) if element.isdigit() else element for element in dotted_key.split(".")]
            errors.append(_FieldError((key, *path), reason))
    return errors


def _format_error(error: _FieldError, label: str, line_numbers: LineNumbers, overridden: frozenset[KeyPath]) -> str:
    """`file:line: section.key: what is wrong`, or `--set section.key: ...`."""
    path, dotted = error.path, ".".join(map(str, error.path))
    if any(path[: len(key)] == key or (key[: len(path)] == path and path not in line_numbers) for key in overridden):
        return f"--set {dotted}: {error.message}"
    while path and path not in line_numbers:
        path = path[:-1]
    location = f"{label}:{line_numbers[path]}" if path in line_numbers and path else label
    return f"{location}: {dotted}: {error.message}"
