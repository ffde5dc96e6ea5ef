"""The checkpoints of a run, which a kill at any moment leaves intact.

A checkpoint is a folder that is there completely or not at all: it is written under a temporary
name, synced to disk, then renamed. Its state.json holds the SHA-256 of every file. Only safetensors
and JSON are read, and no name in a file can lead out of the folder.

Finding and checking them needs no torch; reading and writing tensors does.

Regular checkpoints step-N are what a run resumes from. Everything else follows from the newest of
them: best.json points to the best checkpoint that it knows of, and log.jsonl is truncated to it.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from safetensors import SafetensorError

from nmt_cli.errors import RunError, error_reason
from nmt_cli.fs import (
    delete_folder,
    fsync,
    is_plain_name,
    read_json,
    sha256_of_file,
    wrap_io_errors,
    write_json,
    write_tensors,
)

if TYPE_CHECKING:
    from torch import Tensor

FORMAT_VERSION = 1
WEIGHTS_GROUP = "model"
NamedTensors: TypeAlias = "dict[str, Tensor]"
T = TypeVar("T")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk whose files are intact."""

    folder: Path
    state: dict[str, Any]
    warnings: tuple[str, ...] = ()  # a line for each damaged checkpoint that would have been preferred

    @property
    def update(self) -> int:
        """The number of updates after which it was written."""
        return int(self.state["update"])

    def tensors(self, name: str = WEIGHTS_GROUP) -> NamedTensors:
        """The tensors of <name>.safetensors; RunError if the file is missing or damaged."""
        from safetensors.torch import load_file

        path = self.folder / f"{name}.safetensors"
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise RunError(f"{path}: damaged or missing: {error_reason(error)}") from error


def read_checkpoint(folder: Path) -> Checkpoint:
    """Open a checkpoint and verify its files; RunError if one is missing or damaged."""
    try:
        state = read_json(folder / "state.json", error_class=RunError)
    except RunError as error:
        if isinstance(error.__cause__, PermissionError):
            raise
        raise RunError(f"{folder}: damaged checkpoint: {error}") from error
    if state.get("format") != FORMAT_VERSION:
        raise RunError(f"{folder}: checkpoint of format {state.get('format')}; this version reads {FORMAT_VERSION}")
    if not isinstance(state.get("update"), int) or not isinstance(state.get("files"), dict):
        raise RunError(f"{folder}: damaged checkpoint: state.json is not what was written")
    for name, expected_hash in state["files"].items():
        if not is_plain_name(name) or not _has_hash(folder / name, expected_hash):
            raise RunError(f"{folder}: damaged checkpoint: {name} is not what was written")
    return Checkpoint(folder, state)


def _has_hash(path: Path, expected_hash: str) -> bool:
    try:
        return path.is_file() and sha256_of_file(path) == expected_hash
    except PermissionError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from error
    except OSError:  # a training has deleted it meanwhile, or the disk cannot be read
        return False


def write_checkpoint(folder: Path, tensor_groups: Mapping[str, NamedTensors], state: dict[str, Any]) -> None:
    """Write a checkpoint atomically, with <name>.safetensors for each group of tensors.

    An identical checkpoint that is already there is kept, so that there is no moment without it.
    """
    temporary_folder = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(temporary_folder, ignore_errors=True)
    with wrap_io_errors(folder):
        try:
            temporary_folder.mkdir(parents=True)
            if _is_identical(folder, _write_files(temporary_folder, tensor_groups, state)):
                shutil.rmtree(temporary_folder)
                return
            delete_folder(folder)
            os.replace(temporary_folder, folder)
            fsync(folder.parent)
        except (OSError, SafetensorError, RunError):
            shutil.rmtree(temporary_folder, ignore_errors=True)
            raise


def _write_files(
    temporary_folder: Path, tensor_groups: Mapping[str, NamedTensors], state: dict[str, Any]
) -> dict[str, Any]:
    """Write and sync all files of a checkpoint; returns the content of state.json."""
    hashes = {}
    for name, tensors in tensor_groups.items():
        path = temporary_folder / f"{name}.safetensors"
        write_tensors(path, {key: value.contiguous() for key, value in tensors.items()})
        fsync(path)
        hashes[path.name] = sha256_of_file(path)
    content = {"format": FORMAT_VERSION, **state, "files": hashes}
    write_json(temporary_folder / "state.json", content, ensure_ascii=True)  # syncs the folder
    return content


def _is_identical(folder: Path, state: dict[str, Any]) -> bool:
    """Whether the folder is an intact checkpoint with the same tensors and state, apart from the time taken."""
    try:
        return read_checkpoint(folder).state | {"training_seconds": 0} == state | {"training_seconds": 0}
    except RunError:
        return False


def _read_state(folder: Path) -> dict[str, Any]:
    return read_json(folder / "state.json", error_class=RunError)


def _weights_digest(folder: Path) -> str:
    """SHA-256 of the weights, as state.json records it."""
    files, name = _read_state(folder).get("files"), f"{WEIGHTS_GROUP}.safetensors"
    if not isinstance(files, dict) or name not in files:
        raise RunError(f"{folder}: damaged checkpoint: state.json is not what was written")
    return str(files[name])


def _delete_if_unused(folder: Path) -> None:
    """Delete a checkpoint; next time where Windows does not rename it, because a process reads it now."""
    with suppress(PermissionError):
        delete_folder(folder)


def update_number(folder: Path) -> int:
    """The number in step-NNNNNN or best-NNNNNN; -1 for any other name."""
    kind, _, number = folder.name.partition("-")
    is_valid = kind in ("step", "best") and number.isascii() and number.isdigit()
    return int(number) if is_valid else -1


class Checkpointer:
    """Saves, finds and deletes the checkpoints in the folder `checkpoints` of a run.

    With `read_only` nothing is written: of several processes that train together, only rank 0 writes.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.folder, self.read_only = folder, read_only
        self.best_path = folder / "best.json"  # names the best checkpoint

    def save(self, update: int, tensors: Mapping[str, NamedTensors], state: dict[str, Any]) -> None:
        """Write step-NNNNNN. RunError if that fails; an earlier one of this name is then unchanged."""
        if not self.read_only:
            write_checkpoint(self.folder / f"step-{update:06d}", tensors, state | {"update": update})

    def write_best(self, update: int, weights: NamedTensors, state: dict[str, Any]) -> None:
        """Write best-NNNNNN, which becomes the best checkpoint only by `mark_best`."""
        if not self.read_only:
            write_checkpoint(self.folder / f"best-{update:06d}", {WEIGHTS_GROUP: weights}, state | {"update": update})

    def mark_best(self, update: int) -> None:
        """Point best.json to best-NNNNNN and delete all others; nothing if there is no such checkpoint."""
        name = f"best-{update:06d}"
        if self.read_only or not (self.folder / name).is_dir():
            return
        write_json(self.best_path, {"folder": name}, indent=None)
        for folder in self._numbered_folders("best-*"):
            if folder.name != name:
                _delete_if_unused(folder)

    def save_best(self, update: int, weights: NamedTensors, state: dict[str, Any]) -> None:
        """Write best-NNNNNN as the best checkpoint, and delete the one before it."""
        self.write_best(update, weights, state)
        self.mark_best(update)

    def intact_best_updates(self) -> list[int]:
        """After which updates there is a best checkpoint that can be read, whichever best.json names."""
        updates = []
        for folder in self._numbered_folders("best-*"):
            with suppress(RunError):
                updates.append(read_checkpoint(folder).update)
        return updates

    def step_folders(self) -> list[Path]:
        """The folders of the regular checkpoints, oldest first."""
        return self._numbered_folders("step-*")

    def scheduled_folders(self, interval: int, before: int) -> list[Path]:
        """The regular checkpoints after a multiple of `interval` updates and before update `before`, oldest first.

        All others were written when a signal or the end of training came, which must not influence
        what a run computes.
        """
        return [p for p in self.step_folders() if update_number(p) % interval == 0 and update_number(p) < before]

    def last(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest intact regular checkpoint, and a line for each newer one that is damaged."""
        damage_messages: list[str] = []
        for folder in reversed(self.step_folders()):
            try:
                return read_checkpoint(folder), damage_messages
            except RunError as error:
                if not folder.is_dir():
                    return self.last()  # a training has deleted it meanwhile, after it wrote a newer one
                damage_messages.append(str(error))
        return None, damage_messages

    def best(self) -> Checkpoint:
        """The checkpoint to translate with: the best one, or the last one before the first validation.

        If that one is damaged, the newest intact one, with `warnings`; RunError if none is intact.
        """
        messages: list[str] = []
        try:
            best_checkpoint = self._read_best(read_checkpoint)
            if best_checkpoint is not None:
                return best_checkpoint
        except RunError as error:
            messages.append(str(error))
        checkpoint, damage_messages = self.last()
        messages += damage_messages
        if checkpoint is None:
            raise RunError(messages[0] if messages else f"{self.folder.parent}: no checkpoint yet")
        instead = f"using {checkpoint.folder.name} instead"
        return replace(checkpoint, warnings=tuple(f"{message}; {instead}" for message in messages))

    def load_best(self) -> tuple[Checkpoint, NamedTensors]:
        """The checkpoint of `best` and its weights, those of a newer one if a training replaces it meanwhile."""
        checkpoint = self.best()
        try:
            return checkpoint, checkpoint.tensors()
        except RunError:
            if checkpoint.folder.is_dir():
                raise
        return self.load_best()

    def best_validation(self) -> dict[str, float]:
        """Figures of the validation that chose the best checkpoint; none where there was no such validation."""
        try:
            state = self._read_best(_read_state) or {}
        except RunError:
            return {}
        return {key: float(value) for key, value in state.items() if isinstance(value, (int, float))}

    def best_weights_digest(self) -> str:
        """SHA-256 of the weights of the best checkpoint, as its state.json records it; its files are not read.

        RunError where there is none.
        """
        return self._read_best(_weights_digest) or _weights_digest(self.best().folder)

    def prune(self, keep_count: int, interval: int = 1, ended_at: int | None = None) -> None:
        """Delete what a kill left incomplete, and all regular checkpoints except the newest `keep_count`, the newest
        `keep_count` of those after a multiple of `interval` updates, and that with which training has ended before."""
        if self.read_only:
            return
        step_folders = self.step_folders()
        scheduled_folders = [path for path in step_folders if update_number(path) % interval == 0]
        kept_folders = {*step_folders[-keep_count:], *scheduled_folders[-keep_count:]}
        for folder in step_folders:
            if folder not in kept_folders and update_number(folder) != ended_at:
                _delete_if_unused(folder)
        for folder in self.folder.glob("*.tmp"):
            shutil.rmtree(folder, ignore_errors=True)

    def delete_after(self, update: int) -> None:
        """Delete the regular checkpoints after an update, so that no run resumes from them."""
        if self.read_only:
            return
        for folder in self.step_folders():
            if update_number(folder) > update:
                delete_folder(folder)

    def _numbered_folders(self, pattern: str) -> list[Path]:
        folders = [p for p in self.folder.glob(pattern) if p.is_dir() and update_number(p) >= 0]
        return sorted(folders, key=update_number)

    def _read_best(self, read: Callable[[Path], T]) -> T | None:
        """What `read` makes of the folder that best.json names, or of a newer one that a training names meanwhile.

        None without the file; RunError if it, or what it names, is damaged.
        """
        folder = self._read_best_pointer()
        while folder is not None:
            try:
                return read(folder)
            except RunError:
                newer_folder = self._read_best_pointer()
                if newer_folder == folder:
                    raise
                folder = newer_folder
        return None

    def _read_best_pointer(self) -> Path | None:
        """The folder that best.json names; None without the file, RunError if it is damaged."""
        pointer_path = self.best_path
        if not pointer_path.exists():
            return None
        name = read_json(pointer_path, error_class=RunError).get("folder")
        if not isinstance(name, str) or update_number(Path(name)) < 0 or name[:5] != "best-":
            raise RunError(f"{pointer_path}: names no checkpoint of this run")
        return self.folder / name
