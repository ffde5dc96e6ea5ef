"""nmt export: write a run in the format of another runtime, and check it against the run before keeping it."""

import platform
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from nmt_cli import __version__
from nmt_cli.data import SIDES
from nmt_cli.data.prepared.store import PreparedData, Split
from nmt_cli.data.sources.files import read_lines
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.decoding.engine import Engine
from nmt_cli.decoding.torch_engine import TorchEngine
from nmt_cli.errors import DataError, RunError, UserError, suggest
from nmt_cli.evaluation.metrics import default_bleu_tokenizer
from nmt_cli.export import ctranslate2, huggingface, onnx
from nmt_cli.export.cached import MANIFEST
from nmt_cli.export.format import ExportFormat, require_packages
from nmt_cli.export.parity import LARGE_SAMPLE_LINES, Parity, Sample, compare
from nmt_cli.fs import atomic_folder, delete_folder, sha256_of_file, wrap_io_errors, write_json
from nmt_cli.recipe.loader import Recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.folder import RunFolder
from nmt_cli.runs.loading import LoadedRun, open_run

FORMATS: dict[str, ExportFormat] = {"ctranslate2": ctranslate2, "onnx": onnx, "huggingface": huggingface}


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

    def check(scratch: Path) -> Parity:
        return _check_parity(loaded_run, export_format.load_engine(scratch, device, weight_type), weight_type, reporter)

    return write_export(loaded_run, format_name, weight_type, out, check)


def write_export(
    run: LoadedRun, format_name: str, weight_type: str, out: Path, check: Callable[[Path], Parity]
) -> ExportResult:
    """Write a run, which is in float32 on the CPU, to the folder `out`, replacing what is there.

    `check` compares the export in a folder with the run. If it sees a problem, nothing is kept: UserError.
    """
    with atomic_folder(out, marker=MANIFEST) as scratch:
        with wrap_io_errors(out):
            run.tokenizers.save(scratch)
            FORMATS[format_name].export_model(
                run.model, run.tokenizers, run.recipe.search, scratch, weight_type, run.recipe.corpus.languages
            )
        parity = check(scratch)
        if parity.problem is not None:
            label = f"{run.folder.path}: the export to {format_name} in {weight_type}"
            raise UserError(f"{label} translates differently: {parity.problem}")
        _write_manifest(run, format_name, weight_type, parity, scratch)
        delete_folder(out)
    return ExportResult(out, format_name, weight_type, parity)


def incompatibilities(recipe: Recipe, format_name: str) -> list[str]:
    """Why runs of a recipe cannot be exported, each as `section.key: reason`."""
    return FORMATS[format_name].incompatibilities(recipe.model, recipe.search)


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


def _check_parity(run: LoadedRun, exported_engine: Engine, weight_type: str, reporter: Reporter) -> Parity:
    """Translate a sample with the run and with its export, and compare."""
    exact, sample = weight_type == "float32", parity_sample(run)
    parity = compare(TorchEngine(run.model), exported_engine, run.tokenizers, run.recipe.search, sample, exact=exact)
    if parity.bleu is None and not exact:
        reporter.warning(
            f"{run.folder.path}: no test or development text with references: BLEU with {weight_type} is not checked"
        )
    return parity


def parity_sample(run: LoadedRun) -> Sample:
    """Lines of the run's test or development text; random tokens if neither exists any more."""
    return _test_sample(run) or development_sample(run) or Sample(_random_lines(run.tokenizers), None)


def _test_sample(run: LoadedRun) -> Sample | None:
    side_files = [run.folder.path / f"test.{side}.txt" for side in SIDES]
    if not all(side.is_file() for side in side_files):
        return None
    sources, references = ([line.decode() for line in read_lines(side)] for side in side_files)
    return _sample(run, sources, references)


def development_sample(run: LoadedRun, split: Split | None = None) -> Sample | None:
    """Lines of the development text, `split` or that of the prepared data; else of the test text, if there is one."""
    if split is None:
        prepared = Path("prepared") / str(run.folder.read_json("manifest.json").get("prepared"))
        with suppress(DataError):
            split = PreparedData(prepared).split("dev")
    return _test_sample(run) if split is None else _sample(run, split.sources, split.references)


def _sample(run: LoadedRun, sources: Sequence[str], references: Sequence[str]) -> Sample:
    tokenize = run.recipe.training.metric_tokenize or default_bleu_tokenizer(run.recipe.corpus.target)
    return Sample(list(sources), list(references), tokenize).spread(LARGE_SAMPLE_LINES)


def _random_lines(tokenizers: Tokenizers) -> list[str]:
    """A hundred lines of 1 to 20 random tokens of the source vocabulary."""
    generator = torch.Generator().manual_seed(1)
    ids = [
        torch.randint(4, tokenizers.source.vocab_size, (1 + index % 20,), generator=generator).tolist()
        for index in range(100)
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
        "weights": run.folder.checkpoints.best_weights_digest(),
        "files": {
            str(path.relative_to(folder)): sha256_of_file(path) for path in sorted(folder.rglob("*")) if path.is_file()
        },
        "parity": asdict(parity),
        "machine": platform.machine(),
        "versions": {"nmt": __version__, "torch": torch.__version__}
        | {package: version(package) for package in packages},
    }
    write_json(folder / MANIFEST, content)
