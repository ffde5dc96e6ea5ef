"""What a run knows of its text: measured, saved, loaded, and copied wherever a run is."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from nmt_cli.commands.average import average
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.letter_case import CaseShares, Truecaser
from nmt_cli.data.normalization import LEGACY, NormalizationConfig
from nmt_cli.data.sentences.abbreviations import LearnedWords
from nmt_cli.data.sentences.splitter import SentenceSplitter
from nmt_cli.data.text_profile import LineLengths, TextProfile, profile_files
from nmt_cli.errors import DataError, RunError
from tests.opening import open_translator

CORPUS = CorpusConfig(source="en", target="de")
FILES = [
    "text.json", "abbreviations.source.txt", "abbreviations.target.txt", "truecase.source.txt", "truecase.target.txt",
]  # fmt: skip
PROFILE = TextProfile(
    "en",
    "de",
    NormalizationConfig(),
    LearnedWords(("abr", "q.v"), ("dana",)),
    LearnedWords(("vgl",)),
    LineLengths({1: 90, 2: 10}, {0.05: 3, 0.95: 20, 1.0: 35}),
    Truecaser({"house": "House", "dog": "dog"}),
    CaseShares(0.25, 0.5, 0.125),
    target_truecaser=Truecaser({"haus": "Haus"}),
    line_starters=("A", "The"),
    language_tags=("<2de>",),
    replaced_marks=0.75,
    tagged_share=0.5,
    list_marks=("-", "0."),
    capitals_words=("WARNING",),
    paragraph_ends=("<br>", r"\n"),
    apostrophes={"inside": {"'": 3, "’": 1}, "start": {}, "end": {}},
    entities=("&amp;",),
)


def test_line_lengths_are_measured() -> None:
    lines = ["One. Two. Three."] * 4 + ["One. Two."] * 56 + ["One."] * 40
    lengths = LineLengths.measure(lines, range(1, 101), SentenceSplitter("en"))
    assert lengths.sentences == {1: 40, 2: 56, 3: 4}
    assert (lengths.typical_sentences, lengths.typical_tokens) == (2, 95)
    assert lengths.tokens[0.5] == 50 and lengths.tokens[1.0] == 100
    nothing = LineLengths.measure([], [], SentenceSplitter("en"))
    assert (
        (nothing.typical_sentences, nothing.typical_tokens)
        == (1, None)
        == (LineLengths().typical_sentences, LineLengths().typical_tokens)
    )


def test_what_is_saved_is_loaded_again(tmp_path: Path) -> None:
    PROFILE.save(tmp_path)
    assert [path.name for path in profile_files(tmp_path)] == FILES
    assert (tmp_path / FILES[1]).read_text() == "abbreviation abr\nabbreviation q.v\nstarter dana\n"
    loaded = TextProfile.load(tmp_path, CORPUS)
    assert loaded.truecaser.forms == PROFILE.truecaser.forms
    assert loaded.target_truecaser.forms == PROFILE.target_truecaser.forms
    assert replace(loaded, truecaser=PROFILE.truecaser, target_truecaser=PROFILE.target_truecaser) == PROFILE
    assert loaded.source_splitter().split("A abr. Bee. Dana.") == ["A abr. Bee. ", "Dana."]
    assert loaded.target_splitter().language == "de"


def test_whether_a_text_has_capitals_is_saved(tmp_path: Path) -> None:
    phrases, small = Truecaser({"dog": "dog"}, has_capitals=True), Truecaser({"hund": "hund"})
    for source, target in ((phrases, small), (small, phrases)):
        replace(PROFILE, truecaser=source, target_truecaser=target).save(tmp_path)
        loaded = TextProfile.load(tmp_path, CORPUS)
        assert loaded.truecaser.has_capitals is source.has_capitals
        assert loaded.target_truecaser.has_capitals is target.has_capitals
    path = tmp_path / "text.json"
    content = json.loads(path.read_text())
    del content["has_capitals"]  # as in runs of before
    path.write_text(json.dumps(content))
    loaded = TextProfile.load(tmp_path, CORPUS)
    assert not loaded.truecaser.has_capitals and not loaded.target_truecaser.has_capitals


def test_a_folder_of_before_has_what_its_recipe_says(tmp_path: Path) -> None:
    corpus = CORPUS.model_copy(update={"normalization": LEGACY})
    assert profile_files(tmp_path) == []
    loaded = TextProfile.load(tmp_path, corpus)
    assert (loaded.lengths, loaded.source_words, loaded.source_language) == (LineLengths(), LearnedWords(), "en")
    assert loaded.normalizer()(" a\u00a0 b\u00ad") == " a\u00a0 b\u00ad"


@pytest.mark.parametrize(
    "name, content, reason",
    [
        ("text.json", b"{", "missing or damaged: Expecting property name enclosed in double quotes: line 1 column 2"),
        ("text.json", b"[]", "missing or damaged: not a JSON object"),
        ("text.json", b"{}", "damaged: it has no source_sentences"),
        ("text.json", b'{"source_sentences": {"one": 1}, "source_tokens": {}}', "damaged: invalid literal for int()"),
        ("text.json", b'{"source_sentences": [], "source_tokens": {}}', "damaged: not what was written"),
        ("text.json", b'{"source_sentences": {}, "source_tokens": {"0.5": null}}', "damaged: not what was written"),
        ("text.json", b'{"source_characters": 5}', "damaged: source_characters is no text"),
        ("text.json", b'{"source_sentences": {}, "source_tokens": {}, "apostrophes": {"inside": 1}}', "damaged: not"),
        ("abbreviations.source.txt", b"abbreviation \xff\n", "damaged: 'utf-8' codec can't decode byte 0xff"),
        ("abbreviations.target.txt", None, "damaged: No such file or directory"),
        ("truecase.source.txt", b"\xff\n", "damaged: 'utf-8' codec can't decode byte 0xff"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(name: str, content: bytes | None, reason: str, tmp_path: Path) -> None:
    PROFILE.save(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        TextProfile.load(tmp_path, CORPUS)
    assert str(caught.value).startswith(f"{tmp_path / name}: {reason}") and "\n" not in str(caught.value)
    assert caught.value.hint.startswith("copy the run folder again; prepared data: delete")


def test_an_average_of_checkpoints_has_the_files_of_its_run(tiny_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(tiny_run, tmp_path / "run")
    assert profile_files(average(run, tmp_path / "without").folder) == []
    PROFILE.save(run)
    copied = profile_files(average(run, tmp_path / "mean").folder)
    assert [path.name for path in copied] == FILES
    assert all(path.read_bytes() == (run / path.name).read_bytes() for path in copied)


def test_an_ensemble_treats_text_in_one_way(tiny_run: Path, tmp_path: Path) -> None:
    other = shutil.copytree(tiny_run, tmp_path / "other")
    recipe = (other / "recipe.yaml").read_text()
    (other / "recipe.yaml").write_text(recipe.replace("quotes: false", "quotes: true"))
    with pytest.raises(RunError, match=r"other normalises text differently from .*tiny: an ensemble needs the same"):
        open_translator([tiny_run, other], [], "cpu")
