"""nmt models: the models that a recipe can use, and their options."""

from nmt_cli.errors import UserError, suggest
from nmt_cli.models import MODELS, config_class
from nmt_cli.recipe.docs import section_options


def model_summaries() -> list[tuple[str, str]]:
    """Name and one-line summary of each model."""
    return [(name, model.summary) for name, model in MODELS.items()]


def model_options(name: str) -> list[tuple[str, str, str]]:
    """Key, default and meaning of each option of a model; UserError if there is no such model."""
    if name not in MODELS:
        raise UserError(f"no model {name!r}; {suggest(name, MODELS)}")
    return section_options(config_class(name))
