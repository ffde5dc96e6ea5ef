"""Whether the confidence of translations means what it says.

    python -m benchmarks.calibration RUN SOURCE REFERENCE [--limit 1000] [--picture FILE] [--set search.key=value]

Translates the first lines of SOURCE, which the run was not calibrated on, and prints how many translations are good
(sentence chrF at least what the run calls good), the expected calibration error in 10 equal bins, and the area under
the ROC curve of the confidence and of log-probability per token: for translations that were cut, shuffled or swapped,
for good translations, and for the tenth with the lowest chrF. The picture shows reliability, and risk (the share of
translations that are not good) against coverage. Exits with 1 where the error is above 0.05 or the confidence finds
corrupted translations less than 0.05 better, or the worst tenth worse, than log-probability per token does.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmt_cli.errors import UserError
from nmt_cli.evaluation.calibration import CORRUPTIONS, corrupt, features_of_pairs, sentence_chrf
from nmt_cli.evaluation.metrics import read_texts
from nmt_cli.inference.confidence import FEATURES, CalibrationFile
from nmt_cli.plots.figure import add_grid, figure_style, line_style, new_figure, save_figure
from nmt_cli.reporting import Reporter
from nmt_cli.translation.opening import TranslatorSpec

BIN_COUNT = 10
MAX_CALIBRATION_ERROR, MIN_GAIN = 0.05, 0.05
Values = NDArray[np.float64]


def calibration_error(confidences: Values, good: Values) -> float:
    """The mean distance of confidence and share of good translations over equal bins, weighted by their size."""
    masks = bin_masks(confidences)
    return float(sum(mask.mean() * abs(confidences[mask].mean() - good[mask].mean()) for mask in masks))


def bin_masks(confidences: Values) -> list[NDArray[np.bool_]]:
    """Which values are in each of the bins that have any."""
    bins = np.minimum((confidences * BIN_COUNT).astype(int), BIN_COUNT - 1)
    return [bins == number for number in np.unique(bins)]


def roc_area(positive: Values, negative: Values) -> float:
    """The probability that a positive value is above a negative one; ties count half."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left")
    not_above = np.searchsorted(ordered, positive, "right")
    return float((below + not_above).mean() / (2 * len(negative)))


def draw(path: Path, confidences: Values, log_probs: Values, good: Values) -> None:
    """Reliability by bins of confidence, and risk against coverage."""
    title = "How sure, and how good"
    with figure_style([title]):
        figure = new_figure(9.0, 4.0, constrained=True)
        reliability, risk = figure.subplots(1, 2)
        points = [[values[mask].mean() for mask in bin_masks(confidences)] for values in (confidences, good)]
        reliability.plot([0, 1], [0, 1], color="#999999", linestyle=":", label="perfect")
        reliability.plot(*points, label="measured", **line_style(0)._asdict())
        reliability.set_xlabel("confidence")
        reliability.set_ylabel("share of good translations")
        for number, (name, values) in enumerate(
            (("confidence", confidences), ("log-probability per token", log_probs))
        ):
            order = np.argsort(-values, kind="stable")
            risks = 1 - np.cumsum(good[order]) / np.arange(1, len(good) + 1)
            start = len(good) // 50  # the first few are chance
            style = line_style(number)
            coverage = np.arange(1, len(good) + 1) / len(good)
            risk.plot(coverage[start:], risks[start:], color=style.color, linestyle=style.linestyle, label=name)
        risk.set_xlabel("coverage: share of lines translated")
        risk.set_ylabel("risk: share not good")
        for axes in (reliability, risk):
            axes.legend(loc="upper left")
            add_grid(axes, "both")
        save_figure(figure, path, title=title)


def measure(run: Path, sources: list[str], references: list[str], overrides: list[str], picture: Path | None) -> bool:
    """Print the figures of the run on a text; whether they are as wanted."""
    translator = TranslatorSpec((str(run),), tuple(overrides), "cpu", assess=True).open(Reporter(quiet=True))
    calibration_file, calibration = CalibrationFile.load(run), translator.calibration
    if calibration_file is None or calibration is None:
        raise UserError(f"{run}: not calibrated")

    def scores(features: Sequence[Sequence[float]]) -> tuple[Values, Values]:
        per_token = [row[FEATURES.index("mean")] for row in features]
        return np.array(calibration.confidences(features)), np.array(per_token)

    translations = translator.translate(sources)
    texts = [translation.text for translation in translations]
    chrf = np.array(sentence_chrf(texts, references))
    good = (chrf >= calibration_file.good_chrf).astype(np.float64)
    confidences, log_probs = scores([translation.features or () for translation in translations])
    error = calibration_error(confidences, good)
    print(
        f"{len(texts)} lines, {good.mean():.1%} good (chrF {calibration_file.good_chrf:.1f}); "
        f"calibration error {error:.3f}"
    )
    print("| area under the ROC curve | confidence | log-probability per token |\n|---|---|---|")
    gains = []
    for corruption in CORRUPTIONS:
        corrupted = [row for row in features_of_pairs(translator, sources, corrupt(texts, corruption, seed=2)) if row]
        areas = [roc_area(*pair) for pair in zip((confidences, log_probs), scores(corrupted), strict=True)]
        gains.append(areas[0] - areas[1])
        print(f"| {corruption} | {areas[0]:.3f} | {areas[1]:.3f} |")
    worst = np.argsort(np.argsort(chrf, kind="stable")) < len(chrf) / 10
    tenth, halves = (
        [roc_area(values[mask], values[~mask]) for values in (confidences, log_probs)]
        for mask in (~worst, good.astype(bool))
    )
    print(f"| worst tenth by chrF | {tenth[0]:.3f} | {tenth[1]:.3f} |")
    print(f"| good or not | {halves[0]:.3f} | {halves[1]:.3f} |")
    if picture is not None:
        draw(picture, confidences, log_probs, good)
    return error <= MAX_CALIBRATION_ERROR and float(np.mean(gains)) >= MIN_GAIN and tenth[0] >= tenth[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("source", type=Path)
    parser.add_argument("reference", type=Path)
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    options = parser.parse_args()
    sources, references = (read_texts(path)[: options.limit] for path in (options.source, options.reference))
    passed = measure(options.run, sources, references, options.overrides, options.picture)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
