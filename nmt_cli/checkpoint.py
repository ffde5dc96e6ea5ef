"""One checkpoint: a folder that is whole or not there.

It is written beside its place, synced, and renamed; every file's SHA-256 stands in its state.json.
Nothing but safetensors and JSON is ever read, and no name in a file leads out of the folder.
"""

import hashlib
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

from nmt_cli.disk import read_json, sync, write_whole, writing
from nmt_cli.errors import RunError

FORMAT = 1
WEIGHTS = "model"
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """A folder with tensors and a state."""

    folder: Path
    state: dict[str, Any]
    notes: tuple[str, ...] = ()  # a line for each better one that is damaged

    @property
    def update(self) -> int:
        """After how many updates it was written."""
        return int(self.state["update"])

    def tensors(self, name: str = WEIGHTS) -> Tensors:
        """The tensors of <name>.safetensors; RunError where they are missing or damaged."""
        path = self.folder / f"{name}.safetensors"
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise RunError(f"{path}: damaged or missing: {error}") from error


def read_checkpoint(folder: Path) -> Checkpoint:
    """Open a checkpoint and verify its files; RunError where one is missing or damaged."""
    try:
        state = read_json(folder / "state.json", kind=RunError)
    except RunError as error:
        raise RunError(f"{folder}: damaged checkpoint: {error}") from error
    if state.get("format") != FORMAT:
        raise RunError(
            f"{folder}: checkpoint of format {state.get('format')}; this version reads {FORMAT}"
        )
    if not isinstance(state.get("update"), int) or not isinstance(state.get("files"), dict):
        raise RunError(f"{folder}: damaged checkpoint: state.json is not what was written")
    for name, known in state["files"].items():
        if "/" in name or not (folder / name).is_file() or digest(folder / name) != known:
            raise RunError(f"{folder}: damaged checkpoint: {name} is not what was written")
    return Checkpoint(folder, state)


def write_checkpoint(folder: Path, groups: Mapping[str, Tensors], state: dict[str, Any]) -> None:
    """Write a checkpoint that is whole or not there; one that is there already, whole and equal,
    stays, so that there is no moment without it."""
    scratch = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(scratch, ignore_errors=True)
    with writing(folder):
        try:
            scratch.mkdir(parents=True)
            if _same(folder, _write_files(scratch, groups, state)):
                shutil.rmtree(scratch)
                return
            drop(folder)
            os.replace(scratch, folder)
            sync(folder.parent)
        except (OSError, SafetensorError, RunError):
            shutil.rmtree(scratch, ignore_errors=True)
            raise


def _write_files(
    scratch: Path, groups: Mapping[str, Tensors], state: dict[str, Any]
) -> dict[str, Any]:
    """Write and sync all files of a checkpoint; returns what state.json says."""
    files = {}
    for name, tensors in groups.items():
        path = scratch / f"{name}.safetensors"
        save_file({key: value.contiguous() for key, value in tensors.items()}, path)
        sync(path)
        files[path.name] = digest(path)
    content = {"format": FORMAT, **state, "files": files}
    write_whole(scratch / "state.json", json.dumps(content, indent=2) + "\n")  # syncs the folder
    return content


def _same(folder: Path, state: dict[str, Any]) -> bool:
    """Whether a whole checkpoint with these very tensors and state is there."""
    try:
        return read_checkpoint(folder).state | {"seconds": 0} == state | {"seconds": 0}
    except RunError:
        return False


def drop(folder: Path) -> None:
    """Delete a folder, so that half of it is never taken for a checkpoint."""
    if folder.exists():
        doomed = folder.with_name(folder.name + ".old.tmp")
        shutil.rmtree(doomed, ignore_errors=True)
        os.replace(folder, doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def update_of(folder: Path) -> int:
    """The number in step-NNNNNN and best-NNNNNN; -1 where the name is another."""
    kind, _, number = folder.name.partition("-")
    known = kind in ("step", "best") and number.isascii() and number.isdigit()
    return int(number) if known else -1


def json_object(text: str) -> dict[str, Any]:
    """A JSON object; ValueError for anything else."""
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    return content


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
