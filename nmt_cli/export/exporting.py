"""nmt export: write a run in the format of another runtime, and check it against the run before keeping it."""

import json
import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from nmt_cli import __version__
from nmt_cli.data import SIDES
from nmt_cli.data.prepared.store import PreparedData, Tokenizers
from nmt_cli.data.sources.files import read_lines
from nmt_cli.decoding.torch_engine import TorchEngine
from nmt_cli.errors import DataError, RunError, UserError, suggest
from nmt_cli.evaluation.metrics import default_bleu_tokenizer
from nmt_cli.export import ctranslate2, huggingface, onnx
from nmt_cli.export.format import ExportFormat, require_packages
from nmt_cli.export.parity import LARGE_SAMPLE_LINES, Parity, Sample, compare
from nmt_cli.fs import atomic_folder, atomic_write_text, sha256_of_file
from nmt_cli.recipe.loader import Recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.folder import RunFolder
from nmt_cli.runs.loading import LoadedRun, open_run

FORMATS: dict[str, ExportFormat] = {"ctranslate2": ctranslate2, "onnx": onnx, "huggingface": huggingface}
MANIFEST = "export.json"


@dataclass(frozen=True)
class ExportResult:
    """A finished export, and how it compares with the run."""

    folder: Path
    format: str
    quantization: str
    parity: Parity


def export(
    run: Path,
    format_name: str,
    out: Path,
    reporter: Reporter,
    *,
    quantization: str | None = None,
    device: str = "auto",
    replace: bool = False,
) -> ExportResult:
    """Write `run` in a format of `FORMATS` to the folder `out`, which appears completely or not at all.

    Nothing is kept if run and export translate lines of the run's own text too differently. UserError if the run
    cannot be exported with these options; RunError if it cannot be opened, or if `out` exists and `replace` is off;
    DeviceError if `device` does not support the quantization.
    """
    export_format, weight_type = _find_format(format_name, quantization)
    if RunFolder(out).exists() and not replace:
        raise RunError(f"{out} exists: choose another folder")
    loaded_run = open_run(run, torch.device("cpu"), "fp32")
    reasons = incompatibilities(loaded_run.recipe, format_name)
    if reasons:
        raise UserError(f"{run} cannot be exported to {format_name}: " + "; ".join(reasons))
    with atomic_folder(out, marker=MANIFEST) as scratch:
        loaded_run.tokenizers.save(scratch)
        export_format.export_model(
            loaded_run.model, loaded_run.tokenizers, loaded_run.recipe.search, scratch, weight_type
        )
        parity = _check_parity(loaded_run, export_format, weight_type, scratch, device, reporter)
        if parity.problem is not None:
            raise UserError(f"{run}: the export to {format_name} translates differently: {parity.problem}")
        _write_manifest(loaded_run, format_name, weight_type, parity, scratch)
        _delete_folder(out)
    return ExportResult(out, format_name, weight_type, parity)


def incompatibilities(recipe: Recipe, format_name: str) -> list[str]:
    """Why runs of a recipe cannot be exported, each as `section.key: reason`."""
    return FORMATS[format_name].incompatibilities(recipe.model, recipe.search, recipe.tokenizer.joint)


def _delete_folder(folder: Path) -> None:
    """Delete an older export, if there is one; renamed first, so that a partly deleted one is never used."""
    if folder.is_dir():
        trash = folder.with_name(f"{folder.name}.{os.getpid()}.old")
        os.replace(folder, trash)
        shutil.rmtree(trash)


def _find_format(format_name: str, quantization: str | None) -> tuple[ExportFormat, str]:
    """The format and the type of its weights; UserError if either is unknown or a package is missing."""
    if format_name not in FORMATS:
        raise UserError(f"no format {format_name!r}; {suggest(format_name, FORMATS)}")
    export_format = FORMATS[format_name]
    weight_type = quantization or export_format.QUANTIZATIONS[0]
    if weight_type not in export_format.QUANTIZATIONS:
        raise UserError(f"--quantization {weight_type}: {format_name} has {', '.join(export_format.QUANTIZATIONS)}")
    require_packages(export_format.PACKAGES, f"nmt export --to {format_name}")
    return export_format, weight_type


def _check_parity(
    run: LoadedRun, export_format: ExportFormat, weight_type: str, folder: Path, device: str, reporter: Reporter
) -> Parity:
    """Translate a sample with the run and with its export, and compare."""
    exported_engine = export_format.load_engine(folder, device, weight_type)
    sample = _parity_sample(run)
    exact = weight_type == "float32"
    parity = compare(TorchEngine(run.model), exported_engine, run.tokenizers, run.recipe.search, sample, exact=exact)
    if parity.bleu is None and not exact:
        reporter.warning(
            f"{run.folder.path}: no test or development text with references: BLEU with {weight_type} is not checked"
        )
    return parity


def _parity_sample(run: LoadedRun) -> Sample:
    """Lines of the run's test or development text; random tokens if neither exists any more."""
    path = run.folder.path
    tokenize = run.recipe.training.metric_tokenize or default_bleu_tokenizer(run.recipe.corpus.target)
    side_files = [path / f"test.{side}.txt" for side in SIDES]
    if all(side.is_file() for side in side_files):
        sources, references = ([line.decode() for line in read_lines(side)] for side in side_files)
        return Sample(sources[:LARGE_SAMPLE_LINES], references[:LARGE_SAMPLE_LINES], tokenize)
    prepared = Path("prepared") / str(run.folder.read_json("manifest.json").get("prepared"))
    try:
        split = PreparedData(prepared).split("dev")
    except DataError:
        split = None
    if split is not None:
        return Sample(split.sources[:LARGE_SAMPLE_LINES], split.references[:LARGE_SAMPLE_LINES], tokenize)
    return Sample(_random_lines(run.tokenizers), None)


def _random_lines(tokenizers: Tokenizers, count: int = 100) -> list[str]:
    """Lines of 1 to 20 random tokens of the source vocabulary."""
    generator = torch.Generator().manual_seed(1)
    ids = [
        torch.randint(4, tokenizers.source.vocab_size, (1 + index % 20,), generator=generator).tolist()
        for index in range(count)
    ]
    return [text.replace("\n", " ") for text in tokenizers.source.decode(ids)]


def _write_manifest(run: LoadedRun, format_name: str, weight_type: str, parity: Parity, folder: Path) -> None:
    """Record beside the model what it was made from."""
    packages: Sequence[str] = FORMATS[format_name].PACKAGES
    content: dict[str, Any] = {
        "format": format_name,
        "quantization": weight_type,
        "run": run.recipe.name,
        "recipe_hash": run.recipe.hash(),
        "checkpoint": run.update,
        "weights": weights_digest(run.folder),
        "files": {
            str(path.relative_to(folder)): sha256_of_file(path) for path in sorted(folder.rglob("*")) if path.is_file()
        },
        "parity": asdict(parity),
        "machine": platform.machine(),
        "versions": {"nmt": __version__, "torch": torch.__version__}
        | {package: version(package) for package in packages},
    }
    atomic_write_text(folder / MANIFEST, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def weights_digest(folder: RunFolder) -> str:
    """SHA-256 of the weights of the run's best checkpoint."""
    return str(folder.checkpoints.best().state["files"]["model.safetensors"])
