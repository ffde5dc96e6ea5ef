"""The exports that a run folder keeps, so that it is exported once for each checkpoint. Imports no torch.

exports/<engine>-<type of the weights>   exports, each with its manifest export.json
exports/auto.json                        the engine and type that `--engine auto` uses, why, and the figures behind it
exports/lock                             held by the process that makes an export
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from nmt_cli.errors import DataError, RunError
from nmt_cli.fs import lock_file, read_json, sha256_of_file
from nmt_cli.runs.folder import RunFolder

ENGINES = ("torch", "ctranslate2", "onnx")
AUTO = "auto"
MANIFEST = "export.json"
AUTO_FILE = "auto.json"
QUANTIZATION_BY_PRECISION = {"auto": "float32", "fp32": "float32", "bf16": "bfloat16", "int8": "int8"}


@dataclass(frozen=True)
class EngineChoice:
    """An engine of `ENGINES`, the type of its weights (None: as search.precision says), and why."""

    engine: str
    quantization: str | None
    reason: str

    def weight_type(self, precision: str) -> str:
        """The type of the weights with this search.precision."""
        return self.quantization or QUANTIZATION_BY_PRECISION[precision]

    @property
    def text(self) -> str:
        """One line for the user."""
        weights = f", {self.quantization}" if self.quantization else ""
        name = "torch (nmt's own search)" if self.engine == "torch" else self.engine
        return f"engine {name}{weights}: {self.reason}"


@dataclass(frozen=True)
class AutomaticEngine(EngineChoice):
    """What `--engine auto` uses for a checkpoint of a run, as auto.json has it."""

    weights: str
    """SHA-256 of the weights of the checkpoint."""
    figures: dict[str, Any] | None = None
    """How the types of weights compare on the development text, if they were compared."""


def exports_folder(run: Path) -> Path:
    """The folder of all exports of a run."""
    return run / "exports"


def export_folder(run: Path, name: str, weight_type: str) -> Path:
    """The folder of one export of a run."""
    return exports_folder(run) / f"{name}-{weight_type}"


def lock_exports(run: Path) -> BinaryIO:
    """Lock the exports of a run until the file is closed; waits for another process that makes one.

    RunError where the folder cannot be written.
    """
    folder = exports_folder(run)
    try:
        folder.mkdir(exist_ok=True)
        return lock_file(folder / "lock", None)
    except OSError as error:
        raise RunError(
            f"{folder}: cannot be written: {error.strerror}; the exports for other engines are kept there",
            hint="run this once as a user who may write there, or use --engine torch, which needs no export",
        ) from error


def read_automatic_engine(run: RunFolder) -> AutomaticEngine | None:
    """What auto.json records for the run's best checkpoint; None without it, or if it is of other weights or names an
    engine of a newer version."""
    try:
        automatic = AutomaticEngine(**read_json(exports_folder(run.path) / AUTO_FILE))
        is_usable = automatic.engine in ENGINES and automatic.weights == run.checkpoints.best_weights_digest()
        return automatic if is_usable else None
    except (DataError, RunError, TypeError):
        return None


def is_up_to_date(folder: Path, run: RunFolder) -> bool:
    """Whether an export is intact and was made from the run's current best checkpoint."""
    try:
        manifest = read_json(folder / MANIFEST)
        is_intact = all(
            sha256_of_file(folder / name) == expected_digest for name, expected_digest in manifest["files"].items()
        )
        return is_intact and manifest.get("weights") == run.checkpoints.best_weights_digest()
    except (DataError, RunError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
