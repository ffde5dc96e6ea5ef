"""The house rules of CONTRIBUTING.md that a program can check: sizes, names of modules, retired words."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "nmt_cli").rglob("*.py"))
PAGES = sorted(page for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")] if page.name != "CHANGELOG.md")

# Names that say nothing of what they hold.
VAGUE_NAMES = {"found", "one", "some", "both", "here", "told", "known", "wanted", "much"}

# What classes, functions and attributes were called before they got the field's names (docs/glossary.md).
RETIRED_NAMES = {
    "Aligned", "Aligner", "Arrivals", "BatchFeed", "BeamCache", "EndedElsewhere", "Footprint", "GrowingCache",
    "Imported", "Looked", "OnnxSteps", "Opener", "PartFacts", "ProcessLost", "ShardDone", "StartGraph", "TextPart",
    "Trains", "Verdict", "WatchedRun", "WholeEncoder", "add_up", "after_first", "arriving_blocks", "average_decay",
    "ban_repeats", "begin_again", "begin_with", "checkpoints_kept", "collect_gradient",
    "cross_entropy_without_copy", "drop_gradient", "find_origin", "forget_after", "forget_compiled", "go_back",
    "in_batches_of", "in_place", "keep_to_oneself", "longest_source", "longest_target", "measure_budget",
    "most_repeated", "named_paths", "of_standard_output", "plateau_stale", "point_best", "prefix_table",
    "product_rates", "rate_factor", "refuse_ways_out", "rewind_log", "set_aside", "set_master", "shards_wanted",
    "tell_validation", "under_way", "waiting_bytes", "why_no_tokenizer", "write_whole",
}  # fmt: skip

# Word for word from another language, with what to write instead.
RETIRED_PHRASES = {
    r"go(es|ing)? on (from|with)": "resume, continue",
    r"learn(ed|t)? by heart": "overfit",
    r"nought": "zero",
    r"the face of": "command line",
    r"batch mates": "other sentences of the batch",
    r"\bmend(s|ed|ing)?\b": "fix, repair",
    r"(tokens|lines|sentences|words|updates|pairs|times) an? (second|minute|update|sentence|line|batch|epoch)": "per",
    r"state handed in is spent": "consumes its input state",
    r"bytes that are not UTF-8 became": "invalid UTF-8 was replaced",
}


def bound_names(tree: ast.AST) -> Iterator[str]:
    """Names of the variables, parameters, functions and classes that a module binds."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name


def test_no_function_is_longer_than_sixty_lines() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                assert length <= 60, f"{path.name}: {node.name} has {length} lines"


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    assert not {path.stem for path in FILES} & {"utils", "helpers", "common", "misc"}


def test_variables_are_called_what_they_hold() -> None:
    vague = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in FILES
        for name in bound_names(ast.parse(path.read_text()))
        if name in VAGUE_NAMES
    }
    assert sorted(vague) == []


def test_retired_names_do_not_come_back() -> None:
    retired = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in FILES
        for name in bound_names(ast.parse(path.read_text()))
        if name in RETIRED_NAMES
    }
    assert sorted(retired) == []


@pytest.mark.parametrize("phrase, better", RETIRED_PHRASES.items())
def test_retired_phrases_do_not_come_back(phrase: str, better: str) -> None:
    pattern = re.compile(phrase, re.IGNORECASE)
    occurrences = [
        f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
        for path in [*FILES, *PAGES]
        for text in [path.read_text(encoding="utf-8")]
        for match in pattern.finditer(text)
    ]
    assert occurrences == [], f"better: {better}"


def test_text_has_the_same_encoding_and_line_ends_on_every_system() -> None:
    """Of what is opened or written as text; Path.write_text would write CR LF on Windows."""
    unclear = []
    for path in FILES:
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            function, keywords = call.func, {keyword.arg for keyword in call.keywords}
            name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
            modes = [value.value for value in call.args if isinstance(value, ast.Constant)]
            is_open = isinstance(function, ast.Name) and name == "open"
            if is_open and not any("b" in str(mode) for mode in modes):
                writes = any(set(str(mode)) & set("wax") for mode in modes) and "devnull" not in ast.unparse(call)
                is_clear = "encoding" in keywords and ("newline" in keywords or not writes)
            elif name == "read_text":
                is_clear = bool(call.args or keywords)
            else:
                is_clear = name != "write_text"
            if not is_clear:
                unclear.append(f"{path.relative_to(ROOT)}:{call.lineno}")
    assert unclear == []
