"""Translating a run with another runtime, in place: exported once, then kept in the run folder."""

from pathlib import Path

from nmt_cli.checkpoint import digest
from nmt_cli.commands.export import FORMATS, MANIFEST, export, problems, weights_digest
from nmt_cli.decoding.engine import Engine, ModelEngine
from nmt_cli.disk import read_json
from nmt_cli.errors import DataError, UserError
from nmt_cli.export.format import require
from nmt_cli.recipe import Recipe
from nmt_cli.reporting import Reporter
from nmt_cli.run_folder import RunFolder

ENGINES = ("torch", "ctranslate2", "onnx")
QUANTIZATIONS = {"auto": "float32", "fp32": "float32", "bf16": "bfloat16", "int8": "int8"}


def open_engine(
    name: str,
    run: Path,
    recipe: Recipe,
    reporter: Reporter,
    *,
    quantization: str | None = None,
    device: str = "auto",
) -> Engine:
    """The run's best checkpoint in the runtime `name`, exported first where that is to be done.

    `recipe` is the run's with the settings to translate with; its search.precision decides the
    type of the weights where `quantization` does not. Raises what `export` raises.
    """
    form = FORMATS[name]
    require(form.PACKAGES, f"nmt translate --engine {name}")
    found = problems(recipe, name)
    if found:
        raise UserError(f"--engine {name} cannot translate with this: " + "; ".join(found))
    kind = quantization or QUANTIZATIONS[recipe.search.precision]
    if kind not in form.QUANTIZATIONS:
        asked = "--quantization" if quantization else "search.precision"
        raise UserError(f"{asked}: --engine {name} has {', '.join(form.QUANTIZATIONS)}, not {kind}")
    folder = run / "exports" / f"{name}-{kind}"
    if not _up_to_date(folder, RunFolder(run)):
        reporter.say(f"exporting to {folder}, once for this checkpoint")
        export(run, name, folder, reporter, quantization=kind, device=device, replace=True)
    engine = form.engine(folder, device, kind)
    if recipe.search.sampling and not isinstance(engine, ModelEngine):
        reporter.warn(f"search.sampling with {name}: other draws than ours, and not repeatable")
    return engine


def _up_to_date(folder: Path, run: RunFolder) -> bool:
    """Whether an export is whole and of the weights that the run translates with now."""
    try:
        content = read_json(folder / MANIFEST)
        whole = all(digest(folder / name) == was for name, was in content["files"].items())
    except (DataError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return whole and content.get("weights") == weights_digest(run)
