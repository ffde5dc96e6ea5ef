"""Prepared folders: whole or not there, the same every time, references untouched."""

import errno
import json
import os
import shutil
import unicodedata
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli.data import clean_text, cleaning
from nmt_cli.data.batching import draw_epoch_pairs
from nmt_cli.data.clean_text import held_out_count
from nmt_cli.data.cleaning import FILTER_NAMES
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.normalization import NormalizationConfig, Normalizer
from nmt_cli.data.prepared import build as preparation
from nmt_cli.data.prepared import writer as writing
from nmt_cli.data.prepared.build import PreparationSettings, prepare
from nmt_cli.data.prepared.store import FORMAT_VERSION, PreparedData, SequenceStore, read_manifest
from nmt_cli.data.prepared.writer import SequenceWriter, TextWriter
from nmt_cli.data.sources.bad_rows import BadRows
from nmt_cli.data.sources.base import ParallelText, RawPair
from nmt_cli.data.sources.corpus import Corpus, find_corpus
from nmt_cli.data.text_profile import TextProfile
from nmt_cli.data.tokenization.subword_sampling import VariantEncoder
from nmt_cli.data.tokenization.tokenizer import TokenizerConfig
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.errors import DataError
from nmt_cli.fs import sha256_of_file
from nmt_cli.reporting import Reporter
from nmt_cli.vocabulary import SPAN_PLACEHOLDERS, SPECIAL_TOKENS
from nmt_cli.workers import PoolFactory, pool_factory, serial_pool
from tests.conftest import examples

Pairs = list[tuple[str, str]]
WORDS = [
    [("the dog", "der Hund"), ("a cat", "eine Katze"), ("my friend", "mein Freund"),
     ("the e\u0301tude", "die E\u0301tüde"), ("nobody", "niemand")],
    [("sees", "sieht"), ("hears", "hört"), ("finds", "findet"), ("loves", "liebt")],
    [("a house", "ein Haus"), ("the sea", "das Meer"), ("two books", "zwei Bücher"),
     ("the old bridge", "die alte Brücke"), ("snow", "Schnee"), ("him", "ihn")],
]  # fmt: skip
SENTENCES: Pairs = [
    (" ".join(word[0] for word in words) + ".", " ".join(word[1] for word in words) + ".") for words in product(*WORDS)
]  # 120


def write(folder: Path, name: str, pairs: Pairs | list[tuple[bytes, bytes]]) -> None:
    """<name>.en and <name>.de."""
    folder.mkdir(exist_ok=True)
    for side, language in enumerate(("en", "de")):
        lines = [line if isinstance(line, bytes) else line.encode() for line in
                 (pair[side] for pair in pairs)]  # fmt: skip
        (folder / f"{name}.{language}").write_bytes(b"".join(line + b"\n" for line in lines))


def sections(root: Path, tokenizer: dict[str, Any] | None = None, **corpus: Any) -> tuple[PreparationSettings, Corpus]:
    """What a recipe says, and the text that it names."""
    content = {"source": "en", "target": "de", "root": str(root), **corpus}
    config = CorpusConfig.model_validate_json(json.dumps(content))
    options = {"type": "character", "vocab_size": 330, **(tokenizer or {})}
    settings = PreparationSettings(config, TokenizerConfig.model_validate_json(json.dumps(options)))
    return settings, find_corpus(config, [])


def prepared(
    root: Path,
    tokenizer: dict[str, Any] | None = None,
    name: str = "out",
    pool: PoolFactory = serial_pool,
    **corpus: Any,
) -> PreparedData:
    folder = root / name
    recipe_sections = sections(root, tokenizer, **corpus)
    identity = {"fingerprint": "f00d", "inputs": []}
    return prepare(*recipe_sections, folder, identity, Reporter(quiet=True), pool)


def lines(path: Path) -> list[str]:
    return path.read_bytes().decode().removesuffix("\n").split("\n")


def training_text(data: PreparedData) -> Pairs:
    sides = (lines(data.folder / f"train.{side}.txt") for side in ("source", "target"))
    return list(zip(*sides, strict=True))


def ids(store: SequenceStore) -> list[list[int]]:
    return [store[number].tolist() for number in range(len(store))]


def nfc(pairs: Pairs) -> Pairs:
    return [(unicodedata.normalize("NFC", a), unicodedata.normalize("NFC", b)) for a, b in pairs]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with train, dev and test."""
    write(tmp_path, "train", SENTENCES)
    write(tmp_path, "dev", [("a dog.", "ein Hund."), ("a house.", "ein Haus.")])
    write(tmp_path, "test", [("a book.", "ein Buch.")])
    return tmp_path


# 1. What is in a prepared folder.

KINDS: list[dict[str, Any]] = [
    {"type": "bpe", "vocab_size": 340, "subword_samples": 3},
    {"type": "unigram", "vocab_size": 340, "subword_samples": 2, "joint": False},
    {"type": "character"},
    {"type": "word", "vocab_size": 30, "joint": False},
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_ids_are_those_of_the_normalised_text_in_every_variant(kind: dict[str, Any], root: Path) -> None:
    data = prepared(root, kind, dev="dev")
    text = training_text(data)
    assert text == nfc(SENTENCES)
    config = TokenizerConfig.model_validate(kind)
    assert len(data.variants) == config.subword_samples
    for side, name in enumerate(("source", "target")):
        tokenizer = getattr(data.tokenizers, name)
        texts = [pair[side] for pair in text]
        for number, stores in enumerate(data.variants):
            expected = VariantEncoder(tokenizer, config).encode(texts, number) if number else tokenizer.encode(texts)
            assert ids(stores[side]) == expected
            assert stores[side].lengths().tolist() == list(map(len, expected))
    assert data.tokenizers.joint == config.joint
    if config.subword_samples > 1:
        assert ids(data.variants[0][0]) != ids(data.variants[1][0])


def test_the_manifest_counts_everything(root: Path) -> None:
    write(
        root, "train",
        [*SENTENCES, SENTENCES[3], ("", "leer"), ("a", "b" * 50), ("x" * 90, "y" * 90)],
    )  # fmt: skip
    with open(root / "train.en", "ab") as english, open(root / "train.de", "ab") as german:
        english.write(b"broken \xff\n")
        german.write(b"kaputt\n")
    data = prepared(root, dev="dev", test="test", max_length=80)
    manifest = data.manifest
    assert (manifest["read"], manifest["train"], manifest["held_out"]) == (125, 120, 0)
    assert manifest["splits"] == {"dev": 2, "test": 1}
    assert list(manifest["filters"]) == list(FILTER_NAMES)
    assert {name: value["count"] for name, value in manifest["filters"].items() if value["count"]} == {
        "not UTF-8": 1, "empty": 1, "length ratio": 1, "duplicate": 1, "too long": 1,
    }  # fmt: skip
    assert manifest["filters"]["not UTF-8"]["examples"] == ["train.en:125: broken \ufffd ||| kaputt"]
    assert manifest["filters"]["too long"]["examples"] == ["x" * 90 + " ||| " + "y" * 90]
    assert manifest["parts"] == [{"label": "train.en", "first": 0, "end": 120, "weight": 1.0}]
    assert manifest["vocabulary"] == [data.tokenizers.source.vocab_size, data.tokenizers.target.vocab_size]
    assert (manifest["format"], data.fingerprint) == (FORMAT_VERSION, "f00d")
    files = {path.name for path in data.folder.iterdir()}
    assert files == {*manifest["arrays"], "manifest.json"}
    assert not [name for name in files if name.startswith("clean")]


@pytest.mark.parametrize(("limit", "expected"), [(5, ["aaaa"]), (6, ["aaaa", "aaaaa"]), (None, None)])
def test_a_pair_is_too_long_by_the_pieces_of_its_longer_side(
    limit: int | None, expected: list[str] | None, tmp_path: Path
) -> None:
    pairs = [("aaaa", "bb"), ("aaaaa", "bb"), ("bb", "a" * 6), ("a" * 300, "b" * 300)]
    write(tmp_path, "train", pairs)
    write(tmp_path, "dev", [("a" * 300, "b")])
    data = prepared(tmp_path, dev="dev", max_length=limit)  # one piece more: the space in front
    assert [source for source, _ in training_text(data)] == (expected or [a for a, _ in pairs])
    assert data.manifest["filters"]["too long"]["count"] == len(pairs) - data.manifest["train"]
    assert data.manifest["splits"] == {"dev": 1}  # development text is never dropped


def test_every_switch_may_be_off(tmp_path: Path) -> None:
    pairs = [("e\u0301", "a"), ("e\u0301", "a"), ("a", "b" * 400)]
    write(tmp_path, "train", pairs)
    write(tmp_path, "dev", [("e\u0301", "\u212b")])
    off = {
        "normalization": "none", "deduplicate": False,
        "max_length": None, "max_length_ratio": None,
    }  # fmt: skip
    data = prepared(tmp_path, dev="dev", **off)
    assert training_text(data) == pairs
    split = data.split("dev")
    assert split is not None
    assert data.tokenizers.source.decode(ids(split.source_ids)) == ["e\u0301"]
    assert data.tokenizers.target.decode(ids(split.target_ids)) == ["\u212b"]


# 2. Several parts.


def test_parts_keep_their_pairs_and_weights_when_some_are_dropped(tmp_path: Path) -> None:
    first, two = SENTENCES[:40], [*SENTENCES[30:70], ("x" * 200, "y" * 200)]
    write(tmp_path, "one", [("", "empty"), *first])
    write(tmp_path, "two", two)
    write(tmp_path, "same", SENTENCES[:50])
    write(tmp_path, "last", [("last", "letzter")])
    write(tmp_path, "dev", [("a", "b")])
    train = [{"name": "one"}, {"name": "two", "weight": 2.5}, {"name": "same", "weight": 9},
             {"name": "last", "weight": 3}]  # fmt: skip
    data = prepared(tmp_path, train=train, dev="dev", max_length=150)
    assert [(part.label, part.first, part.end, part.weight) for part in data.pair_ranges] == [
        ("one.en", 0, 40, 1.0), ("two.en", 40, 70, 2.5), ("same.en", 70, 70, 9.0),
        ("last.en", 70, 71, 3.0),
    ]  # fmt: skip
    text = training_text(data)
    assert text == nfc([*first, *SENTENCES[40:70], ("last", "letzter")])
    drawn = [text[pair] for pair in draw_epoch_pairs(data.pair_ranges, 1, 0)]
    assert drawn.count(("last", "letzter")) == 3


def test_held_out_pairs_leave_the_parts_in_step(tmp_path: Path) -> None:
    write(tmp_path, "one", SENTENCES[:70])
    write(tmp_path, "two", SENTENCES[70:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clean_text, "HELD_OUT_FRACTION", 0.3)
        data = prepared(tmp_path, train=[{"name": "one"}, {"name": "two"}])
    text, split = training_text(data), data.split("dev")
    assert split is not None
    held_out = set(zip(split.sources, split.references, strict=True))
    for part, pairs in zip(data.pair_ranges, (SENTENCES[:70], SENTENCES[70:]), strict=True):
        assert text[part.first : part.end] == [pair for pair in nfc(pairs) if pair not in held_out]
        assert 0 < part.end - part.first < len(pairs)


def test_a_text_in_another_encoding_is_refused_with_how_to_convert_it(tmp_path: Path) -> None:
    write(tmp_path, "train", [(f"number {n}", f"Zahl {n}") for n in range(100)])
    lines = [f"Zähl {n}\n".encode("cp1252") for n in range(11)] + [f"Zahl {n}\n".encode() for n in range(89)]
    (tmp_path / "train.de").write_bytes(b"".join(lines))
    with pytest.raises(DataError) as caught:
        prepared(tmp_path)
    assert str(caught.value).startswith("train.de: 11 of 100 pairs are not UTF-8: ")
    assert "iconv -f CP1252 -t UTF-8 FILE" in str(caught.value)
    assert prepared(tmp_path, max_bad_rows=0.2).manifest["filters"]["not UTF-8"]["count"] == 11


# 3. Development text that nobody named.


@pytest.mark.parametrize(("size", "most", "count"), [(120, 2000, 6), (2, 2000, 1), (1000, 7, 7)])
def test_some_pairs_are_held_out_and_no_more_than_the_most(
    size: int, most: int, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clean_text, "MAX_HELD_OUT_PAIRS", most)
    write(tmp_path, "train", [(f"number {n}", f"Zahl {n}") for n in range(size)])
    data = prepared(tmp_path)
    assert (data.manifest["held_out"], data.manifest["train"]) == (count, size - count)
    assert data.manifest["splits"] == {"dev": count}


def test_small_corpora_hold_out_enough_to_score() -> None:
    counts = {size: held_out_count(size) for size in (2, 19, 211, 3_000, 10_000, 30_000, 1_000_000)}
    assert counts == {2: 1, 19: 1, 211: 10, 3_000: 150, 10_000: 200, 30_000: 300, 1_000_000: 2000}


def test_held_out_pairs_are_drawn_by_seed_and_are_not_trained_on(tmp_path: Path) -> None:
    numbers = [(f"number {n}", f"Zahl {n}") for n in range(1000)]
    write(tmp_path, "train", [*numbers, *numbers[:500]])  # repetitions must not leak either
    drawn = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        data = prepared(tmp_path, name=name, seed=seed)
        split = data.split("dev")
        assert split is not None
        pairs = list(zip(split.sources, split.references, strict=True))
        assert sorted(pairs + training_text(data)) == sorted(numbers)
        assert data.tokenizers.target.decode(ids(split.target_ids)) == split.references
        drawn.append(pairs)
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 50


def test_held_out_pairs_that_share_their_sources_with_training_are_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for translations in (1, 2):
        pairs = [(f"number {n}", f"Zahl {n}{way}") for n in range(100) for way in "ab"[:translations]]
        write(tmp_path, "train", pairs)
        prepared(tmp_path, name=str(translations))
        assert ("every source occurs in several pairs" in capsys.readouterr().err) == (translations == 2)


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("sample_lines", [10_000_000, 60])
def test_the_tokenizer_is_learned_without_held_out_pairs(
    joint: bool, sample_lines: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clean_text, "HELD_OUT_FRACTION", 0.5)
    names = [chr(97 + n // 26) + chr(97 + n % 26) for n in range(200)]
    write(tmp_path, "train", [(f"x{name}", f"y{name}") for name in names])
    kind = {"type": "word", "vocab_size": 1000, "joint": joint, "sample_lines": sample_lines}
    data = prepared(tmp_path, kind)
    text, split = training_text(data), data.split("dev")
    assert split is not None and len(split.sources) == len(text) == 100
    read = text[:: 1 if sample_lines > 100 else 2]  # thinned out to at most so many
    for side, tokenizer in enumerate((data.tokenizers.source, data.tokenizers.target)):
        pieces = {piece.strip() for piece in tokenizer.backend.get_vocab()} - {*SPECIAL_TOKENS}
        assert pieces == {word for pair in read for word in (pair if joint else pair[side:][:1])}


def test_a_split_that_is_not_there_is_none(root: Path) -> None:
    data = prepared(root, test="test")
    assert data.manifest["splits"] == {"dev": 6, "test": 1}
    assert prepared(root, name="other", dev="dev").split("test") is None


# 4. References are raw.

RAW = [
    (b"plain", b"plain"),
    (b"  leading", b"\t  leading and trailing  "),
    (b"a\r", b"carriage return\r"),
    (b"", b""),
    (b"bad \xff byte", b"\xc3\x28 bad"),
    ("e\u0301".encode(), "e\u0301 \u212b \ufb01".encode()),
    ("a\u2028b\x85c".encode(), b"\x00\x0c\x0b\x1c" + "\u2029\u0085".encode()),
    (b"plain", b"plain"),
    (b"\xef\xbb\xbfmark", b"\xef\xbb\xbfmark"),
]


@pytest.mark.parametrize("name", ["dev", "test"])
def test_references_stay_as_they_are_byte_for_byte(name: str, root: Path) -> None:
    write(root, "raw", RAW)
    data = prepared(root, **{"dev": "dev", name: "raw"})
    split = data.split(name)
    assert split is not None
    for side, texts in enumerate((split.sources, split.references)):
        assert texts == [pair[side].decode(errors="replace") for pair in RAW]
    for language, side in (("en", "source"), ("de", "target")):
        content = (root / f"raw.{language}").read_bytes().decode(errors="replace").encode()
        assert (data.folder / f"{name}.{side}.txt").read_bytes() == content
        assert "\ufffd".encode() in content
    normalize = Normalizer(NormalizationConfig())
    sources, references = ([normalize(line.strip()) for line in x] for x in (split.sources, split.references))
    assert ids(split.source_ids) == data.tokenizers.source.encode(sources)
    assert ids(split.target_ids) == data.tokenizers.target.encode(references)


def test_a_byte_order_mark_within_the_text_is_text(root: Path) -> None:
    content = [b"\xef\xbb\xbf" * 2 + b"twice", b"next"]
    write(root, "raw", [(line, line) for line in content])
    write(root, "train", [("", "dropped"), ("\ufeffmark", "\ufeffmark"), *SENTENCES])
    data = prepared(root, dev="raw", normalization="nfc")
    split = data.split("dev")
    assert split is not None
    assert split.references == ["\ufefftwice", "next"]
    assert data.tokenizers.target.decode(ids(split.target_ids)) == split.references
    assert training_text(data)[0] == ("\ufeffmark", "\ufeffmark")
    assert data.tokenizers.source.decode(ids(data.variants[0][0])[:1]) == ["\ufeffmark"]


def test_a_line_feed_in_json_does_not_part_sources_from_references(root: Path) -> None:
    items = [{"en": "one\ntwo", "de": "eins"}, {"en": "three", "de": "\ndrei\r\n"}]
    (root / "dev.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    data = prepared(root, dev={"jsonl": "dev.jsonl"})
    split = data.split("dev")
    assert split is not None
    assert split.sources == ["one two", "three"]
    assert split.references == ["eins", " drei\r "]
    assert data.manifest["splits"]["dev"] == len(split.source_ids) == len(split.target_ids) == 2


def test_the_words_of_the_training_sources_are_listed_and_no_others(tmp_path: Path) -> None:
    other = [("the xylophone.", "das Xylophon.")]
    long = [("the unreadable " * 9, "das Unlesbare " * 9)]
    write(tmp_path, "train", [*SENTENCES, *long, ("l’odd e\u0301tude 3D", "x y z")])
    write(tmp_path, "dev", other)
    data = prepared(tmp_path, dev="dev", max_length=60)
    word_list = lines(data.folder / "words.source.txt")
    sources = " ".join(source for source, _ in training_text(data)).casefold()
    expected = sources.replace(".", "").replace("’", " ").replace("3", "").split()
    assert word_list == sorted(set(expected)) and "étude" in word_list and "unreadable" not in word_list


@pytest.mark.parametrize("kind", KINDS)
def test_the_list_of_words_is_that_of_the_text_whatever_the_tokenizer(kind: dict[str, Any], root: Path) -> None:
    word_list = contents(prepared(root, kind, dev="dev").folder)["words.source.txt"]
    assert word_list == contents(prepared(root, name="other", dev="dev").folder)["words.source.txt"]
    assert len(word_list.split()) == 20


def test_placeholders_and_characters_are_part_of_what_a_run_knows(tmp_path: Path) -> None:
    names = [f"N{chr(97 + number // 26)}{chr(97 + number % 26)}n" for number in range(200)]
    write(tmp_path, "train", [(f"the dog sees {name} 3.", f"der Hund sieht {name} 3.") for name in names])
    write(tmp_path, "dev", [("a dog", "ein Hund")])
    for kind in KINDS:
        options = {**kind, "vocab_size": 380}
        data = prepared(tmp_path, options, kind["type"], dev="dev", placeholders=0.5)
        profile = TextProfile.load(data.folder, CorpusConfig(source="en", target="de"))
        assert profile.source_characters == "".join(sorted({c for name in names for c in f"the dog sees {name} 3."}))
        store = data.variants[0][0]
        replaced = [any(c in text for c in SPAN_PLACEHOLDERS) for text in data.tokenizers.source.decode(ids(store))]
        assert profile.placeholder_pairs == sum(replaced) and 60 < sum(replaced) < 140
        assert training_text(data)[0] == (f"the dog sees {names[0]} 3.", f"der Hund sieht {names[0]} 3.")
    without = prepared(tmp_path, KINDS[0], "without", dev="dev")
    assert not TextProfile.load(without.folder, CorpusConfig(source="en", target="de")).has_placeholders
    assert not without.tokenizers.have_placeholders


# 5. The same inputs give the same bytes.


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", KINDS)
def test_preparing_twice_gives_the_same_bytes(kind: dict[str, Any], root: Path) -> None:
    first = prepared(root, kind, "one", test="test")
    second = prepared(root, kind, "two", test="test")
    assert contents(first.folder) == contents(second.folder)


def test_packing_and_blocks_change_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gzip

    plain = prepared(root, KINDS[0], "one", dev="dev")
    (root / "train.en.gz").write_bytes(gzip.compress((root / "train.en").read_bytes()))
    (root / "train.en").unlink()
    batches = preparation.batched
    monkeypatch.setattr(preparation, "batched", lambda items, _=0: batches(items, 7))
    monkeypatch.setattr(cleaning, "PAIRS_PER_BLOCK", 3)
    packed = prepared(root, KINDS[0], "two", dev="dev")
    assert contents(plain.folder) == contents(packed.folder)
    assert "words.source.txt" in contents(plain.folder)


@pytest.mark.parametrize("kind, limit", [(KINDS[0], 17), (KINDS[1], 9)])
def test_workers_change_no_byte_and_no_line_of_the_report(
    kind: dict[str, Any], limit: int, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleaning, "PAIRS_PER_BLOCK", 3)
    monkeypatch.setattr(preparation, "PAIRS_PER_ENCODE_BLOCK", 4)
    alone = prepared(root, kind, "one", max_length=limit)
    pool = pool_factory(2, str, lambda text: pytest.fail(text))
    together = prepared(root, kind, "two", pool, max_length=limit)
    assert contents(alone.folder) == contents(together.folder)
    assert alone.manifest == together.manifest
    assert alone.manifest["filters"]["too long"]["count"] > 0


def test_a_tokenizer_learns_from_lines_spread_evenly(tmp_path: Path) -> None:
    write(tmp_path, "train", [(f"w{chr(97 + n)}", f"v{chr(97 + n)}") for n in range(25)])
    write(tmp_path, "dev", [("no", "no")])
    kind = {"type": "word", "vocab_size": 99, "joint": False, "sample_lines": 7}
    data = prepared(tmp_path, kind, dev="dev")
    learned = [set(side.backend.get_vocab()) for side in (data.tokenizers.source,
                                                          data.tokenizers.target)]  # fmt: skip
    for letter, words in zip("wv", learned, strict=True):
        assert {word for word in words if word[0] == " "} == {f" {letter}{last}" for last in "aeimquy"}


# 6. Whole or not at all.


def failing(after: int, error: BaseException) -> Callable[[BadRows], Iterator[RawPair]]:
    def read(_: BadRows) -> Iterator[RawPair]:
        for number, (source, target) in enumerate(SENTENCES[:after], 1):
            yield RawPair(source.encode(), target.encode(), number)
        raise error

    return read


@pytest.mark.parametrize("error", [DataError("broken"), KeyboardInterrupt(), OSError("full")])
@pytest.mark.parametrize("where", ["train", "dev", "test"])
def test_an_exception_midway_leaves_nothing(where: str, error: BaseException, root: Path, tmp_path: Path) -> None:
    settings, corpus = sections(root, KINDS[0], dev="dev", test="test")
    broken = ParallelText("broken", (), failing(50, error))
    parts = {"train": corpus.train, "dev": corpus.dev, "test": corpus.test}
    parts[where] = [*parts[where], broken]
    store = tmp_path / "store"
    with pytest.raises(type(error)) as caught:
        prepare(settings, Corpus(**parts), store / "x-f00d", {}, Reporter(quiet=True))
    assert caught.value is error
    assert not store.exists()


NOTHING_LEFT = "corpus.train: no pair is left to train on"
REFUSED: list[tuple[Pairs, dict[str, Any], str]] = [
    ([], {}, f"{NOTHING_LEFT}: the text is empty"),
    ([("", "a"), ("b", "")], {}, f"{NOTHING_LEFT}: dropped 2 empty"),
    ([("", "a"), ("b", "c" * 50)], {}, f"{NOTHING_LEFT}: dropped 1 empty, 1 length ratio"),
    ([("abc", "abc"), ("abd", "abd")], {"max_length": 2, "dev": "dev"},
     f"{NOTHING_LEFT}: dropped 2 too long"),
    ([("a", "b")], {}, "corpus.train: one pair is too few to hold out development text"),
    ([("a", "b")], {"dev": "empty"}, "corpus.dev: the text is empty"),
    ([("a", "b")], {"dev": "dev", "test": "empty"}, "corpus.test: the text is empty"),
    ([("a", "b")], {"dev": ["dev", "empty"]}, "corpus.dev: empty.en: the text is empty"),
]  # fmt: skip


@pytest.mark.parametrize(("pairs", "options", "message"), REFUSED)
def test_text_that_cannot_be_used_is_refused_in_one_line_and_leaves_nothing(
    pairs: Pairs, options: dict[str, Any], message: str, root: Path
) -> None:
    write(root, "train", pairs)
    write(root, "empty", [])
    before = sorted(root.iterdir())
    with pytest.raises(DataError) as caught:
        prepared(root, **options)
    assert str(caught.value) == message
    assert sorted(root.iterdir()) == before


def test_nothing_has_the_final_name_before_all_is_written(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()

    def last_step(path: Path) -> str:
        seen.add((root / "out").exists())
        return sha256_of_file(path)

    monkeypatch.setattr(preparation, "sha256_of_file", last_step)
    data = prepared(root)
    assert seen == {False}
    assert sorted(path.name for path in root.iterdir() if path.is_dir()) == ["out"]
    assert data.folder == root / "out"


def test_what_a_killed_process_left_is_no_hindrance_and_goes_a_day_later(root: Path) -> None:
    old, recent, another = (root / name for name in (".out.7-01234567", ".out.7-89abcdef", ".out.backup"))
    for folder in (old, recent, another):
        folder.mkdir()
        (folder / "rubbish").write_text("half")
        os.utime(folder, (0, 0))
    for folder in (old, another):
        os.utime(folder / "rubbish", (0, 0))
    data = prepared(root)
    assert "rubbish" not in contents(data.folder)
    assert not old.exists() and recent.exists() and another.exists()


def test_who_prepares_the_same_at_the_same_time_shares_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = prepared(root, name="other").folder

    def late(path: Path) -> str:
        shutil.copytree(other, root / "out", dirs_exist_ok=True)
        return sha256_of_file(path)

    monkeypatch.setattr(preparation, "sha256_of_file", late)
    data = prepared(root)
    assert contents(data.folder) == contents(other)
    assert not [path for path in root.iterdir() if path.name.startswith(".")]


def test_an_incomplete_folder_is_refused_before_anything_is_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "out").mkdir()
    (root / "out" / "mine").write_text("mine")
    monkeypatch.delattr(preparation, "_Preparation")
    with pytest.raises(DataError) as caught:
        prepared(root)
    assert str(caught.value) == f"{root / 'out'}: incomplete: it has no manifest.json"
    assert caught.value.hint == "delete it and run the command again"
    assert list(contents(root / "out")) == ["mine"]


# 7. Reading it again.


def test_an_opened_folder_is_what_was_prepared(root: Path) -> None:
    data = prepared(root, KINDS[1], dev="dev")
    again = PreparedData(data.folder)
    assert again.manifest == data.manifest
    assert again.pair_ranges == data.pair_ranges
    assert not again.tokenizers.joint
    vocabulary = again.tokenizers.vocabulary
    assert [vocabulary.source_size, vocabulary.target_size] == again.manifest["vocabulary"]
    assert ids(again.variants[1][1]) == ids(data.variants[1][1])
    assert isinstance(again.variants[0][0].ids, np.memmap)


def test_development_text_is_all_of_its_texts_and_each_is_found_in_it(root: Path) -> None:
    write(root, "few", SENTENCES[:3])
    texts = ["dev", {"source": "few.en", "target": "few.de", "tag": "<2de>"}, "dev"]
    data = prepared(root, dev=texts, test="test")
    dev, test = data.split("dev"), data.split("test")
    assert dev is not None and test is not None
    assert [*dev.texts] == [("dev.en", 0, 2), ("few.en", 2, 5), ("dev.en (2)", 5, 7)]
    assert dev.sources[2:5] == [f"<2de> {source}" for source, _ in SENTENCES[:3]]
    assert dev.sources[:2] == dev.sources[5:] and len(dev.source_ids) == 7 and test.texts == ()
    manifest = json.loads((data.folder / "manifest.json").read_text())
    for texts_of_dev in ([{"name": "x", "first": 0, "end": 3}], [{"name": "x"}], 5):
        manifest["split_texts"]["dev"] = texts_of_dev
        (data.folder / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(DataError, match=r"damaged prepared data: the texts (of dev )?in manifest\.json"):
            PreparedData(data.folder).split("dev")
    del manifest["split_texts"]  # as older data
    (data.folder / "manifest.json").write_text(json.dumps(manifest))
    older = PreparedData(data.folder).split("dev")
    assert older is not None and older.texts == () and older.sources == dev.sources


def test_a_damaged_or_foreign_folder_is_refused(root: Path) -> None:
    folder = prepared(root).folder
    array = folder / "train.target.0.ids.npy"
    content = array.read_bytes()
    for damaged in (content[:-9], content[:20], b"", b"rubbish" * 50):
        array.write_bytes(damaged)
        with pytest.raises(DataError, match="damaged prepared data: ") as caught:
            PreparedData(folder)
        assert str(caught.value).startswith(f"{folder}: damaged prepared data: ")
    array.unlink()
    with pytest.raises(DataError, match=r"damaged prepared data: .*No such file"):
        PreparedData(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(DataError) as caught:
        Tokenizers.load(folder)
    assert str(caught.value) == f"{folder}: no tokenizer.json here"


def test_another_format_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"manifest\.json: missing or damaged: No such file"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": 0}')
    with pytest.raises(DataError) as caught:
        read_manifest(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: prepared data of format 0, this version reads {FORMAT_VERSION}: "
        "delete the folder and run nmt prepare again"
    )
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(DataError, match=r"manifest\.json: missing or damaged: Expecting"):
        read_manifest(tmp_path)


# 8. Writers.


@pytest.mark.parametrize(("vocabulary", "kind"), [(65536, "uint16"), (65537, "uint32")])
@given(sequences=st.lists(st.lists(st.integers(0, 65535), max_size=6), max_size=12))
@examples(40)
def test_any_sequences_come_back_in_the_smallest_type(
    vocabulary: int, kind: str, sequences: list[list[int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("store")
    largest = [[vocabulary - 1], *sequences]
    with SequenceWriter(folder, "x", vocabulary) as writer:
        for sequence in largest:
            writer.write(sequence)
    store = SequenceStore.open(folder, "x")
    assert ids(store) == largest
    assert store.ids.dtype == kind
    assert sorted(path.name for path in folder.iterdir()) == ["x.ids.npy", "x.offsets.npy"]


def test_a_full_disk_is_an_error_and_no_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class FullDisk(BytesIO):
        def write(self, content: Any) -> int:
            if self.tell():  # behind the header
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(content)

    monkeypatch.setattr(writing, "open", lambda path, mode: FullDisk(), raising=False)
    with pytest.raises(OSError, match="No space left on device"), SequenceWriter(tmp_path, "x", 100) as writer:
        writer.write([1, 2, 3])


@pytest.mark.parametrize("sequences", [[], [[]], [[], []]])
def test_a_store_may_hold_nothing(sequences: list[list[int]], tmp_path: Path) -> None:
    with SequenceWriter(tmp_path, "x", 100) as writer:
        for sequence in sequences:
            writer.write(sequence)
    store = SequenceStore.open(tmp_path, "x")
    assert ids(store) == sequences
    assert len(store.lengths()) == len(sequences)


def test_text_is_written_line_by_line_as_it_is(tmp_path: Path) -> None:
    with TextWriter(tmp_path, "x") as writer:
        writer.write("a\r", "ä\u2028")
        writer.write("", " b ")
        assert writer.line_count == 2
    assert (tmp_path / "x.source.txt").read_bytes() == b"a\r\n\n"
    assert (tmp_path / "x.target.txt").read_bytes() == "ä\u2028\n b \n".encode()
