"""A checkpoint is whole or not there, and nothing in a run folder leads out of it."""

import errno
import json
import os
import resource
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from nmt_cli import fs as disk
from nmt_cli.errors import RunError
from nmt_cli.runs import checkpoint
from nmt_cli.runs.checkpoint import NamedTensors, read_checkpoint
from nmt_cli.runs.folder import RunFolder


def tensors(value: float) -> NamedTensors:
    return {"a": torch.full((3, 2), value), "b": torch.tensor([value, -1.0]).half()}


def run_with(path: Path, *updates: int) -> RunFolder:
    folder = RunFolder(path)
    for update in updates:
        groups = {"model": tensors(update), "optimizer": tensors(-update)}
        folder.save_checkpoint(update, groups, {"epoch": update / 2, "note": "ü"})
    return folder


def names(folder: RunFolder) -> list[str]:
    return sorted(path.name for path in folder.checkpoints_path.iterdir())


def test_what_was_saved_is_read_back(tmp_path: Path) -> None:
    loaded, damaged = run_with(tmp_path, 5).last_checkpoint()
    assert loaded is not None and damaged == []
    assert loaded.update == 5 and loaded.state["epoch"] == 2.5 and loaded.state["note"] == "ü"
    for name, sign in (("model", 1), ("optimizer", -1)):
        for key, value in tensors(5.0 * sign).items():
            assert torch.equal(loaded.tensors(name)[key], value)


def test_only_safetensors_and_json_are_written(tmp_path: Path) -> None:
    folder = run_with(tmp_path, 5)
    folder.save_best(5, tensors(1), {})
    files = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {".safetensors", ".json"}


def test_tensors_that_share_memory_or_are_transposed_are_saved_as_they_are(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    table = torch.arange(6.0).view(2, 3)
    folder.save_checkpoint(1, {"model": {"x": table.t()}}, {})
    loaded, _ = folder.last_checkpoint()
    assert loaded is not None and torch.equal(loaded.tensors()["x"], table.t())


def test_the_newest_is_the_last_even_when_the_number_grows_a_digit(tmp_path: Path) -> None:
    folder = run_with(tmp_path, 1_000_000, 999_999, 5)
    assert [path.name for path in folder.step_folders()] == [
        "step-000005", "step-999999", "step-1000000",
    ]  # fmt: skip
    folder.prune(1)
    assert names(folder) == ["step-1000000"]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, tuple[Any, str]] = {
    "a flipped bit": (lambda f: flip(f / "model.safetensors"), "model.safetensors is not what"),
    "a cut file": (lambda f: os.truncate(f / "optimizer.safetensors", 20), "optimizer.safetensors"),
    "a missing file": (lambda f: (f / "model.safetensors").unlink(), "model.safetensors is not"),
    "no state": (lambda f: (f / "state.json").unlink(), "damaged checkpoint"),
    "a cut state": (lambda f: os.truncate(f / "state.json", 30), "damaged checkpoint"),
    "an empty state": (lambda f: (f / "state.json").write_text(""), "damaged checkpoint"),
    "a list": (lambda f: (f / "state.json").write_text("[]"), "damaged checkpoint"),
    "no list of files": (lambda f: (f / "state.json").write_text('{"format": 1, "update": 3}'), "damaged checkpoint"),
    "bytes": (lambda f: (f / "state.json").write_bytes(b"\xff\xfe"), "damaged checkpoint"),
    "another format": (
        lambda f: (f / "state.json").write_text('{"format": 99}'),
        "checkpoint of format 99; this version reads 1",
    ),
    "a way out": (
        lambda f: (f / "state.json").write_text('{"format": 1, "update": 3, "files": {"../../secret": "0"}}'),
        "damaged checkpoint",
    ),
}


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(damage: str, tmp_path: Path) -> None:
    folder = run_with(tmp_path, 1, 2, 3)
    do, message = DAMAGES[damage]
    do(folder.checkpoints_path / "step-000003")
    loaded, damaged = folder.last_checkpoint()
    assert loaded is not None and loaded.update == 2
    assert len(damaged) == 1 and "step-000003" in damaged[0] and message in damaged[0]
    assert "\n" not in damaged[0]


def test_where_all_are_damaged_all_are_named(tmp_path: Path) -> None:
    folder = run_with(tmp_path, 1, 2)
    for path in folder.step_folders():
        flip(path / "model.safetensors")
    loaded, damaged = folder.last_checkpoint()
    assert loaded is None and ["step-000002" in damaged[0], "step-000001" in damaged[1]] == [True] * 2
    with pytest.raises(RunError, match="damaged checkpoint"):
        folder.best_checkpoint()


def test_tensors_of_a_group_that_is_not_there_are_an_error_of_the_run(tmp_path: Path) -> None:
    loaded, _ = run_with(tmp_path, 1).last_checkpoint()
    assert loaded is not None
    with pytest.raises(RunError, match=r"average.safetensors: damaged or missing"):
        loaded.tensors("average")


class Killed(BaseException):
    """What a kill does to the code after it: nothing runs any more."""


@pytest.mark.parametrize("at", ["save_file", "sha256_of_file", "fsync", "atomic_write_text", "replace"])
def test_killed_while_writing_the_new_checkpoint_is_not_there(
    at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run_with(tmp_path, 1)

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os if at == "replace" else checkpoint, at, die)
        with pytest.raises(Killed):
            folder.save_checkpoint(2, {"model": tensors(2)}, {})
    assert [path.name for path in folder.step_folders()] == ["step-000001"]
    loaded, damaged = folder.last_checkpoint()
    assert loaded is not None and (loaded.update, damaged) == (1, [])
    folder.save_checkpoint(2, {"model": tensors(2)}, {})
    folder.prune(5)
    assert names(folder) == ["step-000001", "step-000002"]


def test_every_file_is_on_disk_before_the_checkpoint_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    real_sync, real_replace = disk.fsync, os.replace

    def sync(path: Path) -> None:
        order.append(f"sync {path.name}")
        real_sync(path)

    def replace(source: Path, target: Path) -> None:
        order.append(f"name {target.name}")
        real_replace(source, target)

    monkeypatch.setattr(checkpoint, "fsync", sync)
    monkeypatch.setattr(disk, "fsync", sync)
    monkeypatch.setattr(os, "replace", replace)
    RunFolder(tmp_path).save_checkpoint(1, {"model": tensors(1)}, {})
    assert order == [
        "sync model.safetensors", "name state.json", "sync step-000001.tmp", "name step-000001",
        "sync checkpoints",
    ]  # fmt: skip


def test_the_best_checkpoint_is_one_and_the_one_pointed_to(tmp_path: Path) -> None:
    folder = run_with(tmp_path, 10, 20)
    folder.save_best(10, tensors(10), {"score": 1})
    folder.save_best(20, tensors(20), {"score": 2})
    assert names(folder) == ["best-000020", "best.json", "step-000010", "step-000020"]
    assert folder.best_checkpoint().update == 20 and folder.best_checkpoint().state["score"] == 2
    assert json.loads((folder.checkpoints_path / "best.json").read_text()) == {"folder": "best-000020"}


def test_without_a_best_one_the_last_whole_one_is_best(tmp_path: Path) -> None:
    folder = run_with(tmp_path, 10, 20)
    flip(folder.checkpoints_path / "step-000020" / "model.safetensors")
    assert folder.best_checkpoint().update == 10


@pytest.mark.parametrize("update", [0, 1])
def test_a_run_without_checkpoints_says_so(update: int, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    if update:
        folder.checkpoints_path.mkdir()
    assert folder.last_checkpoint() == (None, [])
    with pytest.raises(RunError, match="no checkpoint yet"):
        folder.best_checkpoint()


WRONG_POINTERS = [
    '{"folder": "../elsewhere"}', '{"folder": "best-/../../elsewhere"}',
    '{"folder": "step-000001"}', '{"folder": "/tmp/elsewhere"}', '{"folder": ["best-000001"]}',
    '{"folder": null}', "{}",
    '{"folder": "best-000001.old.tmp"}', "", "[]", '"best-000001"', "{", "5", "[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("content", WRONG_POINTERS, ids=lambda content: content[:40])
def test_a_pointer_that_leads_nowhere_or_outside_is_named_and_not_followed(content: str, tmp_path: Path) -> None:
    folder = run_with(tmp_path / "run", 1)
    for name in ("elsewhere", "checkpoints/best-000001.old.tmp"):
        shutil.copytree(folder.checkpoints_path / "step-000001", tmp_path / "run" / name)
    (folder.checkpoints_path / "best.json").write_text(content)
    best_checkpoint = folder.best_checkpoint()
    assert best_checkpoint.folder.name == "step-000001" and len(best_checkpoint.warnings) == 1
    assert "best.json: " in best_checkpoint.warnings[0] and "\n" not in best_checkpoint.warnings[0]
    assert best_checkpoint.warnings[0].endswith("; using step-000001 instead")


def test_a_damaged_best_checkpoint_is_named_and_the_newest_good_step_used(tmp_path: Path) -> None:
    folder = run_with(tmp_path, 10, 20, 30)
    folder.save_best(20, tensors(20), {})
    flip(folder.checkpoints_path / "best-000020" / "model.safetensors")
    flip(folder.checkpoints_path / "step-000030" / "model.safetensors")
    best_checkpoint = folder.best_checkpoint()
    assert best_checkpoint.folder.name == "step-000020"
    for name, note in zip(("best-000020", "step-000030"), best_checkpoint.warnings, strict=True):
        assert note.endswith(
            f"{name}: damaged checkpoint: model.safetensors is not what was written; using step-000020 instead"
        )
    for path in folder.step_folders():
        flip(path / "optimizer.safetensors")
    with pytest.raises(RunError, match="best-000020: damaged checkpoint"):
        folder.best_checkpoint()


def test_a_best_checkpoint_that_is_gone_is_named(tmp_path: Path) -> None:
    folder = run_with(tmp_path, 10)
    folder.save_best(10, tensors(10), {})
    shutil.rmtree(folder.checkpoints_path / "best-000010")
    assert "best-000010: damaged checkpoint" in folder.best_checkpoint().warnings[0]


def test_the_best_one_is_what_the_newest_step_says(tmp_path: Path) -> None:
    """Killed between the best checkpoint and the step that knows of it, the old one is best."""
    folder = run_with(tmp_path, 10)
    folder.save_best(10, tensors(10), {})
    folder.write_best_checkpoint(20, tensors(20), {})
    assert folder.best_checkpoint().update == 10
    folder.set_best(10)
    assert names(folder) == ["best-000010", "best.json", "step-000010"]
    folder.write_best_checkpoint(20, tensors(20), {})
    folder.set_best(20)
    assert names(folder) == ["best-000020", "best.json", "step-000010"]
    folder.set_best(10)  # which is gone
    assert folder.best_checkpoint().update == 20


def test_a_checkpoint_written_again_is_there_at_every_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run_with(tmp_path, 1)
    inode = (folder.checkpoints_path / "step-000001").stat().st_ino
    folder.save_checkpoint(1, {"model": tensors(1), "optimizer": tensors(-1)},
                {"epoch": 0.5, "note": "ü", "training_seconds": 9})  # fmt: skip
    assert (folder.checkpoints_path / "step-000001").stat().st_ino == inode
    folder.save_checkpoint(1, {"model": tensors(2)}, {})
    loaded, _ = folder.last_checkpoint()
    assert loaded is not None and torch.equal(loaded.tensors()["a"], tensors(2)["a"])
    assert names(folder) == ["step-000001"]


def test_half_a_deleted_checkpoint_is_not_taken_for_a_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run_with(tmp_path, 10, 20, 30)

    def die(path: Path, ignore_errors: bool = False) -> None:
        if path.exists():
            (path / "model.safetensors").unlink()
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", die)
        with pytest.raises(Killed):
            folder.prune(2)
    assert [path.name for path in folder.step_folders()] == ["step-000020", "step-000030"]
    folder.prune(2)
    assert names(folder) == ["step-000020", "step-000030"]


def test_prune_keeps_the_regular_ones_that_an_average_needs(tmp_path: Path) -> None:
    folder = run_with(tmp_path, 10, 20, 30, 34, 37)
    assert [path.name[-2:] for path in folder.scheduled_checkpoints(10, before=34)] == ["10", "20", "30"]
    assert [path.name[-2:] for path in folder.scheduled_checkpoints(10, before=30)] == ["10", "20"]
    folder.prune(2, interval=10)
    assert [path.name[-2:] for path in folder.step_folders()] == ["20", "30", "34", "37"]
    folder.delete_after(30)
    assert [path.name[-2:] for path in folder.step_folders()] == ["20", "30"]


def test_prune_keeps_the_newest_the_best_and_nothing_half_done(tmp_path: Path) -> None:
    folder = run_with(tmp_path, 10, 20, 30, 40)
    folder.save_best(10, tensors(10), {})
    (folder.checkpoints_path / "step-000050.tmp").mkdir()
    folder.prune(2)
    assert names(folder) == ["best-000010", "best.json", "step-000030", "step-000040"]
    folder.prune(7)
    assert len(folder.step_folders()) == 2


def test_no_pickle_is_read(tmp_path: Path) -> None:
    folder = run_with(tmp_path, 1)
    path = folder.checkpoints_path / "step-000001" / "model.safetensors"
    torch.save(tensors(1), path)
    state = json.loads((path.parent / "state.json").read_text())
    state["files"]["model.safetensors"] = checkpoint.sha256_of_file(path)
    (path.parent / "state.json").write_text(json.dumps(state))
    with pytest.raises(RunError, match="damaged or missing"):
        read_checkpoint(path.parent).tensors()


HEADERS = {
    "longer than the file": (1 << 40).to_bytes(8, "little") + b"{}",
    "the longest": b"\xff" * 8 + b"{}",
    "no JSON": (2).to_bytes(8, "little") + b"{x",
    "tensors past the end": b'{"a":{"dtype":"F32","shape":[1099511627776],'
                            b'"data_offsets":[0,4398046511104]}}',
    "a shape that lies": b'{"a":{"dtype":"F32","shape":[1099511627776],'
                         b'"data_offsets":[0,8]}}12345678',
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("lie", list(HEADERS))
def test_a_header_that_lies_takes_no_memory(lie: str, tmp_path: Path) -> None:
    folder = run_with(tmp_path, 1)
    path = folder.checkpoints_path / "step-000001" / "model.safetensors"
    content = HEADERS[lie]
    if content.startswith(b"{"):
        end = content.rindex(b"}") + 1
        content = end.to_bytes(8, "little") + content
    path.write_bytes(content)
    state = json.loads((path.parent / "state.json").read_text())
    state["files"]["model.safetensors"] = checkpoint.sha256_of_file(path)
    (path.parent / "state.json").write_text(json.dumps(state))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RunError, match=r"model.safetensors: damaged or missing: ") as caught:
        read_checkpoint(path.parent).tensors()
    assert "\n" not in str(caught.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def test_a_folder_with_anything_in_it_and_a_file_exist(tmp_path: Path) -> None:
    assert not RunFolder(tmp_path / "none").exists()
    assert not RunFolder(tmp_path).exists()
    (tmp_path / "file").write_text("")
    assert RunFolder(tmp_path).exists()
    assert RunFolder(tmp_path / "file").exists()


def test_the_log_grows_by_a_line_a_record(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.log({"update": 1, "text": "schön\n"})
    folder.log({"update": 2})
    lines = (tmp_path / "log.jsonl").read_text(encoding="utf-8").split("\n")
    assert [json.loads(line) for line in lines[:-1]] == [
        {"update": 1, "text": "schön\n"}, {"update": 2},
    ]  # fmt: skip


def test_json_of_the_run_is_written_and_read(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_json("x.json", {"a": "ü"})
    assert folder.read_json("x.json") == {"a": "ü"}
    with pytest.raises(RunError, match=r"y.json: missing or damaged"):
        folder.read_json("y.json")


def test_the_log_is_cut_back_to_the_checkpoint(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.truncate_log(5)
    for update in (5, 10, 15):
        folder.log({"update": update})
    with open(tmp_path / "log.jsonl", "a") as file:
        file.write('{"update": 7, "half')
    folder.truncate_log(10)
    assert (tmp_path / "log.jsonl").read_text() == '{"update": 5}\n{"update": 10}\n'


@pytest.mark.parametrize("number, shown", [(errno.ENOSPC, "No space left on device"),
                                           (errno.EDQUOT, "Disk quota exceeded")])  # fmt: skip
def test_a_full_disk_is_one_line_and_leaves_the_last_checkpoint(
    number: int, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run_with(tmp_path, 1)

    def full(*_: object, **__: object) -> None:
        raise SafetensorError(f"Error while serializing: I/O error: {shown} (os error {number})")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", full)
        with pytest.raises(RunError) as caught:
            folder.save_checkpoint(2, {"model": tensors(2)}, {})
    assert str(caught.value) == (
        f"{folder.checkpoints_path / 'step-000002'}: cannot be written: Error while serializing: I/O "
        f"error: {shown} (os error {number}); free disk space and run the command again (training: with --resume)"
    )
    assert names(folder) == ["step-000001"]
