"""From text to text through CTranslate2, and scoring and tokenizing, without torch, so that they answer at once."""

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import nmt_cli.inference
import nmt_cli.translation
from nmt_cli.translation.engine_choice import ENGINE_VARIABLE
from tests.conftest import environment, write_syllables

MODULES = [
    f"{package.__name__}.{module.name}"
    for package in (nmt_cli.inference, nmt_cli.translation)
    for module in pkgutil.iter_modules(package.__path__)
]
# What would take long to import and is not needed to translate.
SLOW_MODULES = ("torch", "numpy", "sacrebleu", "asyncio", "http.client", "ssl")


def modules_after(program: str, *arguments: object, stdin: str = "") -> tuple[str, set[str]]:
    """What a program prints, and which of SLOW_MODULES it has imported."""
    report = f"import atexit, sys\natexit.register(lambda: print(*sys.modules, file=sys.stderr))\n{program}"
    variables = {key: value for key, value in environment().items() if key != ENGINE_VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", report, *map(str, arguments)],
        input=stdin, capture_output=True, text=True, env=variables, check=True,
    )  # fmt: skip
    return done.stdout, set(SLOW_MODULES) & set(done.stderr.split())


MAIN = "from nmt_cli.cli.entry import main\nmain()"


def test_neither_the_text_side_nor_the_interface_of_engines_imports_torch() -> None:
    modules = [*MODULES, "nmt_cli.decoding.config", "nmt_cli.decoding.engine", "nmt_cli.export.ctranslate2_engine"]
    assert "nmt_cli.inference.translator" in modules
    assert "torch" not in modules_after(f"import {', '.join(modules)}")[1]


@pytest.mark.parametrize("options", [[], ["--jsonl", "--set", "search.repair_degenerate=true"]])
def test_translating_through_ctranslate2_imports_nothing_slow(options: list[str], exported: Path) -> None:
    output, slow = modules_after(MAIN, "translate", exported, "--device", "cpu", *options, stdin="a book\n")
    assert output and not slow


def test_scoring_and_tokenizing_import_no_torch(exported: Path, tmp_path: Path) -> None:
    reference = tmp_path / "reference"
    reference.write_text("a book\n")
    assert "torch" not in modules_after(MAIN, "score", reference, stdin="a book\n")[1]
    assert "torch" not in modules_after(MAIN, "tokenize", exported, stdin="a book\n")[1]


def test_checking_imports_torch_only_to_build_the_model(tmp_path: Path) -> None:
    """Whoever cannot train for want of text, or by a mistake in the recipe, hears of it without waiting for torch."""
    write_syllables(tmp_path, {"train": 40, "dev": 5, "test": 5})
    recipe = tmp_path / "toy.yaml"
    recipe.write_text(
        f"corpus: {{root: {tmp_path}, source: ab, target: ba}}\ntokenizer: {{type: word, vocab_size: 60}}\n"
    )
    program = (
        "import sys\nfrom nmt_cli.commands import check\nfrom nmt_cli.reporting import Reporter\n"
        "check._check_model = lambda *arguments: iter([])\ncheck._check_exports = lambda *arguments: iter([])\n"
        "print(check.check(sys.argv[1], [], None, Reporter(quiet=True)))"
    )
    output, slow = modules_after(program, recipe)
    assert "words: half below" in output and "torch" not in slow
