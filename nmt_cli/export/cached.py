"""The exports that a run folder keeps, so that it is exported once for each checkpoint. Imports no torch.

exports/<engine>-<type of the weights>   exports, each with its manifest export.json
exports/auto.json                        the engine and type that `--engine auto` uses, why, and the figures behind it
exports/lock                             held by the process that makes an export
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from nmt_cli.decoding.engine import Engine
from nmt_cli.errors import DataError, RunError, UserError
from nmt_cli.export import ctranslate2_support
from nmt_cli.export.format import require_packages
from nmt_cli.fs import lock_file, read_json, sha256_of_file
from nmt_cli.recipe.loader import Recipe
from nmt_cli.reporting import Reporter
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

    @property
    def text(self) -> str:
        """One line for the user."""
        weights = f", {self.quantization}" if self.quantization else ""
        name = "torch (our own search)" if self.engine == "torch" else self.engine
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

    OSError where the folder cannot be written.
    """
    exports_folder(run).mkdir(exist_ok=True)
    return lock_file(exports_folder(run) / "lock", None)


def read_automatic_engine(run: RunFolder) -> AutomaticEngine | None:
    """What auto.json records for the run's best checkpoint; None without it, or if it is of other weights."""
    try:
        automatic = AutomaticEngine(**read_json(exports_folder(run.path) / AUTO_FILE))
        return automatic if automatic.weights == run.checkpoints.best_weights_digest() else None
    except (DataError, RunError, TypeError):
        return None


def open_engine(
    name: str,
    run: Path,
    recipe: Recipe,
    reporter: Reporter,
    *,
    quantization: str | None = None,
    device: str = "auto",
    workers: int | None = None,
) -> Engine:
    """An engine for the run's best checkpoint in another runtime, exported first if needed.

    `recipe` is the run's recipe with the search settings of this translation; its search.precision determines the
    type of the weights unless `quantization` does. `workers` as for `CTranslate2Engine`. Raises the errors of `export`.
    """
    weight_type = quantization or QUANTIZATION_BY_PRECISION[recipe.search.precision]
    _check_support(name, recipe, weight_type, "quantization" if quantization else "search.precision")
    folder = export_folder(run, name, weight_type)
    if not is_up_to_date(folder, RunFolder(run)):
        from nmt_cli.export.exporting import export

        with lock_exports(run):
            if not is_up_to_date(folder, RunFolder(run)):  # still: another process may have made it meanwhile
                reporter.info(f"exporting to {folder}, once for this checkpoint")
                export(run, name, folder, reporter, quantization=weight_type, device=device, replace=True)
    if name == "ctranslate2":
        from nmt_cli.export.ctranslate2_engine import CTranslate2Engine

        if recipe.search.sampling:
            reporter.warning(
                f"search.sampling: engine {name} draws other samples than engine torch, and they are not reproducible"
            )
        return CTranslate2Engine(folder, device, weight_type, workers=workers)
    from nmt_cli.export.exporting import FORMATS

    return FORMATS[name].load_engine(folder, device, weight_type)


def _check_support(name: str, recipe: Recipe, weight_type: str, setting: str) -> None:
    """UserError where a package is missing, or the engine cannot do what the recipe or the `setting` says."""
    support: Any = ctranslate2_support
    if name != "ctranslate2":
        from nmt_cli.export.exporting import FORMATS

        support = FORMATS[name]
    require_packages(support.PACKAGES, f"engine {name}")
    if unsupported := support.incompatibilities(recipe.model, recipe.search):
        raise UserError(f"engine {name} does not support this recipe: {'; '.join(unsupported)}")
    if weight_type not in support.QUANTIZATIONS:
        raise UserError(f"{setting}: engine {name} has {', '.join(support.QUANTIZATIONS)}, not {weight_type}")


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
