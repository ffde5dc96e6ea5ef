"""Exports that are cached in the run folder, so that `nmt translate --engine` exports once per checkpoint."""

from pathlib import Path

from nmt_cli.decoding.engine import Engine
from nmt_cli.decoding.torch_engine import ModelEngine
from nmt_cli.errors import DataError, UserError
from nmt_cli.export.exporting import FORMATS, MANIFEST, export, incompatibilities, weights_digest
from nmt_cli.export.format import require_packages
from nmt_cli.fs import read_json, sha256_of_file
from nmt_cli.recipe.loader import Recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.folder import RunFolder

ENGINES = ("torch", "ctranslate2", "onnx")
QUANTIZATION_BY_PRECISION = {"auto": "float32", "fp32": "float32", "bf16": "bfloat16", "int8": "int8"}


def open_engine(
    name: str, run: Path, recipe: Recipe, reporter: Reporter, *, quantization: str | None = None, device: str = "auto"
) -> Engine:
    """An engine for the run's best checkpoint in another runtime, exported first if needed.

    `recipe` is the run's with the settings to translate with; its search.precision determines the
    type of the weights unless `quantization` does. Raises what `export` raises.
    """
    export_format = FORMATS[name]
    require_packages(export_format.PACKAGES, f"nmt translate --engine {name}")
    unsupported = incompatibilities(recipe, name)
    if unsupported:
        raise UserError(f"engine {name} cannot translate with this: " + "; ".join(unsupported))
    weight_type = quantization or QUANTIZATION_BY_PRECISION[recipe.search.precision]
    if weight_type not in export_format.QUANTIZATIONS:
        option_name = "--quantization" if quantization else "search.precision"
        raise UserError(
            f"{option_name}: --engine {name} has {', '.join(export_format.QUANTIZATIONS)}, not {weight_type}"
        )
    folder = run / "exports" / f"{name}-{weight_type}"
    if not _is_up_to_date(folder, RunFolder(run)):
        reporter.info(f"exporting to {folder}, once for this checkpoint")
        export(run, name, folder, reporter, quantization=weight_type, device=device, replace=True)
    engine = export_format.load_engine(folder, device, weight_type)
    if recipe.search.sampling and not isinstance(engine, ModelEngine):
        reporter.warning(
            f"search.sampling with {name}: draws other samples than the torch engine, and they are not reproducible"
        )
    return engine


def _is_up_to_date(folder: Path, run: RunFolder) -> bool:
    """Whether an export is intact and has the current best weights of the run."""
    try:
        manifest = read_json(folder / MANIFEST)
        is_intact = all(
            sha256_of_file(folder / name) == expected_digest for name, expected_digest in manifest["files"].items()
        )
    except (DataError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return is_intact and manifest.get("weights") == weights_digest(run)
