"""nmt export: a run in the format of another runtime, checked against the run before it is kept."""

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
from nmt_cli.checkpoint import digest
from nmt_cli.commands.runs import Run, open_run
from nmt_cli.data.files import read_lines
from nmt_cli.data.prepared import PreparedData, Tokenizers
from nmt_cli.decoding.engine import TorchEngine
from nmt_cli.disk import write_whole
from nmt_cli.errors import DataError, RunError, UserError
from nmt_cli.evaluation.metrics import bleu_tokenizer
from nmt_cli.export import ctranslate2, huggingface, onnx
from nmt_cli.export.format import Format, require
from nmt_cli.export.parity import MANY, Parity, Sample, compare
from nmt_cli.recipe import Recipe
from nmt_cli.reporting import Reporter
from nmt_cli.run_folder import RunFolder

FORMATS: dict[str, Format] = {
    "ctranslate2": ctranslate2,
    "onnx": onnx,
    "huggingface": huggingface,
}
MANIFEST = "export.json"


@dataclass(frozen=True)
class ExportResult:
    """What was written, and how it compares with the run."""

    folder: Path
    format: str
    quantization: str
    parity: Parity


def export(
    run: Path,
    to: str,
    out: Path,
    reporter: Reporter,
    *,
    quantization: str | None = None,
    device: str = "auto",
    replace: bool = False,
) -> ExportResult:
    """Write `run` in the format `to` into the folder `out`, whole or not at all.

    The export translates lines of the run's own text, as the run does; where the translations
    differ too much, nothing is kept. UserError for what cannot be exported, or not like this;
    RunError for a run that cannot be opened, or an `out` that exists (but with `replace`);
    DeviceError where `device` does not run the quantization.
    """
    form, kind = _format(to, quantization)
    if RunFolder(out).exists() and not replace:
        raise RunError(f"{out} exists: choose another folder")
    opened = open_run(run, torch.device("cpu"), "fp32")
    found = problems(opened.recipe, to)
    if found:
        raise UserError(f"{run} cannot be exported to {to}: " + "; ".join(found))
    scratch = out.with_name(f"{out.name}.{os.getpid()}.tmp")
    scratch.mkdir(parents=True)
    try:
        opened.tokenizers.save(scratch)
        form.write(opened.model, opened.tokenizers, opened.recipe.search, scratch, kind)
        parity = _check(opened, form, kind, scratch, device, reporter)
        if parity.problem is not None:
            raise UserError(f"{run}: the export to {to} is not what it should be: {parity.problem}")
        _describe(opened, to, kind, parity, scratch)
        _put(scratch, out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return ExportResult(out, to, kind, parity)


def problems(recipe: Recipe, to: str) -> list[str]:
    """Why a recipe's runs could not be exported, each as `section.key: reason`."""
    return FORMATS[to].problems(recipe.model, recipe.search, recipe.tokenizer.joint)


def _put(scratch: Path, out: Path) -> None:
    """Move a folder to its place; what stood there goes, unless it is as new as ours."""
    if out.is_dir():
        old = out.with_name(f"{out.name}.{os.getpid()}.old")
        os.replace(out, old)
        shutil.rmtree(old)
    try:
        os.replace(scratch, out)
    except OSError:  # another process was faster with the same export
        if not (out / MANIFEST).is_file():
            raise


def _format(to: str, quantization: str | None) -> tuple[Format, str]:
    """The format and the type of its weights; UserError for unknown ones or a missing extra."""
    if to not in FORMATS:
        raise UserError(f"no format {to!r}; there are {', '.join(FORMATS)}")
    form = FORMATS[to]
    kind = quantization or form.QUANTIZATIONS[0]
    if kind not in form.QUANTIZATIONS:
        raise UserError(f"--quantization {kind}: {to} has {', '.join(form.QUANTIZATIONS)}")
    require(form.PACKAGES, f"nmt export --to {to}")
    return form, kind


def _check(
    run: Run, form: Format, kind: str, folder: Path, device: str, reporter: Reporter
) -> Parity:
    """Translate with both and say how they compare."""
    theirs = form.engine(folder, device, kind)
    sample = _sample(run)
    exact = kind == "float32"
    parity = compare(
        TorchEngine(run.model), theirs, run.tokenizers, run.recipe.search, sample, exact=exact
    )
    if parity.bleu is None and not exact:
        reporter.warn(
            f"{run.folder.path}: no test or development text with references: "
            f"{kind} was not judged by BLEU"
        )
    return parity


def _sample(run: Run) -> Sample:
    """Lines of the run's test or development text; pieces drawn at random where both are gone."""
    path = run.folder.path
    tokenize = run.recipe.training.metric_tokenize or bleu_tokenizer(run.recipe.corpus.target)
    sides = [path / f"test.{side}.txt" for side in ("source", "target")]
    if all(side.is_file() for side in sides):
        sources, references = ([raw.decode() for raw in read_lines(side)] for side in sides)
        return Sample(sources[:MANY], references[:MANY], tokenize)
    prepared = Path("prepared") / str(run.folder.read_json("manifest.json").get("prepared"))
    try:
        split = PreparedData(prepared).split("dev")
    except DataError:
        split = None
    if split is not None:
        return Sample(split.sources[:MANY], split.references[:MANY], tokenize)
    return Sample(_made_up(run.tokenizers), None)


def _made_up(tokenizers: Tokenizers, count: int = 100) -> list[str]:
    """Lines of 1 to 20 pieces of the source vocabulary."""
    draw = torch.Generator().manual_seed(1)
    ids = [
        torch.randint(4, tokenizers.source.size, (1 + number % 20,), generator=draw).tolist()
        for number in range(count)
    ]
    return [text.replace("\n", " ") for text in tokenizers.source.decode(ids)]


def _describe(run: Run, to: str, kind: str, parity: Parity, folder: Path) -> None:
    """Leave beside the model where it came from."""
    packages: Sequence[str] = FORMATS[to].PACKAGES
    content: dict[str, Any] = {
        "format": to,
        "quantization": kind,
        "run": run.recipe.name,
        "recipe_hash": run.recipe.hash(),
        "checkpoint": run.update,
        "weights": weights_digest(run.folder),
        "files": {
            str(path.relative_to(folder)): digest(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
        "parity": asdict(parity),
        "machine": platform.machine(),
        "versions": {"nmt": __version__, "torch": torch.__version__}
        | {package: version(package) for package in packages},
    }
    write_whole(folder / MANIFEST, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def weights_digest(folder: RunFolder) -> str:
    """SHA-256 of the weights that a run translates with."""
    return str(folder.best().state["files"]["model.safetensors"])
