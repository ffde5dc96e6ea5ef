"""Text that another program has segmented is told from plain text, and the commands that are advised undo it."""

import subprocess
from pathlib import Path

import pytest

from nmt_cli.commands.check import check
from nmt_cli.data.segmentation_marks import MarkedLines
from nmt_cli.data.sources.quickstart import read_quickstart
from nmt_cli.reporting import Reporter
from nmt_cli.yaml12 import write_yaml
from tests.conftest import Call, in_float32, toy_content

SEGMENTED = {
    "subword-nmt": "the hou@@ se is small@@",
    "SentencePiece": "\u2581the \u2581hou se \u2581is \u2581small",
    "Moses": "he doesn &apos;t see the well @-@ known &quot; house &quot; .",
}
DESCRIPTIONS = {
    "subword-nmt": "words that end in @@, as subword-nmt and fastBPE segment text",
    "SentencePiece": "words that begin with \u2581 (U+2581), as SentencePiece segments text",
    "Moses": "words set apart and escaped as the tokenizer of Moses writes them (&apos; &quot; @-@)",
}


def warnings_of(*sources: str) -> dict[str, str]:
    marked = MarkedLines()
    for number, source in enumerate(sources, 1):
        marked.look_at(source, "plain text", number)
    return marked.warnings(("en", "de"))


@pytest.mark.parametrize(("program", "text"), SEGMENTED.items(), ids=list(SEGMENTED))
def test_a_side_that_is_segmented_is_warned_of_once(program: str, text: str) -> None:
    warnings = warnings_of(*["plain"] * 30, text, text, text)
    assert list(warnings) == ["source"] and "\n" not in warnings["source"]
    assert warnings["source"].startswith(
        f"the source is not plain text: 9% of its lines have {DESCRIPTIONS[program]}, as in 31: {text}; nmt segments "
    )


@pytest.mark.parametrize("text", SEGMENTED.values(), ids=list(SEGMENTED))
def test_a_few_lines_of_the_kind_are_no_reason_to_warn(text: str) -> None:
    assert warnings_of(*["plain"] * 57, text, text, text) == {}


@pytest.mark.parametrize(
    "text",
    [
        "@@ -1,7 +1,6 @@ def translate", "mail me @ home or a@b.org", "Tom &amp; Jerry aren&apos;t here",
        "he said &quot;no&quot; and &apos;yes&apos;.", "the bar is \u2581\u2582\u2583 or a\u2581b", "a &lt; b @ c",
        "sous le titre &quot;Le Monde&quot;, l&apos;article",
    ],
)  # fmt: skip
def test_plain_text_that_has_such_characters_is_plain(text: str) -> None:
    assert warnings_of(*[text] * 10) == {}


def test_the_corpus_of_quickstart_is_plain() -> None:
    marked = MarkedLines()
    for pair in read_quickstart("train"):
        marked.look_at(pair.source.decode(), pair.target.decode(), pair.line_number)
    assert marked.total > 1000 and not marked.counts


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("\u2581the \u2581hou se \u2581is \u2581small \u00e9 .\n", "the house is small\u00e9.\n"),
        ("the hou@@ se is sm@@ all\nfoo@@\n", "the house is small\nfoo\n"),
    ],
)
def test_the_command_undoes_it(text: str, plain: str, locale: str, tmp_path: Path) -> None:
    command = warnings_of(*[text.splitlines()[0]] * 10)["source"].rpartition("first: ")[2]
    (tmp_path / "FILE").write_text(text, encoding="utf-8")
    subprocess.run(["bash", "-c", command], cwd=tmp_path, env={"LC_ALL": locale, "PATH": "/usr/bin:/bin"}, check=True)
    assert (tmp_path / "PLAIN").read_text(encoding="utf-8") == plain


def test_what_was_tokenised_and_then_segmented_is_undone_in_the_opposite_order() -> None:
    warning = warnings_of(*["he doesn &apos;t see the hou@@ se ."] * 10)["source"]
    assert warning.endswith("first: sed -E 's/(@@ )|(@@ ?$)//g' < FILE | sacremoses -l en detokenize > PLAIN")


def segment(folder: Path, name: str) -> None:
    path = folder / "text" / name
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("".join(f"{line[:1]}@@ {line[1:]}\n" for line in lines), encoding="utf-8")


def test_check_and_prepare_warn_once_per_side(toy: Path, nmt: Call) -> None:
    for name in ("train.ab", "dev.ab", "test.ab", "test.ba"):
        segment(toy, name)
    recipe = toy / "toy.yaml"
    recipe.write_text(write_yaml(in_float32(toy_content(toy / "text"))), encoding="utf-8")
    findings = [each for each in check(recipe, [], None, Reporter(quiet=True), "cpu") if "not plain" in each.text]
    assert [(each.level, each.about) for each in findings] == [("warning", "corpus.train"), ("warning", "corpus.test")]
    assert findings[0].text.startswith("the source is not plain text: 100% of its lines")
    assert "as in train.ab:1: " in findings[0].text and "the target is" in findings[1].text
    code, _, err = nmt("prepare", recipe)
    said = [line for line in err.splitlines() if "not plain text" in line]
    assert code == 0 and said == [f"warning: corpus.train: {findings[0].text}"]
