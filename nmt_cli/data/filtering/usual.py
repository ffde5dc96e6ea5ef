"""What is usual of a number that belongs to a text, depending on the length of the text."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MIN_PAIRS = 2000  # of a corpus: with fewer, nothing is usual
LENGTH_BINS = 8


@dataclass(frozen=True)
class Usual:
    """What is usual of a number, as it depends on the length n of a text: mean and variance are a + b / n."""

    mean: tuple[float, float] = (0.0, 0.0)
    variance: tuple[float, float] = (1.0, 0.0)

    @classmethod
    def of(cls, values: Floats, lengths: NDArray[Any]) -> "Usual":
        """From medians, and from the median distance of the values below them, so that a tail has no part in it."""
        order = np.argsort(lengths, kind="stable")
        inverses, centres, variances = [], [], []
        for part in np.array_split(order, LENGTH_BINS):
            centre = np.median(values[part])
            below = centre - values[part][values[part] <= centre]
            inverses.append(np.mean(1 / lengths[part]))
            centres.append(centre)
            variances.append((1.4826 * np.median(below)) ** 2)
        mean, variance = (_line(np.array(inverses), np.array(ys)) for ys in (centres, variances))
        if min(variance) < 0:
            variance = (float(np.mean(variances)), 0.0)
        return cls(mean, variance)

    def record(self) -> list[list[float]]:
        """As plain values."""
        return [list(self.mean), list(self.variance)]

    @classmethod
    def from_record(cls, record: Any) -> Self:
        """What `record` returned; TypeError or ValueError where it is damaged."""
        (mean, slope), (variance, variance_slope) = record
        return cls((float(mean), float(slope)), (float(variance), float(variance_slope)))

    def distance(self, values: Floats, lengths: NDArray[Any], min_variance: Floats | float = 1e-9) -> Floats:
        """By how many standard deviations each value is above what is usual."""
        inverse = 1 / np.maximum(lengths, 1)
        variance = self.variance[0] + self.variance[1] * inverse
        result: Floats = (values - self.mean[0] - self.mean[1] * inverse) / np.sqrt(np.maximum(variance, min_variance))
        return result

    def variance_at(self, length: float) -> float:
        """The variance of the texts of a length."""
        return self.variance[0] + self.variance[1] / max(length, 1.0)


def _line(xs: Floats, ys: Floats) -> tuple[float, float]:
    """The intercept and the slope of the least-squares line; a constant where all xs are the same."""
    if np.ptp(xs) < 1e-12:
        return float(np.mean(ys)), 0.0
    slope, intercept = np.polyfit(xs, ys, 1)
    return float(intercept), float(slope)
