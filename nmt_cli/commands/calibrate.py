"""nmt calibrate: fit the confidence of a run to other text."""

from dataclasses import replace
from pathlib import Path

from nmt_cli.data.sources.rows import read_two_files
from nmt_cli.errors import DataError, RunError
from nmt_cli.evaluation.calibration import MIN_LINES, CalibrationFit, fit_calibration
from nmt_cli.inference.confidence import CalibrationFile
from nmt_cli.reporting import Reporter
from nmt_cli.translation.opening import TranslatorSpec, weights_key


def calibrate(
    run: Path,
    source: Path,
    reference: Path,
    overrides: list[str],
    reporter: Reporter,
    *,
    device: str = "auto",
    engine: str = "auto",
    quantization: str | None = None,
) -> CalibrationFit:
    """Translate a text and fit the run's confidence for this engine and precision to it.

    What is good stays what training called so; where training fitted nothing, it is the median of this text. DataError
    where the text is not enough.
    """
    spec, choice = TranslatorSpec(
        (str(run),), tuple(overrides), device, engine=engine, quantization=quantization
    ).resolve(reporter)
    translator = spec.open(reporter)
    pairs = [tuple(side.decode(errors="replace") for side in pair[:2]) for pair in read_two_files(source, reference)]
    previous = _load(run, reporter)
    sources, references = ([pair[side] for pair in pairs] for side in (0, 1))
    fit = fit_calibration(translator, sources, references, None if previous is None else previous.good_chrf)
    if fit is None and len(pairs) < MIN_LINES:
        raise DataError(f"{source}: calibration needs at least {MIN_LINES} lines, not {len(pairs):,}")
    if fit is None:
        raise DataError(
            f"{source}: unsuitable for calibration, which needs lines translated well, lines translated badly, and "
            "a model that writes from left to right"
        )
    key = weights_key(choice, translator.config.precision, device)
    latest = _load(run, Reporter(silent=True)) or CalibrationFile(fit.good_chrf, {})  # another process may have written
    replace(latest, calibrations=latest.calibrations | {key: fit.calibration}).save(run)
    return fit


def _load(run: Path, reporter: Reporter) -> CalibrationFile | None:
    """What the run has; None where it has nothing, or a damaged file."""
    try:
        return CalibrationFile.load(run)
    except RunError as error:
        reporter.warning(f"{error}: ignored; good means at least the median of this text")
        return None
