"""Which engine translates, with which type of weights, and why. Imports no torch unless a run is exported."""

import os
from collections.abc import Sequence
from pathlib import Path

from nmt_cli.errors import RunError, UserError
from nmt_cli.export import ctranslate2_support
from nmt_cli.export.cached import (
    AUTO,
    ENGINES,
    QUANTIZATION_BY_PRECISION,
    AutomaticEngine,
    EngineChoice,
    export_folder,
    is_up_to_date,
    read_automatic_engine,
)
from nmt_cli.recipe.loader import Recipe
from nmt_cli.reporting import Reporter
from nmt_cli.runs.folder import RunFolder, check_manifest

ENGINE_VARIABLE = "NMT_AUTO_ENGINE"  # environment variable: torch, for our own search in place of auto


def choose_engine(
    runs: Sequence[Path],
    recipe: Recipe,
    reporter: Reporter,
    engine: str = AUTO,
    quantization: str | None = None,
    *,
    device: str = "auto",
    align: bool = False,
) -> EngineChoice:
    """The engine for a translation, whose search settings are those of `recipe`.

    `auto` is CTranslate2 where it is installed, fits the model, and means the same by every option, on a CPU; else our
    own search. A run that was not exported at the end of its training is exported now, which `reporter` announces;
    where that cannot be kept in its folder, it is our own search. UserError for an unknown engine, or a `quantization`
    that no engine would use.
    """
    if engine not in (AUTO, *ENGINES):
        raise UserError(f"engine {engine}: use one of {', '.join((AUTO, *ENGINES))}")
    if engine != AUTO:
        return EngineChoice(engine, quantization, "as asked for")
    reason = own_search_reason(runs, recipe, device=device, align=align)
    if reason is None and quantization is not None:
        return EngineChoice("ctranslate2", quantization, "as asked for")
    if reason is None:
        choice = _automatic_choice(runs[0], recipe.search.precision, reporter)
        if choice.engine != "torch":
            return choice
        reason = choice.reason
    if quantization is not None:
        raise UserError(f"quantization: only with engine ctranslate2; {reason}; see search.precision")
    return EngineChoice("torch", None, reason)


def own_search_reason(runs: Sequence[Path], recipe: Recipe, *, device: str = "auto", align: bool = False) -> str | None:
    """Why `auto` is our own search, whatever the runs' exports; None where CTranslate2 means the same."""
    if os.environ.get(ENGINE_VARIABLE) == "torch":
        return f"{ENGINE_VARIABLE} is set"
    if len(runs) > 1:
        return "several runs form an ensemble"
    if align:
        return "alignments are asked for"
    reasons = ctranslate2_support.incompatibilities(recipe.model, recipe.search)
    reasons += ctranslate2_support.search_differences(recipe.search)
    if reasons:
        return reasons[0]
    missing = ctranslate2_support.missing_reason()
    if missing is not None:
        return missing
    is_gpu = device != "cpu" and (device != AUTO or ctranslate2_support.resolve_device(device)[0] != "cpu")
    return "CTranslate2 is for CPUs here" if is_gpu else None


def _automatic_choice(run: Path, precision: str, reporter: Reporter) -> EngineChoice:
    """What the run's folder says of CTranslate2 and the type of its weights, after exporting it if it says nothing."""
    check_manifest(run)
    automatic = read_automatic_engine(RunFolder(run)) or _export_automatically(run, reporter)
    if automatic is None:
        return EngineChoice("torch", None, "the run has no export and its folder cannot be written")
    if automatic.engine == "torch" or precision == "auto":
        return automatic
    weight_type = QUANTIZATION_BY_PRECISION[precision]
    if weight_type == automatic.quantization or is_up_to_date(
        export_folder(run, automatic.engine, weight_type), RunFolder(run)
    ):
        return EngineChoice(automatic.engine, weight_type, f"search.precision is {precision}")
    return EngineChoice("torch", None, f"search.precision is {precision}, of which the run has no export")


def _export_automatically(run: Path, reporter: Reporter) -> AutomaticEngine | None:
    """Export the run; None where its folder cannot be written."""
    if not os.access(run, os.W_OK):
        return None
    from nmt_cli.export.automatic import export_automatically

    reporter.info(f"exporting {run} for CTranslate2, once for this checkpoint")
    try:
        return export_automatically(run)
    except OSError:
        return None
    except RunError as error:
        if isinstance(error.__cause__, OSError):
            return None
        raise
