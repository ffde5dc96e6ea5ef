"""Lines into pairs; rows that cannot be used are dropped and counted, and too many of them are an error."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nmt_cli.data.sources import rows
from nmt_cli.data.sources.bad_rows import BadRows, dropped_rows
from nmt_cli.data.sources.base import Languages, RawPair
from nmt_cli.data.sources.compression import FIRST_BYTES
from nmt_cli.data.sources.files import BOM
from nmt_cli.data.sources.rows import read_two_files
from nmt_cli.errors import DataError
from tests.conftest import examples
from tests.data.sources.test_files import PACK, complaint, packed

LANGUAGES = Languages("en", "de")


def read_tsv(path: Path, bad_rows: BadRows | None = None, **options: Any) -> Iterator[RawPair]:
    return rows.read_tsv(path, bad_rows or BadRows(), LANGUAGES, **options)


def read_jsonl(path: Path, bad_rows: BadRows | None = None, **options: Any) -> Iterator[RawPair]:
    return rows.read_jsonl(path, bad_rows or BadRows(), LANGUAGES, **options)


@pytest.mark.parametrize("source_ending", PACK)
@pytest.mark.parametrize("target_ending", PACK)
def test_two_files_give_the_same_pairs_however_they_are_packed(
    source_ending: str, target_ending: str, tmp_path: Path
) -> None:
    source = packed(tmp_path / "x.en", BOM + b"a\n\nc\r\n", source_ending)
    target = packed(tmp_path / "x.de", b"A\nB\n\xff", target_ending)
    assert list(read_two_files(source, target)) == [
        RawPair(b"a", b"A", 1),
        RawPair(b"", b"B", 2),
        RawPair(b"c\r", b"\xff", 3),
    ]


@pytest.mark.parametrize(
    ("source", "target", "counts"),
    [(1, 0, ("1", "0")), (0, 2, ("0", "2")), (1234, 1230, ("1,234", "1,230")), (3, 4, ("3", "4"))],
)
def test_unequal_files_are_named_with_their_counts(
    source: int, target: int, counts: tuple[str, str], tmp_path: Path
) -> None:
    source_path = packed(tmp_path / "x.en", b"a\n" * source, ".gz")
    other = packed(tmp_path / "x.de", b"A\n" * target)
    assert complaint(lambda: list(read_two_files(source_path, other))) == (
        f"{source_path} has {counts[0]} {'line' if source == 1 else 'lines'} and {other} has {counts[1]}: "
        "line i of one must be the translation of line i of the other"
    )


@pytest.mark.parametrize("blank_side", ["en", "de"])
def test_a_blank_last_line_of_one_file_is_no_row(blank_side: str, tmp_path: Path) -> None:
    for language in ("en", "de"):
        (tmp_path / f"x.{language}").write_bytes(b"a\n" + (b" \n" if language == blank_side else b""))
    assert list(read_two_files(tmp_path / "x.en", tmp_path / "x.de")) == [RawPair(b"a", b"a", 1)]


@pytest.mark.parametrize("ending", PACK)
def test_a_tsv_gives_its_two_columns(ending: str, tmp_path: Path) -> None:
    path = packed(tmp_path / "x.tsv", BOM + b"a\tA\nb\tB\t\t \n\t\r\n", ending)
    assert list(read_tsv(path)) == [RawPair(b"a", b"A", 1), RawPair(b"b", b"B", 2), RawPair(b"", b"", 3)]


GOOD_ROWS = b"a\tA\n" * 3


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"no tab", "no tab"), (b"", "blank"), (b" \r", "blank"), (b"a  A", "no tab"),
        (b"a\tA\tB", "more than two columns"), (b"a\t\tB", "more than two columns"),
    ],
)  # fmt: skip
def test_a_bad_row_is_dropped_and_counted_with_the_first_of_its_kind(line: bytes, kind: str, tmp_path: Path) -> None:
    path = packed(tmp_path / "x.tsv", GOOD_ROWS + line + b"\n" + GOOD_ROWS + line + b"\nb\tB\n")
    bad_rows = BadRows()
    assert [pair.line_number for pair in read_tsv(path, bad_rows)] == [1, 2, 3, 5, 6, 7, 9]
    assert bad_rows.counts == {kind: 2}
    assert bad_rows.examples[kind].startswith(f"{path}:4")


def test_blank_lines_at_the_end_are_no_rows(tmp_path: Path) -> None:
    bad_rows = BadRows()
    assert len(list(read_tsv(packed(tmp_path / "x.tsv", GOOD_ROWS + b"\n \r\n\n"), bad_rows))) == 3
    assert not bad_rows.counts


@pytest.mark.parametrize(
    ("bad_count", "good_count", "max_fraction", "is_error"),
    [(10, 0, 0.01, False), (11, 0, 0.01, True), (11, 1088, 0.01, True), (11, 1089, 0.01, False), (11, 0, 1.0, False)],
)
def test_more_bad_rows_than_ten_and_a_share_are_one_error(
    bad_count: int, good_count: int, max_fraction: float, is_error: bool, tmp_path: Path
) -> None:
    path = packed(tmp_path / "x.tsv", b"a b\n" * bad_count + b"a\tA\n" * good_count)
    if not is_error:
        assert len(list(read_tsv(path, BadRows(max_fraction)))) == good_count
        return
    message = complaint(lambda: list(read_tsv(path, BadRows(max_fraction))))
    for part in (f"11 of {bad_count + good_count:,} rows", f"{path}:1: a b", "columns: [", "corpus.max_bad_rows"):
        assert part in message


MANY_COLUMNS = b"id\tGerman\tscore\tEnglish\n1\tA\t0.5\ta\n2\tB\n3\tC\t0.7\tc\n"


@pytest.mark.parametrize(
    "options",
    [{"columns": (4, 2), "header": True}, {"columns": (4, 2)}, {"columns": ("English", "German")},
     {"columns": ("english", "GERMAN")}],
)  # fmt: skip
def test_columns_are_chosen_by_number_or_by_name(options: dict[str, Any], tmp_path: Path) -> None:
    path, bad_rows = packed(tmp_path / "x.tsv", MANY_COLUMNS), BadRows()
    assert list(read_tsv(path, bad_rows, **options)) == [RawPair(b"a", b"A", 2), RawPair(b"c", b"C", 4)]
    assert bad_rows.counts["too few columns"] == 1


def test_a_name_that_no_column_has_is_said_with_those_that_there_are(tmp_path: Path) -> None:
    path = packed(tmp_path / "x.tsv", MANY_COLUMNS)
    message = complaint(lambda: list(read_tsv(path, columns=("English", "Deutsch"))))
    assert "'Deutsch'" in message and "id, German, score, English" in message


@pytest.mark.parametrize("names", [b"source\ttarget", b"en\tde", b"English\tGerman", b"Source Text\tTarget text\r"])
def test_a_header_is_noticed_unless_the_entry_says_that_there_is_none(names: bytes, tmp_path: Path) -> None:
    path, bad_rows = packed(tmp_path / "x.tsv", names + b"\na\tA\n"), BadRows()
    assert list(read_tsv(path, bad_rows)) == [RawPair(b"a", b"A", 2)]
    assert bad_rows.counts == {"header": 1}
    assert len(list(read_tsv(path, header=False))) == 2
    said = BadRows()
    assert len(list(read_tsv(path, said, header=True))) == 1 and not said.counts


@pytest.mark.parametrize("names", ["en_GB\tzh_Hant", "en-gb\tzh-hant", "EN\tzh"])
def test_a_header_of_codes_is_noticed_however_script_and_region_are_written(names: str, tmp_path: Path) -> None:
    path, bad_rows = packed(tmp_path / "x.tsv", f"{names}\na\tA\n".encode()), BadRows()
    assert list(rows.read_tsv(path, bad_rows, Languages("en-GB", "zh_Hant"))) == [RawPair(b"a", b"A", 2)]


def test_cells_in_quotes_are_not_taken_as_text(tmp_path: Path) -> None:
    path, bad_rows = tmp_path / "a.tsv", BadRows()
    path.write_text('"a ""b"" c"\t"d ""e"""\n"said so"\t"so"\n"" \t""\nx "y" z\tu\n', encoding="utf-8")
    assert [pair.source for pair in read_tsv(path, bad_rows)] == [b'"said so"', b'"" ', b'x "y" z']
    (kind,) = bad_rows.counts
    message = dropped_rows(kind, 1, bad_rows.examples[kind])
    assert message.startswith("1 row dropped: cells in quotes, as in ")
    assert message.endswith("; quotes: true in its entry reads them")
    path.write_text('"a ""b"""\tc\n' * 20, encoding="utf-8")
    with pytest.raises(DataError, match=r"20 cells in quotes \(.*: quotes: true in its entry reads them"):
        list(read_tsv(path))


def test_cells_in_quotes_are_noticed_in_the_last_column_where_lines_end_with_cr_lf(tmp_path: Path) -> None:
    bad_rows = BadRows()
    path = packed(tmp_path / "a.tsv", b'a\t"b ""c"""\r\nd\te\r\n')
    assert list(read_tsv(path, bad_rows)) == [RawPair(b"d", b"e", 2)]
    assert bad_rows.counts == {"cells in quotes": 1}


def test_quotes_are_read_as_spreadsheets_write_them(tmp_path: Path) -> None:
    content = b'"a ""b""\tc"\t"A\nB"\r\nplain\t5" wide\n\xff\t\xc3\xa4\n'
    path = packed(tmp_path / "x.tsv", content)
    pairs = [(pair.source, pair.target) for pair in read_tsv(path, quotes=True)]
    assert pairs == [(b'a "b"\tc', b"A\nB"), (b"plain", b'5" wide'), (b"\xff", "ä".encode())]


def test_a_quote_that_is_never_closed_costs_its_line_and_no_more(tmp_path: Path) -> None:
    path = packed(tmp_path / "x.tsv", b'a\tA\nb\t"B\n' + b"c\tC\n" * 600)
    bad_rows = BadRows()
    assert [pair.line_number for pair in read_tsv(path, bad_rows, quotes=True)] == [1, *range(3, 603)]
    assert bad_rows.counts == {"unclosed quote": 1}
    assert bad_rows.examples["unclosed quote"].startswith(f"{path}:2: b")


@pytest.mark.parametrize(
    "closing", [b'c\t"C"', b'c\tC said "yes"', b'"c"\t"C"', b'c\tC 5"\tD', b'"c"\tC'], ids=bytes.decode
)
def test_a_stray_quote_does_not_join_its_row_with_others(closing: bytes, tmp_path: Path) -> None:
    path = packed(tmp_path / "x.tsv", b'a\tA\nb\t"B\n' + closing + b"\nd\tD\n")
    bad_rows = BadRows()
    numbers = [pair.line_number for pair in read_tsv(path, bad_rows, quotes=True)]
    assert numbers == ([1, 4] if closing.count(b"\t") > 1 else [1, 3, 4])
    assert bad_rows.counts["unclosed quote"] == 1


def test_blank_lines_inside_a_cell_in_quotes_are_its_text(tmp_path: Path) -> None:
    path = packed(tmp_path / "x.tsv", b'a\t"A\r\n\r\n \nB"\r\n' * 40 + b"\nb\tB\n\n")
    bad_rows = BadRows()
    pairs = list(read_tsv(path, bad_rows, quotes=True))
    assert pairs == [*(RawPair(b"a", b"A\n\n \nB", 1 + 4 * row) for row in range(40)), RawPair(b"b", b"B", 162)]
    assert bad_rows.counts == {"blank": 1}


@given(rows=st.lists(st.lists(st.text('"\t\na ', max_size=5), min_size=2, max_size=2), max_size=5))
@examples(60)
def test_what_a_spreadsheet_has_written_comes_back(rows: list[list[str]], tmp_path_factory: Any) -> None:
    path = tmp_path_factory.mktemp("tsv") / "x.tsv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL).writerows(rows)
    pairs = read_tsv(path, quotes=True, header=False)
    assert [[pair.source.decode(), pair.target.decode()] for pair in pairs] == rows


OBJECTS = [
    {"en": "a", "de": "A"},
    {"de": "A", "id": 7, "en": "a", "source": "no", "target": "no"},
    {"source": "a", "target": "A"},
    {"translation": {"en": "a", "de": "A"}},
    {"translation": {"source": "a", "target": "A"}, "en": "no", "de": "no"},
    {"translation": "no", "en": "a", "de": "A"},
]


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize("item", OBJECTS)
def test_json_lines_name_the_languages_or_the_sides(item: dict[str, object], ending: str, tmp_path: Path) -> None:
    path = packed(tmp_path / "x.jsonl", BOM + json.dumps(item).encode() + b"\r\n", ending)
    assert list(read_jsonl(path)) == [RawPair(b"a", b"A", 1)]


def test_json_text_is_given_as_utf8_with_escapes_resolved(tmp_path: Path) -> None:
    path = packed(tmp_path / "x.jsonl", rb'{"en": "a\n\u2028\u00e4\ud83d\ude42", "de": "\ud83d"}' + b"\n")
    (pair,) = read_jsonl(path)
    assert pair.source.decode() == "a\n\u2028ä🙂"
    assert pair.target.decode(errors="replace") == "\ufffd" * 3  # half of a character is no text


def test_bytes_that_are_not_utf_8_come_as_they_are_from_every_reader(tmp_path: Path) -> None:
    """Training drops and counts such pairs; a development or test text keeps them."""
    pairs = [RawPair(b"\xff a", b"A", 1), RawPair("ä".encode(), b"\xe4", 2)]
    (tmp_path / "x.en").write_bytes(b"\xff a\n\xc3\xa4\n")
    (tmp_path / "x.de").write_bytes(b"A\n\xe4\n")
    (tmp_path / "x.tsv").write_bytes(b"\xff a\tA\n\xc3\xa4\t\xe4\n")
    (tmp_path / "x.jsonl").write_bytes(b'{"en": "\xff a", "de": "A"}\n{"en": "\xc3\xa4", "de": "\xe4"}\n')
    assert list(read_two_files(tmp_path / "x.en", tmp_path / "x.de")) == pairs
    assert list(read_tsv(tmp_path / "x.tsv")) == pairs
    assert list(read_jsonl(tmp_path / "x.jsonl")) == pairs


@pytest.mark.parametrize("line", [rb'{"en": "\udcc3\udca9", "de": "A"}', b'{"en": "\xff\\ud83d", "de": "A"}'])
def test_half_a_pair_of_surrogates_never_becomes_text(line: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(line)
    (pair,) = read_jsonl(tmp_path / "x.jsonl")
    with pytest.raises(UnicodeDecodeError):
        pair.source.decode()


CELLS = st.binary(max_size=8).map(lambda cell: cell.replace(b"\n", b" ").replace(b"\t", b"\r"))


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
@given(cells=st.lists(st.tuples(CELLS, CELLS, st.lists(CELLS, max_size=2))))
@examples(60)
def test_the_first_two_columns_of_any_tsv_come_back(
    ending: str, cells: list[tuple[bytes, bytes, list[bytes]]], tmp_path_factory: Any
) -> None:
    lines = [b"\t".join([left, right, *more]) + b"\n" for left, right, more in cells]
    content = b"".join(lines)
    assume(3 * content.partition(b"\n")[0].count(b"\0") <= len(lines[0] if lines else b""))
    assume(not content.startswith((BOM, b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")))
    assume(not content.startswith(tuple(first for beginnings in FIRST_BYTES.values() for first in beginnings)))
    assume(b'""' not in content)  # cells in quotes, as spreadsheets write them
    path = packed(tmp_path_factory.mktemp("tsv") / "x.tsv", content, ending)
    expected = [
        RawPair(left, right if more else right.removesuffix(b"\r"), n) for n, (left, right, more) in enumerate(cells, 1)
    ]
    assert list(read_tsv(path, columns=(1, 2), header=False)) == expected


TEXTS = st.text(st.characters(codec="utf-8"), max_size=9)


@pytest.mark.parametrize("ascii_only", [False, True])
@given(pairs=st.lists(st.tuples(TEXTS, TEXTS, st.booleans(), st.booleans())))
@examples(60)
def test_the_texts_of_any_json_lines_come_back(
    ascii_only: bool, pairs: list[tuple[str, str, bool, bool]], tmp_path_factory: Any
) -> None:
    path = tmp_path_factory.mktemp("jsonl") / "x.jsonl"
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for left, right, named, nested in pairs:
            item: dict[str, Any] = dict(zip(("en", "de") if named else ("source", "target"),
                                            (left, right), strict=True))  # fmt: skip
            item = {"translation": item, "more": 1} if nested else item
            file.write(json.dumps(item, ensure_ascii=ascii_only) + "\n")
    assert list(read_jsonl(path)) == [
        RawPair(left.encode(), right.encode(), n) for n, (left, right, *_) in enumerate(pairs, 1)
    ]


BAD_OBJECTS = [
    (b'{"en": "a"', "not JSON", "Expecting ',' delimiter: line 1 column 11 (char 10)"),
    ('{"en": "ä", "de": "Ä"}'.encode("utf-16-le"), "not JSON", "Expecting property name"),
    (b"[" * 100_000, "not JSON", "maximum recursion depth exceeded"),
    (b"1" * 5000, "not JSON", "Exceeds the limit (4300 digits) for integer string conversion"),
    (b'["a", "A"]', "missing key", '["a", "A"]'),
    (b"null", "missing key", "null"),
    (b'{"en": "a"}', "missing key", '{"en": "a"}'),
    (b'{"en": "a", "de": null}', "null", '{"en": "a", "de": null}'),
    (b'{"en": "a", "source": "a", "target": "A"}', "missing key", '{"en": "a"'),
    (b'{"translation": {"en": "a", "de": ["A"]}}', "not text", '{"translation"'),
    (b" ", "blank", ""),
]


@pytest.mark.parametrize(("line", "kind", "reason"), BAD_OBJECTS)
def test_a_line_that_is_not_the_right_json_is_dropped_and_named(
    line: bytes, kind: str, reason: str, tmp_path: Path
) -> None:
    good, bad_rows = b'{"en": "a", "de": "A"}\n', BadRows()
    path = packed(tmp_path / "x.jsonl", good + line + b"\n" + good + b"\n")
    assert [pair.line_number for pair in read_jsonl(path, bad_rows)] == [1, 3]
    assert bad_rows.counts == {kind: 1}
    assert bad_rows.examples[kind].startswith(f"{path}:2" + (f": {reason}" if reason else ""))


def test_too_many_of_them_are_one_error_that_says_what_is_needed(tmp_path: Path) -> None:
    message = complaint(lambda: list(read_jsonl(packed(tmp_path / "x.jsonl", b'{"en": "a", "fr": "A"}\n' * 20))))
    for part in ("20 of 20 rows", '"en" and "de" (or "source" and "target")', "columns: [KEY, KEY]"):
        assert part in message


@pytest.mark.parametrize("columns", [("src.text", "tgt"), ("src.text", "meta.out")])
def test_other_keys_can_be_chosen(columns: tuple[str, str], tmp_path: Path) -> None:
    item = {"src": {"text": "a"}, "tgt": "A", "meta.out": "A", "en": "no", "de": "no"}
    path = packed(tmp_path / "x.jsonl", json.dumps(item).encode() + b"\n")
    assert list(read_jsonl(path, columns=columns)) == [RawPair(b"a", b"A", 1)]
