"""Corpus scores of sentences of similar source length, with bootstrap intervals. Imports no torch.

Sentences are resampled within a bucket (Koehn 2004) by their sufficient statistics: n-gram counts
are taken once a sentence and summed for each resample, and all systems share the resamples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nmt_cli.evaluation.metrics import MetricName, metric

Unit = Literal["words", "characters"]
WIDTHS = (5, 10, 20, 50, 100, 200, 500, 1000)
MOST_BUCKETS = 9  # of an automatic division
LEVEL = 95  # per cent


@dataclass(frozen=True)
class Bucket:
    """Sentences with a source of `first` to `last` words; no last one: or more."""

    first: int
    last: int | None
    sentences: list[int]  # indices

    @property
    def label(self) -> str:
        """1–10, or >50 for the open one."""
        if self.last is None:
            return f">{self.first - 1}"
        return str(self.last) if self.first == self.last else f"{self.first}–{self.last}"


@dataclass(frozen=True)
class Interval:
    """A corpus score and the interval that holds 95 % of its resamples."""

    score: float
    low: float
    high: float


@dataclass(frozen=True)
class LengthScores:
    """Scores of several systems by source length."""

    metric: MetricName
    signature: str
    samples: int
    seed: int
    unit: Unit
    buckets: list[Bucket]
    systems: dict[str, list[Interval]]  # one a bucket
    whole: dict[str, Interval]  # all sentences

    def record(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return {
            "metric": self.metric,
            "signature": self.signature,
            "bootstrap": {"samples": self.samples, "seed": self.seed, "level": LEVEL / 100},
            "unit": self.unit,
            "buckets": [
                {"first": one.first, "last": one.last, "sentences": len(one.sentences)}
                for one in self.buckets
            ],
            "systems": {
                name: {
                    "all": asdict(self.whole[name]),
                    "buckets": [asdict(one) for one in intervals],
                }
                for name, intervals in self.systems.items()
            },
        }


def lengths_of(texts: Sequence[str], unit: Unit) -> list[int]:
    """Words (what white space separates) of each text, or its characters but white space."""
    if unit == "words":
        return [len(text.split()) for text in texts]
    return [len("".join(text.split())) for text in texts]


def automatic_ends(lengths: Sequence[int]) -> list[int]:
    """Round upper ends of buckets, few enough to read, for all but the longest 1 % of lengths."""
    longest = max(1, int(np.percentile(np.array(lengths), 99)))
    width = next((w for w in WIDTHS if longest <= w * (MOST_BUCKETS - 1)), WIDTHS[-1])
    return list(range(width, longest + width, width))[: MOST_BUCKETS - 1]


def divide(lengths: Sequence[int], ends: Sequence[int]) -> list[Bucket]:
    """Buckets up to each of the ascending `ends`, and one above, but for empty ones."""
    starts = [0, *(end + 1 for end in ends)]
    buckets = []
    for first, last in zip(starts, [*ends, None], strict=True):
        inside = [
            i for i, size in enumerate(lengths) if size >= first and (last is None or size <= last)
        ]
        if inside:
            # A first bucket that holds no empty line begins with one word.
            begin = min(1, min(lengths[i] for i in inside)) if first == 0 else first
            buckets.append(Bucket(begin, last, inside))
    return buckets


def score_by_length(
    lengths: Sequence[int],
    references: Sequence[Sequence[str]],
    systems: Mapping[str, Sequence[str]],
    name: MetricName,
    *,
    ends: Sequence[int] | None = None,
    unit: Unit = "words",
    tokenize: str | None = None,
    samples: int = 1000,
    seed: int = 12345,
) -> LengthScores:
    """Score each system's hypotheses in each bucket and as a whole.

    `lengths` are those of the sources; `references` holds one list a reference file. The same seed
    gives the same intervals.
    """
    buckets = divide(lengths, automatic_ends(lengths) if ends is None else ends)
    groups = [np.array(one.sentences) for one in buckets] + [np.arange(len(lengths))]
    scorer = metric(name, tokenize=tokenize)
    found: dict[str, list[Interval]] = {}
    for system, hypotheses in systems.items():
        rows = scorer._extract_corpus_statistics(list(hypotheses), [list(r) for r in references])
        table = np.array(rows, np.float64)  # [sentences, counts]
        found[system] = [_interval(scorer, table[group], samples, seed) for group in groups]
    return LengthScores(
        name, str(scorer.get_signature()), samples, seed, unit, buckets,
        {system: intervals[:-1] for system, intervals in found.items()},
        {system: intervals[-1] for system, intervals in found.items()},
    )  # fmt: skip


def _interval(scorer: Any, table: NDArray[np.float64], samples: int, seed: int) -> Interval:
    """The score of all sentences of a table, and where the middle 95 % of its resamples lie."""
    point = _score(scorer, table.sum(0))
    draw = np.random.default_rng(seed)
    count = len(table)
    scores = [
        _score(scorer, np.bincount(draw.integers(0, count, count), minlength=count) @ table)
        for _ in range(samples)
    ]
    tail = (100 - LEVEL) / 2
    low, high = np.percentile(scores, (tail, 100 - tail)) if scores else (point, point)
    return Interval(point, float(low), float(high))


def _score(scorer: Any, counts: NDArray[np.float64]) -> float:
    return float(scorer._compute_score_from_stats(counts.tolist()).score)
