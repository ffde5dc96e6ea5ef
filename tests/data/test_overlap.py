"""Development and test pairs in the training text: counted, shown, taken out; held-out pairs share no source."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmt_cli.data.clean_text import SourceKeys, draw_held_out
from nmt_cli.data.cleaning import OVERLAP, CorpusCleaner
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.inspection import inspect_corpus
from nmt_cli.data.language_tags import leading_tag
from nmt_cli.data.overlap import EvaluationText, OverlapCount
from nmt_cli.data.prepared.store import PreparedData
from nmt_cli.data.sources.base import RawPair
from nmt_cli.data.sources.corpus import find_corpus
from nmt_cli.recipe.loader import build_recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.preparation import prepare_recipe
from tests.conftest import toy_content

DEV = [("a b", "A B"), ("c", "C"), ("d", "D")]
TRAIN = [("a  b\u200b", "A B"), ("c", "K"), ("x", "C"), ("a b", "A B"), ("c", "L")]


def cleaned(**options: Any) -> tuple[list[tuple[str, str]], CorpusCleaner]:
    """What remains of TRAIN beside DEV, and the cleaner."""
    config = CorpusConfig(source="en", target="de", **options)
    cleaner = CorpusCleaner(config, [EvaluationText.read("dev", DEV, config.normalization)])
    pairs = (RawPair(source.encode(), target.encode(), number) for number, (source, target) in enumerate(TRAIN, 1))
    return list(cleaner.clean(pairs, "train.en")), cleaner


@pytest.mark.parametrize(
    ("drop_overlap", "kept", "dropped"),
    [
        ("none", [("a b", "A B"), ("c", "K"), ("x", "C"), ("c", "L")], 0),
        ("pairs", [("c", "K"), ("x", "C"), ("c", "L")], 2),
        ("sources", [("x", "C")], 4),
    ],
)
def test_overlap_is_counted_and_dropped_as_the_recipe_says(
    drop_overlap: str, kept: list[tuple[str, str]], dropped: int
) -> None:
    pairs, cleaner = cleaned(drop_overlap=drop_overlap)
    assert pairs == kept
    assert cleaner.report[OVERLAP].count == dropped
    (count,) = cleaner.overlap.report()
    assert count == OverlapCount("dev", 3, 1, 2, "train.en:1: a b ||| A B")
    assert "is in the training text, too: 2 of 3; with the same target: 1; as in" in count.message()


def test_a_source_is_counted_where_its_pair_is_that_of_another_text() -> None:
    config = CorpusConfig(source="en", target="de")
    texts = [
        EvaluationText.read(*text, config.normalization) for text in (("dev", [("c", "X")]), ("test", [("c", "K")]))
    ]
    cleaner = CorpusCleaner(config, texts)
    assert list(cleaner.clean([RawPair(b"c", b"K", 1)], "train.en")) == []
    example = "train.en:1: c ||| K"
    assert cleaner.overlap.report() == [OverlapCount("dev", 1, 0, 1, example), OverlapCount("test", 1, 1, 1, example)]


def test_what_is_remarkable_about_a_text_is_said() -> None:
    pairs = [("a", "A"), ("a", "A "), ("b", ""), ("", ""), ("c", "c")]
    config = CorpusConfig(source="en", target="de")
    assert EvaluationText.read("test", pairs, config.normalization).problems() == [
        "2 of 5 pairs have a blank side",
        "1 of 5 pairs are the same text on both sides",
        "1 of 5 pairs repeat an earlier pair",
        "only 5 pairs: scores of so few vary by chance",
    ]
    unremarkable = [(f"a{number}", f"A{number}") for number in range(100)]
    assert EvaluationText.read("test", unremarkable, config.normalization).problems() == []


def prepared(folder: Path, pairs: list[tuple[str, str]], **corpus: Any) -> PreparedData:
    (folder / "t.ab").write_text("".join(f"{source}\n" for source, _ in pairs))
    (folder / "t.ba").write_text("".join(f"{target}\n" for _, target in pairs))
    content = toy_content(folder)
    content["corpus"] = {"root": str(folder), "source": "ab", "target": "ba", "train": "t", **corpus}
    return prepare_recipe(build_recipe(content), Reporter(quiet=True), folder / "prepared").data


def side_lines(data: PreparedData, name: str, side: str) -> Iterator[str]:
    yield from (data.folder / f"{name}.{side}.txt").read_text().splitlines()


def test_held_out_pairs_share_no_source_with_training_text(tmp_path: Path) -> None:
    pairs = [(f"s {number % 300}", f"t {number}") for number in range(600)] + [(f"u {n}", "v") for n in range(20)]
    data = prepared(tmp_path, pairs)
    sources = Counter(source for source, _ in pairs)
    held_out = list(side_lines(data, "dev", "source"))
    assert len(held_out) == 20 and {sources[source] for source in held_out} == {1}
    assert data.manifest["train"] == 600
    assert not set(held_out) & set(side_lines(data, "train", "source"))


def test_where_every_source_is_repeated_any_pair_may_be_held_out(tmp_path: Path) -> None:
    assert prepared(tmp_path, [("s", f"t {number}") for number in range(200)]).manifest["held_out"] == 10


def test_texts_that_share_most_pairs_hold_out_almost_the_same_ones(tmp_path: Path) -> None:
    pairs = [(f"s {number}", f"t {number}") for number in range(400)]
    changed = [(f"new {number}", "t") for number in range(20)] + pairs[:200] + pairs[220:]
    drawn = []
    for folder, text in (("first", pairs), ("second", changed)):
        (tmp_path / folder).mkdir()
        drawn.append(set(side_lines(prepared(tmp_path / folder, text), "dev", "source")))
    assert [len(sources) for sources in drawn] == [20, 20] and len(drawn[0] & drawn[1]) >= 15


def sentences(data: PreparedData, name: str) -> set[str]:
    return {line.removeprefix(leading_tag(line)).strip() for line in side_lines(data, name, "source")}


TAGGED = [(f"<2{tag}> s {n}", f"{tag} {n}") for tag in ("de", "fr", "nl") for n in range(200)]
TAGGED += [(f"<2de> thanks {n % 3}", f"de thanks {n}") for n in range(9)]
TAGGED += [(f"<2fr> thanks {n}", f"fr thanks {n}") for n in range(3)]


@pytest.mark.parametrize("modulus", [1, 2, 3])
def test_a_sentence_is_held_out_or_in_training_whatever_tags_it_has(modulus: int, tmp_path: Path) -> None:
    """All sentences with all tags, half of them, or each with two of the three."""
    pairs = [pair for index, pair in enumerate(TAGGED) if modulus == 1 or index % modulus or index >= 600]
    data = prepared(tmp_path, pairs)
    held_out = list(side_lines(data, "dev", "source"))
    assert 0.04 * len(pairs) <= len(held_out) == data.manifest["held_out"] <= 0.05 * len(pairs)
    assert len(held_out) + data.manifest["train"] == len(pairs)
    assert {leading_tag(source) for source in held_out} == {"<2de>", "<2fr>", "<2nl>"}
    assert not sentences(data, "dev") & sentences(data, "train")
    assert not any("thanks" in source for source in held_out)  # one of its sources is that of several pairs


def test_tags_that_a_recipe_declares_hide_no_sentence(tmp_path: Path) -> None:
    for name in ("de", "fr"):
        (tmp_path / f"{name}.ab").write_text("".join(f"s {n}\n" for n in range(200)))
        (tmp_path / f"{name}.ba").write_text("".join(f"{name} {n}\n" for n in range(200)))
    train = [{"name": "de", "tag": "<2de>"}, {"name": "fr", "tag": "<BT>"}]
    data = prepared(tmp_path, [], train=train)
    assert len(list(side_lines(data, "dev", "source"))) == 20 and len(sentences(data, "dev")) == 10
    assert not sentences(data, "dev") & sentences(data, "train")


def test_text_without_tags_holds_out_the_pairs_that_it_always_did(tmp_path: Path) -> None:
    pairs = [(f"s {n % 150}", f"t {n}") for n in range(200)]
    drawn = {"pairs": [50, 63, 73, 78, 83, 87, 91, 94, 138, 144], "none": [35, 48, 49, 50, 63, 73, 138, 185, 198, 199]}
    for drop_overlap, numbers in drawn.items():
        data = prepared(tmp_path, pairs, drop_overlap=drop_overlap)
        assert list(side_lines(data, "dev", "target")) == [f"t {number}" for number in numbers]
        assert data.manifest["held_out_by"] == "hash of seed and source"


def source_keys(*lines: int, of_texts: list[int] | None = None) -> SourceKeys:
    texts = [*lines] if of_texts is None else of_texts
    return SourceKeys(np.array(texts, np.uint64), np.array(lines, np.uint64))


@pytest.mark.parametrize("unrepeated_only", [False, True])
def test_the_smallest_keys_are_held_out_and_no_more_than_asked_for(unrepeated_only: bool) -> None:
    keys = source_keys(*range(1000, 1036), 7, 3, 3, 3)  # 5 % of 40
    assert draw_held_out(keys, unrepeated_only=unrepeated_only) == ({36, 0} if unrepeated_only else {37, 38})
    assert draw_held_out(source_keys(*[0] * 40), unrepeated_only=unrepeated_only) == (
        set() if unrepeated_only else {0, 1}
    )


@pytest.mark.parametrize(
    ("texts", "lines", "expected"),
    [
        ([3, 2, 2, 1, 1], [0, 1, 2, 3, 3], {1, 2}),  # 1 has a source of two pairs
        ([3, 2, 2, 1], [0, 1, 2, 3], {3}),  # a third pair would be more than 5 % of 40, and half of 2 is not held out
        ([2, 2, 2], [0, 1, 2], {0, 1, 2}),  # more than 5 %, but there would be none
    ],
)
def test_a_text_is_held_out_with_all_its_tags(texts: list[int], lines: list[int], expected: set[int]) -> None:
    others = range(1000, 1040 - len(texts))
    keys = source_keys(*lines, *others, of_texts=[*texts, *others])
    assert draw_held_out(keys, unrepeated_only=True) == expected


def test_one_text_with_several_tags_is_not_held_out_as_a_whole() -> None:
    assert draw_held_out(source_keys(1, 2, 3, of_texts=[1, 1, 1]), unrepeated_only=True) == set()


@pytest.mark.parametrize("options", [{}, {"filters": None}, {"filters": None, "drop_overlap": "sources"}])
def test_a_source_of_development_text_is_found_under_another_tag(options: dict[str, Any], tmp_path: Path) -> None:
    """Tags that stand in the text, whether filters look at it or not; nmt check counts as nmt prepare does."""
    pairs = [(f"<2{tag}> s {n}", f"{tag} {n}") for tag in ("de", "fr") for n in range(100)]
    (tmp_path / "d.ab").write_text("".join(f"<2fr> s {n}\n" for n in range(95, 105)))
    (tmp_path / "d.ba").write_text("".join(f"{'de' if n < 98 else 'x'} {n}\n" for n in range(95, 105)))
    data = prepared(tmp_path, pairs, dev="d", **options)
    expected = {"split": "dev", "total": 10, "pairs": 3, "sources": 5, "example": "t.ab:96: <2de> s 95 ||| de 95"}
    assert data.manifest["overlap"] == [expected]
    assert data.manifest["filters"][OVERLAP]["count"] == (10 if "drop_overlap" in options else 3)
    config = CorpusConfig(root=str(tmp_path), source="ab", target="ba", train="t", dev="d", **options)
    overlap = inspect_corpus(find_corpus(config, []), config, 1000)[1]
    assert [count._asdict() for count in overlap.report()] == [expected]


def test_preparing_says_what_it_counted_whatever_the_number_of_processes(tmp_path: Path) -> None:
    pairs = [(f"s {number}", f"t {number}") for number in range(200)]
    for side, index in (("ab", 0), ("ba", 1)):
        (tmp_path / f"d.{side}").write_text("".join(f"{pair[index]}\n" for pair in pairs[:7]))
    data = prepared(tmp_path, pairs, dev="d")
    assert data.manifest["overlap"] == [
        {"split": "dev", "total": 7, "pairs": 7, "sources": 7, "example": "t.ab:1: s 0 ||| t 0"}
    ]
    assert (data.manifest["train"], data.manifest["filters"][OVERLAP]["count"]) == (193, 7)
    assert data.manifest["evaluation_problems"]["dev"] == ["only 7 pairs: scores of so few vary by chance"]
