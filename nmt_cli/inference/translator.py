"""From text to text: split, normalise, encode, sort, batch, search, repair, decode, join, restore the order."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from nmt_cli.data.batching import batch_by_length
from nmt_cli.data.prepared.store import Tokenizers
from nmt_cli.data.text_profile import TextProfile
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Engine, Hypothesis, TokenIds
from nmt_cli.inference.degeneration import DecodedHypothesis, Diagnosis, SourceText, merge_diagnoses, repair_degenerate
from nmt_cli.inference.lines import to_single_line
from nmt_cli.inference.output import Candidate, TranslatedSentence, Translation
from nmt_cli.inference.pieces import Piece, split_into_pieces
from nmt_cli.inference.segments import Segment, join_translations, split_line

Alignment = list[tuple[int, int]]


class TranslationUnit(NamedTuple):
    """What is translated as a whole: a line, a sentence of it, or a segment of a long sentence."""

    segment: Segment
    source_ids: TokenIds = []  # noqa: RUF012 (never changed) cut to the length that is read
    prefix: str = ""
    prefix_ids: TokenIds = []  # noqa: RUF012
    given: str | None = None
    """Its translation where that needs no search: itself if it is copied, or a sentence of the line's prefix."""


@dataclass(frozen=True)
class LinePlan:
    """The units of a line; none for a line without text."""

    units: list[TranslationUnit]
    language_tag: str = ""
    truncated_tokens: int = 0  # source tokens that are in no unit
    warnings: list[str] = field(default_factory=list)


class Translator:
    """Translates lines of text with an engine."""

    def __init__(
        self,
        engine: Engine,
        tokenizers: Tokenizers,
        config: SearchConfig,
        profile: TextProfile | None = None,
        *,
        align: bool = False,
        rescore_canonical: bool = True,
    ) -> None:
        """`profile` is how the run's text was treated; None: as before there were profiles.

        With `align`, candidates have a word alignment. Search may write a text in other tokens than the tokenizer does.
        With `rescore_canonical`, its log-probability is that of the tokenizer's tokens, computed anew; without, that of
        the tokens that search wrote.
        """
        self.engine, self.tokenizers, self.config = engine, tokenizers, config
        self.profile = profile or TextProfile()
        self.align, self.rescore_canonical = align, rescore_canonical
        limits = [config.max_source_length, (engine.max_source_positions or 1 << 30) - 1]
        self.max_source_tokens = min(limits)
        self._normalize = self.profile.normalizer()
        self._splitter, self._target_splitter = self.profile.source_splitter(), self.profile.target_splitter()

    def translate(self, lines: Sequence[str], prefixes: Sequence[str] | None = None) -> list[Translation]:
        """One translation per line, in the order of the lines; that of a blank line is empty.

        `prefixes`, one per line, are texts that the translations begin with; white space around them is ignored. A
        line is translated sentence by sentence (search.split), and what holds nothing to translate is copied
        (search.keep). A sentence of more than search.max_source_length tokens is translated in segments (or, without
        search.split, truncated), with a warning in its translation.
        """
        plans = self._plan_lines(lines)
        if prefixes is not None:
            self._set_prefixes(plans, [prefix.strip() for prefix in prefixes])
        units = [unit for plan in plans for unit in plan.units if unit.given is None]
        hypotheses = self._search(units, self.config)
        diagnoses: list[Diagnosis | None] = [None] * len(units)
        if self.config.repair_degenerate:
            sources = [SourceText(unit.segment.text, len(unit.source_ids), unit.prefix) for unit in units]
            hypotheses, diagnoses = repair_degenerate(
                sources,
                hypotheses,
                self.config,
                lambda indices, config: self._search([units[index] for index in indices], config),
            )
        searched = iter(zip(self._make_candidates(units, hypotheses), diagnoses, strict=True))
        given = iter(self._given_candidates([unit for plan in plans for unit in plan.units if unit.given is not None]))
        return [
            _make_translation(
                plan,
                [next(searched) if unit.given is None else ([next(given)], None) for unit in plan.units],
                self.config.n_best,
            )
            for plan in plans
        ]

    def _plan_lines(self, lines: Sequence[str]) -> list[LinePlan]:
        """The units of each line; all sentences are tokenized together."""
        line_tags = [self.tokenizers.source.language_tag(line.strip()) for line in lines]
        line_pieces = [
            self._pack_sentences(self._split(line.strip()[len(tag) :]))
            for line, tag in zip(lines, line_tags, strict=True)
        ]
        texts = [
            tag + piece.text
            for tag, pieces in zip(line_tags, line_pieces, strict=True)
            for piece in pieces
            if not piece.is_copied
        ]
        encoded = iter(self.tokenizers.source.encode(texts))
        plans = []
        for tag, pieces in zip(line_tags, line_pieces, strict=True):
            plan, truncated_tokens = LinePlan([], tag), 0
            for piece in pieces:
                if piece.is_copied:
                    plan.units.append(TranslationUnit(Segment(piece.text, piece.separator), given=piece.text))
                else:
                    units, truncated = self._plan_sentence(piece, tag, next(encoded))
                    plan.units.extend(units)
                    truncated_tokens += truncated
                    if len(units) > 1:
                        plan.warnings.append(f"longer than the model reads: translated in {len(units)} parts")
            plans.append(replace(plan, truncated_tokens=truncated_tokens))
        return plans

    def split_pair(self, source: str, target: str) -> list[tuple[str, str]]:
        """The sentences of a line, each with that of its translation, where both have as many; else the whole lines.

        What is copied has no probability, and is in none of them.
        """
        tag = self.tokenizers.source.language_tag(source.strip())
        pieces = self._pack_sentences(self._split(source.strip()[len(tag) :]))
        if len(pieces) > 1:
            split_sentences = self._target_splitter.split if self.config.split == "sentences" else None
            translated = self._pack_sentences(
                split_into_pieces(target, split_sentences, copies=self.config.keep == "auto")
            )
            if [piece.is_copied for piece in pieces] == [piece.is_copied for piece in translated]:
                pairs = zip(pieces, translated, strict=True)
                return [(tag + piece.text, other.text) for piece, other in pairs if not piece.is_copied]
        return [(tag + self._normalize(source.strip()[len(tag) :]), target.strip())]

    def _split(self, line: str) -> list[Piece]:
        """The pieces of a line, normalised one by one, so that the spacing between them stays as it is."""
        split_sentences = self._splitter.split if self.config.split == "sentences" else None
        pieces = split_into_pieces(line, split_sentences, copies=self.config.keep == "auto")
        return [
            piece if piece.is_copied else piece._replace(text=text)
            for piece in pieces
            if piece.is_copied or (text := self._normalize(piece.text))
        ]

    def _pack_sentences(self, pieces: list[Piece]) -> list[Piece]:
        """Sentences together, as far as the training text has lines of so many, and so long."""
        max_sentences = self.profile.lengths.typical_sentences
        if max_sentences == 1 or len(pieces) < 2:
            return pieces
        max_tokens = self.profile.lengths.typical_tokens or self.max_source_tokens
        packed: list[Piece] = []
        sentence_count = token_count = 0
        for piece in pieces:
            piece_tokens = 0 if piece.is_copied else len(self.tokenizers.source.encode([piece.text])[0])
            fits = sentence_count and sentence_count < max_sentences and token_count + piece_tokens <= max_tokens
            if piece.is_copied:
                packed.append(piece)
                sentence_count = 0
            elif fits:
                packed[-1] = Piece(f"{packed[-1].text}{packed[-1].separator}{piece.text}", piece.separator)
                sentence_count, token_count = sentence_count + 1, token_count + piece_tokens
            else:
                packed.append(piece)
                sentence_count, token_count = 1, piece_tokens
        return packed

    def _plan_sentence(self, piece: Piece, language_tag: str, ids: TokenIds) -> tuple[list[TranslationUnit], int]:
        """A unit for a sentence, or several for a long one; and the number of its tokens that are in none."""
        whole = Segment(piece.text, piece.separator)
        if not ids:
            return [], 0
        if len(ids) <= self.max_source_tokens:
            return [TranslationUnit(whole, ids)], 0
        if self.config.split == "none":
            truncated = len(ids) - self.max_source_tokens
            return [TranslationUnit(whole, ids[: self.max_source_tokens])], truncated
        encode = self.tokenizers.source.encode
        max_segment_tokens = self.max_source_tokens - (len(encode([language_tag])[0]) if language_tag else 0)
        segments = split_line(
            piece.text,
            max(1, max_segment_tokens),
            lambda segment_texts: [len(token_ids) for token_ids in encode(segment_texts)],
        )
        segments[-1] = replace(segments[-1], separator=piece.separator)
        encoded = encode([language_tag + segment.text for segment in segments])
        truncated = sum(max(0, len(segment_ids) - self.max_source_tokens) for segment_ids in encoded)
        units = [
            TranslationUnit(segment, segment_ids[: self.max_source_tokens])
            for segment, segment_ids in zip(segments, encoded, strict=True)
            if segment_ids
        ]
        return units, truncated

    def _set_prefixes(self, plans: list[LinePlan], prefixes: Sequence[str]) -> None:
        """Give the first units of each line its prefix, sentence by sentence."""
        for plan, prefix in zip(plans, prefixes, strict=True):
            if not prefix:
                continue
            if not plan.units:
                plan.warnings.append("the line is blank: its prefix was not used")
                continue
            self._set_prefix(plan, prefix)

    def _set_prefix(self, plan: LinePlan, prefix: str) -> None:
        """Sentences of the prefix are the translations of the first units; its last one begins the next unit."""
        remaining = prefix
        for index, unit in enumerate(plan.units):
            if not remaining:
                return
            if unit.given is not None and len(plan.units) > index + 1:
                remaining = remaining.removeprefix(unit.given).lstrip()
                continue
            sentence, *others = (
                self._target_splitter.split(remaining) if self.config.split == "sentences" else [remaining]
            )
            if others and index + 1 < len(plan.units):
                plan.units[index] = unit._replace(given=sentence.strip())
                remaining = "".join(others)
            else:
                plan.units[index] = self._with_prefix(plan, unit, remaining)
                return

    def _with_prefix(self, plan: LinePlan, unit: TranslationUnit, prefix: str) -> TranslationUnit:
        """The unit with a prefix, truncated to what the model can write."""
        if unit.given is not None:  # what would be copied is translated after all
            text = self._normalize(unit.segment.text)
            (source_ids,) = self.tokenizers.source.encode([plan.language_tag + text])
            if not text or not source_ids:
                plan.warnings.append("the line is blank: its prefix was not used")
                return unit
            unit = TranslationUnit(Segment(text, unit.segment.separator), source_ids[: self.max_source_tokens])
        (ids,) = self.tokenizers.target.encode([prefix])
        max_target_positions = self.engine.max_target_positions
        if max_target_positions is not None and len(ids) > max_target_positions - 1:
            plan.warnings.append(f"the prefix is longer than the {max_target_positions - 1} pieces that the "
                                 "model can write: cut")  # fmt: skip
            ids = ids[: max_target_positions - 1]
        return unit._replace(prefix=prefix, prefix_ids=ids)

    def _given_candidates(self, units: Sequence[TranslationUnit]) -> list[Candidate]:
        """Candidates that needed no search; those of a prefix have the probability that the model gives them."""
        prefixed = [index for index, unit in enumerate(units) if unit.source_ids]
        targets = self.tokenizers.target.encode([units[index].given or "" for index in prefixed])
        scores = dict.fromkeys(range(len(units)), 0.0)
        if prefixed:
            sources = [units[index].source_ids for index in prefixed]
            scores |= zip(prefixed, self.engine.log_probabilities(sources, targets, self.config) or [], strict=False)
        lengths = dict(zip(prefixed, map(len, targets), strict=True))
        return [
            Candidate(
                unit.given or "",
                self.config.normalize(scores[index], lengths.get(index, 0) + 1),
                scores[index],
                [(word, word) for word in range(len(unit.segment.text.split()))]
                if self.align and not unit.source_ids
                else []
                if self.align
                else None,
            )
            for index, unit in enumerate(units)
        ]

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
    plan: LinePlan, unit_results: list[tuple[list[Candidate], Diagnosis | None]], n_best: int
) -> Translation:
    """The translation of a line from the results of its units."""
    diagnosis = merge_diagnoses([diagnosis for _, diagnosis in unit_results])
    warnings = [*plan.warnings]
    if plan.truncated_tokens:
        warnings.append(f"longer than the model reads: {plan.truncated_tokens:,} of its pieces were not read")
    if diagnosis is not None:
        warnings.append(diagnosis.warning)
    if any(not candidates for candidates, _ in unit_results):
        warnings.append("search found no translation")
    unit_candidates = [_distinct(candidates) for candidates, _ in unit_results]
    if len(unit_candidates) == 1:
        return Translation(unit_candidates[0], warnings, diagnosis, plan.truncated_tokens)
    combinations = _best_combinations(unit_candidates, n_best)
    sentences = [
        TranslatedSentence(unit.segment.text, candidate.text, candidate.score)
        for unit, candidate in zip(plan.units, combinations[0] if combinations else [], strict=False)
    ]
    candidates = _distinct([_join_candidates(plan, combination) for combination in combinations])
    return Translation(candidates, warnings, diagnosis, plan.truncated_tokens, sentences)


def _distinct(candidates: list[Candidate]) -> list[Candidate]:
    """The first candidate with each text."""
    return list({candidate.text: candidate for candidate in reversed(candidates)}.values())[::-1]


def _best_combinations(unit_candidates: list[list[Candidate]], count: int) -> list[list[Candidate]]:
    """A candidate of each unit, in the `count` ways with the highest sums of scores; [] where no unit has any."""
    if not any(unit_candidates):
        return []
    choices = [candidates or [Candidate("", 0.0, 0.0)] for candidates in unit_candidates]

    def total(ranks: tuple[int, ...]) -> float:
        return sum(candidates[rank].score for candidates, rank in zip(choices, ranks, strict=True))

    best = (0,) * len(choices)
    queue, seen = [(-total(best), best)], {best}
    combinations: list[list[Candidate]] = []
    while queue and len(combinations) < count:
        _, ranks = heapq.heappop(queue)
        combinations.append([candidates[rank] for candidates, rank in zip(choices, ranks, strict=True)])
        for unit, candidates in enumerate(choices):
            lower = (*ranks[:unit], ranks[unit] + 1, *ranks[unit + 1 :])
            if lower[unit] < len(candidates) and lower not in seen:
                seen.add(lower)
                heapq.heappush(queue, (-total(lower), lower))
    return combinations


def _join_candidates(plan: LinePlan, candidates: Sequence[Candidate]) -> Candidate:
    """One candidate for the whole line; its scores are sums over the units, its alignment is of the line's words."""
    segments = [unit.segment for unit in plan.units]
    alignment: Alignment = []
    tag_words = source_words = len(plan.language_tag.split())
    for index, (unit, candidate) in enumerate(zip(plan.units, candidates, strict=True)):
        before = join_translations(segments[: index + 1], [*(c.text for c in candidates[:index]), "x"])
        target_words = len(before.split()) - 1
        own_tag = 0 if unit.given is not None else tag_words  # words of the tag that the unit was given, too
        alignment += [
            (source - own_tag + source_words, target + target_words)
            for source, target in candidate.alignment or []
            if source >= own_tag
        ]
        source_words += len(unit.segment.text.split()) - (not unit.segment.separator)
    return Candidate(
        join_translations(segments, [candidate.text for candidate in candidates]),
        sum(candidate.score for candidate in candidates),
        sum(candidate.log_probability for candidate in candidates),
        None if all(candidate.alignment is None for candidate in candidates) else alignment,
    )
