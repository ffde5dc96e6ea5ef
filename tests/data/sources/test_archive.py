"""Named members come out of an archive, and nothing of it goes anywhere else."""

from pathlib import Path

import pytest

from nmt_cli.data.sources import archive as unpacking
from nmt_cli.data.sources.archive import extract_members
from nmt_cli.errors import DataError
from tests.loopback import archive


def packed(folder: Path, members: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    path = folder / "a.tgz"
    path.write_bytes(archive(members, links))
    return path


def refusal(path: Path, member: str, folder: Path) -> str:
    """Why a member was not unpacked; nothing was written."""
    before = sorted(folder.rglob("*"))
    with pytest.raises(DataError) as caught:
        extract_members(path, {member: folder / "out"})
    assert "\n" not in str(caught.value) and sorted(folder.rglob("*")) == before
    return str(caught.value)


def test_only_wanted_members_are_written_and_only_where_they_are_wanted(tmp_path: Path) -> None:
    members = {"../evil": b"1", "/abs": b"2", "d/one": b"text\n", "./two": b"more\n", "d/no": b"3"}
    path = packed(tmp_path, members, {"d/link": "/etc/passwd"})
    extract_members(path, {"d/one": tmp_path / "x", "two": tmp_path / "y"})
    assert (tmp_path / "x").read_bytes() == b"text\n" and (tmp_path / "y").read_bytes() == b"more\n"
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.tgz", "x", "y"}
    assert not (tmp_path.parent / "evil").exists()


def test_a_member_that_leads_out_is_written_where_it_is_wanted_even_if_it_is_asked_for(tmp_path: Path) -> None:
    extract_members(packed(tmp_path, {"../evil": b"1"}), {"../evil": tmp_path / "here"})
    assert (tmp_path / "here").read_bytes() == b"1" and not (tmp_path.parent / "evil").exists()


def test_a_link_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path, {"b": b""}, {"a": "/etc/passwd"})
    assert refusal(path, "a", tmp_path) == f"{path}: a: not a plain file: not unpacked"


def test_a_member_that_is_not_there_is_said(tmp_path: Path) -> None:
    path = packed(tmp_path, {"b": b""})
    assert refusal(path, "a", tmp_path) == f"{path}: there is no a in it"


def test_a_member_far_larger_than_its_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MAX_EXPANSION_RATIO", 3)
    path = packed(tmp_path, {"a": b"0" * 100_000})
    message = refusal(path, "a", tmp_path)
    assert message.startswith(f"{path}: a has 100,000 bytes; {tmp_path} has ")
    assert message.endswith(" free, and 3 times the archive is the most: not unpacked")


@pytest.mark.parametrize("content", [b"<html>", archive({"a": b"x" * 5000})[:-30]], ids=["a page", "cut off"])
def test_what_is_no_whole_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.tgz"
    path.write_bytes(content)
    assert refusal(path, "b", tmp_path).startswith(f"{path}: cannot unpack: ")
