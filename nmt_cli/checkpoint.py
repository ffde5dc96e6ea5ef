"""The run folder: what lies in it, and how checkpoints stay whole.

A checkpoint is written beside its place, synced, and renamed: it is whole or not there. Every
file's SHA-256 stands in its state.json. Nothing but safetensors and JSON is ever read, and no
name in a file leads out of the folder.
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

from nmt_cli.errors import RunError

FORMAT = 1
WEIGHTS = "model"
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """A folder with tensors and a state."""

    folder: Path
    state: dict[str, Any]

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


class RunFolder:
    """A run on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"

    @property
    def recipe(self) -> Path:
        """The fully resolved recipe."""
        return self.path / "recipe.yaml"

    def exists(self) -> bool:
        """Whether there is anything of a run here."""
        if not self.path.is_dir():
            return self.path.exists()
        return any(self.path.iterdir())

    def log(self, record: Mapping[str, Any]) -> None:
        """Append a record to log.jsonl."""
        with open(self.path / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file of the run, whole or not at all."""
        write_whole(self.path / name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON file of the run; RunError where that fails."""
        try:
            return _object((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{self.path / name}: missing or damaged: {error}") from error

    def save(self, update: int, tensors: Mapping[str, Tensors], state: dict[str, Any]) -> None:
        """Write step-NNNNNN with <name>.safetensors for each group of tensors."""
        _write_checkpoint(
            self.checkpoints / f"step-{update:06d}", tensors, state | {"update": update}
        )

    def save_best(self, update: int, weights: Tensors, state: dict[str, Any]) -> None:
        """Write best-NNNNNN, point best.json to it, and drop the best one before it."""
        name = f"best-{update:06d}"
        _write_checkpoint(self.checkpoints / name, {WEIGHTS: weights}, state | {"update": update})
        write_whole(self.checkpoints / "best.json", json.dumps({"folder": name}) + "\n")
        for folder in self.checkpoints.glob("best-*"):
            if folder.is_dir() and folder.name != name:
                shutil.rmtree(folder)

    def steps(self) -> list[Path]:
        """Folders of the regular checkpoints, oldest first."""
        found = [p for p in self.checkpoints.glob("step-*") if p.is_dir() and p.suffix != ".tmp"]
        return sorted(found, key=lambda path: (len(path.name), path.name))  # 7 digits after 6

    def last(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest whole checkpoint, and a line for each newer one that is damaged."""
        damaged: list[str] = []
        for folder in reversed(self.steps()):
            try:
                return read_checkpoint(folder), damaged
            except RunError as error:
                damaged.append(str(error))
        return None, damaged

    def best(self) -> Checkpoint:
        """The checkpoint to translate with: the best one, or the last where none was validated."""
        pointer = self.checkpoints / "best.json"
        if pointer.exists():
            name = self.read_json("checkpoints/best.json").get("folder")
            if not isinstance(name, str) or not name.startswith("best-") or "/" in name:
                raise RunError(f"{pointer}: names no checkpoint of this run")
            return read_checkpoint(self.checkpoints / name)
        checkpoint, damaged = self.last()
        if checkpoint is None:
            raise RunError(damaged[-1] if damaged else f"{self.path}: no checkpoint yet")
        return checkpoint

    def prune(self, keep: int) -> None:
        """Delete all but the newest `keep` regular checkpoints, and what a kill left half done."""
        for folder in self.steps()[:-keep]:
            shutil.rmtree(folder)
        for folder in self.checkpoints.glob("*.tmp"):
            shutil.rmtree(folder, ignore_errors=True)


def read_checkpoint(folder: Path) -> Checkpoint:
    """Open a checkpoint and verify its files; RunError where one is missing or damaged."""
    try:
        state = _object((folder / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
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


def write_whole(path: Path, text: str) -> None:
    """Replace a text file so that it is the old or the new one at every moment."""
    scratch = path.with_name(path.name + ".tmp")
    with open(scratch, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, path)


def _write_checkpoint(folder: Path, groups: Mapping[str, Tensors], state: dict[str, Any]) -> None:
    scratch = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    files = {}
    for name, tensors in groups.items():
        path = scratch / f"{name}.safetensors"
        save_file({key: value.contiguous() for key, value in tensors.items()}, path)
        _sync(path)
        files[path.name] = digest(path)
    content = {"format": FORMAT, **state, "files": files}
    write_whole(scratch / "state.json", json.dumps(content, indent=2) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(scratch, folder)
    _sync(folder.parent)


def _object(text: str) -> dict[str, Any]:
    """A JSON object; ValueError for anything else."""
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    return content


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
