"""The run folder: everything that belongs to one trained model."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nmt_cli.errors import RunError
from nmt_cli.fs import atomic_write_text, lock_file, read_json, wrap_io_errors
from nmt_cli.training.checkpoints import Checkpointer


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
            lock_path.unlink(missing_ok=True)
            file.close()

    def write_text(self, name: str, text: str) -> None:
        """Write a text file of the run atomically."""
        atomic_write_text(self.path / name, text)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file of the run atomically."""
        self.write_text(name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON file of the run; RunError if it is missing or damaged."""
        return read_json(self.path / name, error_class=RunError)
