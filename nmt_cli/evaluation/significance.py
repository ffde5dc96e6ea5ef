"""Whether systems differ by more than chance: sacreBLEU's paired bootstrap (Koehn 2004). Imports no torch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nmt_cli.evaluation.metrics import MetricName, build_metric
from nmt_cli.workers import environment_variable

SEED = 12345  # sacreBLEU's default
SEED_VARIABLE = "SACREBLEU_SEED"  # the only way to give sacreBLEU a seed
SIGNIFICANCE_LEVEL = 0.05


@dataclass(frozen=True)
class SystemResult:
    """A system's score by one metric and, unless it is the baseline, its difference from the baseline's."""

    system: str
    score: float
    mean: float  # of the resamples
    interval: float  # half the width of the 95 % confidence interval
    difference: float | None = None
    p_value: float | None = None
    significant: bool | None = None  # the difference, at SIGNIFICANCE_LEVEL


@dataclass(frozen=True)
class MetricComparison:
    """All systems by one metric, the baseline first."""

    signature: str
    systems: list[SystemResult]


@dataclass(frozen=True)
class Comparison:
    """Systems compared with the first of them."""

    samples: int
    metrics: dict[MetricName, MetricComparison]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        bootstrap = {"samples": self.samples, "seed": SEED, "significance_level": SIGNIFICANCE_LEVEL}
        return {"bootstrap": bootstrap, "metrics": {name: asdict(result) for name, result in self.metrics.items()}}

    def text_lines(self) -> Iterator[str]:
        """For each metric its signature and a row for each system, with a verdict on its difference."""
        yield (
            f"Paired bootstrap, {self.samples:,} samples, seed {SEED}: "
            f"a difference is significant where p < {SIGNIFICANCE_LEVEL}; any other may be chance"
        )
        for name, comparison in self.metrics.items():
            yield ""
            yield f"{name}  {comparison.signature}"
            width = max(len(result.system) for result in comparison.systems)
            baseline = comparison.systems[0]
            for result in comparison.systems:
                score = f"  {result.system:<{width}}  {result.score:6.2f} ± {result.interval:.2f}"
                yield f"{score}  {_verdict(name, result, baseline)}"


def compare_with_baseline(
    systems: Mapping[str, Sequence[str]],
    references: Sequence[Sequence[str]],
    metrics: Sequence[MetricName],
    samples: int,
    *,
    lowercase: bool,
    tokenize: str | None,
) -> Comparison:
    """Compare the hypotheses of each system with those of the first; all texts have the same number of lines."""
    from sacrebleu.significance import PairedTest

    scorers = {str(name): build_metric(name, lowercase=lowercase, tokenize=tokenize) for name in metrics}
    names = list(systems)
    hypotheses: list[tuple[str, Sequence[str]]] = [(name, list(texts)) for name, texts in systems.items()]
    with environment_variable(SEED_VARIABLE, str(SEED)):
        test = PairedTest(hypotheses, scorers, [list(lines) for lines in references], "bs", samples)
        signatures, columns = test()
    comparisons: dict[MetricName, MetricComparison] = {}
    for metric, (column, signature) in zip(metrics, signatures.items(), strict=True):  # BLEU, chrF2, chrF2++ and TER
        results: list[Any] = columns[column]
        baseline_score = float(results[0].score)
        compared_systems = [
            _to_system_result(name, result, baseline_score) for name, result in zip(names, results, strict=True)
        ]
        comparisons[metric] = MetricComparison(str(signature), compared_systems)
    return Comparison(samples, comparisons)


def _to_system_result(system: str, result: Any, baseline_score: float) -> SystemResult:
    """sacreBLEU's result, whose numbers may be NumPy's; it has no p-value for the baseline."""
    score, mean, interval = float(result.score), float(result.mean), float(result.ci)
    if result.p_value is None:
        return SystemResult(system, score, mean, interval)
    difference = score - baseline_score
    # sacreBLEU gives a copy of the baseline the lowest p-value possible.
    p_value = float(result.p_value) if difference else 1.0
    return SystemResult(system, score, mean, interval, difference, p_value, p_value < SIGNIFICANCE_LEVEL)


def _verdict(metric: MetricName, result: SystemResult, baseline: SystemResult) -> str:
    if result.difference is None or result.p_value is None:
        return "(baseline)"
    numbers = f"{result.difference:+.2f}, p = {result.p_value:.4f}"
    if not result.significant:
        return f"{numbers}: no significant difference from {baseline.system}"
    improved = result.difference < 0 if metric == "ter" else result.difference > 0
    return f"{numbers}: significantly {'better' if improved else 'worse'} than {baseline.system}"
