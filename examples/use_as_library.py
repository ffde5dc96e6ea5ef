"""Train a recipe and translate with it, from Python: python examples/use_as_library.py RECIPE RUN."""

import sys
from pathlib import Path

import nmt_cli


def main(recipe: str, run: Path) -> None:
    """Train into the run folder, or resume there, then translate two lines."""
    result = nmt_cli.train(recipe, run, resume=run.exists(), quiet=False)
    for score in result.scores:
        print(score.text, score.signature)
    translator = nmt_cli.load_run(run, search={"beam": 5})
    for translation in translator.translate(["The dog sleeps.", ""]):
        print(repr(translation.text))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
