"""README and --help show what nmt prints: translations and scores of the run of `make quickstart`.

.ci/run makes the run first and requires it. Elsewhere the tests that need it are skipped where it
is not there: NMT_QUICKSTART_RUN=FOLDER or CI=true makes that a failure.
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

REQUIRED = "NMT_QUICKSTART_RUN"
README = ROOT / "README.md"
# What the help's examples must give, since there is no room for it in the help.
RIGHT = {"The old man reads a book.": "Der alte Mann liest ein Buch."}
SCORE = re.compile(r"^(BLEU|chrF2|TER) = ([\d.]+)(.*)$")
RANGE = re.compile(r"within ([\d.]+) BLEU, ([\d.]+) chrF and ([\d.]+) TER of (?:these|those above)", re.DOTALL)


class Shown(NamedTuple):
    """A command and the lines that are said to come out of it."""

    command: str
    lines: list[str]


def shown_in(readme: str) -> list[Shown]:
    """The commands of the console blocks below which something stands."""
    examples = []
    for block in re.findall(r"```console\n(.*?)```", readme, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *lines = part.splitlines()
            if lines:
                examples.append(Shown(command.split("  #")[0].strip(), lines))
    return examples


def ranges_in(readme: str) -> dict[str, float]:
    """How far a score may be from the one that is shown, as the text says it."""
    stated = RANGE.search(" ".join(readme.split()))
    assert stated, "README does not say how far another run's BLEU, chrF and TER may be"
    return dict(zip(("BLEU", "chrF2", "TER"), map(float, stated.groups()), strict=True))


def different(shown: list[str], printed: list[str], ranges: Mapping[str, float]) -> list[str]:
    """What is printed and not shown: scores may differ as far as is stated, else nothing."""
    differences = [] if len(shown) == len(printed) else [f"{len(printed)} lines, not {len(shown)}"]
    for shown_line, other in zip(shown, printed, strict=False):
        scores = SCORE.match(shown_line), SCORE.match(other)
        if scores[0] and scores[1] and scores[0][1] == scores[1][1]:
            name, far = scores[0][1], abs(float(scores[0][2]) - float(scores[1][2]))
            if far > ranges[name]:
                differences.append(f"{other} (shown: {shown_line}; within {ranges[name]})")
        elif shown_line != other:
            differences.append(f"{other!r} (shown: {shown_line!r})")
    return differences


def helps(command: Any) -> list[str]:
    """What --help says of a command and of all below it."""
    below = getattr(command, "commands", {}).values()
    return [command.help or "", *(text for subcommand in below for text in helps(subcommand))]


def examples_in(help_text: str) -> list[str]:
    """The lines of text that the help pipes into `nmt translate RUN`, and no further."""
    text = " ".join(help_text.split())
    return re.findall(r"echo '([^']*)' \| nmt translate runs/quickstart(?! *\|)", text)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which runs/quickstart is the run of `make quickstart`."""
    run = Path(os.environ.get(REQUIRED) or "runs/quickstart")
    run = run if run.is_absolute() else ROOT / run
    if not (run / "result.json").is_file():
        said = f"{run}: no finished run here; `make quickstart` trains it"
        if os.environ.get(REQUIRED) or os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)
    folder = tmp_path_factory.mktemp("shown")
    (folder / "runs").mkdir()
    (folder / "runs/quickstart").symlink_to(run)
    return folder


def printed(command: str, place: Path, environment: Mapping[str, str], precision: str) -> tuple[list[str], str]:
    """What a line of shell prints, and what it says on standard error."""
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], cwd=place, text=True, check=False,
        env={**environment, AUTO_PRECISION_VARIABLE: precision}, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


PRECISIONS = pytest.mark.parametrize("precision", ["fp32", "bf16"])
OF_README = shown_in(README.read_text(encoding="utf-8"))


@pytest.mark.slow
@PRECISIONS
@pytest.mark.parametrize("shown", OF_README, ids=[one.command for one in OF_README])
def test_what_the_readme_shows_is_what_comes_out(
    shown: Shown, precision: str, place: Path, environment: dict[str, str]
) -> None:
    ranges = ranges_in(README.read_text(encoding="utf-8"))
    lines, said = printed(shown.command, place, environment, precision)
    assert different(shown.lines, lines, ranges) == [], said


@pytest.mark.slow
@PRECISIONS
@pytest.mark.parametrize("text", RIGHT)
def test_the_examples_of_the_help_are_translated_right(
    text: str, precision: str, place: Path, environment: dict[str, str]
) -> None:
    command = f"echo '{text}' | nmt translate runs/quickstart"
    assert printed(command, place, environment, precision)[0] == [RIGHT[text]]


def test_every_example_of_the_help_that_translates_has_its_right_translation_here() -> None:
    texts = helps(typer.main.get_command(build_app()))
    assert len(texts) > 15
    assert {example for text in texts for example in examples_in(text)} == set(RIGHT)


def test_the_readme_shows_a_translation_and_scores_and_says_how_far_these_may_be() -> None:
    commands = [example.command for example in OF_README]
    assert any(command.endswith("nmt translate runs/quickstart") for command in commands)
    assert any("| nmt score " in command for command in commands)
    assert all(0 < tolerance <= 5 for tolerance in ranges_in(README.read_text(encoding="utf-8")).values())


# That the tests above can fail


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
    first, second = shown_in(BLOCK)
    assert first == Shown("echo 'a' | nmt translate runs/quickstart", ["b"])
    assert second.command == "nmt score ref < out" and len(second.lines) == 3
    assert ranges_in(BLOCK) == {"BLEU": 2.0, "chrF2": 1.5, "TER": 3.0}


@pytest.mark.parametrize(
    "lines, odd",
    [
        (["BLEU = 92.00 1.0/1.0", "  nrefs:1", "TER = 2.00"], 0),
        (["BLEU = 92.01 1.0/1.0", "  nrefs:1", "TER = 8.01"], 2),
        (["BLEU = 90.00", "  nrefs:2", "TER = 5.00"], 1),
        (["TER = 90.00", "  nrefs:1", "TER = 5.00"], 1),
        (["BLEU = 90.00", "  nrefs:1"], 1),
    ],
)
def test_other_lines_and_scores_out_of_range_are_found(lines: list[str], odd: int) -> None:
    shown = shown_in(BLOCK)[1].lines
    assert len(different(shown, lines, ranges_in(BLOCK))) == odd


def test_examples_are_found_however_the_help_is_wrapped() -> None:
    text = "Example: echo 'a b' |\n  nmt translate runs/quickstart\n\nUsage"
    assert examples_in(text) == ["a b"]
    assert examples_in("echo 'a' | nmt translate runs/quickstart | nmt score x") == []
