"""How sure a translation is: the probability that it is good, from what the model says of it. Imports no torch.

"Good" means a sentence chrF of at least the median of the development text. Two logistic regressions on the same
features are multiplied: whether a translation of the model is good, and whether it is one at all, fitted against
translations that were cut, shuffled or swapped (see evaluation/calibration.py).
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Engine, TokenIds
from nmt_cli.errors import RunError, error_reason
from nmt_cli.fs import read_json, write_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CONFIDENCE_FILE = "confidence.json"
EARLIER_KEYS = {"ctranslate2 fp32": "ctranslate2 float32"}  # of calibrations
REPLACE_HINT = "nmt calibrate RUN SOURCE REFERENCE writes it anew"
FEATURES = (
    "mean", "spread", "worst", "worst_fifth", "end", "length_ratio", "source_length", "tokens_per_word",
)  # fmt: skip
SQUARED = ("mean", "length_ratio", "source_length")  # features whose squares are features, too
RIDGE = 1.0  # precision of the normal prior of each weight of a standardised feature
MAX_NEWTON_STEPS = 50
Matrix: TypeAlias = "NDArray[np.float64]"


class TranslatedPart(NamedTuple):
    """A part of a line that the model translated, not one that was copied; ids have no end of sentence."""

    source_ids: TokenIds
    target_ids: TokenIds
    source_words: int
    text: str = ""  # that the target ids encode


class Assessment(NamedTuple):
    """What a model says of a translation."""

    features: list[float]  # as FEATURES
    log_probabilities: list[list[float]]  # of each part: log p of each target token and of the end of sentence


def assess(engine: Engine, config: SearchConfig, lines: Sequence[Sequence[TranslatedPart]]) -> list[Assessment | None]:
    """An assessment of each line, from one scoring pass; None for one without parts, or that the model cannot score."""
    parts = [part for line_parts in lines for part in line_parts]
    scores = engine.token_log_probabilities(
        [part.source_ids for part in parts], [part.target_ids for part in parts], config
    )
    if scores is None:
        return [None] * len(lines)
    remaining = iter(scores)
    log_probs_by_line = [[next(remaining) for _ in line_parts] for line_parts in lines]
    return [
        Assessment(_measure(line_parts, log_probs), log_probs) if line_parts else None
        for line_parts, log_probs in zip(lines, log_probs_by_line, strict=True)
    ]


def _measure(parts: Sequence[TranslatedPart], log_probs_by_part: Sequence[list[float]]) -> list[float]:
    """The FEATURES of a line from its parts, at least one."""
    log_probs = sorted(value for part_log_probs in log_probs_by_part for value in part_log_probs)
    source_tokens = sum(len(part.source_ids) + 1 for part in parts)
    mean = sum(log_probs) / len(log_probs)
    fifth = log_probs[: max(1, len(log_probs) // 5)]
    return [
        mean,
        math.sqrt(sum((value - mean) ** 2 for value in log_probs) / len(log_probs)),
        log_probs[0],
        sum(fifth) / len(fifth),
        min(part_log_probs[-1] for part_log_probs in log_probs_by_part),
        math.log(len(log_probs) / source_tokens),
        math.log(source_tokens),
        source_tokens / max(1, sum(part.source_words for part in parts)),
    ]


@dataclass(frozen=True)
class LogisticRegression:
    """P(1) = 1 / (1 + exp(-(bias + weights . standardised features)))."""

    bias: float
    weights: list[float]

    @classmethod
    def fit(cls, features: Matrix, labels: Sequence[bool]) -> "LogisticRegression":
        """Maximum a posteriori by Newton's method (iteratively reweighted least squares); `features` [N, F]."""
        import numpy as np

        design = np.hstack([np.ones((len(features), 1)), features])
        targets = np.array(labels, dtype=np.float64)
        penalty = np.diag([1e-6, *[RIDGE] * features.shape[1]])
        weights = np.zeros(design.shape[1])
        for _ in range(MAX_NEWTON_STEPS):
            probabilities = _sigmoid(design @ weights)
            gradient = design.T @ (probabilities - targets) + penalty @ weights
            curvature = (design * (probabilities * (1 - probabilities))[:, None]).T @ design + penalty
            step = np.linalg.solve(curvature, gradient)
            weights -= step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))
            if np.abs(step).max() < 1e-8:
                break
        return cls(float(weights[0]), weights[1:].tolist())

    def probabilities(self, features: Matrix) -> Matrix:
        """P(1) of each row of features [N, F]."""
        import numpy as np

        return _sigmoid(features @ np.array(self.weights) + self.bias)


@dataclass(frozen=True)
class Calibration:
    """From the features of a line to its confidence, for an engine and precision."""

    means: list[float]
    deviations: list[float]
    quality: LogisticRegression
    intactness: LogisticRegression
    lines: int  # that it was fitted to

    @classmethod
    def fit(cls, features: Matrix, good: Sequence[bool], corrupted: Matrix) -> "Calibration":
        """From features [N, F] of translations, which of them are good, and features of corrupted ones."""
        import numpy as np

        means, deviations = features.mean(0), features.std(0) + 1e-6
        rows, corrupted_rows = (_expand(matrix, means, deviations) for matrix in (features, corrupted))
        intactness = LogisticRegression.fit(
            np.vstack([rows, corrupted_rows]), [True] * len(rows) + [False] * len(corrupted_rows)
        )
        quality = LogisticRegression.fit(rows, good)
        return cls(means.tolist(), deviations.tolist(), quality, intactness, len(features))

    def confidences(self, features: Sequence[Sequence[float]]) -> list[float]:
        """The confidence of each line, from 0 to 1."""
        if not features:
            return []
        import numpy as np

        rows = _expand(np.array(features, dtype=np.float64), np.array(self.means), np.array(self.deviations))
        confidences: list[float] = (self.quality.probabilities(rows) * self.intactness.probabilities(rows)).tolist()
        return confidences

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Calibration":
        """From its stored fields; ValueError, TypeError or KeyError for anything else."""
        regressions = {key: LogisticRegression(**record[key]) for key in ("quality", "intactness")}
        calibration = cls(**{**record, **regressions})
        sizes = (len(calibration.means), len(calibration.deviations))
        weights = [regression.weights for regression in regressions.values()]
        numbers = [*calibration.means, *calibration.deviations, *(number for row in weights for number in row)]
        expanded = len(FEATURES) + len(SQUARED)
        if sizes != (len(FEATURES),) * 2 or any(len(row) != expanded for row in weights):
            raise ValueError("another number of features")
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError("a number that is not finite")
        return calibration


@dataclass(frozen=True)
class CalibrationFile:
    """confidence.json of a run: what is good, and a calibration for each engine and precision."""

    good_chrf: float
    calibrations: dict[str, Calibration]  # by `calibration_key`

    @classmethod
    def load(cls, run: Path) -> "CalibrationFile | None":
        """That of a run; None where it has none, RunError where it is damaged."""
        path = run / CONFIDENCE_FILE
        if not path.is_file():
            return None
        try:
            content = read_json(path, error_class=RunError, hint=REPLACE_HINT)
            if content["features"] != list(FEATURES):
                return None  # of another version
            calibrations = {
                EARLIER_KEYS.get(key, key): Calibration.from_record(record)
                for key, record in content["calibrations"].items()
            }
            return cls(float(content["good_chrf"]), calibrations)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise RunError(f"{path}: damaged: {error_reason(error)}", hint=REPLACE_HINT) from error

    def save(self, run: Path) -> None:
        """Write it into a run, into which other processes may write theirs."""
        content = {
            "good_chrf": self.good_chrf,
            "features": FEATURES,
            "calibrations": {key: asdict(calibration) for key, calibration in self.calibrations.items()},
        }
        write_json(run / CONFIDENCE_FILE, content, indent=1, concurrent=True)

    def find(self, key: str) -> Calibration | None:
        """The calibration for a key; else the one that training fitted, whose model is the same up to rounding."""
        return self.calibrations.get(key) or next(iter(self.calibrations.values()), None)


def calibration_key(engine: str, precision: str) -> str:
    """What a calibration is stored under."""
    return f"{engine} {precision}"


def _expand(features: Matrix, means: Matrix, deviations: Matrix) -> Matrix:
    """Standardised features [N, F], none extreme, and some of their squares."""
    import numpy as np

    standardised = np.clip((features - means) / deviations, -8.0, 8.0)
    squares = standardised[:, [FEATURES.index(name) for name in SQUARED]] ** 2
    return np.hstack([standardised, squares])


def _sigmoid(values: Matrix) -> Matrix:
    import numpy as np

    sigmoid: Matrix = 1.0 / (1.0 + np.exp(-np.clip(values, -50.0, 50.0)))
    return sigmoid
