"""nmt models: what a recipe can name, explained from the code."""

import difflib

from nmt_cli.commands.reference import options
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
    return options(MODELS[name].config_class)
