"""Where the text of a recipe is looked for, and what is said when it is not there."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.sources.bad_rows import BadRows
from nmt_cli.data.sources.base import ParallelText
from nmt_cli.data.sources.config import ParallelTextConfig
from nmt_cli.data.sources.corpus import Corpus, find_corpus, search_folders
from nmt_cli.data.sources.quickstart import QUICKSTART_FILE, read_quickstart
from nmt_cli.errors import DataError
from tests.data.sources.test_files import zipped


def config(**options: Any) -> CorpusConfig:
    """A corpus section as a recipe gives it."""
    return CorpusConfig.model_validate_json(json.dumps({"source": "en", "target": "de", **options}))


def write(folder: Path, **texts: str) -> Path:
    """Files in a folder; `train_en="..."` becomes train.en."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def texts(part: ParallelText) -> list[tuple[str, str]]:
    return [(pair.source.decode(), pair.target.decode()) for pair in part.read(BadRows())]


# 1. What a section may say.

ONE_WAY = "needs exactly one of name, source + target, tsv, jsonl, tmx"
TOGETHER = "source and target go together"
PARTS = [
    ({"name": "x"}, []),
    ({"source": "x", "target": "y", "weight": 2.5}, []),
    ({"tsv": "x"}, []),
    ({"jsonl": "x"}, []),
    ({"tmx": "x", "inline": "keep"}, []),
    ({"tsv": "x", "columns": [1, 3], "header": True, "quotes": True}, []),
    ({"jsonl": "x", "columns": ["a", "b.c"]}, []),
    ({"jsonl": "x", "columns": [1, 2]}, ["columns: the keys of jsonl are text"]),
    ({"tsv": "x", "columns": [0, 2]}, ["columns: needs two numbers from 1, or two names"]),
    ({"tsv": "x", "columns": [1, "b"]}, ["columns: needs two numbers from 1, or two names"]),
    ({"name": "x", "columns": [1, 2]}, ["columns: only for tsv and jsonl"]),
    ({"jsonl": "x", "quotes": True, "header": True}, ["header: only for tsv", "quotes: only for tsv"]),
    ({"tsv": "x", "inline": "keep"}, ["inline: only for tmx"]),
    ({}, [ONE_WAY]),
    ({"weight": 2}, [ONE_WAY]),
    ({"name": "x", "tsv": "y"}, [ONE_WAY]),
    ({"source": "x", "target": "y", "jsonl": "z"}, [ONE_WAY]),
    ({"source": "x"}, [TOGETHER]),
    ({"target": "x", "name": "y"}, [TOGETHER]),
]


@pytest.mark.parametrize(("part", "problems"), PARTS)
def test_a_part_says_in_exactly_one_way_where_its_text_is(part: dict[str, Any], problems: list[str]) -> None:
    assert ParallelTextConfig.model_validate_json(json.dumps(part)).errors() == problems


def test_every_bad_part_is_reported_with_its_place() -> None:
    section = config(train=[{"name": "x"}, {}, {"source": "y"}], dev={}, test={"target": "z"})
    assert section.errors() == [f"train.1: {ONE_WAY}", f"train.2: {TOGETHER}", f"dev: {ONE_WAY}", f"test: {TOGETHER}"]
    assert config(train=[]).errors() == ["train: the list is empty"]
    assert config(train="x", dev="y", test={"tsv": "z"}).errors() == []


@pytest.mark.parametrize(
    "options",
    [
        {"seed": -1},
        {"max_length": 0},
        {"max_length_ratio": 0.9},
        {"train": [{"name": "x", "weight": 0}]},
        {"train": [{"name": "x", "weight": 1001}]},
        {"train": 1},
        {"sauce": "en"},
        {"deduplicate": "yes"},
        {"normalization": "nfx"},
        {"normalization": {"whitespace": 1}},
        {"normalization": {"white": True}},
        {"source": None},
    ],
)
def test_values_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(**options)


# 2. Where files are found.


def test_named_files_are_found_in_the_first_folder_that_has_them_all(tmp_path: Path) -> None:
    first = write(tmp_path / "first" / "corpus", train_en="wrong\n", train_de="falsch\n")
    second = write(
        tmp_path / "second" / "corpus",
        train_en="a\n", train_de="A\n", val_en="b\n", val_de="B\n", test_en="c\n", test_de="C\n",
    )  # fmt: skip
    write(tmp_path / "third" / "corpus", train_en="late\n", train_de="spät\n")
    folders = [tmp_path / name for name in ("none", "first", "second", "third")]
    corpus = find_corpus(config(root="corpus", dev="val", test="test"), folders)
    assert [texts(part) for part in corpus.train] == [[("a", "A")]]
    assert [texts(part) for part in (*corpus.dev, *corpus.test)] == [[("b", "B")], [("c", "C")]]
    assert corpus.root == second
    assert corpus.files() == [
        second / name for name in ("train.en", "train.de", "val.en", "val.de", "test.en", "test.de")
    ]
    assert find_corpus(config(root="corpus"), folders).root == first


def test_parts_of_every_kind_keep_their_order_label_and_weight(tmp_path: Path) -> None:
    write(
        tmp_path,
        x_en="a\n", x_de="A\n", left="b\n", right="B\n",
        x_tsv="c\tC\n", x_jsonl='{"en": "d", "de": "D"}\n{"source": "e", "target": "E"}\n',
    )  # fmt: skip
    parts = [
        {"name": "x"},
        {"source": "left", "target": "right", "weight": 2.5},
        {"tsv": "x.tsv", "weight": 0.5},
        {"jsonl": "x.jsonl", "weight": 3},
    ]
    corpus = find_corpus(config(train=parts), [tmp_path])
    assert [(part.label, part.weight, texts(part)) for part in corpus.train] == [
        ("x.en", 1.0, [("a", "A")]),
        ("left", 2.5, [("b", "B")]),
        ("x.tsv", 0.5, [("c", "C")]),
        ("x.jsonl", 3.0, [("d", "D"), ("e", "E")]),
    ]
    assert (corpus.dev, corpus.test) == ([], [])


def test_packed_files_are_found_by_the_plain_name(tmp_path: Path) -> None:
    (tmp_path / "train.en.gz").write_bytes(gzip.compress(b"a\n"))
    write(tmp_path, train_de="A\n")
    (part,) = find_corpus(config(), [tmp_path]).train
    assert part.files == (tmp_path / "train.en.gz", tmp_path / "train.de")
    assert texts(part) == [("a", "A")]


def test_an_absolute_root_is_the_only_place(tmp_path: Path) -> None:
    there = write(tmp_path / "there", train_en="a\n", train_de="A\n")
    write(tmp_path / "here", train_en="b\n", train_de="B\n")
    assert find_corpus(config(root=str(there)), [tmp_path / "here"]).root == there
    with pytest.raises(DataError, match=r"no file train\.en and train\.de"):
        find_corpus(config(root=str(tmp_path / "none")), [tmp_path / "here"])


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "corpus", train_en="a\n", train_de="A\n")
    assert find_corpus(config(root="~/corpus"), []).root == tmp_path / "corpus"
    part = {"source": "~/corpus/train.en", "target": "~/corpus/train.de"}
    corpus = find_corpus(config(train=[part]), [tmp_path / "elsewhere"])
    assert texts(corpus.train[0]) == [("a", "A")]


def test_relative_paths_are_looked_for_beside_the_recipe_here_in_nmt_data_and_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NMT_DATA", "data")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = tmp_path / "nmt"
    assert search_folders(tmp_path / "recipes") == [
        tmp_path / "recipes", tmp_path, tmp_path / "data", cache,
    ]  # fmt: skip
    assert search_folders(tmp_path) == [tmp_path, tmp_path / "data", cache]
    monkeypatch.delenv("NMT_DATA")
    assert search_folders(None) == [tmp_path, cache]


# 3. What is missing.


def test_everything_that_is_missing_is_said_for_the_place_that_has_most(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    write(second, train_en="a\n", train_de="A\n", val_en="b\n")
    (second / "test.tsv").mkdir()  # a folder is not a file
    section = config(dev="val", test={"tsv": "test.tsv"})
    with pytest.raises(DataError) as caught:
        find_corpus(section, [first, second])
    assert str(caught.value) == (
        "corpus.dev: no file val.de; corpus.test: no file test.tsv "
        f"(looked in {first}, {second}; also for .gz, .zst, .xz, .bz2, .zip)"
    )


def test_both_sides_may_be_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        find_corpus(config(root="x"), [tmp_path])
    assert str(caught.value) == (
        f"corpus.train: no file train.en and train.de (looked in {tmp_path / 'x'}; also for .gz, .zst, .xz, .bz2, .zip)"
    )


# 4. The embedded corpus.


def test_the_quickstart_corpus_is_read_from_the_file_in_the_package() -> None:
    corpus = find_corpus(config(name="quickstart"), [])
    assert corpus == Corpus(corpus.train, corpus.dev, corpus.test)
    assert corpus.files() == [QUICKSTART_FILE]
    assert corpus.train[0].label == "quickstart train"
    for split, text in zip(("train", "dev", "test"), (*corpus.train, *corpus.dev, *corpus.test), strict=True):
        assert list(text.read(BadRows())) == list(read_quickstart(split))


@pytest.mark.parametrize("name", ["download", "download.zip"])
def test_an_archive_of_both_sides_is_read_as_it_is(name: str, tmp_path: Path) -> None:
    members = {
        "x/Books.en-de.en": b"a\nb\n",
        "x/Books.en-de.de-DE": b"A\nB\n",
        "x/Books.en-de.xml": b"<a/>",
        "README": b"",
    }
    (tmp_path / "download.zip").write_bytes(zipped(members))
    corpus = find_corpus(config(root=str(tmp_path), train=name), [])
    assert texts(corpus.train[0]) == [("a", "A"), ("b", "B")]
    assert corpus.files() == [tmp_path / "download.zip"]


def test_an_archive_without_a_side_names_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "download.zip").write_bytes(zipped({"x.en": b"a\n", "x.fr": b"A\n"}))
    with pytest.raises(DataError, match=r"has no text whose name ends with \.de; it has x\.en, x\.fr"):
        find_corpus(config(root=str(tmp_path), train="download"), [])


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("x.tsv", "write {tsv: x.tsv}"),
        ("x.jsonl", "write {jsonl: x.jsonl}"),
        ("x.tmx", "write {tmx: x.tmx}"),
        ("x.tmx.gz", "write {tmx: x.tmx.gz}"),
        ("x.csv", "save it with tabs between the columns, as TSV, and write {tsv: x.tsv}"),
        ("x.de", "write x, the base name of x.en and x.de"),
        ("x.txt", "write {tsv: x.txt}, {jsonl: x.txt} or {tmx: x.txt} for one file with both sides"),
    ],
)
def test_one_file_in_place_of_a_base_name_is_refused_with_the_entry_to_write(
    name: str, advice: str, tmp_path: Path
) -> None:
    content = b"a\tA\n"
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    with pytest.raises(DataError) as caught:
        find_corpus(config(train=name), [tmp_path])
    assert (
        str(caught.value) == f"{name}: a name alone means the files {name}.en and {name}.de or a .zip of them; {advice}"
    )


def test_keys_of_an_entry_that_say_nothing_are_not_written() -> None:
    """So that data prepared before there were these keys keep their fingerprint."""
    assert ParallelTextConfig(tsv="x").model_dump() == {
        "name": None, "source": None, "target": None, "tsv": "x", "jsonl": None, "weight": 1.0,
    }  # fmt: skip
    entry = ParallelTextConfig(tsv="x", columns=(1, 3), quotes=True)
    assert ParallelTextConfig.model_validate_json(entry.model_dump_json()) == entry
