"""nmt prepare: a recipe's corpus, cleaned, tokenised and memory-mapped."""

from pathlib import Path

from nmt_cli.inference.ray_cluster import ray_pool, ray_session
from nmt_cli.recipe.loader import load_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.preparation import PreparationResult, prepare_recipe


def prepare(
    recipe: str | Path, overrides: list[str], reporter: Reporter, processes: int | None = None, *, on_ray: bool = False
) -> PreparationResult:
    """Prepare a recipe's data under prepared/, unless they are already there.

    `processes` defaults to 1, or for much text to the number of cores. With `on_ray`, workers of a Ray cluster are used
    instead. DataError if text is missing or cannot be used.
    """
    loaded_recipe = load_recipe(recipe, overrides, reporter)
    if not on_ray:
        return prepare_recipe(loaded_recipe, reporter, processes=processes)
    with ray_session() as ray:
        return prepare_recipe(loaded_recipe, reporter, pool=ray_pool(ray))
