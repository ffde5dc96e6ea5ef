"""Shards of a text: together they are all of its lines, each of them once."""

import gzip
import itertools
import random
from pathlib import Path

import pytest

from nmt_cli.data.sources.files import read_lines
from nmt_cli.errors import DataError, UserError
from nmt_cli.inference.lines import decode_line
from nmt_cli.translation import byte_ranges as ranges
from nmt_cli.translation.byte_ranges import Shard, TextRange, find_range, open_range, parse_shards, sample_hash

TEXTS = {
    "nothing": b"",
    "one line": b"a",
    "no end of line": b"a\nb\nc",
    "empty lines": b"\n\n\n\n",
    "a long line": b"a\n" + b"x" * 500 + b"\nb\n",
    "marks": b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n\xef\xbb\xbfc\n",
    "many": b"".join(b"%s\n" % (b"y" * random.Random(n).randint(0, 30)) for n in range(200)),
}


def lines_of(path: Path, part: TextRange, skip: int = 0) -> list[str]:
    with open_range(path, part, skip) as stream:
        return [decode_line(raw, n).text for n, raw in enumerate(stream, 1 + skip)]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("total", [1, 2, 3, 7, 400])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_shards_together_are_the_text(text: bytes, total: int, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"text{ending}"
    path.write_bytes(gzip.compress(text) if ending else text)
    parts = [find_range(path, Shard(number, total)) for number in range(1, total + 1)]
    lines_of_parts = [line for part in parts for line in lines_of(path, part)]
    assert lines_of_parts == [raw.decode() for raw in read_lines(path)]
    assert parts[0].begin == 0 and parts[-1].end == parts[-1].total
    assert all(byte_range.end == other.begin for byte_range, other in itertools.pairwise(parts))


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_shard_goes_on_behind_the_lines_that_are_done(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"text{ending}"
    text = TEXTS["many"] + TEXTS["marks"]
    path.write_bytes(gzip.compress(text) if ending else text)
    part = find_range(path, Shard(2, 2))
    whole = lines_of(path, part)
    assert len(whole) > 50 and whole[-1] == "\ufeffc"
    for skip in range(len(whole) + 1):
        assert lines_of(path, part, skip) == whole[skip:]


def test_a_shard_of_plain_text_reads_no_more_than_its_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "READ_SIZE_BYTES", 64)
    path = tmp_path / "text"
    path.write_bytes(b"0123456\n" * 10_000)
    part = find_range(path, Shard(2, 4))
    assert part == TextRange("bytes", 20_000, 40_000, 80_000)
    with open(path, "r+b") as file:  # what is not read may be anything
        file.write(b"\n" * 19_999)
        file.seek(40_000)
        file.write(b"\n" * 40_000)
    assert lines_of(path, part) == ["0123456"] * 2500


def test_a_text_that_becomes_shorter_meanwhile_is_said(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"abc\n" * 100)
    part = find_range(path, Shard(2, 2))
    path.write_bytes(b"abc\n" * 60)
    with pytest.raises(DataError, match="text: the file has become shorter"):
        lines_of(path, part)


@pytest.mark.parametrize("text", ["0/3", "4/3", "1/0", "all/0", "1", "a/b", "-1/3", "1/3/5", "²/3"])
def test_a_shard_is_one_of_n(text: str) -> None:
    with pytest.raises(UserError) as error:
        parse_shards(text)
    assert str(error.value) == f"--shard {text}: write I/N, with I from 1 to N, or all/N"


def test_shards_are_named_so_that_they_sort() -> None:
    assert [str(shard) for shard in parse_shards("all/3")] == ["1/3", "2/3", "3/3"]
    assert parse_shards("7/100")[0].name == "shard-007-of-100"


def test_a_sample_tells_texts_apart(tmp_path: Path) -> None:
    first, other = tmp_path / "one", tmp_path / "other"
    first.write_bytes(b"x" * 5_000_000)
    other.write_bytes(b"x" * 5_000_001)
    assert sample_hash(first) != sample_hash(other)
    other.write_bytes(b"x" * 4_999_999 + b"y")
    assert sample_hash(first) != sample_hash(other)
    other.write_bytes(first.read_bytes())
    assert sample_hash(first) == sample_hash(other)
