"""BLEU, chrF and TER through sacreBLEU. Imports no torch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from nmt_cli.data.sources.files import open_decompressed
from nmt_cli.errors import DataError, UserError

MetricName = Literal["bleu", "chrf", "ter"]
METRICS: tuple[MetricName, ...] = ("bleu", "chrf", "ter")
# By ISO 639-1 and 639-3, the bibliographic variants included.
CHINESE_CODES = ("zh", "zho", "chi", "cmn")
CHARACTER_TOKENIZED_CODES = (
    *("ja", "jpn", "ko", "kor", "th", "tha", "lo", "lao", "km", "khm"),
    *("my", "mya", "bur", "bo", "bod", "tib", "dz", "dzo", "yue"),
)


@dataclass(frozen=True)
class Score:
    """A number with what it takes to compare it."""

    name: str
    score: float
    signature: str
    text: str  # as sacreBLEU prints it


def default_bleu_tokenizer(language: str) -> str:
    """sacreBLEU's tokenizer for a target language where nobody asked for another."""
    code = language.replace("_", "-").lower().split("-")[0]
    if code in CHINESE_CODES:
        return "zh"
    return "char" if code in CHARACTER_TOKENIZED_CODES else "13a"


def sacrebleu_tokenizers() -> list[str]:
    """Names of the tokenizers that sacreBLEU's BLEU knows."""
    from sacrebleu.metrics.bleu import BLEU

    return sorted(BLEU.TOKENIZERS)


def tokenizer_error(name: str) -> str | None:
    """Why a tokenizer cannot be used, or None: tries it, since some need an extra or a download."""
    if name not in sacrebleu_tokenizers():
        return f"use one of {', '.join(sacrebleu_tokenizers())}"
    try:
        build_metric("bleu", tokenize=name)
    except (ImportError, OSError, RuntimeError) as error:
        return " ".join(str(error).split())
    return None


def corpus_scores(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    metrics: Sequence[MetricName] = METRICS,
    *,
    lowercase: bool = False,
    tokenize: str | None = None,
) -> list[Score]:
    """Corpus scores; `references` holds one list a reference file, each as long as hypotheses."""
    results = []
    for name in metrics:
        scorer = build_metric(name, lowercase=lowercase, tokenize=tokenize)
        result = scorer.corpus_score(list(hypotheses), [list(lines) for lines in references])
        signature = str(scorer.get_signature())
        results.append(Score(name, result.score, signature, result.format(width=2)))
    return results


def build_metric(name: MetricName, *, lowercase: bool = False, tokenize: str | None = None) -> Any:
    """sacreBLEU's object that computes a metric."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.ter import TER

    if name == "bleu":
        return BLEU(lowercase=lowercase, tokenize=tokenize)
    if name == "chrf":
        return CHRF(lowercase=lowercase)
    return TER(case_sensitive=False) if lowercase else TER()


def read_texts(source: BinaryIO | Path, label: str) -> list[str]:
    """The lines of a file or stream as sacreBLEU's command reads them: without white space at the end."""
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
    """UserError where sacreBLEU has no such tokenizer or it cannot be used here."""
    reason = tokenizer_error(name)
    if reason is not None:
        raise UserError(f"--tokenize {name}: {reason}")
