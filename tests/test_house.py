"""The house rules of CONTRIBUTING.md that a program can check: sizes, names of modules, retired words."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "nmt_cli").rglob("*.py"))
TOOLS = sorted(path for folder in ("benchmarks", "tools") for path in (ROOT / folder).rglob("*.py"))
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
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                assert length <= 60, f"{path.name}: {node.name} has {length} lines"


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    assert not {path.stem for path in FILES} & {"utils", "helpers", "common", "misc"}


def test_variables_are_called_what_they_hold() -> None:
    vague = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in FILES
        for name in bound_names(ast.parse(path.read_text(encoding="utf-8")))
        if name in VAGUE_NAMES
    }
    assert sorted(vague) == []


def test_retired_names_do_not_come_back() -> None:
    retired = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in FILES
        for name in bound_names(ast.parse(path.read_text(encoding="utf-8")))
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


def opens_text_unclearly(call: ast.Call) -> bool:
    """Whether a call opens or writes text without saying its encoding or, where it writes, its line ends.

    A method called open is Path.open if its first argument is a mode or missing; gzip.open has the mode second.
    """
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    is_method = isinstance(call.func, ast.Attribute)
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in {"open", "fdopen"}:
        values = [*call.args, *filter(None, [keywords.get("mode")])]
        texts = [value.value for value in values if isinstance(value, ast.Constant)]
        mode = next((text for text in texts if re.fullmatch("[rwxabt+]+", str(text))), "")
        if "b" in mode or (is_method and name == "open" and call.args and not mode):
            return False
        writes = bool(set(mode) & set("wxa+")) and "devnull" not in ast.unparse(call)
        return "encoding" not in keywords or (writes and "newline" not in keywords)
    if name == "read_text":
        return not (call.args or keywords)
    if name in {"run", "Popen", "check_output"}:  # of subprocess
        return bool({"text", "universal_newlines"} & keywords.keys()) and "encoding" not in keywords
    if name == "write_text":  # by itself it writes CR LF on Windows
        return not {"encoding", "newline"} <= keywords.keys()
    return name == "TextIOWrapper" and "encoding" not in keywords


@pytest.mark.parametrize(
    "line, is_unclear",
    [
        ("open(path)", True), ('open(path, "rb")', False), ('open(path, encoding="utf-8")', False),
        ('open(path, "w", encoding="utf-8")', True), ('open(path, "w", encoding="utf-8", newline="")', False),
        ("path.open()", True), ('path.open("w")', True), ('path.open(mode="a")', True), ('path.open("rb")', False),
        ('path.open(encoding="utf-8")', False), ('path.open("w", encoding="utf-8")', True),
        ('gzip.open(path, "rt")', True), ('tarfile.open(path, "r:*")', False), ("spec.open(reporter)", False),
        ('os.fdopen(descriptor, "w")', True), ("io.TextIOWrapper(stream)", True), ("path.read_text()", True),
        ('path.read_text("utf-8")', False), ("path.write_text(text)", True),
        ('path.write_text(text, encoding="utf-8")', True),
        ('path.write_text(text, encoding="utf-8", newline="\\n")', False), ("subprocess.run(it, text=True)", True),
    ],
)  # fmt: skip
def test_what_opens_text_unclearly_is_noticed(line: str, is_unclear: bool) -> None:
    (call,) = (node for node in ast.walk(ast.parse(line)) if isinstance(node, ast.Call))
    assert opens_text_unclearly(call) == is_unclear


def test_text_has_the_same_encoding_and_line_ends_on_every_system() -> None:
    """Of what is opened or written as text, be it by a program for maintainers."""
    unclear = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in [*FILES, *TOOLS]
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and opens_text_unclearly(call)
    ]
    assert unclear == []
