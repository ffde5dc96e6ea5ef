"""One checkpoint: a folder that is whole or not there.

It is written beside its place, synced, and renamed; every file's SHA-256 stands in its state.json.
Nothing but safetensors and JSON is ever read, and no name in a file leads out of the folder.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nmt_cli.errors import RunError
from nmt_cli.fs import atomic_write_text, fsync, read_json, sha256_of_file, wrap_io_errors

FORMAT_VERSION = 1
WEIGHTS_GROUP = "model"
NamedTensors = dict[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """A folder with tensors and a state."""

    folder: Path
    state: dict[str, Any]
    warnings: tuple[str, ...] = ()  # a line for each better one that is damaged

    @property
    def update(self) -> int:
        """After how many updates it was written."""
        return int(self.state["update"])

    def tensors(self, name: str = WEIGHTS_GROUP) -> NamedTensors:
        """The tensors of <name>.safetensors; RunError where they are missing or damaged."""
        path = self.folder / f"{name}.safetensors"
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise RunError(f"{path}: damaged or missing: {error}") from error


def read_checkpoint(folder: Path) -> Checkpoint:
    """Open a checkpoint and verify its files; RunError where one is missing or damaged."""
    try:
        state = read_json(folder / "state.json", error_class=RunError)
    except RunError as error:
        raise RunError(f"{folder}: damaged checkpoint: {error}") from error
    if state.get("format") != FORMAT_VERSION:
        raise RunError(f"{folder}: checkpoint of format {state.get('format')}; this version reads {FORMAT_VERSION}")
    if not isinstance(state.get("update"), int) or not isinstance(state.get("files"), dict):
        raise RunError(f"{folder}: damaged checkpoint: state.json is not what was written")
    for name, expected_hash in state["files"].items():
        if "/" in name or not (folder / name).is_file() or sha256_of_file(folder / name) != expected_hash:
            raise RunError(f"{folder}: damaged checkpoint: {name} is not what was written")
    return Checkpoint(folder, state)


def write_checkpoint(folder: Path, tensor_groups: Mapping[str, NamedTensors], state: dict[str, Any]) -> None:
    """Write a checkpoint that is whole or not there; one that is there already, whole and equal,
    stays, so that there is no moment without it."""
    temporary_folder = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(temporary_folder, ignore_errors=True)
    with wrap_io_errors(folder):
        try:
            temporary_folder.mkdir(parents=True)
            if _is_identical(folder, _write_files(temporary_folder, tensor_groups, state)):
                shutil.rmtree(temporary_folder)
                return
            delete_checkpoint(folder)
            os.replace(temporary_folder, folder)
            fsync(folder.parent)
        except (OSError, SafetensorError, RunError):
            shutil.rmtree(temporary_folder, ignore_errors=True)
            raise


def _write_files(
    temporary_folder: Path, tensor_groups: Mapping[str, NamedTensors], state: dict[str, Any]
) -> dict[str, Any]:
    """Write and sync all files of a checkpoint; returns what state.json says."""
    hashes = {}
    for name, tensors in tensor_groups.items():
        path = temporary_folder / f"{name}.safetensors"
        save_file({key: value.contiguous() for key, value in tensors.items()}, path)
        fsync(path)
        hashes[path.name] = sha256_of_file(path)
    content = {"format": FORMAT_VERSION, **state, "files": hashes}
    atomic_write_text(temporary_folder / "state.json", json.dumps(content, indent=2) + "\n")  # syncs the folder
    return content


def _is_identical(folder: Path, state: dict[str, Any]) -> bool:
    """Whether a whole checkpoint with these very tensors and state is there."""
    try:
        return read_checkpoint(folder).state | {"training_seconds": 0} == state | {"training_seconds": 0}
    except RunError:
        return False


def delete_checkpoint(folder: Path) -> None:
    """Delete a folder, so that half of it is never taken for a checkpoint."""
    if folder.exists():
        trash_folder = folder.with_name(folder.name + ".old.tmp")
        shutil.rmtree(trash_folder, ignore_errors=True)
        os.replace(folder, trash_folder)
        shutil.rmtree(trash_folder, ignore_errors=True)


def update_number(folder: Path) -> int:
    """The number in step-NNNNNN and best-NNNNNN; -1 where the name is another."""
    kind, _, number = folder.name.partition("-")
    is_valid = kind in ("step", "best") and number.isascii() and number.isdigit()
    return int(number) if is_valid else -1


def parse_json_object(text: str) -> dict[str, Any]:
    """A JSON object; ValueError for anything else."""
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    return content
