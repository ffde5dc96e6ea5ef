"""From text to text: encode, segment, sort, batch, search, repair, decode, restore the order."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from nmt_cli.data.batching import batch_by_length
from nmt_cli.data.prepared.store import Tokenizers
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Engine, Hypothesis, TokenIds
from nmt_cli.inference.degeneration import DecodedHypothesis, Diagnosis, SourceText, merge_diagnoses, repair_degenerate
from nmt_cli.inference.lines import to_single_line
from nmt_cli.inference.output import Candidate, Translation
from nmt_cli.inference.segments import Segment, join_translations, split_line

Alignment = list[tuple[int, int]]


class TranslationUnit(NamedTuple):
    """What is translated as a whole: a line, or a segment of a long one."""

    segment: Segment
    source_ids: TokenIds  # cut to the length that is read
    prefix: str = ""
    prefix_ids: TokenIds = []  # noqa: RUF012 (never changed)


@dataclass(frozen=True)
class LinePlan:
    """The units of a line; none for a line without text."""

    units: list[TranslationUnit]
    truncated_tokens: int = 0  # source tokens that are in no unit
    warnings: list[str] = field(default_factory=list)


class Translator:
    """Translates lines of text with an engine."""

    def __init__(
        self,
        engine: Engine,
        tokenizers: Tokenizers,
        config: SearchConfig,
        *,
        align: bool = False,
        rescore_canonical: bool = True,
    ) -> None:
        """With `align`, candidates have a word alignment.

        Search may write a text in other tokens than the tokenizer does. With `rescore_canonical`, its log-probability
        is that of the tokenizer's tokens, computed anew; without, that of the tokens that search wrote.
        """
        self.engine, self.tokenizers, self.config = engine, tokenizers, config
        self.align, self.rescore_canonical = align, rescore_canonical
        limits = [config.max_source_length, (engine.max_source_positions or 1 << 30) - 1]
        self.max_source_tokens = min(limits)

    def translate(self, lines: Sequence[str], prefixes: Sequence[str] | None = None) -> list[Translation]:
        """One translation per line, in the order of the lines; that of a blank line is empty.

        `prefixes`, one per line, are texts that the translations begin with; white space around them is ignored. A
        line of more than search.max_source_length tokens is translated in segments (or, without search.split,
        truncated), with a warning in its translation.
        """
        texts = [line.strip() for line in lines]
        ids = self.tokenizers.source.encode(texts)
        plans = [self._plan_line(text, text_ids) for text, text_ids in zip(texts, ids, strict=True)]
        if prefixes is not None:
            self._set_prefixes(plans, [prefix.strip() for prefix in prefixes])
        units = [unit for plan in plans for unit in plan.units]
        hypotheses = self._search(units, self.config)
        diagnoses: list[Diagnosis | None] = [None] * len(units)
        if self.config.guard:
            sources = [SourceText(unit.segment.text, len(unit.source_ids), unit.prefix) for unit in units]
            hypotheses, diagnoses = repair_degenerate(
                sources,
                hypotheses,
                self.config,
                lambda indices, config: self._search([units[index] for index in indices], config),
            )
        unit_results = iter(zip(self._make_candidates(units, hypotheses), diagnoses, strict=True))
        return [_make_translation(plan, [next(unit_results) for _ in plan.units], align=self.align) for plan in plans]

    def _plan_line(self, text: str, ids: TokenIds) -> LinePlan:
        """The units of a line: none for a blank line, several segments of a long one."""
        if not ids or not text:
            return LinePlan([])
        if len(ids) <= self.max_source_tokens:
            return LinePlan([TranslationUnit(Segment(text), ids)])
        if not self.config.split:
            return LinePlan(
                [TranslationUnit(Segment(text), ids[: self.max_source_tokens])], len(ids) - self.max_source_tokens
            )
        encode, language_tag = (self.tokenizers.source.encode, self.tokenizers.source.language_tag(text))
        max_segment_tokens = self.max_source_tokens - (len(encode([language_tag])[0]) if language_tag else 0)
        segments = split_line(
            text[len(language_tag) :],
            max(1, max_segment_tokens),
            lambda segment_texts: [len(token_ids) for token_ids in encode(segment_texts)],
        )
        encoded = encode([language_tag + segment.text for segment in segments])
        truncated_tokens = sum(max(0, len(segment_ids) - self.max_source_tokens) for segment_ids in encoded)
        segments_with_ids = zip(segments, encoded, strict=True)
        return LinePlan(
            [
                TranslationUnit(segment, segment_ids[: self.max_source_tokens])
                for segment, segment_ids in segments_with_ids
                if segment_ids
            ],
            truncated_tokens,
        )

    def _set_prefixes(self, plans: list[LinePlan], prefixes: Sequence[str]) -> None:
        """Give each line's first unit its prefix, truncated to what the model can write."""
        encoded = self.tokenizers.target.encode(prefixes)
        max_target_positions = self.engine.max_target_positions
        for plan, text, ids in zip(plans, prefixes, encoded, strict=True):
            if not ids:
                continue
            if not plan.units:
                plan.warnings.append("the line is blank: its prefix was not used")
                continue
            if max_target_positions is not None and len(ids) > max_target_positions - 1:
                plan.warnings.append(f"the prefix is longer than the {max_target_positions - 1} pieces that the "
                                     "model can write: cut")  # fmt: skip
                ids = ids[: max_target_positions - 1]
            plan.units[0] = plan.units[0]._replace(prefix=text, prefix_ids=ids)

    def _search(self, units: Sequence[TranslationUnit], config: SearchConfig) -> list[list[DecodedHypothesis]]:
        """Hypotheses of each unit, best first; units of similar length are searched together."""
        hypotheses: list[list[Hypothesis]] = [[] for _ in units]
        max_batch_positions = self.engine.max_batch_positions(config)
        for indices in batch_by_length([len(unit.source_ids) + 1 for unit in units], max_batch_positions):
            prefixes = [units[index].prefix_ids for index in indices]
            sources = [units[index].source_ids for index in indices]
            batch_hypotheses = self.engine.search(sources, config, prefixes if any(prefixes) else None)
            for index, unit_hypotheses in zip(indices, batch_hypotheses, strict=True):
                hypotheses[index] = unit_hypotheses
        texts = iter(
            self.tokenizers.target.decode(
                [hypothesis.ids for unit_hypotheses in hypotheses for hypothesis in unit_hypotheses]
            )
        )
        return [
            [DecodedHypothesis(hypothesis, to_single_line(next(texts))) for hypothesis in unit_hypotheses]
            for unit_hypotheses in hypotheses
        ]

    def _make_candidates(
        self, units: Sequence[TranslationUnit], hypotheses: list[list[DecodedHypothesis]]
    ) -> list[list[Candidate]]:
        flat_hypotheses = [
            (unit.source_ids, hypothesis)
            for unit, unit_hypotheses in zip(units, hypotheses, strict=True)
            for hypothesis in unit_hypotheses
        ]
        alignments = self._alignments([(ids, hypothesis.hypothesis.ids) for ids, hypothesis in flat_hypotheses])
        scored_hypotheses = zip(flat_hypotheses, self._log_probabilities(flat_hypotheses), alignments, strict=True)
        candidates = iter(
            Candidate(hypothesis.text, hypothesis.hypothesis.score, log_probability, alignment)
            for (_, hypothesis), log_probability, alignment in scored_hypotheses
        )
        return [[next(candidates) for _ in unit_hypotheses] for unit_hypotheses in hypotheses]

    def _log_probabilities(self, hypotheses: list[tuple[TokenIds, DecodedHypothesis]]) -> list[float]:
        """The log-probability of each hypothesis, the same as `nmt rescore` computes for its text."""
        scores = [hypothesis.hypothesis.log_probability for _, hypothesis in hypotheses]
        if not self.rescore_canonical:
            return scores
        canonical_ids = self.tokenizers.target.encode([hypothesis.text.strip() for _, hypothesis in hypotheses])
        max_target_positions = self.engine.max_target_positions
        noncanonical = [
            index
            for index, (ids, (_, hypothesis)) in enumerate(zip(canonical_ids, hypotheses, strict=True))
            if ids != hypothesis.hypothesis.ids and (max_target_positions is None or len(ids) < max_target_positions)
        ]
        sources, targets = (
            [hypotheses[index][0] for index in noncanonical],
            [canonical_ids[index] for index in noncanonical],
        )
        if noncanonical and (canonical_scores := self.engine.log_probabilities(sources, targets, self.config)):
            for index, score in zip(noncanonical, canonical_scores, strict=True):
                scores[index] = score
        return scores

    def _alignments(self, pairs: list[tuple[TokenIds, TokenIds]]) -> list[Alignment | None]:
        alignments: list[Alignment | None] = [None] * len(pairs)
        if not self.align:
            return alignments
        from nmt_cli.decoding.word_alignment import word_alignment

        lengths = [max(len(source), len(target)) + 1 for source, target in pairs]
        id_to_tokens = self.tokenizers.source.ids_to_tokens, self.tokenizers.target.ids_to_tokens
        for indices in batch_by_length(lengths, self.engine.max_batch_positions(self.config)):
            batch_pairs = [pairs[index] for index in indices]
            weights = self.engine.attention([pair[0] for pair in batch_pairs], [pair[1] for pair in batch_pairs])
            for index, pair_weights, (source, target) in zip(indices, weights or [], batch_pairs, strict=False):
                alignments[index] = word_alignment(pair_weights, id_to_tokens[0](source), id_to_tokens[1](target))
        return alignments


def _make_translation(
    plan: LinePlan, unit_results: list[tuple[list[Candidate], Diagnosis | None]], *, align: bool
) -> Translation:
    """The translation of a line from the results of its units."""
    diagnosis = merge_diagnoses([diagnosis for _, diagnosis in unit_results])
    warnings = [*plan.warnings]
    if len(unit_results) > 1:
        warnings.append(
            f"longer than the model reads: translated in {len(unit_results)} parts"
            + (", so it has no alignment" if align else "")
        )
    if plan.truncated_tokens:
        warnings.append(f"longer than the model reads: {plan.truncated_tokens:,} of its pieces were not read")
    if diagnosis is not None:
        warnings.append(diagnosis.warning)
    candidates = unit_results[0][0] if len(unit_results) == 1 else []
    if any(not unit_candidates for unit_candidates, _ in unit_results):
        warnings.append("search found no translation")
    if len(unit_results) > 1:
        candidates = _join_candidates(plan, [unit_candidates for unit_candidates, _ in unit_results])
    return Translation(candidates, warnings, diagnosis, plan.truncated_tokens)


def _join_candidates(plan: LinePlan, unit_candidates: list[list[Candidate]]) -> list[Candidate]:
    """One candidate for the whole line; its scores are sums over the units."""
    best_candidates = [candidates[0] for candidates in unit_candidates if candidates]
    if not best_candidates:
        return []
    texts = [candidates[0].text if candidates else "" for candidates in unit_candidates]
    joined = Candidate(
        join_translations([unit.segment for unit in plan.units], texts),
        sum(candidate.score for candidate in best_candidates),
        sum(candidate.log_probability for candidate in best_candidates),
    )
    return [joined]
