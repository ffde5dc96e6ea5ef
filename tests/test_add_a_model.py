"""docs/add-a-model.md, done as it says in a copy of the source tree."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.precision]

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/add-a-model.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def apply(text: str, diff: str) -> str:
    """The text with the lines of a small diff put in; its other lines must be there."""
    lines = [(line[0], line[1:]) for line in diff.splitlines()]
    before = "\n".join(line for sign, line in lines if sign == " ")
    assert text.count(before) == 1, before
    return text.replace(before, "\n".join(line for _, line in lines))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree in which the page has been followed."""
    copy = tmp_path_factory.mktemp("tree")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("nmt_cli", "recipes", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, copy)
    (file,) = blocks("python")
    (copy / "nmt_cli/models/bag.py").write_text(file, encoding="utf-8")
    registry = copy / "nmt_cli/models/__init__.py"
    for diff in blocks("diff"):
        registry.write_text(apply(registry.read_text(encoding="utf-8"), diff), encoding="utf-8")
    (recipe,) = blocks("yaml")
    (copy / "recipes/quickstart-bag.yaml").write_text(recipe, encoding="utf-8")
    return copy


def run(tree: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(tree)}
    command = [sys.executable, "-m", *arguments]
    line = "The old man reads a book.\n"
    done = subprocess.run(command, cwd=tree, env=environment, input=line, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_new_model_keeps_the_contract(tree: Path) -> None:
    tests = ["tests/models/test_contract.py", "tests/test_docs.py"]
    chosen = "bag or every_option_value or shipped_recipe"
    output = run(tree, "pytest", *tests, "-k", chosen, "-p", "no:cacheprovider", "-vv")
    for promise in ("step_by_step", "padding", "reorder", "every_parameter", "by_heart"):
        assert re.search(rf"{promise}.*bag.*PASSED", output), promise


def test_it_is_listed_explained_trained_and_translates(tree: Path) -> None:
    assert "a bag of source words" in run(tree, "nmt_cli", "models")
    assert "Width of word vectors" in run(tree, "nmt_cli", "models", "show", "bag")
    few = ["training.updates=4", "training.warmup_updates=2", "model.size=16", "training.samples=0",
           "search.beam=1", "search.max_length=8", "search.repair_degenerate=false"]  # fmt: skip
    sets = [word for setting in few for word in ("--set", setting)]
    run(tree, "nmt_cli", "train", "quickstart-bag", "--quiet", *sets)
    out = run(tree, "nmt_cli", "translate", "runs/quickstart-bag", "--quiet")
    assert len(out.splitlines()) == 1


def test_the_page_touches_no_other_file() -> None:
    headings = re.findall(r"^## \d\. .*`([\w/.-]+)`$", PAGE, re.MULTILINE)
    assert headings == [
        "nmt_cli/models/bag.py", "nmt_cli/models/__init__.py", "recipes/quickstart-bag.yaml"
    ]  # fmt: skip
