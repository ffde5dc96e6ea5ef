"""Prepared data are found again when nothing changed, and what changed is named."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.prepared import fingerprint
from nmt_cli.data.prepared.build import PreparationSettings, prepare
from nmt_cli.data.prepared.fingerprint import (
    HELD_OUT_KEY,
    TOKENIZER_TEXT_KEY,
    build_identity,
    describe_changes,
    describes,
    find_prepared,
    load_hash_cache,
    save_hash_cache,
)
from nmt_cli.data.prepared.store import FORMAT_VERSION, PreparedData
from nmt_cli.data.sources.base import ParallelText
from nmt_cli.data.sources.corpus import Corpus, find_corpus
from nmt_cli.data.tokenization.tokenizer import TokenizerConfig
from nmt_cli.errors import DataError
from nmt_cli.reporting import Reporter

Identity = dict[str, Any]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "prepared"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name in ("train", "dev"):
        for language in ("en", "de"):
            text = "".join(f"{name} {language} {n}\n" for n in range(20))
            (folder / f"{name}.{language}").write_text(text)
    return folder


def sections(
    root: Path, tokenizer: dict[str, Any] | None = None, **corpus: Any
) -> tuple[CorpusConfig, TokenizerConfig, Corpus]:
    content = {"source": "en", "target": "de", "root": str(root), "dev": "dev", **corpus}
    config = CorpusConfig.model_validate_json(json.dumps(content))
    options = {"type": "character", "vocab_size": 300, **(tokenizer or {})}
    pieces = TokenizerConfig.model_validate_json(json.dumps(options))
    return config, pieces, find_corpus(config, [])


def identity(root: Path, store: Path, tokenizer: dict[str, Any] | None = None, **corpus: Any) -> Identity:
    known_digests = load_hash_cache(store)
    fingerprint = build_identity(*sections(root, tokenizer, **corpus), known_digests)
    save_hash_cache(known_digests, store)
    return fingerprint


def finished(store: Path, name: str, what: Identity, number: int = FORMAT_VERSION) -> Path:
    """A prepared folder as far as finding it again goes."""
    folder = store / f"{name}-{what['fingerprint']}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps({"format": number, **what}))
    return folder


# 1. The same or not.


def test_the_same_sections_and_text_have_the_same_fingerprint(root: Path, store: Path) -> None:
    first = identity(root, store)
    assert first == identity(root, store)
    assert len(first["fingerprint"]) == 12
    assert set(first["fingerprint"]) <= set("0123456789abcdef")
    assert [record["file"] for record in first["inputs"]] == ["train.en", "train.de", "dev.en", "dev.de"]


def test_where_the_text_lies_and_comes_from_does_not_matter(root: Path, store: Path, tmp_path: Path) -> None:
    first = identity(root, store)
    download = {"address": "https://example.org/", "sha256": {}}
    assert identity(root, store, download=download) == first
    moved = root.rename(tmp_path / "moved")
    assert identity(moved, tmp_path / "other store") == first


OTHER: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"type": "word"}),
    ({}, {"vocab_size": 301}),
    ({}, {"joint": False}),
    ({}, {"subword_samples": 2}),
    ({}, {"subword_sampling": 0.2}),
    ({}, {"sample_lines": 5}),
    ({}, {"character_coverage": 0.9}),
    ({"seed": 2}, {}),
    ({"dev": None}, {}),
    ({"test": "dev"}, {}),
    ({"max_length": None}, {}),
    ({"max_length_ratio": 8.0}, {}),
    ({"deduplicate": False}, {}),
    ({"normalization": "none"}, {}),
    ({"source": "de", "target": "en"}, {}),
    ({"train": [{"name": "train", "weight": 2.5}]}, {}),
]


@pytest.mark.parametrize(("corpus", "tokenizer"), OTHER)
def test_every_other_setting_makes_other_data(
    corpus: dict[str, Any], tokenizer: dict[str, Any], root: Path, store: Path
) -> None:
    other = identity(root, store, tokenizer, **corpus)
    assert other["fingerprint"] != identity(root, store)["fingerprint"]


@pytest.mark.parametrize("file", ["train.en", "train.de", "dev.en", "dev.de"])
def test_every_file_counts(file: str, root: Path, store: Path) -> None:
    first = identity(root, store)
    with open(root / file, "a") as text:
        text.write("more\n")
    assert identity(root, store)["fingerprint"] != first["fingerprint"]


def test_a_file_that_did_not_change_is_not_read_again(root: Path, store: Path) -> None:
    first = identity(root, store)
    file = root / "train.en"
    before, text = file.stat(), file.read_text()
    file.write_text(text.swapcase())
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert identity(root, store) == first  # same size, same time: taken for the same
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert identity(root, store) != first
    assert sorted(path.name for path in store.iterdir()) == ["inputs.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_damaged_notes_about_files_are_made_anew(content: bytes, root: Path, store: Path) -> None:
    first = identity(root, store)
    notes = (store / "inputs.json").read_text()
    (store / "inputs.json").write_bytes(content)
    assert identity(root, store) == first
    assert (store / "inputs.json").read_text() == notes


@pytest.mark.parametrize("note", [5, None, [1, 2], "text", {"a": 1}])
def test_a_note_that_is_none_is_passed_over(note: Any, root: Path) -> None:
    parts = sections(root)
    known_digests = {str(path): note for path in parts[2].files()}
    assert build_identity(*parts, known_digests) == build_identity(*parts, {})


def test_a_file_that_cannot_be_read_is_named(root: Path, store: Path) -> None:
    config, tokenizer, _ = sections(root)
    corpus = Corpus([ParallelText("x", (root,), lambda _: iter(()))], [], [])
    with pytest.raises(DataError) as caught:
        build_identity(config, tokenizer, corpus, {})
    assert str(caught.value) == f"{root}: cannot read: Is a directory"


# 2. Found again.


def test_data_are_reused_under_whatever_recipe_name(root: Path, store: Path) -> None:
    config, tokenizer, corpus = sections(root)
    what = build_identity(config, tokenizer, corpus, {})
    folder = store / f"first-recipe-{what['fingerprint']}"
    assert find_prepared(store, what["fingerprint"]) is None
    data = prepare(PreparationSettings(config, tokenizer), corpus, folder, what, Reporter(quiet=True))
    assert data.fingerprint == what["fingerprint"]
    assert {key: data.manifest[key] for key in what} == what
    again = identity(root, store)
    assert find_prepared(store, again["fingerprint"]) == folder
    assert PreparedData(folder).fingerprint == again["fingerprint"]
    other = identity(root, store, seed=2)
    assert find_prepared(store, other["fingerprint"]) is None


def test_a_folder_without_a_manifest_is_not_prepared_data(root: Path, store: Path) -> None:
    what = identity(root, store)
    (store / f"a-{what['fingerprint']}").mkdir()
    assert find_prepared(store, what["fingerprint"]) is None
    assert describe_changes(store, "a", what) == []
    assert find_prepared(store / "none", what["fingerprint"]) is None


# 3. What changed.

CHANGES: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    ({}, {}, []),
    ({"seed": 2}, {}, ["corpus.seed (1 -> 2)"]),
    ({"max_length": None}, {"type": "bpe"},
     ["corpus.max_length (250 -> null)", 'tokenizer.type ("character" -> "bpe")']),
    ({"train": [{"name": "train", "weight": 2.5}]}, {},
     ['corpus.train ("train" -> [{"name": "train", "source": null, "t...)']),
    ({"test": "dev"}, {}, ['corpus.test (null -> "dev")']),
    ({"concatenate": 3}, {"subword_samples": 2, "subword_sampling": 0.2},
     ["corpus.concatenate (1 -> 3)", "tokenizer.subword_samples (1 -> 2)", "tokenizer.subword_sampling (0.1 -> 0.2)"]),
    ({"filters": {"length": 4.0, "copies": None}}, {},
     ["corpus.filters.copies (15 -> null)", "corpus.filters.length (null -> 4.0)"]),
    ({"normalization": {"quotes": True}}, {}, ["corpus.normalization.quotes (false -> true)"]),
    ({"drop_overlap": "none", "filters": None}, {},
     ['corpus.filters ({"copies": 15, "swapped": 5.0, "langu... -> null)', 'corpus.drop_overlap ("pairs" -> "none")']),
]  # fmt: skip


@pytest.mark.parametrize(("corpus", "tokenizer", "expected"), CHANGES)
def test_changed_settings_are_named_with_old_and_new_value(
    corpus: dict[str, Any], tokenizer: dict[str, Any], expected: list[str], root: Path, store: Path
) -> None:
    finished(store, "a", identity(root, store))
    assert describe_changes(store, "a", identity(root, store, tokenizer, **corpus)) == expected


def test_of_lists_and_long_values_what_differs_is_shown(root: Path, store: Path) -> None:
    name = "x" * 50
    for language in ("en", "de"):
        for text in (f"{name}1", f"{name}2"):
            (root / f"{text}.{language}").write_text(f"{text} {language}\n")
    finished(store, "a", identity(root, store, train=["train", f"{name}1"]))
    other = identity(root, store, train=[{"name": "train", "weight": 2.5}, f"{name}2"])
    assert describe_changes(store, "a", other)[:2] == [
        "corpus.train[0].weight (1.0 -> 2.5)", f'corpus.train[1].name ("{name}1" -> "{name}2")',
    ]  # fmt: skip
    shorter = describe_changes(store, "a", identity(root, store, train=["train"]))
    assert shorter == ['corpus.train[1] ({"name": "' + "x" * 27 + "... -> null)"]


def test_data_of_an_earlier_version_are_compared_by_the_names_of_today(root: Path, store: Path) -> None:
    what = identity(root, store, concatenate=2, drop_overlap="none", filters=None)
    corpus = {key: value for key, value in what["corpus"].items() if key not in ("drop_overlap", "filters")}
    corpus["join"] = corpus.pop("concatenate")
    finished(store, "a", what | {"corpus": corpus})
    assert describe_changes(store, "a", what) == []
    assert describe_changes(store, "a", identity(root, store, concatenate=3, filters=None)) == [
        "corpus.concatenate (2 -> 3)", 'corpus.drop_overlap ("none" -> "pairs")',
    ]  # fmt: skip


def test_data_whose_tokenizer_saw_held_out_pairs_are_made_anew_and_no_others(root: Path, store: Path) -> None:
    assert (
        identity(root, store, normalization="nfc", drop_overlap="none", filters=None)["fingerprint"] == "c49f129d0559"
    )  # as ever: there is development text
    what = identity(root, store, dev=None)
    for key, said in (
        (TOKENIZER_TEXT_KEY, "the text that the tokenizer is trained on, now without held-out pairs"),
        (HELD_OUT_KEY, "which pairs are held out"),
    ):
        before = {name: value for name, value in what.items() if name != key}
        made_before = {name: value for name, value in before.items() if name != "fingerprint"}
        assert describes(what, before | {"fingerprint": fingerprint._fingerprint(made_before)})
        assert describes(what, what) and not describes(what, before)
        finished(store, "a", before | {"fingerprint": "0ld"})
        assert find_prepared(store, what["fingerprint"]) is None
        assert describe_changes(store, "a", what) == [said]
    assert describe_changes(store, "a", identity(root, store)) == [
        'corpus.dev (null -> "dev")', "the text of dev.en", "the text of dev.de",
    ]  # fmt: skip


def test_changed_text_is_named(root: Path, store: Path) -> None:
    finished(store, "a", identity(root, store))
    (root / "train.de").write_text("other\n" * 20)
    assert describe_changes(store, "a", identity(root, store)) == ["the text of train.de"]


def test_of_two_files_with_one_name_only_the_changed_one_is_named(root: Path, store: Path) -> None:
    (root / "more").mkdir()
    for language in ("en", "de"):
        (root / "more" / f"train.{language}").write_text(f"more {language}\n")
    parts = {"train": [{"name": "train"}, {"name": "more/train"}]}
    finished(store, "a", identity(root, store, **parts))
    (root / "more" / "train.en").write_text("other\n")
    assert describe_changes(store, "a", identity(root, store, **parts)) == ["the text of train.en"]


def test_a_recipe_is_compared_with_the_newest_data_of_its_own_name(root: Path, store: Path) -> None:
    for age, (name, seed) in enumerate([("a-b", 3), ("a", 4), ("a", 5), ("ab", 6), ("[a]", 7)]):
        folder = finished(store, name, identity(root, store, seed=seed))
        os.utime(folder / "manifest.json", (1e9 - age, 1e9 - age))
    what = identity(root, store)
    assert describe_changes(store, "a", what) == ["corpus.seed (4 -> 1)"]
    assert describe_changes(store, "a-b", what) == ["corpus.seed (3 -> 1)"]
    assert describe_changes(store, "[a]", what) == ["corpus.seed (7 -> 1)"]
    assert describe_changes(store, "b", what) == []


def test_data_of_another_format_have_changed_as_a_whole(root: Path, store: Path) -> None:
    what = identity(root, store, seed=2)
    folder = finished(store, "a", what, number=0)
    assert describe_changes(store, "a", identity(root, store)) == [f"the format of {folder.name}"]
