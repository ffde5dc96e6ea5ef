"""nmt score: BLEU, chrF and TER of hypotheses against references."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from nmt_cli.errors import DataError, UserError
from nmt_cli.evaluation.metrics import METRICS, MetricName, Score, check_tokenizer, corpus_scores, read_texts


def score_files(
    references: Sequence[Path],
    hypotheses: BinaryIO | Path,
    metrics: str = "bleu,chrf,ter",
    *,
    lowercase: bool = False,
    tokenize: str | None = None,
) -> list[Score]:
    """Score a file or stream of hypotheses; DataError where line counts differ.

    References may be plain, .gz or .zst. As in sacreBLEU, white space at the end of lines does not
    count.
    """
    requested_names = [name.strip() for name in metrics.split(",") if name.strip()]
    unknown_names = [name for name in requested_names if name not in METRICS]
    if unknown_names or not requested_names:
        raise UserError(f"--metrics {metrics}: use some of {', '.join(METRICS)}")
    if tokenize is not None:
        check_tokenizer(tokenize)
    label = str(hypotheses) if isinstance(hypotheses, Path) else "standard input"
    texts = read_texts(hypotheses, label)
    if not texts:
        raise DataError(f"{label}: no hypotheses to score")
    all_references = []
    for path in references:
        lines = read_texts(path, str(path))
        if len(lines) != len(texts):
            raise DataError(f"{path} has {len(lines):,} lines and {label} has {len(texts):,}")
        all_references.append(lines)
    metric_names: list[MetricName] = [name for name in METRICS if name in requested_names]
    return corpus_scores(texts, all_references, metric_names, lowercase=lowercase, tokenize=tokenize)
