"""The house as CONTRIBUTING.md describes it: sizes of files and functions, names of modules."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "nmt_cli"
FILES = sorted(PACKAGE.rglob("*.py"))


def test_no_function_is_longer_than_sixty_lines() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                assert length <= 60, f"{path.name}: {node.name} has {length} lines"


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    assert not {path.stem for path in FILES} & {"utils", "helpers", "common", "misc"}
