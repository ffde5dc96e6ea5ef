"""A checkpoint is whole or not there, and nothing in a run folder leads out of it."""

import errno
import json
import os
import resource
import shutil
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from safetensors import SafetensorError

from nmt_cli import fs as disk
from nmt_cli.errors import RunError
from nmt_cli.training import checkpoints as module
from nmt_cli.training.checkpoints import Checkpointer, NamedTensors, read_checkpoint


def tensors(value: float) -> NamedTensors:
    return {"a": torch.full((3, 2), value), "b": torch.tensor([value, -1.0]).half()}


def run_with(path: Path, *updates: int) -> Checkpointer:
    checkpointer = Checkpointer(path / "checkpoints")
    for update in updates:
        groups = {"model": tensors(update), "optimizer": tensors(-update)}
        checkpointer.save(update, groups, {"epoch": update / 2, "note": "ü"})
    return checkpointer


def names(checkpointer: Checkpointer) -> list[str]:
    return sorted(path.name for path in checkpointer.folder.iterdir())


def test_what_was_saved_is_read_back(tmp_path: Path) -> None:
    loaded, damaged = run_with(tmp_path, 5).last()
    assert loaded is not None and damaged == []
    assert loaded.update == 5 and loaded.state["epoch"] == 2.5 and loaded.state["note"] == "ü"
    for name, sign in (("model", 1), ("optimizer", -1)):
        for key, value in tensors(5.0 * sign).items():
            assert torch.equal(loaded.tensors(name)[key], value)


def test_only_safetensors_and_json_are_written(tmp_path: Path) -> None:
    checkpointer = run_with(tmp_path, 5)
    checkpointer.save_best(5, tensors(1), {})
    files = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {".safetensors", ".json"}


def test_tensors_that_share_memory_or_are_transposed_are_saved_as_they_are(tmp_path: Path) -> None:
    checkpointer = Checkpointer(tmp_path / "checkpoints")
    table = torch.arange(6.0).view(2, 3)
    checkpointer.save(1, {"model": {"x": table.t()}}, {})
    loaded, _ = checkpointer.last()
    assert loaded is not None and torch.equal(loaded.tensors()["x"], table.t())


def test_the_newest_is_the_last_even_when_the_number_grows_a_digit(tmp_path: Path) -> None:
    checkpointer = run_with(tmp_path, 1_000_000, 999_999, 5)
    assert [path.name for path in checkpointer.step_folders()] == [
        "step-000005", "step-999999", "step-1000000",
    ]  # fmt: skip
    checkpointer.prune(1)
    assert names(checkpointer) == ["step-1000000"]


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
    checkpointer = run_with(tmp_path, 1, 2, 3)
    do, message = DAMAGES[damage]
    do(checkpointer.folder / "step-000003")
    loaded, damaged = checkpointer.last()
    assert loaded is not None and loaded.update == 2
    assert len(damaged) == 1 and "step-000003" in damaged[0] and message in damaged[0]
    assert "\n" not in damaged[0]


def test_weights_are_readable_for_whom_other_files_are(tmp_path: Path) -> None:
    previous = os.umask(0o027)
    try:
        checkpointer = run_with(tmp_path, 1)
    finally:
        os.umask(previous)
    (folder,) = checkpointer.step_folders()
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "model.safetensors": 0o640, "optimizer.safetensors": 0o640, "state.json": 0o640,
    }  # fmt: skip


def test_a_checkpoint_that_may_not_be_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = run_with(tmp_path, 1).step_folders()

    def refuse(path: Path, *_: object) -> str:  # tests may run as a user who may read everything
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    for owner, name, file in ((module, "sha256_of_file", "model.safetensors"), (disk, "read_text", "state.json")):
        monkeypatch.setattr(owner, name, refuse)
        with pytest.raises(RunError) as caught:
            module.read_checkpoint(folder)
        assert str(caught.value) == f"{folder / file}: cannot be read: Permission denied"


def test_where_all_are_damaged_all_are_named(tmp_path: Path) -> None:
    checkpointer = run_with(tmp_path, 1, 2)
    for path in checkpointer.step_folders():
        flip(path / "model.safetensors")
    loaded, damaged = checkpointer.last()
    assert loaded is None and ["step-000002" in damaged[0], "step-000001" in damaged[1]] == [True] * 2
    with pytest.raises(RunError, match="damaged checkpoint"):
        checkpointer.best()


def test_tensors_of_a_group_that_is_not_there_are_an_error_of_the_run(tmp_path: Path) -> None:
    loaded, _ = run_with(tmp_path, 1).last()
    assert loaded is not None
    with pytest.raises(RunError, match=r"average.safetensors: damaged or missing"):
        loaded.tensors("average")


class Killed(BaseException):
    """What a kill does to the code after it: nothing runs any more."""


@pytest.mark.parametrize("at", ["save_file", "sha256_of_file", "fsync", "write_json", "replace"])
def test_killed_while_writing_the_new_checkpoint_is_not_there(
    at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpointer = run_with(tmp_path, 1)

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr({"replace": os, "save_file": safetensors.torch}.get(at, module), at, die)
        with pytest.raises(Killed):
            checkpointer.save(2, {"model": tensors(2)}, {})
    assert [path.name for path in checkpointer.step_folders()] == ["step-000001"]
    loaded, damaged = checkpointer.last()
    assert loaded is not None and (loaded.update, damaged) == (1, [])
    checkpointer.save(2, {"model": tensors(2)}, {})
    checkpointer.prune(5)
    assert names(checkpointer) == ["step-000001", "step-000002"]


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

    monkeypatch.setattr(module, "fsync", sync)
    monkeypatch.setattr(disk, "fsync", sync)
    monkeypatch.setattr(os, "replace", replace)
    Checkpointer(tmp_path / "checkpoints").save(1, {"model": tensors(1)}, {})
    assert order == [
        "sync model.safetensors", "name state.json", "sync step-000001.tmp", "name step-000001",
        "sync checkpoints",
    ]  # fmt: skip


def test_the_best_checkpoint_is_one_and_the_one_pointed_to(tmp_path: Path) -> None:
    checkpointer = run_with(tmp_path, 10, 20)
    checkpointer.save_best(10, tensors(10), {"score": 1})
    checkpointer.save_best(20, tensors(20), {"score": 2})
    assert names(checkpointer) == ["best-000020", "best.json", "step-000010", "step-000020"]
    assert checkpointer.best().update == 20 and checkpointer.best().state["score"] == 2
    assert json.loads((checkpointer.folder / "best.json").read_text()) == {"folder": "best-000020"}


def test_without_a_best_one_the_last_whole_one_is_best(tmp_path: Path) -> None:
    checkpointer = run_with(tmp_path, 10, 20)
    flip(checkpointer.folder / "step-000020" / "model.safetensors")
    assert checkpointer.best().update == 10


@pytest.mark.parametrize("update", [0, 1])
def test_a_run_without_checkpoints_says_so(update: int, tmp_path: Path) -> None:
    checkpointer = Checkpointer(tmp_path / "checkpoints")
    if update:
        checkpointer.folder.mkdir()
    assert checkpointer.last() == (None, [])
    with pytest.raises(RunError, match="no checkpoint yet"):
        checkpointer.best()


WRONG_POINTERS = [
    '{"folder": "../elsewhere"}', '{"folder": "best-/../../elsewhere"}',
    '{"folder": "step-000001"}', '{"folder": "/tmp/elsewhere"}', '{"folder": ["best-000001"]}',
    '{"folder": null}', "{}",
    '{"folder": "best-000001.old.tmp"}', "", "[]", '"best-000001"', "{", "5", "[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("content", WRONG_POINTERS, ids=lambda content: content[:40])
def test_a_pointer_that_leads_nowhere_or_outside_is_named_and_not_followed(content: str, tmp_path: Path) -> None:
    checkpointer = run_with(tmp_path / "run", 1)
    for name in ("elsewhere", "checkpoints/best-000001.old.tmp"):
        shutil.copytree(checkpointer.folder / "step-000001", tmp_path / "run" / name)
    (checkpointer.folder / "best.json").write_text(content)
    best_checkpoint = checkpointer.best()
    assert best_checkpoint.folder.name == "step-000001" and len(best_checkpoint.warnings) == 1
    assert "best.json: " in best_checkpoint.warnings[0] and "\n" not in best_checkpoint.warnings[0]
    assert best_checkpoint.warnings[0].endswith("; using step-000001 instead")


def test_a_damaged_best_checkpoint_is_named_and_the_newest_good_step_used(tmp_path: Path) -> None:
    checkpointer = run_with(tmp_path, 10, 20, 30)
    checkpointer.save_best(20, tensors(20), {})
    flip(checkpointer.folder / "best-000020" / "model.safetensors")
    flip(checkpointer.folder / "step-000030" / "model.safetensors")
    best_checkpoint = checkpointer.best()
    assert best_checkpoint.folder.name == "step-000020"
    for name, note in zip(("best-000020", "step-000030"), best_checkpoint.warnings, strict=True):
        assert note.endswith(
            f"{name}: damaged checkpoint: model.safetensors is not what was written; using step-000020 instead"
        )
    for path in checkpointer.step_folders():
        flip(path / "optimizer.safetensors")
    with pytest.raises(RunError, match="best-000020: damaged checkpoint"):
        checkpointer.best()


def test_a_best_checkpoint_that_is_gone_is_named(tmp_path: Path) -> None:
    checkpointer = run_with(tmp_path, 10)
    checkpointer.save_best(10, tensors(10), {})
    shutil.rmtree(checkpointer.folder / "best-000010")
    assert "best-000010: damaged checkpoint" in checkpointer.best().warnings[0]


@pytest.mark.parametrize("at", ["read_json", "sha256_of_file", "load_file"])
def test_a_best_checkpoint_that_a_training_replaces_meanwhile_is_read_anew(
    at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = run_with(tmp_path, 10, 20)
    training.save_best(10, tensors(10), {"score": 1})
    place: Any = safetensors.torch if at == "load_file" else module
    original = getattr(place, at)

    def replaced_meanwhile(path: Path, **options: Any) -> Any:
        if path.name == "best.json":
            return original(path, **options)
        monkeypatch.setattr(place, at, original)
        training.save_best(20, tensors(20), {"score": 2})
        return original(path, **options)

    def read_meanwhile(read: Any) -> Any:
        training.save_best(10, tensors(10), {"score": 1})
        monkeypatch.setattr(place, at, replaced_meanwhile)
        return read()

    checkpoint, loaded = read_meanwhile(training.load_best)
    assert (checkpoint.folder.name, checkpoint.warnings) == ("best-000020", ())
    assert torch.equal(loaded["a"], tensors(20)["a"])
    if at == "read_json":
        digest = training.best_weights_digest()
        assert read_meanwhile(training.best_weights_digest) == digest
        assert read_meanwhile(training.best_validation)["score"] == 2


def test_a_step_that_a_training_deletes_meanwhile_is_not_taken_for_a_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = run_with(tmp_path, 10)
    original = module.read_checkpoint

    def deleted_meanwhile(folder: Path) -> Any:
        monkeypatch.setattr(module, "read_checkpoint", original)
        run_with(tmp_path, 20).prune(1)
        return original(folder)

    monkeypatch.setattr(module, "read_checkpoint", deleted_meanwhile)
    loaded, damaged = training.last()
    assert loaded is not None and (loaded.update, damaged) == (20, [])


def test_the_best_one_is_what_the_newest_step_says(tmp_path: Path) -> None:
    """Killed between the best checkpoint and the step that knows of it, the old one is best."""
    checkpointer = run_with(tmp_path, 10)
    checkpointer.save_best(10, tensors(10), {})
    checkpointer.write_best(20, tensors(20), {})
    assert checkpointer.best().update == 10
    checkpointer.mark_best(10)
    assert names(checkpointer) == ["best-000010", "best.json", "step-000010"]
    checkpointer.write_best(20, tensors(20), {})
    checkpointer.mark_best(20)
    assert names(checkpointer) == ["best-000020", "best.json", "step-000010"]
    checkpointer.mark_best(10)  # which is gone
    assert checkpointer.best().update == 20


def test_a_checkpoint_written_again_is_there_at_every_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpointer = run_with(tmp_path, 1)
    inode = (checkpointer.folder / "step-000001").stat().st_ino
    checkpointer.save(1, {"model": tensors(1), "optimizer": tensors(-1)},
                {"epoch": 0.5, "note": "ü", "training_seconds": 9})  # fmt: skip
    assert (checkpointer.folder / "step-000001").stat().st_ino == inode
    checkpointer.save(1, {"model": tensors(2)}, {})
    loaded, _ = checkpointer.last()
    assert loaded is not None and torch.equal(loaded.tensors()["a"], tensors(2)["a"])
    assert names(checkpointer) == ["step-000001"]


def test_half_a_deleted_checkpoint_is_not_taken_for_a_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpointer = run_with(tmp_path, 10, 20, 30)

    def die(path: Path, ignore_errors: bool = False) -> None:
        if path.exists():
            (path / "model.safetensors").unlink()
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", die)
        with pytest.raises(Killed):
            checkpointer.prune(2)
    assert [path.name for path in checkpointer.step_folders()] == ["step-000020", "step-000030"]
    checkpointer.prune(2)
    assert names(checkpointer) == ["step-000020", "step-000030"]


def test_prune_keeps_the_regular_ones_that_an_average_needs(tmp_path: Path) -> None:
    checkpointer = run_with(tmp_path, 10, 20, 30, 34, 37)
    assert [path.name[-2:] for path in checkpointer.scheduled_folders(10, before=34)] == ["10", "20", "30"]
    assert [path.name[-2:] for path in checkpointer.scheduled_folders(10, before=30)] == ["10", "20"]
    checkpointer.prune(2, interval=10)
    assert [path.name[-2:] for path in checkpointer.step_folders()] == ["20", "30", "34", "37"]
    checkpointer.delete_after(30)
    assert [path.name[-2:] for path in checkpointer.step_folders()] == ["20", "30"]


def test_prune_keeps_the_newest_the_best_and_nothing_half_done(tmp_path: Path) -> None:
    checkpointer = run_with(tmp_path, 10, 20, 30, 40)
    checkpointer.save_best(10, tensors(10), {})
    (checkpointer.folder / "step-000050.tmp").mkdir()
    checkpointer.prune(2)
    assert names(checkpointer) == ["best-000010", "best.json", "step-000030", "step-000040"]
    checkpointer.prune(7)
    assert len(checkpointer.step_folders()) == 2


def test_a_checkpoint_that_is_read_where_that_keeps_it_from_being_renamed_goes_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpointer, replace = run_with(tmp_path, 1, 2), os.replace
    checkpointer.save_best(1, tensors(1), {})

    def refuse(source: Path, target: Path) -> None:  # as Windows does
        if source.name in ("best-000001", "step-000001"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(source))
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        checkpointer.save_best(2, tensors(2), {})
        checkpointer.prune(1)
    assert checkpointer.best().update == 2
    assert names(checkpointer) == ["best-000001", "best-000002", "best.json", "step-000001", "step-000002"]
    checkpointer.mark_best(2)
    checkpointer.prune(1)
    assert names(checkpointer) == ["best-000002", "best.json", "step-000002"]


def test_a_rank_that_only_reads_changes_nothing(tmp_path: Path) -> None:
    run_with(tmp_path, 10, 20).save_best(10, tensors(10), {})
    reader = Checkpointer(tmp_path / "checkpoints", read_only=True)
    reader.save(30, {"model": tensors(30)}, {})
    reader.save_best(20, tensors(20), {})
    reader.prune(1)
    reader.delete_after(10)
    assert names(reader) == ["best-000010", "best.json", "step-000010", "step-000020"]
    assert reader.best().update == 10


def test_no_pickle_is_read(tmp_path: Path) -> None:
    checkpointer = run_with(tmp_path, 1)
    path = checkpointer.folder / "step-000001" / "model.safetensors"
    torch.save(tensors(1), path)
    state = json.loads((path.parent / "state.json").read_text())
    state["files"]["model.safetensors"] = disk.sha256_of_file(path)
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
    checkpointer = run_with(tmp_path, 1)
    path = checkpointer.folder / "step-000001" / "model.safetensors"
    content = HEADERS[lie]
    if content.startswith(b"{"):
        end = content.rindex(b"}") + 1
        content = end.to_bytes(8, "little") + content
    path.write_bytes(content)
    state = json.loads((path.parent / "state.json").read_text())
    state["files"]["model.safetensors"] = disk.sha256_of_file(path)
    (path.parent / "state.json").write_text(json.dumps(state))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RunError, match=r"model.safetensors: damaged or missing: ") as caught:
        read_checkpoint(path.parent).tensors()
    assert "\n" not in str(caught.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


@pytest.mark.parametrize("number, shown", [(errno.ENOSPC, "No space left on device"),
                                           (errno.EDQUOT, "Disk quota exceeded")])  # fmt: skip
def test_a_full_disk_is_one_line_and_leaves_the_last_checkpoint(
    number: int, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpointer = run_with(tmp_path, 1)

    def full(*_: object, **__: object) -> None:
        raise SafetensorError(f"Error while serializing: I/O error: {shown} (os error {number})")

    with monkeypatch.context() as patch:
        patch.setattr(safetensors.torch, "save_file", full)
        with pytest.raises(RunError) as caught:
            checkpointer.save(2, {"model": tensors(2)}, {})
    assert str(caught.value) == (
        f"{checkpointer.folder / 'step-000002'}: cannot be written: Error while serializing: I/O "
        f"error: {shown} (os error {number}); free disk space and run the command again (training: with --resume)"
    )
    assert names(checkpointer) == ["step-000001"]
