"""A recipe's data are prepared once, and again where something has changed, which is said."""

import errno
import os
import re
import shutil
from pathlib import Path

import pytest

from nmt_cli.commands.train import train
from nmt_cli.data.cleaning import PairFilter
from nmt_cli.errors import RunError
from nmt_cli.fs import read_json, write_json
from nmt_cli.recipe.loader import build_recipe, load_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.preparation import prepare_recipe
from tests.conftest import SYLLABLES, Listener, in_float32, toy_content


def prepare(toy: Path, **changes: object) -> list[str]:
    """What is said while the data of a recipe are prepared, with other values in its corpus section."""
    content = toy_content(toy / "text")
    listener = Listener()
    prepare_recipe(build_recipe(content | {"corpus": content["corpus"] | changes}), listener)
    return [text for text in listener.said if text.startswith(("prepared data", "preparing"))]


def test_what_has_changed_since_data_were_prepared_is_said(toy: Path) -> None:
    assert prepare(toy) == []
    (again,) = prepare(toy)
    assert re.fullmatch("prepared data are up to date: prepared/toy-[0-9a-f]{12}", again)
    listener = Listener()
    prepare_recipe(build_recipe(toy_content(toy / "text") | {"name": "other"}), listener)
    assert listener.said == [f"{again} (made for toy: the same text, prepared in the same way)"]
    changed = "preparing again, because these changed: "
    assert prepare(toy, max_length=9, seed=2) == [f"{changed}corpus.max_length (250 -> 9), corpus.seed (1 -> 2)"]
    with open(toy / "text/train.ab", "a") as file:
        file.write("ba\n")
    with open(toy / "text/train.ba", "a") as file:
        file.write("ba\n")
    (said,) = prepare(toy, max_length=9, seed=2)
    assert said.startswith(changed) and "train.ab" in said and "train.ba" in said


def test_what_is_held_out_is_said(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, listener = toy_content(toy / "text"), Listener()
    content["corpus"]["dev"] = None
    prepare_recipe(build_recipe(content), listener)
    assert "no corpus.dev: 15 pairs held out for development" in listener.said
    assert "training a word tokenizer" in listener.said
    assert "warning: corpus.dev: only 15 pairs are held out" in " ".join(capsys.readouterr().err.split())


def test_data_in_a_read_only_place_are_used(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written if nothing has changed; hashes of text that was only touched cannot be kept."""
    prepare(toy)

    def refuse(*arguments: object, **options: object) -> None:
        attempts.append(arguments)
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "fsync", refuse)
    for attempt_count in (0, 1):
        attempts: list[object] = []
        (said,) = prepare(toy)
        assert said.startswith("prepared data are up to date") and len(attempts) == attempt_count
        os.utime(toy / "text/train.ab", (1e9, 1e9))


def test_what_killed_preparations_of_other_data_left_goes_a_day_later(toy: Path) -> None:
    """Also where nothing is prepared; what a process, perhaps on another machine, still writes stays."""
    prepare(toy)
    names = [".old-0123456789ab.7-01234567", ".in_use-0123456789ab.7-01234567", ".mine.7-01234567", "old-0123456789ab"]
    for name in names:
        folder = Path("prepared", name)
        folder.mkdir()
        (folder / "train.ids").write_text("half")
        for path in (folder / "train.ids", folder):
            if "in_use" not in name or path == folder:
                os.utime(path, (0, 0))
    prepare(toy)
    assert [name for name in names if not Path("prepared", name).exists()] == names[:1]


def test_a_filter_that_drops_much_is_warned_of(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Up to a twentieth of the pairs it is a note."""
    warning = "warning: dropped 40 (11.76%): corpus.filters.copies; null keeps such pairs"
    for count, notes, warnings in ((5, ["  dropped 5 (1.64%): corpus.filters.copies"], []), (40, [], [warning])):
        for side in ("ab", "ba"):
            lines = (toy / f"text/train.{side}").read_text().splitlines(keepends=True)[:300]
            copies = [f"{SYLLABLES[n % 14]} the same text on both sides {SYLLABLES[n // 14]}\n" for n in range(count)]
            (toy / f"text/train.{side}").write_text("".join([*lines, *copies]))
        listener = Listener()
        prepare_recipe(build_recipe(toy_content(toy / "text")), listener)
        said = listener.said, capsys.readouterr().err.splitlines()
        assert [[text for text in texts if "filters.copies" in text] for texts in said] == [notes, warnings]


def test_filters_that_several_tags_switch_off_are_said(toy: Path) -> None:
    lines = (toy / "text/train.ab").read_text().splitlines(keepends=True)
    for tags in (["<BT>"], ["<2ab>", "<2ba>"]):
        text = "".join(f"{tags[number % len(tags)]} {line}" for number, line in enumerate(lines))
        (toy / "text/train.ab").write_text(text)
        listener = Listener()
        prepare_recipe(build_recipe(toy_content(toy / "text")), listener)
        said = [text for text in listener.said if text.startswith("corpus.filters: ")]
        assert len(said) == len(tags) - 1 and all("(<2ab>, <2ba>)" in text for text in said)


def test_what_a_filter_drops_of_a_small_text_among_others_is_warned_of(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in "wxyz":
        for number, side in enumerate(("ab", "ba")):
            copies = [f"{SYLLABLES[n]} the same text on both sides {SYLLABLES[n + 1]}{text}\n" for n in range(8)]
            count = 12 + ord(text) - ord("w")
            own = [f"{SYLLABLES[n % 12]}{text}{n} {SYLLABLES[n % 12 + 1 + number]}\n" for n in range(count)]
            (toy / f"text/{text}.{side}").write_text("".join(copies + own))
    content = toy_content(toy / "text")
    content["corpus"] |= {"train": ["train", *"wxyz"]}
    prepare_recipe(build_recipe(content), Listener())
    (text,) = (text for text in capsys.readouterr().err.splitlines() if "of w.ab" in text)
    assert text == (
        "warning: corpus.filters.copies dropped 40% of w.ab (8 pairs), 38% of x.ab (8 pairs), 36% of y.ab (8 pairs) "
        "and more than 5% of 1 other text; null keeps such pairs"
    )


def test_a_run_is_not_resumed_with_pairs_that_are_prepared_otherwise_than_they_were(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a filter of another version may do, which no fingerprint says."""
    recipe = build_recipe(in_float32(toy_content(toy / "text", updates=2, samples=0)))
    train(recipe, toy / "run", Reporter(quiet=True))
    shutil.rmtree("prepared")
    monkeypatch.setattr(PairFilter, "_drop_reason", lambda _, source, target: "empty" if len(source) % 2 else None)
    before = (toy / "run/manifest.json").read_text()
    with pytest.raises(RunError, match=r"prepared anew they differ \(train was \d+, is \d+\)"):
        train(recipe, toy / "run", Reporter(quiet=True), resume=True)
    assert (toy / "run/manifest.json").read_text() == before


def test_a_run_is_not_resumed_with_a_tokenizer_that_is_not_its_own(toy: Path) -> None:
    """As of a version that makes other pieces of the same text."""
    recipe = build_recipe(in_float32(toy_content(toy / "text", updates=2, samples=0)))
    train(recipe, toy / "run", Reporter(quiet=True))
    (path,) = (toy / "prepared").glob("*/tokenizer.json")
    content = read_json(path)
    vocabulary = content["model"]["vocab"]
    first, second = sorted(vocabulary, key=vocabulary.__getitem__)[-2:]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    write_json(path, content, indent=None)
    with pytest.raises(RunError, match=r"prepared anew they differ \(their tokenizer cuts text otherwise\)"):
        train(recipe, toy / "run", Reporter(quiet=True), resume=True)


def test_a_resumed_run_has_its_prepared_data_without_the_text_and_refuses_a_changed_one_at_once(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = in_float32(toy_content(toy / "text", updates=2, samples=0))
    train(build_recipe(content), toy / "run", Reporter(quiet=True))
    root = load_recipe(toy / "run/recipe.yaml").corpus.root
    with open(toy / "text/train.ab", "a") as ab, open(toy / "text/train.ba", "a") as ba:
        ab.write("ba\n"), ba.write("ba\n")
    prepared = list((toy / "prepared").iterdir())
    content["training"]["updates"] = 3
    with pytest.raises(RunError, match=r"these are .*the text of train\.ab, the text of train\.ba changed"):
        train(build_recipe(content), toy / "run", Reporter(quiet=True), resume=True)
    assert list((toy / "prepared").iterdir()) == prepared
    shutil.rmtree(toy / "text")
    content["corpus"]["root"] = "."
    assert train(build_recipe(content), toy / "run", Reporter(quiet=True), resume=True).state.update == 3
    assert "; using what was prepared of it: prepared/toy-" in capsys.readouterr().err
    assert load_recipe(toy / "run/recipe.yaml").corpus.root == root


def test_a_run_from_before_pairs_were_held_out_by_source_is_refused_once_its_data_are_gone(toy: Path) -> None:
    content = in_float32(toy_content(toy / "text", updates=2, samples=0))
    content["corpus"]["dev"] = None
    train(build_recipe(content), toy / "run", Reporter(quiet=True))
    shutil.rmtree(toy / "prepared")
    manifest = read_json(toy / "run/manifest.json")
    del manifest["held_out_by"]
    write_json(toy / "run/manifest.json", manifest | {"fingerprint": "0" * 12})
    content["training"]["updates"] = 3
    with pytest.raises(RunError, match=r"was started with prepared data 0{12}, these are") as refused:
        train(build_recipe(content), toy / "run", Reporter(quiet=True), resume=True)
    assert refused.value.hint.startswith("its prepared data are gone, and this version holds other pairs out")


def write_tagged(folder: Path, name: str = "train") -> None:
    """The same sentences with two tags."""
    lines = [f"{' '.join(SYLLABLES[n % 7 :])} {n}" for n in range(60)]
    (folder / f"{name}.ab").write_text("".join(f"<2{tag}> {line}\n" for tag in ("de", "fr") for line in lines))
    (folder / f"{name}.ba").write_text("".join(f"{tag} {line}\n" for tag in ("de", "fr") for line in lines))


def test_data_that_were_held_out_by_sources_with_their_tags_are_used_and_warned_of(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tagged(toy / "text")
    recipe = build_recipe(toy_content(toy / "text") | {"corpus": toy_content(toy / "text")["corpus"] | {"dev": None}})
    folder = prepare_recipe(recipe, Reporter(quiet=True)).data.folder
    assert read_json(folder / "manifest.json")["held_out_by"] == "hash of seed and source without its tag"
    assert prepare(toy, dev=None)[0].startswith("prepared data are up to date")
    assert "under another language tag" not in capsys.readouterr().err
    manifest = read_json(folder / "manifest.json")
    write_json(folder / "manifest.json", manifest | {"held_out_by": "hash of seed and source"})
    assert prepare_recipe(recipe, Reporter(quiet=True)).data.folder == folder
    message = f"{folder}: was prepared when a sentence could be held out and be in training under another language tag"
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_whose_pairs_were_held_out_by_sources_with_their_tags_is_resumed_only_with_its_data(toy: Path) -> None:
    write_tagged(toy / "text")
    content = in_float32(toy_content(toy / "text", updates=1, samples=0))
    content["corpus"]["dev"] = None
    train(build_recipe(content), toy / "run", Reporter(quiet=True))
    (folder,) = (toy / "prepared").glob("toy-*")
    for path in (toy / "run/manifest.json", folder / "manifest.json"):
        write_json(path, read_json(path) | {"held_out_by": "hash of seed and source"})
    content["training"]["updates"] = 2
    assert train(build_recipe(content), toy / "run", Reporter(quiet=True), resume=True).state.update == 2
    shutil.rmtree(folder)
    content["training"]["updates"] = 3
    with pytest.raises(RunError, match=r"prepared anew they differ \(held_out_by was hash of seed and source, is "):
        train(build_recipe(content), toy / "run", Reporter(quiet=True), resume=True)
