"""Lines out of files, plain or compressed; what is wrong with a file is said in one line."""

import bz2
import gzip
import io
import lzma
import os
import tempfile
import threading
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard
from hypothesis import assume, example, given
from hypothesis import strategies as st

from nmt_cli.data.sources import compression
from nmt_cli.data.sources.compression import open_decompressed
from nmt_cli.data.sources.files import BOM, find_file, read_lines
from nmt_cli.errors import DataError
from tests.conftest import examples

PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": lambda content: gzip.compress(content, mtime=0),
    ".zst": lambda content: zstandard.ZstdCompressor().compress(content),
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zip": lambda content: zipped({"folder/text": content, "README": b"what it is", "folder/LICENSE.txt": b""}),
}


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


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


@pytest.mark.parametrize("ending", [".gz", ".zst", ".xz", ".bz2"])
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


@pytest.mark.parametrize("ending", [ending for ending in PACK if ending != ".zip"])
def test_pipes_are_read_from_their_first_byte(ending: str) -> None:
    content = b"".join(b"line %d\n" % number for number in range(20_000))
    assert b"".join(line + b"\n" for line in lines_of_pipe(PACK[ending](content))) == content


def test_an_archive_is_not_read_from_a_pipe() -> None:
    assert ": cannot read: " in complaint(lambda: lines_of_pipe(PACK[".zip"](b"one\n")))


def lines_of_pipe(content: bytes) -> list[bytes]:
    """Read as a file that the shell's <(command) names."""
    read_end, write_end = os.pipe()
    writer = threading.Thread(target=write_and_close, args=(write_end, content))
    writer.start()
    try:
        return list(read_lines(Path(f"/dev/fd/{read_end}")))
    finally:
        os.close(read_end)
        writer.join()


def write_and_close(descriptor: int, content: bytes) -> None:
    with suppress(BrokenPipeError), open(descriptor, "wb") as file:
        file.write(content)


# 2. Which file.


def test_a_file_is_found_by_its_name_with_or_without_an_ending(tmp_path: Path) -> None:
    assert find_file(tmp_path / "text.en") is None
    for ending in reversed(PACK):
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
    ("x.gz", b"no\0gzip", "Not a gzipped file (b'no')"),
    ("x.gz", PACK[".gz"](LONG)[:-20], "Compressed file ended before the end-of-stream marker was"),
    ("x.gz", PACK[".gz"](b"text\n")[:10] + b"\xff" * 30, "Error -3 while decompressing data: inva"),
    ("x.gz", PACK[".gz"](b"text\n")[:-8] + bytes(8), "CRC check failed 0x"),
    ("x.zst", b"no\xffzstandard", "zstd decompress"),
    ("x.xz", PACK[".xz"](LONG)[:-20], "Compressed file ended before the end-of-stream marker was"),
    ("x.bz2", PACK[".bz2"](LONG)[:-20], "Compressed file ended before the end-of-stream marker was"),
    ("x.zip", PACK[".zip"](LONG)[:-20], "File is not a zip file"),
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


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_utf_16_and_utf_32_are_refused_with_the_command_that_converts_them(codec: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes("one line\nanother\n".encode(codec))
    assert complaint(lambda: list(read_lines(tmp_path / "x"))) == (
        f"{tmp_path / 'x'}: {codec[:6].upper()} or binary, not UTF-8 text: "
        f"save it as UTF-8, or iconv -f {codec.upper().replace('-LE', 'LE').replace('-BE', 'BE')} -t UTF-8 converts it"
    )


def test_small_blocks_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "COMPRESSED_CHUNK_BYTES", 1)
    path = packed(tmp_path / "text", LONG, ".zst")
    assert b"\n".join(read_lines(path)) == LONG


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize("packing", PACK)
def test_a_wrong_ending_makes_no_difference(packing: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"text{ending}"
    path.write_bytes(PACK[packing]("ä one\ntwo\n".encode()))
    assert list(read_lines(path)) == ["ä one".encode(), b"two"]


@pytest.mark.parametrize(
    ("members", "reason"),
    [({"README": b"x"}, "holds no text"), ({"a.en": b"a", "a.de": b"A"}, "holds 2 texts (a.en, a.de), not one")],
)
def test_an_archive_must_hold_one_text(members: dict[str, bytes], reason: str, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(zipped(members))
    assert reason in complaint(lambda: list(read_lines(tmp_path / "x.zip")))


@pytest.mark.parametrize("content", [b"one\rtwo\rthree\r", b"one\rtwo", b"one\r" * 300_000 + b"two\n"])
def test_lines_that_end_with_a_carriage_return_alone_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    assert "lines end with CR alone, not with LF" in complaint(lambda: list(read_lines(tmp_path / "x")))


def test_a_last_carriage_return_is_no_line_end(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"one\r")
    assert list(read_lines(tmp_path / "x")) == [b"one\r"]


@pytest.mark.parametrize(
    "names, held",
    [
        ([], "holds no text"), (["a.txt", "b.txt"], "holds 2 texts (a.txt, b.txt)"),
        (list("abcde"), "holds 5 texts (a, b, c, d, ...)"),
    ],
)  # fmt: skip
def test_an_archive_of_several_texts_needs_a_name(names: list[str], held: str, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "text")
    with pytest.raises(DataError) as error, open_decompressed(path) as content:
        content.read()
    advice = "not one: unpack what you need, or name the archive as {name: x.zip}"
    assert str(error.value) == f"{path}: {held}, {advice}"
