"""README and --help show what nmt prints: translations and scores of the run of `make quickstart`.

.ci/run trains that run first. Elsewhere the tests that need it are skipped if it is missing;
NMT_QUICKSTART_RUN=FOLDER or CI=true makes that a failure.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from nmt_cli.cli.app import build_app
from nmt_cli.device import AUTO_PRECISION_VARIABLE
from tests.conftest import ROOT
from tests.test_docs import environment as environment  # a fixture: `nmt` is this checkout's

RUN_VARIABLE = "NMT_QUICKSTART_RUN"
README = ROOT / "README.md"
# The translations of the help's examples, for which the help has no room.
TRANSLATIONS = {"The old man reads a book.": "Der alte Mann liest ein Buch."}
SCORE = re.compile(r"^(BLEU|chrF2|TER) = ([\d.]+)(.*)$")
RANGE = re.compile(r"within ([\d.]+) BLEU, ([\d.]+) chrF and ([\d.]+) TER of (?:these|those above)", re.DOTALL)


class Example(NamedTuple):
    """A command and the lines that a page says it prints."""

    command: str
    lines: list[str]


def examples_of_page(readme: str) -> list[Example]:
    """The commands of console blocks that have output below them."""
    examples = []
    for block in re.findall(r"```console\n(.*?)```", readme, re.DOTALL):
        for entry in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *lines = entry.splitlines()
            if lines:
                examples.append(Example(command.split("  #")[0].strip(), lines))
    return examples


def ranges_in(readme: str) -> dict[str, float]:
    """The largest difference from each score shown, as the text states it."""
    stated = RANGE.search(" ".join(readme.split()))
    assert stated, "README does not state how far BLEU, chrF and TER of another run may be"
    return dict(zip(("BLEU", "chrF2", "TER"), map(float, stated.groups()), strict=True))


def different(shown: list[str], printed: list[str], ranges: Mapping[str, float]) -> list[str]:
    """Descriptions of the lines that differ, scores by more than their range."""
    differences = [] if len(shown) == len(printed) else [f"{len(printed)} lines, not {len(shown)}"]
    for shown_line, printed_line in zip(shown, printed, strict=False):
        scores = SCORE.match(shown_line), SCORE.match(printed_line)
        if scores[0] and scores[1] and scores[0][1] == scores[1][1]:
            name, difference = scores[0][1], abs(float(scores[0][2]) - float(scores[1][2]))
            if difference > ranges[name]:
                differences.append(f"{printed_line} (shown: {shown_line}; within {ranges[name]})")
        elif shown_line != printed_line:
            differences.append(f"{printed_line!r} (shown: {shown_line!r})")
    return differences


def helps(command: Any) -> list[str]:
    """The help texts of a command and of all its subcommands."""
    subcommands = getattr(command, "commands", {}).values()
    return [command.help or "", *(text for subcommand in subcommands for text in helps(subcommand))]


def examples_in(help_text: str) -> list[str]:
    """The lines that the help pipes into a final `nmt translate RUN`."""
    text = " ".join(help_text.split())
    return re.findall(r"echo '([^']*)' \| nmt translate runs/quickstart(?! *\|)", text)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which runs/quickstart is the run of `make quickstart`."""
    run = Path(os.environ.get(RUN_VARIABLE) or "runs/quickstart")
    run = run if run.is_absolute() else ROOT / run
    if not (run / "result.json").is_file():
        message = f"{run}: not a finished run; `make quickstart` trains it"
        if os.environ.get(RUN_VARIABLE) or os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    folder = tmp_path_factory.mktemp("shown")
    (folder / "runs").mkdir()
    (folder / "runs/quickstart").symlink_to(run)
    return folder


def printed(command: str, workdir: Path, environment: Mapping[str, str], precision: str) -> tuple[list[str], str]:
    """The lines that a shell command prints, and its standard error."""
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], cwd=workdir, text=True, check=False,
        env={**environment, AUTO_PRECISION_VARIABLE: precision}, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


PRECISIONS = pytest.mark.parametrize("precision", ["fp32", "bf16"])
README_EXAMPLES = examples_of_page(README.read_text(encoding="utf-8"))


@pytest.mark.slow
@PRECISIONS
@pytest.mark.parametrize("example", README_EXAMPLES, ids=[example.command for example in README_EXAMPLES])
def test_what_the_readme_shows_is_what_comes_out(
    example: Example, precision: str, workdir: Path, environment: dict[str, str]
) -> None:
    ranges = ranges_in(README.read_text(encoding="utf-8"))
    lines, stderr = printed(example.command, workdir, environment, precision)
    assert different(example.lines, lines, ranges) == [], stderr


@pytest.mark.slow
@PRECISIONS
@pytest.mark.parametrize("text", TRANSLATIONS)
def test_the_examples_of_the_help_are_translated_right(
    text: str, precision: str, workdir: Path, environment: dict[str, str]
) -> None:
    command = f"echo '{text}' | nmt translate runs/quickstart"
    assert printed(command, workdir, environment, precision)[0] == [TRANSLATIONS[text]]


def test_every_example_of_the_help_that_translates_has_its_translation_above() -> None:
    texts = helps(typer.main.get_command(build_app()))
    assert len(texts) > 15
    assert {example for text in texts for example in examples_in(text)} == set(TRANSLATIONS)


def test_the_readme_shows_a_translation_and_scores_and_states_their_range() -> None:
    commands = [example.command for example in README_EXAMPLES]
    assert any(command.endswith("nmt translate runs/quickstart") for command in commands)
    assert any("| nmt score " in command for command in commands)
    assert all(0 < tolerance <= 5 for tolerance in ranges_in(README.read_text(encoding="utf-8")).values())


# The tests above can fail


BLOCK = """```console
$ make quickstart
$ echo 'a' | nmt translate runs/quickstart   # a comment
b
$ nmt score ref < out
BLEU = 90.00 99.3/98.5
  nrefs:1
TER = 5.00
```
Scores are within 2 BLEU, 1.5 chrF and 3
TER of these."""


def test_what_is_shown_is_read_with_its_ranges() -> None:
    first, second = examples_of_page(BLOCK)
    assert first == Example("echo 'a' | nmt translate runs/quickstart", ["b"])
    assert second.command == "nmt score ref < out" and len(second.lines) == 3
    assert ranges_in(BLOCK) == {"BLEU": 2.0, "chrF2": 1.5, "TER": 3.0}


@pytest.mark.parametrize(
    "lines, count",
    [
        (["BLEU = 92.00 1.0/1.0", "  nrefs:1", "TER = 2.00"], 0),
        (["BLEU = 92.01 1.0/1.0", "  nrefs:1", "TER = 8.01"], 2),
        (["BLEU = 90.00", "  nrefs:2", "TER = 5.00"], 1),
        (["TER = 90.00", "  nrefs:1", "TER = 5.00"], 1),
        (["BLEU = 90.00", "  nrefs:1"], 1),
    ],
)
def test_other_lines_and_scores_out_of_range_are_reported(lines: list[str], count: int) -> None:
    shown = examples_of_page(BLOCK)[1].lines
    assert len(different(shown, lines, ranges_in(BLOCK))) == count


def test_examples_are_read_however_the_help_is_wrapped() -> None:
    text = "Example: echo 'a b' |\n  nmt translate runs/quickstart\n\nUsage"
    assert examples_in(text) == ["a b"]
    assert examples_in("echo 'a' | nmt translate runs/quickstart | nmt score x") == []
