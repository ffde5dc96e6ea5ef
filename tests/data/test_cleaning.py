"""The filters of training text: what they drop, count and remember."""

import json
import unicodedata
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli.data.cleaning import MAX_EXAMPLES, CorpusCleaner, TextPair
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.filtering.rules import RULES
from nmt_cli.data.sources.base import RawPair
from tests.conftest import examples


def config(**options: Any) -> CorpusConfig:
    return CorpusConfig.model_validate_json(json.dumps({"source": "en", "target": "de", **options}))


def raw(*pairs: tuple[str | bytes, str | bytes]) -> list[RawPair]:
    sides = [[x if isinstance(x, bytes) else x.encode() for x in pair] for pair in pairs]
    return [RawPair(source, target, line) for line, (source, target) in enumerate(sides, 1)]


def cleaned(cleaner: CorpusCleaner, *pairs: tuple[str | bytes, str | bytes]) -> list[TextPair]:
    return list(cleaner.clean(raw(*pairs), "train.en"))


def dropped(cleaner: CorpusCleaner) -> dict[str, int]:
    return {name: value.count for name, value in cleaner.report.items() if value.count}


# 1. What comes through.

KEPT = [
    (("a", "A"), ("a", "A")),
    (("  a \t", "\u3000A\u00a0"), ("a", "A")),
    (("a  b", "A\tB"), ("a b", "A B")),
    (("a\r", "A\r"), ("a", "A")),
    (("a\nb\rc", "A\r\nB"), ("a b c", "A B")),
    (("e\u0301", "\u212b"), ("\u00e9", "\u00c5")),
    (("a\u2028b\x00c\x0cd", "A\x85B"), ("a bc d", "A B")),
    (("\ufb01", "\u2460"), ("\ufb01", "\u2460")),
]


@pytest.mark.parametrize(("pair", "expected"), KEPT)
def test_text_is_stripped_on_one_line_and_normalised(pair: TextPair, expected: TextPair) -> None:
    cleaner = CorpusCleaner(config())
    assert cleaned(cleaner, pair) == [expected]
    assert dropped(cleaner) == {}


def test_without_normalization_text_stays_decomposed() -> None:
    plain = config(normalization="none")
    assert cleaned(CorpusCleaner(plain), (" e\u0301", "\u212b")) == [("e\u0301", "\u212b")]
    assert cleaned(CorpusCleaner(config()), ("e\u0301", "b\xad\u00a0 c")) == [("\u00e9", "b c")]


def test_what_normalisation_has_changed_is_counted() -> None:
    cleaner = CorpusCleaner(config())
    cleaned(cleaner, ("a", "b"), ("a  b", "c\xad"), ("e\u0301", "x\u00a0y"))
    assert cleaner.normalized == {"whitespace": 2, "invisible": 1, "unicode": 1}


# 2. What does not.

DROPPED = [
    (("", "A"), "empty", " ||| A"),
    (("a", ""), "empty", "a ||| "),
    ((" \r\u3000", "\n"), "empty", " ||| "),
    (("a" * 20, "A"), "length ratio", "a" * 20 + " ||| A"),
    (("a", "A" * 20), "length ratio", "a ||| " + "A" * 20),
    ((b"a\xff", b"A"), "not UTF-8", "a\ufffd ||| A"),
    ((b"a", b"\xed\xa0\x80"), "not UTF-8", "a ||| " + "\ufffd" * 3),
    ((b"\xff", b""), "not UTF-8", "\ufffd ||| "),
]


@pytest.mark.parametrize(("pair", "reason", "shown"), DROPPED)
def test_each_filter_counts_and_shows_where_its_examples_stand(
    pair: tuple[str | bytes, str | bytes], reason: str, shown: str
) -> None:
    cleaner = CorpusCleaner(config())
    assert cleaned(cleaner, ("x", "X"), pair, ("y", "Y")) == [("x", "X"), ("y", "Y")]
    assert dropped(cleaner) == {reason: 1}
    assert cleaner.report[reason].examples == [f"train.en:2: {shown}"]


def test_a_repeated_pair_is_dropped_in_whatever_part_it_is() -> None:
    cleaner = CorpusCleaner(config())
    assert cleaned(cleaner, ("a", "A"), ("a", "B"), ("b", "A"), ("a ", "A")) == [
        ("a", "A"), ("a", "B"), ("b", "A"),
    ]  # fmt: skip
    assert list(cleaner.clean(raw(("c", "C"), ("a", "B")), "more.en")) == [("c", "C")]
    assert cleaner.report["duplicate"].examples == ["train.en:4: a ||| A", "more.en:2: a ||| B"]


def test_pairs_that_become_equal_by_cleaning_are_duplicates() -> None:
    cleaner = CorpusCleaner(config())
    assert len(cleaned(cleaner, ("e\u0301", "A"), ("\u00e9", "A\r"), (" \u00e9", "A"))) == 1
    assert dropped(cleaner) == {"duplicate": 2}


def test_the_border_between_the_sides_counts() -> None:
    assert len(cleaned(CorpusCleaner(config()), ("a b", "c"), ("a", "b c"), ("a\nb", "c"))) == 2


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    ("ratio", "short", "long", "is_kept"),
    [(9.0, 1, 19, True), (9.0, 1, 20, False), (9.0, 10, 100, True), (9.0, 10, 101, False),
     (1.0, 50, 60, True), (1.0, 50, 61, False), (1.5, 4, 16, True), (1.5, 4, 17, False),
     (None, 1, 1000, True)],
)  # fmt: skip
def test_the_ratio_counts_characters_beyond_the_first_ten(
    ratio: float | None, short: int, long: int, is_kept: bool, swapped: bool
) -> None:
    pair = ("ä" * short, "b" * long)
    cleaner = CorpusCleaner(config(max_length_ratio=ratio))
    assert cleaned(cleaner, pair[::-1] if swapped else pair) == [pair[::-1] if swapped else pair] * is_kept
    assert dropped(cleaner) == ({} if is_kept else {"length ratio": 1})


def test_duplicates_may_stay() -> None:
    cleaner = CorpusCleaner(config(deduplicate=False))
    assert cleaned(cleaner, ("a", "A"), ("a", "A")) == [("a", "A")] * 2
    assert dropped(cleaner) == {}


def test_only_the_first_examples_are_kept_and_long_ones_are_cut() -> None:
    cleaner = CorpusCleaner(config())
    cleaned(cleaner, *[(f"{n}{'a' * 300}", "A") for n in range(MAX_EXAMPLES + 3)])
    filtered = cleaner.report["length ratio"]
    assert filtered.count == MAX_EXAMPLES + 3
    assert [text[12:14] for text in filtered.examples] == [f"{n}a" for n in range(MAX_EXAMPLES)]
    assert {len(text) for text in filtered.examples} == {201}
    assert all(text.endswith("a…") for text in filtered.examples)


def test_every_filter_is_in_the_report_even_when_it_dropped_nothing() -> None:
    assert list(CorpusCleaner(config()).report) == [
        *("low score", "not UTF-8", "empty", "length ratio"), *(rule.name for rule in RULES),
        *("in development or test text", "duplicate", "too long"),
    ]  # fmt: skip


SIDE = st.one_of(st.binary(max_size=4), st.text(st.sampled_from("aé\u0301 \n\r\u2028"), max_size=30).map(str.encode))


@given(pairs=st.lists(st.tuples(SIDE, SIDE), max_size=20), deduplicate=st.booleans())
@examples(200)
def test_every_pair_is_kept_or_counted_once_and_what_is_kept_is_clean(
    pairs: list[tuple[bytes, bytes]], deduplicate: bool
) -> None:
    cleaner = CorpusCleaner(config(deduplicate=deduplicate, max_length_ratio=2.0))
    kept_pairs = cleaned(cleaner, *pairs)
    assert len(kept_pairs) + sum(dropped(cleaner).values()) == len(pairs)
    for text in (side for pair in kept_pairs for side in pair):
        assert text and text == unicodedata.normalize("NFC", text).strip()
        assert "\n" not in text and "\r" not in text
    assert not deduplicate or max(Counter(kept_pairs).values(), default=1) == 1
