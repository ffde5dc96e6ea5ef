"""nmt recipes and nmt models."""

import sys
from typing import Annotated

import typer

from nmt_cli.cli.options import Recipe, print_line
from nmt_cli.errors import UserError
from nmt_cli.reporting import Reporter


def recipes(context: typer.Context) -> None:
    """List the recipes that come with nmt."""
    if context.invoked_subcommand is None:
        from nmt_cli.recipe.paths import first_comment, shipped_recipes

        for name, path in shipped_recipes().items():
            print_line(f"{name:32} {first_comment(path)}")


def recipes_show(name: Recipe) -> None:
    """Print a recipe."""
    from nmt_cli.recipe.paths import find_recipe, read_recipe_text

    print_line(read_recipe_text(find_recipe(name)).rstrip("\n"))


def recipes_copy(
    name: Recipe, path: Annotated[str, typer.Argument(help="File or folder to copy it to.")] = "."
) -> None:
    """Copy a recipe, to edit it."""
    from nmt_cli.recipe.paths import copy_recipe, find_recipe

    print(copy_recipe(find_recipe(name), path), file=sys.stderr)


def recipes_keys() -> None:
    """Explain every key that a recipe can have."""
    from nmt_cli.recipe.docs import recipe_reference

    print_line(recipe_reference().rstrip("\n"))


def models(context: typer.Context) -> None:
    """List the models."""
    if context.invoked_subcommand is None:
        from nmt_cli.models import MODELS

        for name in MODELS:
            try:
                summary = MODELS[name].summary
            except UserError as error:  # an unfinished model; the others are listed
                Reporter().warning(str(error))
            else:
                print_line(f"{name:16} {summary}")


def models_show(name: Annotated[str, typer.Argument(help="Name of a model.")]) -> None:
    """Explain a model's options."""
    from nmt_cli.recipe.docs import model_options

    for key, default, meaning in model_options(name):
        print_line(f"{key} (default {default})\n    {meaning}")
