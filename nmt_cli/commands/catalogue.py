"""nmt models: what a recipe can name, explained from the code."""

import difflib
from typing import Any

from pydantic.fields import FieldInfo

from nmt_cli.errors import UserError
from nmt_cli.models import MODELS


def model_lines() -> list[tuple[str, str]]:
    """Name and one line about each model."""
    return [(name, model.summary) for name, model in MODELS.items()]


def model_options(name: str) -> list[tuple[str, str, str]]:
    """Key, default and meaning of each option of a model; UserError for an unknown one."""
    if name not in MODELS:
        near = difflib.get_close_matches(name, list(MODELS), 1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(MODELS)}"
        raise UserError(f"no model {name!r}; {hint}")
    fields: dict[str, FieldInfo] = MODELS[name].config_class.model_fields
    return [
        (key, _shown(field.default), " ".join((field.description or "").split()))
        for key, field in fields.items()
        if key != "type"
    ]


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
