"""The exports that `--engine auto` translates with: made once for a checkpoint, and the better type of weights chosen.

In float32 CTranslate2 must translate as our own search does. In int8, which is several times smaller, and faster, it
must be as good on the development text, by BLEU and chrF.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from nmt_cli.allocator import return_freed_memory
from nmt_cli.data.prepared.store import Split
from nmt_cli.decoding.torch_engine import TorchEngine
from nmt_cli.errors import UserError, pluralize
from nmt_cli.export.cached import (
    AUTO_FILE,
    AutomaticEngine,
    export_folder,
    exports_folder,
    lock_exports,
    read_automatic_engine,
)
from nmt_cli.export.ctranslate2 import load_engine
from nmt_cli.export.exporting import development_sample, parity_sample, write_export
from nmt_cli.export.parity import Parity, Sample, compare, compare_quantized
from nmt_cli.fs import write_json
from nmt_cli.runs.folder import RunFolder
from nmt_cli.runs.loading import LoadedRun, open_run

FORMAT = "ctranslate2"


def export_automatically(run: Path, development_text: Split | None = None) -> AutomaticEngine:
    """Export the best checkpoint of a run for CTranslate2, and record in the run what `--engine auto` is to use.

    `development_text` is that of the run, where it is open already. Another process that wants the same at the same
    time waits. RunError or OSError where the folder cannot be written.
    """
    with lock_exports(run):
        made_meanwhile = read_automatic_engine(RunFolder(run))
        if made_meanwhile is not None:
            return made_meanwhile
        automatic = _export(open_run(run, torch.device("cpu"), "fp32"), development_text)
        write_json(exports_folder(run) / AUTO_FILE, asdict(automatic))
    return automatic


def _export(run: LoadedRun, development_text: Split | None) -> AutomaticEngine:
    digest = run.folder.checkpoints.best_weights_digest()
    try:
        parity = _export_float32(run)
    except UserError as error:
        return AutomaticEngine("torch", None, str(error), digest)
    figures: dict[str, Any] = {"float32": asdict(parity)}
    return_freed_memory()  # of our own search
    weight_type, reason = "float32", "search.precision is fp32"
    if run.recipe.search.precision != "fp32":
        try:
            parity = _export_int8(run, development_sample(run, development_text))
        except UserError as error:
            reason = str(error)
        else:
            assert parity.bleu is not None and parity.chrf is not None
            weight_type, figures["int8"] = "int8", asdict(parity)
            reason = (
                f"int8 is as good as float32: BLEU {parity.bleu[1]:.2f} against {parity.bleu[0]:.2f}, "
                f"chrF {parity.chrf[1]:.2f} against {parity.chrf[0]:.2f}, greedily on "
                f"{pluralize(parity.lines, 'development line')}"
            )
    return AutomaticEngine(FORMAT, weight_type, reason, digest, figures)


def _export_float32(run: LoadedRun) -> Parity:
    """Export in float32; UserError where it translates otherwise than our own search."""

    def check(folder: Path) -> Parity:
        original, exported = TorchEngine(run.model), load_engine(folder, "cpu", "float32")
        return compare(original, exported, run.tokenizers, run.recipe.search, parity_sample(run), exact=True)

    return write_export(run, FORMAT, "float32", export_folder(run.folder.path, FORMAT, "float32"), check).parity


def _export_int8(run: LoadedRun, sample: Sample | None) -> Parity:
    """Export in int8; UserError where it is not as good as float32, or cannot be compared."""
    if sample is None:
        raise UserError("there is no development text to judge int8 by")
    float_engine = load_engine(export_folder(run.folder.path, FORMAT, "float32"), "cpu", "float32")

    def check(folder: Path) -> Parity:
        exported = load_engine(folder, "cpu", "int8")
        return compare_quantized(float_engine, exported, run.tokenizers, run.recipe.search, sample)

    return write_export(run, FORMAT, "int8", export_folder(run.folder.path, FORMAT, "int8"), check).parity
