"""Lines out of files: plain, .gz or .zst; what is wrong with a file is said in one line."""

import gzip
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import assume, example, given
from hypothesis import strategies as st

from nmt_cli.data.sources import files
from nmt_cli.data.sources.files import (
    BOM,
    RawPair,
    find_file,
    open_decompressed,
    read_jsonl,
    read_lines,
    read_tsv,
    read_two_files,
)
from nmt_cli.errors import DataError
from tests.conftest import examples

PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": lambda content: gzip.compress(content, mtime=0),
    ".zst": lambda content: zstandard.ZstdCompressor().compress(content),
}


def packed(path: Path, content: bytes, ending: str = "") -> Path:
    path = path.with_name(path.name + ending)
    path.write_bytes(PACK[ending](content))
    return path


def complaint(read: Callable[[], object]) -> str:
    """The message of the DataError that reading to the end raises; one line."""
    with pytest.raises(DataError) as caught:
        read()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# 1. Lines.

LINES = [
    (b"", []),
    (b"\n", [b""]),
    (b"one", [b"one"]),
    (b"one\n", [b"one"]),
    (b"one\ntwo", [b"one", b"two"]),
    (b"\n\none\n\n", [b"", b"", b"one", b""]),
    (b"one\r\ntwo\rthree\n", [b"one\r", b"two\rthree"]),
    ("a\u2028b\u2029c\u0085d\n".encode(), ["a\u2028b\u2029c\u0085d".encode()]),
    (b"a\x0bb\x0cc\x1cd\x1de\x1ef\x00g\n", [b"a\x0bb\x0cc\x1cd\x1de\x1ef\x00g"]),
    (b" \t spaces stay \t \n", [b" \t spaces stay \t "]),
    (b"\xff\xfd not UTF-8\n\x80", [b"\xff\xfd not UTF-8", b"\x80"]),
    (BOM + b"one\n" + BOM + b"two\n", [b"one", BOM + b"two"]),
    (BOM + BOM + b"one", [BOM + b"one"]),
    (b"one" + BOM, [b"one" + BOM]),
    (BOM, []),
    (BOM + b"\n", [b""]),
]


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize(("content", "lines"), LINES)
def test_a_line_ends_at_a_line_feed_and_nowhere_else(
    content: bytes, lines: list[bytes], ending: str, tmp_path: Path
) -> None:
    assert list(read_lines(packed(tmp_path / "text", content, ending))) == lines


@given(lines=st.lists(st.binary(max_size=8).map(lambda line: line.replace(b"\n", b"\r"))))
@example(lines=[b"text", b"\0\0\0"])
@examples(60)
def test_any_bytes_come_back_from_every_packing(lines: list[bytes]) -> None:
    assume(not lines or 3 * lines[0].count(b"\0") <= len(lines[0]))  # which is refused as UTF-16
    content = BOM + b"".join(line + b"\n" for line in lines)
    with tempfile.TemporaryDirectory() as folder:
        for ending in PACK:
            assert list(read_lines(packed(Path(folder) / "text", content, ending))) == lines


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_files_packed_in_several_pieces_are_read_to_the_end(ending: str, tmp_path: Path) -> None:
    pieces = [b"one\n" * 20_000, b"", b"tw", b"o\nthree\n" * 20_000]
    path = tmp_path / f"text{ending}"
    path.write_bytes(b"".join(map(PACK[ending], pieces)))
    assert b"\n".join([*read_lines(path), b""]) == b"".join(pieces)


def test_a_frame_that_zstandard_skips_is_no_text(tmp_path: Path) -> None:
    pack, skipped = PACK[".zst"], b"\x50\x2a\x4d\x18\x03\x00\x00\x00xyz"
    path = tmp_path / "text.zst"
    path.write_bytes(skipped + pack(b"one\n") + skipped + pack(b"two\n"))
    assert list(read_lines(path)) == [b"one", b"two"]


@pytest.mark.parametrize("ending", PACK)
def test_opened_files_can_be_read_in_blocks(ending: str, tmp_path: Path) -> None:
    content = bytes(range(256)) * 500
    with open_decompressed(packed(tmp_path / "text", content, ending)) as file:
        assert file.read(3) + file.read(70_000) + file.read() + file.read() == content


# 2. Which file.


def test_a_file_is_found_by_its_name_with_or_without_an_ending(tmp_path: Path) -> None:
    assert find_file(tmp_path / "text.en") is None
    for ending in (".zst", ".gz", ""):
        path = packed(tmp_path / "text.en", b"", ending)
        assert find_file(tmp_path / "text.en") == path


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    (tmp_path / "text.en").mkdir()
    assert find_file(tmp_path / "text.en") is None
    path = packed(tmp_path / "text.en", b"", ".gz")
    assert find_file(tmp_path / "text.en") == path


# 3. Files that cannot be read.

LONG = bytes(range(256)) * 1000
BROKEN = [
    ("x.gz", b"no gzip", "Not a gzipped file (b'no')"),
    ("x.gz", PACK[".gz"](LONG)[:-20], "Compressed file ended before the end-of-stream marker was"),
    ("x.gz", PACK[".gz"](b"text\n")[:10] + b"\xff" * 30, "Error -3 while decompressing data: inva"),
    ("x.gz", PACK[".gz"](b"text\n")[:-8] + bytes(8), "CRC check failed 0x"),
    ("x.zst", b"no zstandard", "zstd decompress"),
    ("x.zst", PACK[".zst"](LONG)[:-20], "Compressed file ended before the end of its last frame"),
    ("x.zst", PACK[".zst"](b"text\n") + b"more", "zstd decompress"),
]


@pytest.mark.parametrize(("name", "content", "reason"), BROKEN)
def test_what_is_wrong_with_a_packed_file_is_said(name: str, content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert complaint(lambda: list(read_lines(path))).startswith(f"{path}: cannot read: {reason}")


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    missing = tmp_path / "none.en"
    assert complaint(lambda: list(read_lines(missing))) == (f"{missing}: cannot read: No such file or directory")
    assert complaint(lambda: list(read_lines(tmp_path))) == (f"{tmp_path}: cannot read: Is a directory")


# 4. Pairs.


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
        f"{source_path} has {counts[0]} lines and {other} has {counts[1]}: "
        "line i of one must be the translation of line i of the other"
    )


@pytest.mark.parametrize("ending", PACK)
def test_a_tsv_gives_its_first_two_columns(ending: str, tmp_path: Path) -> None:
    path = packed(tmp_path / "x.tsv", BOM + b"a\tA\nb\tB\tnote\t\n\t\r\n", ending)
    assert list(read_tsv(path)) == [RawPair(b"a", b"A", 1), RawPair(b"b", b"B", 2), RawPair(b"", b"\r", 3)]


@pytest.mark.parametrize("line", [b"no tab", b"", b"a  A"])
def test_a_line_without_a_tab_is_named(line: bytes, tmp_path: Path) -> None:
    path = packed(tmp_path / "x.tsv", b"a\tA\n" + line + b"\nb\tB\n")
    assert complaint(lambda: list(read_tsv(path))) == (f"{path}:2: no tab in the line; a TSV has source<TAB>target")


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
    assert list(read_jsonl(path, "en", "de")) == [RawPair(b"a", b"A", 1)]


def test_json_text_is_given_as_utf8_with_escapes_resolved(tmp_path: Path) -> None:
    path = packed(tmp_path / "x.jsonl", rb'{"en": "a\n\u2028\u00e4\ud83d\ude42", "de": "\ud83d"}' + b"\n")
    (pair,) = read_jsonl(path, "en", "de")
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
    assert list(read_jsonl(tmp_path / "x.jsonl", "en", "de")) == pairs


@pytest.mark.parametrize("line", [rb'{"en": "\udcc3\udca9", "de": "A"}', b'{"en": "\xff\\ud83d", "de": "A"}'])
def test_half_a_pair_of_surrogates_never_becomes_text(line: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(line)
    (pair,) = read_jsonl(tmp_path / "x.jsonl", "en", "de")
    with pytest.raises(UnicodeDecodeError):
        pair.source.decode()


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_utf_16_and_utf_32_are_refused_with_the_command_that_converts_them(codec: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes("one line\nanother\n".encode(codec))
    assert complaint(lambda: list(read_lines(tmp_path / "x"))) == (
        f"{tmp_path / 'x'}: {codec[:6].upper()} or binary, not UTF-8 text; "
        f"iconv -f {codec.upper().replace('-LE', 'LE').replace('-BE', 'BE')} -t UTF-8 converts it"
    )


CELLS = st.binary(max_size=8).map(lambda cell: cell.replace(b"\n", b" ").replace(b"\t", b"\r"))


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
@given(rows=st.lists(st.tuples(CELLS, CELLS, st.lists(CELLS, max_size=2))))
@examples(60)
def test_the_first_two_columns_of_any_tsv_come_back(
    ending: str, rows: list[tuple[bytes, bytes, list[bytes]]], tmp_path_factory: Any
) -> None:
    lines = [b"\t".join([left, right, *more]) + b"\n" for left, right, more in rows]
    content = b"".join(lines)
    assume(3 * content.partition(b"\n")[0].count(b"\0") <= len(lines[0] if lines else b""))
    assume(not content.startswith((BOM, b"\xff\xfe", b"\xfe\xff")))
    path = packed(tmp_path_factory.mktemp("tsv") / "x.tsv", content, ending)
    expected = [RawPair(left, right, n) for n, (left, right, _) in enumerate(rows, 1)]
    assert list(read_tsv(path)) == expected


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
    assert list(read_jsonl(path, "en", "de")) == [
        RawPair(left.encode(), right.encode(), n) for n, (left, right, *_) in enumerate(pairs, 1)
    ]


NEEDED = 'needs the texts "en" and "de" (or "source" and "target")'
BAD_OBJECTS = [
    (b"", "not JSON: Expecting value: line 1 column 1 (char 0)"),
    (b'{"en": "a"', "not JSON: Expecting ',' delimiter: line 1 column 11 (char 10)"),
    ('{"en": "ä", "de": "Ä"}'.encode("utf-16-le"), "not JSON: Expecting property name"),
    (b"[" * 100_000, "not JSON: maximum recursion depth exceeded"),
    (b"1" * 5000, "not JSON: Exceeds the limit (4300 digits) for integer string conversion"),
    (b'["a", "A"]', NEEDED),
    (b"null", NEEDED),
    (b'{"en": "a"}', NEEDED),
    (b'{"en": "a", "de": null}', NEEDED),
    (b'{"en": "a", "source": "a", "target": "A"}', NEEDED),
    (b'{"translation": {"en": "a", "de": ["A"]}}', NEEDED),
]


@pytest.mark.parametrize(("line", "reason"), BAD_OBJECTS)
def test_a_line_that_is_not_the_right_json_is_named(line: bytes, reason: str, tmp_path: Path) -> None:
    path = packed(tmp_path / "x.jsonl", b'{"en": "a", "de": "A"}\n' + line + b"\n")
    message = complaint(lambda: list(read_jsonl(path, "en", "de")))
    assert message.startswith(f"{path}:2: {reason}")


def test_small_blocks_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "COMPRESSED_CHUNK_BYTES", 1)
    path = packed(tmp_path / "text", LONG, ".zst")
    assert b"\n".join(read_lines(path)) == LONG
