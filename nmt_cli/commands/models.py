"""nmt models: what a recipe can name, explained from the code."""

from nmt_cli.errors import UserError, suggest
from nmt_cli.models import MODELS
from nmt_cli.recipe.docs import section_options


def model_summaries() -> list[tuple[str, str]]:
    """Name and one line about each model."""
    return [(name, model.summary) for name, model in MODELS.items()]


def model_options(name: str) -> list[tuple[str, str, str]]:
    """Key, default and meaning of each option of a model; UserError for an unknown one."""
    if name not in MODELS:
        raise UserError(f"no model {name!r}; {suggest(name, MODELS)}")
    return section_options(MODELS[name].config_class)
