"""The run folder: what lies in it, and what is promised about it.

A step checkpoint is the one thing that a run goes on from. All else follows it: best.json points
to the best checkpoint that the newest step knows of, and log.jsonl is cut back to it.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from nmt_cli.errors import RunError
from nmt_cli.fs import atomic_write_text, lock_file, read_json, wrap_io_errors
from nmt_cli.runs.checkpoint import (
    WEIGHTS_GROUP,
    Checkpoint,
    NamedTensors,
    delete_checkpoint,
    parse_json_object,
    read_checkpoint,
    update_number,
    write_checkpoint,
)


class RunFolder:
    """A run on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints_path = path / "checkpoints"

    @property
    def recipe_path(self) -> Path:
        """The fully resolved recipe."""
        return self.path / "recipe.yaml"

    def exists(self) -> bool:
        """Whether there is anything of a run here."""
        if not self.path.is_dir():
            return self.path.exists()
        return any(self.path.iterdir())

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from training here; RunError where one does."""
        with wrap_io_errors(self.path):
            self.checkpoints_path.mkdir(parents=True, exist_ok=True)
            lock_path = self.path / "lock"
            file = lock_file(lock_path, RunError(f"{self.path}: another process is training here"))
        try:
            yield
        finally:
            lock_path.unlink(missing_ok=True)
            file.close()

    def log(self, record: Mapping[str, Any]) -> None:
        """Append a record to log.jsonl; RunError where the disk is full."""
        path = self.path / "log.jsonl"
        with wrap_io_errors(path), open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")

    def truncate_log(self, update: int) -> None:
        """Drop what log.jsonl says about later updates, which come again, and a half line.

        Before any update (-1) nothing is left, not the validation of what the run began with.
        """
        path = self.path / "log.jsonl"
        if not path.exists():
            return
        lines = []
        for line in path.read_bytes().split(b"\n"):
            with suppress(ValueError, TypeError):
                if parse_json_object(line.decode()).get("update", 0) <= update:
                    lines.append(line.decode() + "\n")
        atomic_write_text(path, "".join(lines))

    def write_text(self, name: str, text: str) -> None:
        """Write a text file of the run, whole or not at all."""
        atomic_write_text(self.path / name, text)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file of the run, whole or not at all."""
        self.write_text(name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON file of the run; RunError where that fails."""
        return read_json(self.path / name, error_class=RunError)

    def save_checkpoint(self, update: int, tensors: Mapping[str, NamedTensors], state: dict[str, Any]) -> None:
        """Write step-NNNNNN with <name>.safetensors for each group of tensors.

        RunError where that fails; what was there before is left as it was.
        """
        write_checkpoint(self.checkpoints_path / f"step-{update:06d}", tensors, state | {"update": update})

    def save_best(self, update: int, weights: NamedTensors, state: dict[str, Any]) -> None:
        """Write best-NNNNNN, point best.json to it, and drop the best one before it."""
        self.write_best_checkpoint(update, weights, state)
        self.set_best(update)

    def write_best_checkpoint(self, update: int, weights: NamedTensors, state: dict[str, Any]) -> None:
        """Write best-NNNNNN, which is the best one only when `set_best` says so."""
        folder = self.checkpoints_path / f"best-{update:06d}"
        write_checkpoint(folder, {WEIGHTS_GROUP: weights}, state | {"update": update})

    def set_best(self, update: int) -> None:
        """Point best.json to best-NNNNNN and drop all others; nothing where it is not there."""
        name = f"best-{update:06d}"
        if not (self.checkpoints_path / name).is_dir():
            return
        atomic_write_text(self.checkpoints_path / "best.json", json.dumps({"folder": name}) + "\n")
        for folder in self._best_folders():
            if folder.name != name:
                delete_checkpoint(folder)

    def step_folders(self) -> list[Path]:
        """Folders of the regular checkpoints, oldest first."""
        return self._numbered_folders("step-*")

    def scheduled_checkpoints(self, interval: int, before: int) -> list[Path]:
        """Those after 1, 2, 3 ... times `every` updates and before `before`, oldest first.

        Others are where a signal or the end of training came: what a run does must not depend on
        them.
        """
        return [p for p in self.step_folders() if update_number(p) % interval == 0 and update_number(p) < before]

    def _best_folders(self) -> list[Path]:
        return self._numbered_folders("best-*")

    def _numbered_folders(self, pattern: str) -> list[Path]:
        folders = [p for p in self.checkpoints_path.glob(pattern) if p.is_dir() and update_number(p) >= 0]
        return sorted(folders, key=update_number)

    def last_checkpoint(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest whole checkpoint, and a line for each newer one that is damaged."""
        damage_messages: list[str] = []
        for folder in reversed(self.step_folders()):
            try:
                return read_checkpoint(folder), damage_messages
            except RunError as error:
                damage_messages.append(str(error))
        return None, damage_messages

    def best_checkpoint(self) -> Checkpoint:
        """The checkpoint to translate with: the best one, or the last where none was validated.

        Where the best one is damaged, the newest whole one with `notes` that say so. RunError
        where no checkpoint is whole.
        """
        messages: list[str] = []
        try:
            folder = self._read_best_pointer()
            if folder is not None:
                return read_checkpoint(folder)
        except RunError as error:
            messages.append(str(error))
        checkpoint, damage_messages = self.last_checkpoint()
        messages += damage_messages
        if checkpoint is None:
            raise RunError(messages[0] if messages else f"{self.path}: no checkpoint yet")
        instead = f"using {checkpoint.folder.name} instead"
        return replace(checkpoint, warnings=tuple(f"{message}; {instead}" for message in messages))

    def _read_best_pointer(self) -> Path | None:
        """The folder that best.json names; None without one, RunError where it is damaged."""
        pointer_path = self.checkpoints_path / "best.json"
        if not pointer_path.exists():
            return None
        name = self.read_json("checkpoints/best.json").get("folder")
        if not isinstance(name, str) or update_number(Path(name)) < 0 or name[:5] != "best-":
            raise RunError(f"{pointer_path}: names no checkpoint of this run")
        return self.checkpoints_path / name

    def prune(self, keep_count: int, interval: int = 1) -> None:
        """Delete what a kill left half done, and all steps but the newest `keep` and the newest
        `keep` regular ones, those after a multiple of `every` updates."""
        step_folders = self.step_folders()
        kept_folders = {
            *step_folders[-keep_count:],
            *[path for path in step_folders if update_number(path) % interval == 0][-keep_count:],
        }
        for folder in step_folders:
            if folder not in kept_folders:
                delete_checkpoint(folder)
        for folder in self.checkpoints_path.glob("*.tmp"):
            shutil.rmtree(folder, ignore_errors=True)

    def delete_after(self, update: int) -> None:
        """Delete the steps after `update`, from which nobody shall go on."""
        for folder in self.step_folders():
            if update_number(folder) > update:
                delete_checkpoint(folder)


class ReadOnlyRun(RunFolder):
    """A run that another process writes; this one reads, and what it would write is dropped."""

    def log(self, record: Mapping[str, Any]) -> None:
        """Nothing."""

    def truncate_log(self, update: int) -> None:
        """Nothing."""

    def write_text(self, name: str, text: str) -> None:
        """Nothing."""

    def save_checkpoint(self, update: int, tensors: Mapping[str, NamedTensors], state: dict[str, Any]) -> None:
        """Nothing."""

    def write_best_checkpoint(self, update: int, weights: NamedTensors, state: dict[str, Any]) -> None:
        """Nothing."""

    def set_best(self, update: int) -> None:
        """Nothing."""

    def prune(self, keep_count: int, interval: int = 1) -> None:
        """Nothing."""

    def delete_after(self, update: int) -> None:
        """Nothing."""
