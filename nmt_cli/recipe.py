"""A recipe: the sum of the sections, read from YAML, changed by --set, written back resolved."""

import difflib
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args

from pydantic import ValidationError

from nmt_cli.config import Section
from nmt_cli.data.corpus_settings import CorpusConfig
from nmt_cli.data.tokenizer import TokenizerConfig
from nmt_cli.decoding.hypothesis import SearchConfig
from nmt_cli.errors import RecipeError
from nmt_cli.evaluation.metrics import tokenizers
from nmt_cli.models import MODELS
from nmt_cli.models.contract import ModelConfig
from nmt_cli.recipe_files import find_recipe, read_text
from nmt_cli.recipe_settings import KeyPath, apply, parse
from nmt_cli.training.settings import TrainingConfig
from nmt_cli.yaml12 import Lines, YamlError, read_yaml, write_yaml

SECTIONS = ("corpus", "tokenizer", "model", "training", "search")
DEFAULT_MODEL = "transformer"

_NAME = re.compile(r"(?!\.)[^/\x00-\x1f\x7f]{1,100}")  # it becomes the name of a folder
_NAME_RULE = "should be a name without slashes, at most 100 characters, not beginning with a dot"


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run, in the order in which data flows."""

    name: str
    corpus: CorpusConfig
    tokenizer: TokenizerConfig
    model: ModelConfig
    training: TrainingConfig
    search: SearchConfig
    folder: Path | None = None  # where its relative paths are looked for first

    def to_dict(self) -> dict[str, Any]:
        """All keys with their values, defaults included."""
        sections = {key: getattr(self, key).model_dump(mode="json") for key in SECTIONS}
        return {"name": self.name, **sections}

    def to_yaml(self) -> str:
        """The resolved recipe; reading it gives this recipe again."""
        return write_yaml(self.to_dict())

    def hash(self) -> str:
        """Eight digits that identify the resolved recipe."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


class _Problem(NamedTuple):
    path: KeyPath
    text: str


class _Misfit(NamedTuple):
    """A branch of a union, by pydantic's name, that is of another kind than the value."""

    path: KeyPath
    branch: str
    value: Any


def load_recipe(recipe: str | Path, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe by path or by the name of a shipped one, with `section.key=value` settings.

    RecipeError carries every problem found.
    """
    path = find_recipe(recipe)
    changes, wrong = parse(settings)
    try:
        content, lines = read_yaml(read_text(path))
    except YamlError as error:
        raise RecipeError([f"{path}: {error}", *wrong]) from error
    if not isinstance(content, dict):
        known = f"a recipe is a mapping with the keys name, {', '.join(SECTIONS)}"
        raise RecipeError([f"{path}: {known}", *wrong])
    content.setdefault("name", path.stem)
    wrong += apply(content, changes)
    changed = frozenset(change.path for change in changes)
    try:
        recipe_found = build_recipe(content, str(path), lines, path.absolute().parent, changed)
    except RecipeError as error:
        raise RecipeError([*error.problems, *wrong]) from error
    if wrong:
        raise RecipeError(wrong)
    return recipe_found


def build_recipe(
    content: dict[str, Any],
    label: str = "recipe",
    lines: Lines | None = None,
    folder: Path | None = None,
    changed: frozenset[KeyPath] = frozenset(),
) -> Recipe:
    """A recipe from plain values; RecipeError carries every problem found.

    `lines` tells where each value stands in the file `label`, `changed` which came from --set.
    """
    problems: list[_Problem] = []
    sections: dict[str, Any] = {}
    known = ("name", *SECTIONS)
    problems += [_unknown((key,), known) for key in content if key not in known]
    name = content.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name.encode()) > 200:
        problems.append(_Problem(("name",), _NAME_RULE))
    classes: dict[str, type[Section]] = {
        "corpus": CorpusConfig,
        "tokenizer": TokenizerConfig,
        "training": TrainingConfig,
        "search": SearchConfig,
    }
    model_class = _model_class(content.get("model"), problems)
    if model_class is not None:
        classes["model"] = model_class
    if "corpus" not in content:
        problems.append(_Problem(("corpus",), "missing: a recipe must say where its text is"))
        del classes["corpus"]
    for key, kind in classes.items():
        sections[key] = _section(key, kind, content.get(key), problems)
    if not problems:
        problems = _disagreements(sections)
    if problems:
        raise RecipeError([_locate(problem, label, lines or {}, changed) for problem in problems])
    return Recipe(name=content["name"], folder=folder, **sections)


def _model_class(section: Any, problems: list[_Problem]) -> type[ModelConfig] | None:
    name = section.get("type", DEFAULT_MODEL) if isinstance(section, dict) else DEFAULT_MODEL
    if isinstance(name, str) and name in MODELS:
        return MODELS[name].config_class
    near = _nearest(str(name), MODELS)
    problems.append(_Problem(("model", "type"), f"no model {name!r}{near}; see nmt models"))
    return None


def _section(key: str, kind: type[Section], value: Any, problems: list[_Problem]) -> Section | None:
    """The section, or None with its problems collected."""
    value = {} if value is None else value
    if not isinstance(value, dict):
        problems.append(_Problem((key,), f"should be a mapping, not {_shown(value)}"))
        return None
    try:
        return kind.model_validate_json(json.dumps(value))
    except ValidationError as error:
        problems += _explain_all(kind, key, value, error.errors(include_url=False))
        return None


def _explain_all(
    kind: type[Section], key: str, value: Any, errors: Sequence[Any]
) -> list[_Problem]:
    """The problems of a section, without those of branches of a union that were not meant."""
    found = [_explain(kind, key, value, one) for one in errors]
    meant = [one for one in found if not isinstance(one, _Misfit)]
    misfits: dict[KeyPath, list[_Misfit]] = {}
    for one in found:
        if isinstance(one, _Misfit):
            misfits.setdefault(one.path, []).append(one)
    for path, some in misfits.items():
        if not any(one.path[: len(path)] == path for one in meant):
            branches = " or ".join(dict.fromkeys(_branch_name(one.branch) for one in some))
            meant.append(_Problem(path, f"should be {branches}, not {_shown(some[0].value)}"))
    return meant


def _explain(kind: type[Section], key: str, value: Any, error: Any) -> "_Problem | _Misfit":
    """A problem with the path as the user wrote it, or a branch of a union that does not fit."""
    path: list[str | int] = [key]
    known: type[Section] = kind
    here = value
    for number, part in enumerate(error["loc"]):
        last = number == len(error["loc"]) - 1
        inside = (isinstance(here, dict) and part in here) or (
            isinstance(here, list) and isinstance(part, int)
        )
        if inside:
            path.append(part)
            here = here[part]
            known = _section_of(known, part)
        elif last and error["type"] == "missing":
            path.append(part)
        elif not _branch_fits(str(part), here):
            return _Misfit(tuple(path), str(part), here)
    if error["type"] == "extra_forbidden":
        return _unknown(tuple(path), list(known.model_fields))
    if error["type"] == "missing":
        return _Problem(tuple(path), "missing")
    return _Problem(tuple(path), f"{_sentence(error['msg'])}, not {_shown(here)}")


def _section_of(kind: type[Section], key: str | int) -> type[Section]:
    """The section class inside a field, through unions and lists; `kind` itself where none is."""
    field = kind.model_fields.get(str(key))
    inner = [] if field is None else [field.annotation]
    for one in inner:  # grows while it is walked
        inner += get_args(one)
        if isinstance(one, type) and issubclass(one, Section):
            return one
    return kind


def _branch_fits(branch: str, value: Any) -> bool:
    """Whether pydantic's name for a branch of a union fits the value that is there."""
    kinds = {"text": str, "a mapping": dict, "a list": list, "an integer": int}
    wanted = kinds.get(_branch_name(branch))  # none for a word: only that word fits it
    return wanted is not None and isinstance(value, wanted) and not isinstance(value, bool)


def _branch_name(branch: str) -> str:
    if branch.startswith("literal["):
        return branch[len("literal[") : -1].replace("'", "")
    if branch in ("int", "constrained-int"):
        return "an integer"
    return "text" if branch == "str" else "a list" if branch.startswith("tuple") else "a mapping"


def _sentence(text: str) -> str:
    text = text.removeprefix("Input ").replace("an object", "a mapping")
    return text.replace("a valid integer", "an integer").replace("a valid", "a")


def _shown(value: Any) -> str:
    kind = {str: "the text ", bool: "the truth value ", list: "the list ", dict: "the mapping "}
    return kind.get(type(value), "") + json.dumps(value, ensure_ascii=False)[:80]


def _unknown(path: tuple[str | int, ...], known: Sequence[str]) -> _Problem:
    return _Problem(path, f"unknown key{_nearest(str(path[-1]), known)}")


def _nearest(name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, list(known), 1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"


def _disagreements(sections: dict[str, Any]) -> list[_Problem]:
    """Values that are right by themselves and do not go together."""
    joint = sections["tokenizer"].joint
    found = {key: sections[key].problems() for key in SECTIONS if key != "model"}
    found["model"] = sections["model"].problems(joint)
    problems = []
    for key, texts in found.items():
        for text in texts:
            name, _, rest = text.partition(": ")
            parts = name.replace("[", ".").replace("]", "").split(".")  # train[0] is train.0
            path = [int(part) if part.isdigit() else part for part in parts]
            problems.append(_Problem((key, *path), rest))
    tokenizer = sections["training"].metric_tokenize
    if tokenizer is not None and tokenizer not in tokenizers():
        text = f"no tokenizer of sacreBLEU; use one of {', '.join(tokenizers())}"
        problems.append(_Problem(("training", "metric_tokenize"), text))
    return problems


def _locate(problem: _Problem, label: str, lines: Lines, changed: frozenset[KeyPath]) -> str:
    """`file:line: section.key: what is wrong`, or `--set section.key: ...`."""
    dotted = ".".join(map(str, problem.path))
    path = problem.path
    if any(path[: len(one)] == one or one[: len(path)] == path not in lines for one in changed):
        return f"--set {dotted}: {problem.text}"
    while path and path not in lines:
        path = path[:-1]
    where = f"{label}:{lines[path]}" if path in lines and path else label
    return f"{where}: {dotted}: {problem.text}"
