"""A text file is the old or the new one at every moment."""

import errno
import fcntl
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from nmt_cli.errors import DataError, RunError, UserError
from nmt_cli.fs import (
    DISK_FULL_ERRNOS,
    atomic_folder,
    atomic_write_text,
    delete_folder,
    fsync,
    is_plain_name,
    lock_file,
    read_json_list,
    reject_external_symlinks,
    wrap_io_errors,
)


class Killed(BaseException):
    """What a kill does to the code after it: nothing runs any more."""


def test_write_whole_leaves_the_old_text_when_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    atomic_write_text(path, "old")

    def die(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(os, "fsync", die)
    with pytest.raises(Killed):
        atomic_write_text(path, "new")
    assert path.read_text() == "old"


def test_on_a_full_disk_the_old_text_stays_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    atomic_write_text(path, "old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match=r"x.json: cannot be written: No space .*; free disk space and run"):
        atomic_write_text(path, "new")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", DISK_FULL_ERRNOS)
def test_a_folder_that_a_disk_has_no_room_for_is_named_and_leaves_nothing(number: int, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught, atomic_folder(tmp_path / "folder", error_class=DataError) as scratch:
        (scratch / "half").touch()
        raise OSError(number, os.strerror(number))  # as a write, which names no file
    assert str(caught.value) == (
        f"{tmp_path / 'folder'}: cannot be written: {os.strerror(number)}; "
        "free disk space and run the command again (training: with --resume)"
    )
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(PermissionError), atomic_folder(tmp_path / "folder"):
        raise PermissionError(errno.EACCES, "of a file that is read")


def test_processes_with_the_same_id_do_not_share_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in containers that share a volume."""
    monkeypatch.setattr(os, "getpid", lambda: 7)
    sync = os.fsync

    def write_another(descriptor: int) -> None:
        monkeypatch.setattr(os, "fsync", sync)
        atomic_write_text(tmp_path / "x", "theirs", concurrent=True)

    monkeypatch.setattr(os, "fsync", write_another)
    atomic_write_text(tmp_path / "x", "ours", concurrent=True)
    assert (tmp_path / "x").read_text() == "ours" and list(tmp_path.iterdir()) == [tmp_path / "x"]

    with atomic_folder(tmp_path / "folder", marker="done") as ours:
        (ours / "done").write_text("ours")
        with atomic_folder(tmp_path / "folder", marker="done") as theirs:
            (theirs / "done").write_text("theirs")
        assert (ours / "done").read_text() == "ours"
    assert (tmp_path / "folder" / "done").read_text() == "theirs"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "x"]


def test_a_folder_is_deleted_under_a_name_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 7)
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)  # a container that is still deleting
    for _ in range(2):
        (tmp_path / "x").mkdir()
        (tmp_path / "x" / "file").touch()
        delete_folder(tmp_path / "x")
    names = [path.name for path in tmp_path.iterdir()]
    assert len(names) == 2 and all(name.startswith("x.7-") and name.endswith(".old.tmp") for name in names)


def test_other_reasons_ask_for_no_room(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"x: cannot be written: Permission denied$"), wrap_io_errors(tmp_path / "x"):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_a_folder_that_may_not_be_opened_is_left_to_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, flags: int) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "open", refuse)
    fsync(tmp_path)
    with pytest.raises(PermissionError):
        fsync(tmp_path / "file")


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "a/", "/a", "../a", "a\\b", "..\\a", "\\a", "C:", "C:a", "C:\\a", "\\\\host\\share\\a"],
)
def test_a_name_that_leads_to_another_folder_on_any_system_is_not_plain(name: str) -> None:
    assert not is_plain_name(name)


@pytest.mark.parametrize("name", ["a", ".a", "..a", "a.b", "a b", "ä", "train.de-en.gz"])
def test_any_other_name_is_plain(name: str) -> None:
    assert is_plain_name(name)


def test_links_that_stay_inside_are_followed(tmp_path: Path) -> None:
    (tmp_path / "run" / "a").mkdir(parents=True)
    (tmp_path / "run" / "a" / "x").write_text("")
    (tmp_path / "run" / "b").symlink_to("a")
    (tmp_path / "run" / "y").symlink_to("a/x")
    (tmp_path / "run" / "dead").symlink_to("nothing")
    reject_external_symlinks(tmp_path / "run")
    (tmp_path / "linked").symlink_to("run")  # the run itself may lie elsewhere
    reject_external_symlinks(tmp_path / "linked")


WAYS_OUT = ["../secret", "/etc/passwd", "../../run/../secret", "../run2", "a/../../secret"]


@pytest.mark.parametrize("target", WAYS_OUT)
@pytest.mark.parametrize("name", ["x", "a/x"])
def test_a_link_that_leads_out_is_refused(name: str, target: str, tmp_path: Path) -> None:
    (tmp_path / "run" / "a").mkdir(parents=True)
    up = "" if target.startswith("/") else "../" * name.count("/")
    (tmp_path / "run" / name).symlink_to(up + target)
    with pytest.raises(RunError, match=f"run/{name}: a link that leads out of .*run; copy the fi"):
        reject_external_symlinks(tmp_path / "run")


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "recipe.yaml")
    with pytest.raises(RunError, match=r"recipe.yaml: neither a file nor a folder"):
        reject_external_symlinks(tmp_path)


@pytest.mark.parametrize(
    ("text", "why"), [("{}", "not a JSON list"), ("[" * 9, "more than 8 bytes"), ("[1", "Expecting")]
)
def test_a_list_that_is_none_or_too_long_is_refused(text: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError, match=f"x.json: missing or damaged: {why}"):
        read_json_list(tmp_path / "x.json", 8)
    (tmp_path / "x.json").write_text('["a", 2]')
    assert read_json_list(tmp_path / "x.json", 8) == ["a", 2]


def test_a_lock_that_its_holder_deletes_meanwhile_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flock, calls = tmp_path / "lock", fcntl.flock, 0

    def delete_first(file: Any, operation: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            path.unlink()
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", delete_first)
    with lock_file(path, None) as file:
        assert os.path.samestat(os.fstat(file.fileno()), path.stat()) and calls == 2
        with pytest.raises(UserError, match="busy"):
            lock_file(path, UserError("busy"))


def test_a_lock_that_is_replaced_all_the_time_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock"
    monkeypatch.setattr(fcntl, "flock", lambda file, operation: path.unlink())
    with pytest.raises(RunError, match="lock: cannot be locked: it is replaced all the time"):
        lock_file(path, None)
