"""YAML by the core rules of version 1.2, refusals in one line, and the way back."""

import math
import os
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli.yaml12 import MAX_CHARACTERS, MAX_DEPTH, YamlError, read_yaml, write_yaml
from tests.conftest import examples

SCALARS: list[tuple[str, Any]] = [
    ("no", "no"), ("yes", "yes"), ("on", "on"), ("off", "off"), ("y", "y"), ("NO", "NO"),
    ("true", True), ("True", True), ("TRUE", True), ("false", False), ("tRUE", "tRUE"),
    ("~", None), ("null", None), ("Null", None), ("NULL", None), ("", None), ("none", "none"),
    ("0", 0), ("7", 7), ("-12", -12), ("+12", 12), ("010", 10), ("0o17", 15), ("0x1F", 31),
    ("0b11", "0b11"), ("0o8", "0o8"), ("-0o17", "-0o17"), ("1_000", "1_000"), ("1,000", "1,000"),
    ("1e-3", 1e-3), ("1E3", 1000.0), ("1.0e-3", 1e-3), (".5", 0.5), ("5.", 5.0),
    ("-1.5e+2", -150.0),
    ("e3", "e3"), ("1e", "1e"), (".", "."), ("..", ".."), ("+", "+"), ("1.2.3", "1.2.3"),
    (".inf", math.inf), ("-.INF", -math.inf), ("inf", "inf"), ("nan", "nan"),
    ("12:30", "12:30"), ("1:2:3", "1:2:3"), ("2001-12-14", "2001-12-14"), ("=", "="), ("<<", "<<"),
    ("'no'", "no"), ('"1e-3"', "1e-3"), ("'~'", "~"), ('"\\u00e9"', "é"), ("''", ""),
    ("٣", "٣"), ("a b", "a b"), ("|\n  5\n", "5\n"), (">\n  true\n", "true\n"),
    ("[1, no, 1e1]", [1, "no", 10.0]), ("{a: 010}", {"a": 10}),
]  # fmt: skip
REFUSED: list[tuple[str, str]] = [
    ("a: 1\nb: 2\na: 3", "line 3: duplicate key a"),
    ("x: {a: 1, 'a': 2}", "line 1: duplicate key a"),
    ("a: &x 1\nb: *x", "line 1: anchors are not allowed here"),
    ("a: &x {b: 1}", "line 1: anchors are not allowed here"),
    ("a: [&x 1]", "line 1: anchors are not allowed here"),
    ("a: 1\nb: !!str 5", "line 2: tags are not allowed here"),
    ("a: !!python/object/apply:os.system [ls]", "line 1: tags are not allowed here"),
    ("a: !own {b: 1}", "line 1: tags are not allowed here"),
    ("a: 1\n\tb: 2", "line 2: not YAML"),
    (
        "a:\n\t- 1",
        "line 2: not YAML: found character '\\t' that cannot start any token; indent with spaces, not with tabs",
    ),
    (
        "a:\n\xa0 b: 2\n  c: 3",
        "line 3: not YAML: mapping values are not allowed here; it has spaces that are no ordinary ones (U+00A0), as "
        "word processors write: replace them",
    ),
    ("? [a]\n: 1", "line 1: a key must be plain text"),
    ("a: 1\nb: [1, 2", "line 2: not YAML"),
    ("a: 'x", "line 1: not YAML"),
    ("a: b: c", "line 1: not YAML"),
    ("a: 1\n--- \nb: 2", "line 2: not YAML"),
    ("a: \x00", "not YAML"),
    (
        "a: @x",
        "line 1: not YAML: found character '@' that cannot start any token; put a value that begins like this in "
        "quotes",
    ),
    (
        "\na: {tag: >>de<<}",
        "line 2: not YAML: found character '>' that cannot start any token; put a value that begins "
        "like this in quotes",
    ),
    (
        "a: >>de<<",
        "line 1: not YAML: expected chomping or indentation indicators, but found '>'; put a value that begins "
        "like this in quotes",
    ),
    ("\na: " + "9" * 5000, "line 2: a number with too many digits"),
    ("a: " + "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "line 1: nested too deeply"),
    ("x" * (MAX_CHARACTERS + 1), "longer than 1,000,000 characters"),
]


@pytest.mark.parametrize("text, value", SCALARS)
def test_a_scalar_has_the_value_of_the_core_schema(text: str, value: Any) -> None:
    mapping, _ = read_yaml(f"key: {text}")
    assert mapping == {"key": value} and type(mapping["key"]) is type(value)


def test_nan_is_a_number() -> None:
    assert math.isnan(read_yaml("a: .nan")[0]["a"])


def test_keys_are_text_as_they_stand() -> None:
    mapping, _ = read_yaml("no: 1\n010: 2\ntrue: 3\n~: 4\n'a b': 5\n<<: {c: 6}")
    assert list(mapping) == ["no", "010", "true", "~", "a b", "<<"]


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "~"])
def test_a_file_without_content_is_null(text: str) -> None:
    assert read_yaml(text)[0] is None


def test_a_byte_order_mark_and_windows_line_ends_are_read() -> None:
    assert read_yaml("\ufeffa: 1\r\nb:\r\n  - no\r\n")[0] == {"a": 1, "b": ["no"]}


def test_lines_tell_where_each_value_stands() -> None:
    _, lines = read_yaml("a:\n  b: 1\n  c:\n    - 2\n    - {d: 3,\n       e: 4}\n")
    assert lines == {
        (): 1, ("a",): 1, ("a", "b"): 2, ("a", "c"): 3, ("a", "c", 0): 4, ("a", "c", 1): 5,
        ("a", "c", 1, "d"): 5, ("a", "c", 1, "e"): 6,
    }  # fmt: skip


@pytest.mark.parametrize("text, message", REFUSED, ids=[m for _, m in REFUSED])
def test_what_is_not_allowed_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(YamlError) as caught:
        read_yaml(text)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[" * 300_000, "{a: " * 100_000, "- " * 300_000, "[" * 300_000 + "]" * 300_000])
def test_huge_nesting_is_refused_after_few_steps(text: str) -> None:
    """Few calls of functions: not one for each bracket."""
    calls = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        with pytest.raises(YamlError, match=r"^line 1: nested too deeply$"):
            read_yaml(text)
    finally:
        sys.setprofile(None)
    assert calls < 20_000


def test_the_deepest_nesting_allowed_is_read() -> None:
    depth = MAX_DEPTH - 1
    value, _ = read_yaml("a: " + "[" * depth + "]" * depth)
    for _ in range(depth):
        value = value["a"] if isinstance(value, dict) else value[0]
    assert value == []


def test_many_values_side_by_side_are_not_deep() -> None:
    value = {"a": [[] for _ in range(5 * MAX_DEPTH)]}
    assert read_yaml(write_yaml(value))[0] == value


TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=12),
    st.sampled_from([text for text, _ in SCALARS] + ["a\x85b", "a\u2028b", " a", "a ", "- a", "#"]),
    st.lists(st.sampled_from(list("&*!|>'\"%@`{}[],:#-? \n\r\t\x85\u2028\ufeffa1")), max_size=6).map("".join),
)
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXTS,
        st.text("ab ", min_size=990, max_size=1100),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def same(left: Any, right: Any) -> bool:
    """Equal, and of the same types: 1 is not 1.0 and not true."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


@given(value=VALUES)
@examples(400)
def test_what_is_written_is_read_back_as_the_same(value: Any) -> None:
    assert same(read_yaml(write_yaml(value))[0], value)


@given(text=TEXTS)
@examples(400)
def test_any_text_is_written_so_that_it_stays_text(text: str) -> None:
    assert read_yaml(write_yaml({"a": [text, text]}))[0] == {"a": [text, text]}


@given(text=st.text(st.characters(codec="utf-8"), max_size=40))
@examples(300)
def test_any_input_is_read_or_refused(text: str) -> None:
    try:
        read_yaml(text)
    except YamlError as error:
        assert "\n" not in str(error)


def test_a_text_of_more_digits_than_a_number_may_have_is_written_and_read_back() -> None:
    text = "9" * 5000
    assert read_yaml(write_yaml({"a": text}))[0] == {"a": text}


def test_a_path_that_is_not_utf_8_is_refused_when_it_is_written_not_when_it_is_read() -> None:
    with pytest.raises(YamlError, match=r"'/tmp/x\\udce7y': not UTF-8, .*rename that file or folder"):
        write_yaml({"corpus": {"root": os.fsdecode(b"/tmp/x\xe7y")}})


def test_one_value_written_twice_needs_no_anchor() -> None:
    part = {"a": [1]}
    assert read_yaml(write_yaml({"x": part, "y": part}))[0] == {"x": part, "y": part}


def test_plain_text_is_written_without_quotes_and_in_order() -> None:
    assert write_yaml({"b": "bpe", "a": "no", "c": None}) == "b: bpe\na: 'no'\nc: null\n"
