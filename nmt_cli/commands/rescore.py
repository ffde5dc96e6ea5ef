"""nmt rescore: how probable a model finds given translations."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, compress, pairwise
from pathlib import Path
from typing import Any

from nmt_cli.data.sources.base import RawPair
from nmt_cli.data.sources.rows import read_two_files
from nmt_cli.evaluation.calibration import features_of_pairs
from nmt_cli.inference.lines import InputLine, decode_line
from nmt_cli.inference.translator import Translator
from nmt_cli.reporting import Reporter
from nmt_cli.translation.opening import TranslatorSpec

MAX_PAIRS_PER_BATCH = 4096  # pairs scored together
TYPICAL_PAIR_LENGTH = 1024  # characters of a pair


@dataclass(frozen=True)
class RescoredPair:
    """A pair and its log-probability; None where it could not be computed, and why."""

    number: int  # line number, from 1
    log_probability: float | None  # natural logarithm, end of sentence included
    source_tokens: int  # end of sentence counted
    target_tokens: int  # end of sentence counted
    warnings: list[str] = field(default_factory=list)
    confidence: float | None = None  # that the target is a good translation; None without a calibration

    @property
    def average_log_probability(self) -> float | None:
        """Log-probability a target token."""
        return None if self.log_probability is None else self.log_probability / max(1, self.target_tokens)

    def record(self) -> dict[str, Any]:
        """The pair as an object for --jsonl."""
        record = {
            "line": self.number,
            "log_probability": self.log_probability,
            "average": self.average_log_probability,
            "source_tokens": self.source_tokens,
            "target_tokens": self.target_tokens,
        }
        if self.confidence is not None:
            record["confidence"] = round(self.confidence, 4)
        return record | ({"warnings": self.warnings} if self.warnings else {})

    @property
    def text(self) -> str:
        """The pair as tab-separated columns; -inf where there is no log-probability."""
        values = [
            -float("inf") if value is None else value for value in (self.log_probability, self.average_log_probability)
        ]
        counts = f"{self.source_tokens}\t{self.target_tokens}"
        return f"{values[0]:.6f}\t{values[1]:.6f}\t{counts}"


def rescore(
    runs: list[Path],
    source: Path,
    target: Path,
    overrides: list[str],
    device: str = "auto",
    *,
    engine: str = "auto",
    with_confidence: bool = False,
) -> Iterator[RescoredPair]:
    """log p(target line | source line) for each pair of lines, in their order, as it is computed.

    Several runs with the same tokenizer are an ensemble; `overrides` are search.key=value. The files
    may be compressed. `with_confidence` says how sure a calibrated run is of each pair. DataError where one has more
    lines than the other, UserError and RunError as for `TranslatorSpec.open`.
    """
    spec = TranslatorSpec(tuple(map(str, runs)), tuple(overrides), device, engine=engine, assess=with_confidence)
    translator = spec.open(Reporter(quiet=True))
    for batch in _batches(read_two_files(source, target)):
        yield from _rescore_batch(translator, batch)


def _batches(pairs: Iterable[RawPair]) -> Iterator[list[RawPair]]:
    """What is scored together: MAX_PAIRS_PER_BATCH pairs, of which a long one counts as several."""
    batch: list[RawPair] = []
    batch_weight = 0
    for pair in pairs:
        batch.append(pair)
        batch_weight += 1 + (len(pair.source) + len(pair.target)) // TYPICAL_PAIR_LENGTH
        if batch_weight >= MAX_PAIRS_PER_BATCH:
            yield batch
            batch, batch_weight = [], 0
    if batch:
        yield batch


def _rescore_batch(translator: Translator, batch: list[RawPair]) -> Iterator[RescoredPair]:
    line_pairs = [[decode_line(raw, pair.line_number) for raw in pair[:2]] for pair in batch]
    split_pairs = [translator.planner.split_pair(source.text, target.text) for source, target in line_pairs]
    sources, targets = ([pair[side] for pairs in split_pairs for pair in pairs] for side in (0, 1))
    source_ids = translator.tokenizers.source.encode(sources)
    target_ids = translator.tokenizers.target.encode(targets)
    skip_reasons = [
        _skip_reason(translator, text, len(source_tokens), len(target_tokens))
        for text, source_tokens, target_tokens in zip(sources, source_ids, target_ids, strict=True)
    ]
    scorable = [index for index, skip_reason in enumerate(skip_reasons) if skip_reason is None]
    scores = translator.engine.log_probabilities(
        [source_ids[index] for index in scorable], [target_ids[index] for index in scorable], translator.config
    )
    assert scores is not None
    score_by_index = dict(zip(scorable, scores, strict=True))
    starts = [0, *accumulate(map(len, split_pairs))]
    indices_by_pair = [range(start, end) for start, end in pairwise(starts)]
    is_scored = [all(index in score_by_index for index in indices) for indices in indices_by_pair]
    confidences = _confidences(translator, list(compress(line_pairs, is_scored)))
    for pair, lines, indices, scored in zip(batch, line_pairs, indices_by_pair, is_scored, strict=True):
        warnings = ["invalid UTF-8 was replaced by U+FFFD"] if any(line.invalid_utf8 for line in lines) else []
        warnings += [reason for index in indices if (reason := skip_reasons[index]) is not None]
        total = sum(score_by_index[index] for index in indices) if scored else None
        confidence = next(confidences) if scored else None
        if total == -float("inf"):
            total = confidence = None
            warnings.append("the model cannot write so many subwords for this source")
        source_tokens, target_tokens = (
            sum(len(ids[index]) + 1 for index in indices) for ids in (source_ids, target_ids)
        )
        yield RescoredPair(pair.line_number, total, source_tokens, target_tokens, warnings, confidence)


def _confidences(translator: Translator, line_pairs: Sequence[Sequence[InputLine]]) -> Iterator[float | None]:
    """How sure the run is of each pair; None without a calibration."""
    if translator.calibration is None:
        return iter([None] * len(line_pairs))
    sources, targets = ([lines[side].text for lines in line_pairs] for side in (0, 1))
    features = features_of_pairs(translator, sources, targets)
    confidences = iter(translator.calibration.confidences([row for row in features if row is not None]))
    return (None if row is None else next(confidences) for row in features)


def _skip_reason(translator: Translator, source: str, source_token_count: int, target_token_count: int) -> str | None:
    """Why a pair cannot be scored; None where it can."""
    if not source or not source_token_count:
        return "the source is blank: not scored"
    if source_token_count > translator.planner.max_source_tokens:
        return (
            f"{source_token_count:,} source subwords are more than search.max_source_length or the model "
            f"allows ({translator.planner.max_source_tokens:,}): not scored"
        )
    max_target_tokens = max(
        translator.config.max_target_length(translator.planner.max_source_tokens), translator.planner.max_source_tokens
    )
    if translator.engine.max_target_positions is not None:
        max_target_tokens = min(max_target_tokens, translator.engine.max_target_positions - 1)
    if target_token_count > max_target_tokens:
        return f"{target_token_count:,} target subwords are more than {max_target_tokens:,}: not scored"
    return None
