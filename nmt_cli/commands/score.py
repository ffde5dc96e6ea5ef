"""nmt score: BLEU, chrF, chrF++ and TER of a system, of each of its sentences, or of several systems compared."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from nmt_cli.errors import DataError, UserError
from nmt_cli.evaluation.metrics import (
    METRICS,
    MetricName,
    Score,
    build_metric,
    check_line_count,
    check_tokenizer,
    corpus_scores,
    default_bleu_tokenizer,
    looks_tokenized,
    read_references,
    read_texts,
    text_name,
    unsegmented_language,
)
from nmt_cli.evaluation.significance import Comparison, compare_with_baseline
from nmt_cli.reporting import Reporter


@dataclass(frozen=True)
class ScoringOptions:
    """Which metrics to compute and how; `language` chooses BLEU's tokenizer where `tokenize` does not."""

    metrics: str = "bleu,chrf,ter"  # separated by commas
    lowercase: bool = False
    tokenize: str | None = None
    language: str | None = None

    def metric_names(self) -> list[MetricName]:
        """The metrics in the order of METRICS; UserError for an unknown one or none."""
        requested_names = [name.strip() for name in self.metrics.split(",") if name.strip()]
        unknown_names = [name for name in requested_names if name not in METRICS]
        if unknown_names or not requested_names:
            raise UserError(f"--metrics {self.metrics}: use some of {', '.join(METRICS)}")
        return [name for name in METRICS if name in requested_names]

    def bleu_tokenizer(self) -> str | None:
        """sacreBLEU's tokenizer, None for its default; UserError for one that cannot be used."""
        if self.tokenize is not None and self.language is not None:
            raise UserError("--tokenize and --language both choose a tokenizer: use one of them")
        if self.tokenize is not None:
            check_tokenizer(self.tokenize)
            return self.tokenize
        return None if self.language is None else default_bleu_tokenizer(self.language)


@dataclass(frozen=True)
class SentenceScores:
    """The scores of every sentence, with the signature of each metric."""

    signatures: dict[MetricName, str]
    sentences: list[dict[MetricName, float]]

    def records(self) -> Iterator[dict[str, Any]]:
        """An object for each line, with its number from 1."""
        for number, scores in enumerate(self.sentences, 1):
            yield {"line": number} | {str(name): score for name, score in scores.items()}

    def tsv_lines(self) -> Iterator[str]:
        """A header, and a row for each line."""
        yield "\t".join(["line", *self.signatures])
        for number, scores in enumerate(self.sentences, 1):
            yield "\t".join([str(number), *(f"{score:.2f}" for score in scores.values())])


def score_files(
    references: Sequence[Path], hypotheses: BinaryIO | Path, options: ScoringOptions, reporter: Reporter
) -> list[Score]:
    """Score a file or stream of hypotheses; DataError where line counts differ.

    Files may be plain, .gz or .zst. As in sacreBLEU, white space at the end of lines does not count.
    """
    metric_names, tokenize = options.metric_names(), options.bleu_tokenizer()
    texts, all_references = _read_parallel(references, hypotheses)
    suggest_tokenizer(references[0], all_references[0], options, tokenize, reporter)
    return corpus_scores(texts, all_references, metric_names, lowercase=options.lowercase, tokenize=tokenize)


def score_sentences(
    references: Sequence[Path], hypotheses: BinaryIO | Path, options: ScoringOptions, reporter: Reporter
) -> SentenceScores:
    """Score every line by itself, BLEU with effective order; errors as for `score_files`."""
    metric_names, tokenize = options.metric_names(), options.bleu_tokenizer()
    texts, all_references = _read_parallel(references, hypotheses)
    suggest_tokenizer(references[0], all_references[0], options, tokenize, reporter)
    scorers = {
        name: build_metric(name, lowercase=options.lowercase, tokenize=tokenize, effective_order=True)
        for name in metric_names
    }
    sentences: list[dict[MetricName, float]] = [
        {name: scorer.sentence_score(text, list(line_references)).score for name, scorer in scorers.items()}
        for text, *line_references in zip(texts, *all_references, strict=True)
    ]
    return SentenceScores({name: str(scorer.get_signature()) for name, scorer in scorers.items()}, sentences)


def compare_files(
    references: Sequence[Path], paths: Mapping[str, Path], options: ScoringOptions, samples: int, reporter: Reporter
) -> Comparison:
    """Compare files of hypotheses, by the names of their systems, with the first; errors as for `score_files`."""
    metric_names, tokenize = options.metric_names(), options.bleu_tokenizer()
    texts = {label: _read_hypotheses(path) for label, path in paths.items()}
    baseline = next(iter(paths))
    for label, path in paths.items():
        check_line_count(path, texts[label], str(paths[baseline]), texts[baseline])
    all_references = read_references(references, texts[baseline], str(paths[baseline]))
    suggest_tokenizer(references[0], all_references[0], options, tokenize, reporter)
    return compare_with_baseline(
        texts, all_references, metric_names, samples, lowercase=options.lowercase, tokenize=tokenize
    )


def _read_parallel(references: Sequence[Path], hypotheses: BinaryIO | Path) -> tuple[list[str], list[list[str]]]:
    texts = _read_hypotheses(hypotheses)
    return texts, read_references(references, texts, text_name(hypotheses))


def _read_hypotheses(hypotheses: BinaryIO | Path) -> list[str]:
    texts = read_texts(hypotheses)
    if not texts:
        advice = "" if isinstance(hypotheses, Path) else "; give a file with < FILE"
        raise DataError(f"{text_name(hypotheses)}: no hypotheses to score{advice}")
    return texts


def suggest_tokenizer(
    path: Path, lines: Sequence[str], options: ScoringOptions, tokenize: str | None, reporter: Reporter
) -> None:
    """Hint at --tokenize or --language where nobody chose a tokenizer and 13a does not suit the references."""
    if options.tokenize is not None or tokenize not in (None, "13a") or "bleu" not in options.metric_names():
        return
    language = unsegmented_language(lines)
    if language is not None:
        tokenizer = default_bleu_tokenizer(language)
        reporter.info(
            f"hint: {path} is in a script that BLEU's tokenizer 13a does not split into words: "
            f"use --language {language} (or --tokenize {tokenizer})"
        )
    elif looks_tokenized(lines):
        reporter.info(
            f"hint: {path} looks tokenised, and BLEU's tokenizer 13a is for text as people write it: "
            "score detokenised text, or use --tokenize none"
        )
