"""nmt score: BLEU, chrF and TER of hypotheses against references."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from nmt_cli.data.sources.files import open_decompressed
from nmt_cli.errors import DataError, UserError
from nmt_cli.evaluation.metrics import METRICS, MetricName, Score, corpus_scores, tokenizer_error


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


def read_texts(source: BinaryIO | Path, label: str) -> list[str]:
    """Lines as sacreBLEU's command reads them: without white space at the end."""
    if isinstance(source, Path):
        if source.is_dir():
            raise DataError(f"{source}: this is a folder, not a file")
        with open_decompressed(source) as file:
            return _decode_lines(file, label)
    return _decode_lines(source, label)


def _decode_lines(lines: Iterable[bytes], label: str) -> list[str]:
    texts = []
    for number, line in enumerate(lines, 1):
        try:
            texts.append(line.decode().rstrip())
        except UnicodeDecodeError as error:
            raise DataError(f"{label}:{number}: not UTF-8 text") from error
    return texts


def check_tokenizer(name: str) -> None:
    """UserError where sacreBLEU has no such tokenizer, or not here."""
    reason = tokenizer_error(name)
    if reason is not None:
        raise UserError(f"--tokenize {name}: {reason}")
