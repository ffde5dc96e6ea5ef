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

from nmt_cli.checkpoint import (
    WEIGHTS,
    Checkpoint,
    Tensors,
    drop,
    json_object,
    read_checkpoint,
    update_of,
    write_checkpoint,
)
from nmt_cli.disk import hold, read_json, write_whole, writing
from nmt_cli.errors import RunError


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

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from training here; RunError where one does."""
        with writing(self.path):
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            lock = self.path / "lock"
            file = hold(lock, RunError(f"{self.path}: another process is training here"))
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)
            file.close()

    def log(self, record: Mapping[str, Any]) -> None:
        """Append a record to log.jsonl; RunError where the disk is full."""
        path = self.path / "log.jsonl"
        with writing(path), open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")

    def rewind_log(self, update: int) -> None:
        """Drop what log.jsonl says about later updates, which come again, and a half line.

        Before any update (-1) nothing is left, not the validation of what the run began with.
        """
        path = self.path / "log.jsonl"
        if not path.exists():
            return
        kept = []
        for line in path.read_bytes().split(b"\n"):
            with suppress(ValueError, TypeError):
                if json_object(line.decode()).get("update", 0) <= update:
                    kept.append(line.decode() + "\n")
        write_whole(path, "".join(kept))

    def write_text(self, name: str, text: str) -> None:
        """Write a text file of the run, whole or not at all."""
        write_whole(self.path / name, text)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file of the run, whole or not at all."""
        self.write_text(name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON file of the run; RunError where that fails."""
        return read_json(self.path / name, kind=RunError)

    def save(self, update: int, tensors: Mapping[str, Tensors], state: dict[str, Any]) -> None:
        """Write step-NNNNNN with <name>.safetensors for each group of tensors.

        RunError where that fails; what was there before is left as it was.
        """
        write_checkpoint(
            self.checkpoints / f"step-{update:06d}", tensors, state | {"update": update}
        )

    def save_best(self, update: int, weights: Tensors, state: dict[str, Any]) -> None:
        """Write best-NNNNNN, point best.json to it, and drop the best one before it."""
        self.write_best(update, weights, state)
        self.point_best(update)

    def write_best(self, update: int, weights: Tensors, state: dict[str, Any]) -> None:
        """Write best-NNNNNN, which is the best one only when `point_best` says so."""
        folder = self.checkpoints / f"best-{update:06d}"
        write_checkpoint(folder, {WEIGHTS: weights}, state | {"update": update})

    def point_best(self, update: int) -> None:
        """Point best.json to best-NNNNNN and drop all others; nothing where it is not there."""
        name = f"best-{update:06d}"
        if not (self.checkpoints / name).is_dir():
            return
        write_whole(self.checkpoints / "best.json", json.dumps({"folder": name}) + "\n")
        for folder in self._bests():
            if folder.name != name:
                drop(folder)

    def steps(self) -> list[Path]:
        """Folders of the regular checkpoints, oldest first."""
        return self._numbered("step-*")

    def regular(self, every: int, before: int) -> list[Path]:
        """Those after 1, 2, 3 ... times `every` updates and before `before`, oldest first.

        Others are where a signal or the end of training came: what a run does must not depend on
        them.
        """
        return [p for p in self.steps() if update_of(p) % every == 0 and update_of(p) < before]

    def _bests(self) -> list[Path]:
        return self._numbered("best-*")

    def _numbered(self, pattern: str) -> list[Path]:
        found = [p for p in self.checkpoints.glob(pattern) if p.is_dir() and update_of(p) >= 0]
        return sorted(found, key=update_of)

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
        """The checkpoint to translate with: the best one, or the last where none was validated.

        Where the best one is damaged, the newest whole one with `notes` that say so. RunError
        where no checkpoint is whole.
        """
        notes: list[str] = []
        try:
            folder = self._pointed_to()
            if folder is not None:
                return read_checkpoint(folder)
        except RunError as error:
            notes.append(str(error))
        checkpoint, damaged = self.last()
        notes += damaged
        if checkpoint is None:
            raise RunError(notes[0] if notes else f"{self.path}: no checkpoint yet")
        instead = f"using {checkpoint.folder.name} instead"
        return replace(checkpoint, notes=tuple(f"{note}; {instead}" for note in notes))

    def _pointed_to(self) -> Path | None:
        """The folder that best.json names; None without one, RunError where it is damaged."""
        pointer = self.checkpoints / "best.json"
        if not pointer.exists():
            return None
        name = self.read_json("checkpoints/best.json").get("folder")
        if not isinstance(name, str) or update_of(Path(name)) < 0 or name[:5] != "best-":
            raise RunError(f"{pointer}: names no checkpoint of this run")
        return self.checkpoints / name

    def prune(self, keep: int, every: int = 1) -> None:
        """Delete what a kill left half done, and all steps but the newest `keep` and the newest
        `keep` regular ones, those after a multiple of `every` updates."""
        steps = self.steps()
        kept = {*steps[-keep:], *[path for path in steps if update_of(path) % every == 0][-keep:]}
        for folder in steps:
            if folder not in kept:
                drop(folder)
        for folder in self.checkpoints.glob("*.tmp"):
            shutil.rmtree(folder, ignore_errors=True)

    def forget_after(self, update: int) -> None:
        """Delete the steps after `update`, from which nobody shall go on."""
        for folder in self.steps():
            if update_of(folder) > update:
                drop(folder)


class WatchedRun(RunFolder):
    """A run that another process writes; this one reads, and what it would write is dropped."""

    def log(self, record: Mapping[str, Any]) -> None:
        """Nothing."""

    def rewind_log(self, update: int) -> None:
        """Nothing."""

    def write_text(self, name: str, text: str) -> None:
        """Nothing."""

    def save(self, update: int, tensors: Mapping[str, Tensors], state: dict[str, Any]) -> None:
        """Nothing."""

    def write_best(self, update: int, weights: Tensors, state: dict[str, Any]) -> None:
        """Nothing."""

    def point_best(self, update: int) -> None:
        """Nothing."""

    def prune(self, keep: int, every: int = 1) -> None:
        """Nothing."""

    def forget_after(self, update: int) -> None:
        """Nothing."""
