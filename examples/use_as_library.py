"""Train a recipe, translate with it, from Python: python examples/use_as_library.py RECIPE OUT."""

import sys
from pathlib import Path

from nmt_cli.commands.train import train
from nmt_cli.inference.opening import open_translator
from nmt_cli.recipe.loader import load_recipe
from nmt_cli.reporting import Reporter


def main(recipe: str, out: Path) -> None:
    """Train (or go on training) into `out`, then translate two lines."""
    result = train(load_recipe(recipe), out, Reporter(), resume=out.exists())
    for score in result.scores:
        print(score.text, score.signature)
    translator = open_translator([out], ["search.beam=5"])
    for translation in translator.translate(["The dog sleeps.", ""]):
        print(repr(translation.text))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
