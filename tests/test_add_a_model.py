"""docs/add-a-model.md, followed in a copy of the source tree."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from nmt_cli.device import AUTO_PRECISION_VARIABLE

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/add-a-model.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def apply(text: str, diff: str) -> str:
    """The text with the added lines of a small diff; its context lines must occur once."""
    lines = [(line[0], line[1:]) for line in diff.splitlines()]
    before = "\n".join(line for sign, line in lines if sign == " ")
    assert text.count(before) == 1, before
    return text.replace(before, "\n".join(line for _, line in lines))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree in which the page has been followed."""
    copy = tmp_path_factory.mktemp("tree")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("nmt_cli", "recipes", "tests", "tools", "docs"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, copy)
    file, score, choice = blocks("python")
    add_score(copy / "nmt_cli/models", score, textwrap.indent(choice, "    "))
    (copy / "nmt_cli/models/bag.py").write_text(file, encoding="utf-8")
    registry = copy / "nmt_cli/models/__init__.py"
    for diff in blocks("diff"):
        registry.write_text(apply(registry.read_text(encoding="utf-8"), diff), encoding="utf-8")
    (recipe,) = blocks("yaml")
    (copy / "recipes/quickstart-bag.yaml").write_text(recipe, encoding="utf-8")
    (command,) = blocks("sh")
    arguments, page = command.removeprefix("nmt ").split(" > ")
    (copy / page.strip()).write_text(output_of(nmt(copy, *arguments.split())), encoding="utf-8")
    return copy


def add_score(models: Path, score: str, choice: str) -> None:
    """Add an attention score: its class, where it is made, and its name."""
    options = '        {"attention": "general", "input_feeding": False},\n'
    changes = [
        ("rnn_attention.py", "AttentionScore = ", f"{score}\n\nAttentionScore = DistanceScore | "),
        ("rnn_attention.py", "    return ProductScore(", f"{choice}    return ProductScore("),
        ("configs.py", '"cosine"]\n', '"cosine", "distance"]\n'),
        ("configs.py", options, options + '        {"attention": "distance"},\n'),
    ]
    for name, old, new in changes:
        text = (models / name).read_text(encoding="utf-8")
        assert text.count(old) == 1, old
        (models / name).write_text(text.replace(old, new), encoding="utf-8")


def nmt(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return python(tree, "nmt_cli", *arguments)


def python(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(tree), AUTO_PRECISION_VARIABLE: "fp32"}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(
        command, cwd=tree, env=environment, input="The old man reads a book.\n", capture_output=True, text=True
    )


def output_of(completed: subprocess.CompletedProcess[str]) -> str:
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


@pytest.fixture(scope="module")
def trained_run(tree: Path) -> str:
    """A run of the new recipe with few updates, relative to the tree."""
    few = ["training.updates=20", "training.warmup_updates=2", "model.size=16", "training.samples=0",
           "training.precision=fp32", "search.precision=fp32",
           "search.beam=1", "search.max_length=8", "search.repair_degenerate=false"]  # fmt: skip
    output_of(nmt(tree, "train", "quickstart-bag", "--quiet", *(word for key in few for word in ("--set", key))))
    return "runs/quickstart-bag"


def test_the_new_model_keeps_the_contract(tree: Path) -> None:
    tests = ["tests/models/test_contract.py", "tests/export/test_onnx.py", "tests/test_docs.py"]
    chosen = "bag or every_option_value or shipped_recipe or reference_of_recipe_keys or every_system"
    output = output_of(python(tree, "pytest", *tests, "-k", chosen, "-p", "no:cacheprovider", "-vv"))
    promises = ["step_by_step", "padding", "reorder", "every_parameter", "overfits", "rebuilt_from_its_tensors"]
    for promise in [*promises, "scores_and_searches_are_the_same"]:
        assert re.search(rf"{promise}.*bag.*PASSED", output), promise
    for promise in ("reference_of_recipe_keys_is_current", "every_system_of_the_line_has_a_recipe"):
        assert re.search(rf"{promise} PASSED", output), promise


def test_the_new_attention_score_keeps_the_contract(tree: Path) -> None:
    tests = ["tests/models/test_contract.py", "-k", "distance", "-p", "no:cacheprovider", "-vv"]
    output = output_of(python(tree, "pytest", *tests))
    for promise in ("step_by_step", "padding", "every_parameter", "overfits"):
        assert re.search(rf"{promise}.*distance.*PASSED", output), promise


def test_it_is_listed_explained_trained_and_translates(tree: Path, trained_run: str) -> None:
    assert "a bag of source words" in output_of(nmt(tree, "models"))
    assert "Width of word vectors" in output_of(nmt(tree, "models", "show", "bag"))
    assert len(output_of(nmt(tree, "translate", trained_run, "--quiet")).splitlines()) == 1


def test_it_is_exported_and_translates_there(tree: Path, trained_run: str) -> None:
    pytest.importorskip("onnxruntime")
    output_of(nmt(tree, "export", trained_run, "--to", "onnx", "--out", "bag-onnx"))
    ours, exported = (nmt(tree, "translate", trained_run, "--quiet", "--engine", name) for name in ("torch", "onnx"))
    assert output_of(ours) == output_of(exported) != ""


def test_without_named_tensors_its_export_is_refused_in_one_line(tree: Path, trained_run: str) -> None:
    pytest.importorskip("onnxruntime")
    file = tree / "nmt_cli/models/bag.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("    exportable_state = TensorState\n", ""), encoding="utf-8")
    try:
        translated = nmt(tree, "translate", trained_run, "--engine", "onnx")
        exported = nmt(tree, "export", trained_run, "--to", "onnx", "--out", "refused")
        checked = nmt(tree, "check", "quickstart-bag", "--set", "training.precision=fp32")
    finally:
        file.write_text(text, encoding="utf-8")
    for refused in (translated, exported):
        assert refused.returncode == 2 and not refused.stdout
        (line,) = refused.stderr.splitlines()
        assert "model.type: " in line and "onnx" in line
    (note,) = [line for line in output_of(checked).splitlines() if "onnx" in line]
    assert "model.type: " in note


def test_the_page_touches_no_other_file() -> None:
    headings = re.findall(r"^## \d\. .*`([\w/.-]+)`$", PAGE, re.MULTILINE)
    assert headings == [
        "nmt_cli/models/bag.py", "nmt_cli/models/__init__.py", "recipes/quickstart-bag.yaml"
    ]  # fmt: skip
