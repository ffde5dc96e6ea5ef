"""The run folder: everything that belongs to one trained model."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nmt_cli.errors import RunError
from nmt_cli.fs import DAMAGE_HINT, delete_lock, lock_file, read_json, sha256_of_file, wrap_io_errors, write_json
from nmt_cli.training.checkpoints import FORMAT_VERSION, Checkpointer

MIXED_FILES_HINT = "some of its files were changed or come from another run: copy the whole folder again"


class RunFolder:
    """A run on disk: recipe.yaml, manifest.json, tokenizers, checkpoints, log.jsonl and results."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = Checkpointer(path / "checkpoints")

    @property
    def recipe_path(self) -> Path:
        """The fully resolved recipe."""
        return self.path / "recipe.yaml"

    def exists(self) -> bool:
        """Whether the path is a file, or a folder that is not empty."""
        if not self.path.is_dir():
            return self.path.exists()
        return any(self.path.iterdir())

    def check_trainable(self, *, resume: bool) -> None:
        """RunError if no run can be written or resumed in the folder, before any work is done."""
        existing = next(path for path in (self.path, *self.path.absolute().parents) if path.exists())
        if not existing.is_dir():
            raise RunError(f"{self.path}: {existing} is a file, not a folder", hint="choose another --out")
        if self.exists() and not resume:
            raise RunError(f"{self.path} exists", hint="continue with --resume, or choose another --out DIR")
        if self.exists() and not self.checkpoints.folder.is_dir():
            raise RunError(f"{self.path}: not a run folder", hint="choose another --out DIR")
        effective_ids = os.access in os.supports_effective_ids
        if not os.access(existing, os.W_OK | os.X_OK, effective_ids=effective_ids):
            raise RunError(f"{self.path}: cannot write into {existing}", hint="choose another --out")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from training here; RunError if one already does."""
        with wrap_io_errors(self.path):
            self.checkpoints.folder.mkdir(parents=True, exist_ok=True)
            lock_path = self.path / "lock"
            file = lock_file(lock_path, RunError(f"{self.path}: another process is training here"))
        try:
            yield
        finally:
            delete_lock(lock_path, file)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file of the run atomically."""
        write_json(self.path / name, content)

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON file of the run; RunError if it is missing or damaged."""
        return read_json(self.path / name, error_class=RunError, hint=DAMAGE_HINT)


def tokenizer_hashes(path: Path) -> dict[str, str]:
    """The SHA-256 of each tokenizer file of a run, by file name."""
    files = sorted(path.glob("tokenizer*.json"))
    return {file.name: sha256_of_file(file) for file in files}


def check_manifest(path: Path) -> None:
    """RunError if a run was written by a newer version, or if its tokenizer is another run's.

    With another tokenizer of the same size the model would translate into nonsense.
    """
    manifest = read_json(path / "manifest.json", hint=DAMAGE_HINT)
    format_version = manifest.get("format", FORMAT_VERSION)
    if format_version != FORMAT_VERSION:
        raise RunError(
            f"{path}: a run of format {format_version}; this version of nmt reads {FORMAT_VERSION}",
            hint="use the version that wrote it",
        )
    recorded_hashes = manifest.get("tokenizers")
    if recorded_hashes is not None and recorded_hashes != tokenizer_hashes(path):
        raise RunError(f"{path}: its tokenizer is not the one that it was trained with", hint=MIXED_FILES_HINT)
