"""Typos are corrected before a line is read, and each correction is said."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nmt_cli.data.known_words import WordSet
from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from tests.inference.test_casing import FORMS, PROFILE
from tests.opening import open_translator
from tests.translators import echo

KNOWING = replace(PROFILE, known_words=WordSet(FORMS))


def test_the_model_reads_the_word_that_was_meant(tokenizer: TextTokenizer) -> None:
    translator = echo(tokenizer, KNOWING, correct_typos=True)
    line = "The odl man raeds a bok. Two dgos."
    (translation,) = translator.translate([line])
    assert translation.text == "The old man reads a bok. Two dogs."
    assert translation.warnings == ["read “odl” as “old”", "read “raeds” as “reads”", "read “dgos” as “dogs”"]
    (translation,) = translator.translate(["The odl man sees #dgos and `raeds`, dgos.com"])
    assert translation.text == "The old man sees #dgos and `raeds`, dgos.com"  # what must not change
    assert translator.planner.split_pair("The odl man", "x") == [("The old man", "x")]
    assert translator.planner.translated_texts("The odl man") == ["The old man"]
    careful = translator.with_search(correct_typos=False)
    assert careful.translate(["The odl man"])[0].text == "The odl man"
    assert careful.with_search(correct_typos=True).translate([line]) == translator.translate([line])


def test_a_run_corrects_only_where_it_is_asked_to(tiny_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    WordSet(FORMS).save(run)
    PROFILE.save(run)
    for settings, warnings in (([], []), (["search.correct_typos=true"], ["read “odl” as “old”"])):
        (translation,) = open_translator([run], settings, "cpu").translate(["The odl man"])
        assert [text for text in translation.warnings if text.startswith("read")] == warnings


def test_an_ensemble_corrects_and_copies_only_what_no_member_knows(tiny_run: Path, tmp_path: Path) -> None:
    def run(name: str, words: Sequence[str] | None, characters: str | None) -> Path:
        folder = Path(shutil.copytree(tiny_run, tmp_path / name))
        replace(PROFILE, source_characters=characters).save(folder)
        if words is not None:
            WordSet(words).save(folder)
        return folder

    def done(*runs: Path) -> tuple[list[str], list[str]]:
        """Warnings of corrections, and the words that are copied for their characters."""
        translator = open_translator(runs, ["search.correct_typos=true"], "cpu")
        (translation,) = translator.translate(["The odl man raeds"])
        _, copied = translator.planner.protector.mask("The мир man")
        return [text for text in translation.warnings if text.startswith("read")], list(copied)

    base = run("base", list(FORMS), "Themanoldrs ")
    tuned = run("tuned", ["odl"], "мир ")
    without = run("without", None, None)
    old, reads = "read “odl” as “old”", "read “raeds” as “reads”"
    assert done(base) == ([old, reads], ["мир"])
    assert done(base, tuned) == done(tuned, base) == ([reads], [])
    assert done(base, without) == ([], [])  # what one was trained on is not known
