"""From text to text: split, normalise, encode, sort, batch, search, repair, decode, join, restore the order."""

import copy
import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from nmt_cli.data.length_batching import batch_by_length
from nmt_cli.data.text_profile import TextProfile, UnknownShares, fallback_share
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Engine, Hypothesis, TokenIds
from nmt_cli.errors import DataError, UserError, pluralize
from nmt_cli.inference.confidence import Assessment, Calibration, TranslatedPart, assess
from nmt_cli.inference.degeneration import (
    DecodedHypothesis,
    Diagnosis,
    SourceText,
    find_issues,
    merge_diagnoses,
    repair_degenerate,
)
from nmt_cli.inference.familiarity import FamiliarityLimits
from nmt_cli.inference.line_plan import LinePlan, LinePlanner, TranslationUnit
from nmt_cli.inference.lines import list_of_lines, to_single_line
from nmt_cli.inference.output import Candidate, TranslatedSentence, Translation, WordProbability
from nmt_cli.inference.punctuation import drop_added_stop
from nmt_cli.inference.segments import spaced_translations
from nmt_cli.inference.text_edits import Alignment
from nmt_cli.inference.unknown_tokens import SourceTokens, fill_unknown_tokens
from nmt_cli.inference.words import place_words, words_of
from nmt_cli.recipe.loader import change_search

Reduced = TypeVar("Reduced")
NOTHING = Candidate("", -math.inf, -math.inf)  # of a unit for which search found no translation


class Translator:
    """Translates lines of text with an engine."""

    def __init__(
        self,
        engine: Engine,
        tokenizers: Tokenizers,
        config: SearchConfig,
        profile: TextProfile | None = None,
        probability_limit: float | None = None,
        *,
        align: bool = False,
        rescore_canonical: bool = True,
        assess: bool = False,
        calibration: Calibration | None = None,
    ) -> None:
        """`profile` is how the run's text was treated; None: as before there were profiles. `probability_limit` is the
        probability per token below which translations are rare (see FamiliarityLimits).

        With `align`, candidates have a word alignment. Search may write a text in other tokens than the tokenizer does.
        With `rescore_canonical`, its log-probability is that of the tokenizer's tokens, computed anew; without, that of
        the tokens that search wrote. With `assess`, a scoring pass says how probable each word is and, by a
        `calibration`, how sure the translation.
        """
        self.assess, self.calibration = assess, calibration
        self.engine, self.tokenizers, self.config = engine, tokenizers, config
        self.align, self.rescore_canonical = align, rescore_canonical
        self.limits = FamiliarityLimits(profile.unknown if profile else UnknownShares(), probability_limit)
        self.planner = self._make_planner(profile or TextProfile())

    def _make_planner(self, profile: TextProfile) -> LinePlanner:
        max_target_positions = self.engine.max_target_positions
        return LinePlanner(
            self.tokenizers,
            self.config,
            profile,
            max_source_tokens=min(self.config.max_source_length, (self.engine.max_source_positions or 1 << 30) - 1),
            max_target_tokens=None if max_target_positions is None else max_target_positions - 1,
        )

    def with_search(self, **changes: object) -> "Translator":
        """A translator with the same engine whose search section differs in these keys.

        RecipeError for unknown keys and values that do not fit; UserError for what is settled when a run is opened.
        """
        variant = copy.copy(self)
        variant.config = change_search(self.config, changes, "with_search")
        if reasons := self._settled(variant.config):
            raise UserError(f"with_search: {reasons[0]}; open the run with it: load_run(RUN, search={{...}})")
        variant.planner = variant._make_planner(self.planner.profile)
        return variant

    def _settled(self, config: SearchConfig) -> list[str]:
        """What another search section asks for that an open translator cannot change, each as `search.key: reason`."""
        reasons = []
        if config.precision != self.config.precision:
            reasons.append("search.precision: the weights are loaded already")
        if config.correct_typos and not self.config.correct_typos and self.planner.profile.known_words is None:
            reasons.append("search.correct_typos: the words of the training text are not loaded")
        present = self.engine.search_differences(self.config)
        return reasons + [reason for reason in self.engine.search_differences(config) if reason not in present]

    def translate(self, lines: Iterable[str], prefixes: Iterable[str] | None = None) -> list[Translation]:
        """One translation per line, in the order of the lines; that of a blank line is empty.

        A line break at the end of a line ends it; what others part is translated by itself, and they are kept.
        `prefixes`, one per line, are texts that the translations begin with; white space around them is ignored. A
        line is translated sentence by sentence (search.split), and what holds nothing to translate is copied
        (search.keep). A sentence of more than search.max_source_length tokens is translated in segments (or, without
        search.split, truncated), with a warning in its translation.
        """
        lines = [line.removesuffix("\n") for line in list_of_lines(lines, "translate")]
        prefixes = [""] * len(lines) if prefixes is None else list_of_lines(prefixes, "translate: prefixes")
        if len(prefixes) != len(lines):
            raise DataError(
                f"translate: {len(prefixes):,} prefixes for {pluralize(len(lines), 'line')}: needs one for each"
            )
        plans = self.planner.plan(lines)
        for plan, prefix in zip(plans, prefixes, strict=True):
            if prefix.strip():
                self.planner.set_prefix(plan, prefix)
        units, hypotheses = self._search_plans(plans)
        return self._finish(plans, units, hypotheses)

    def searched_units(self, lines: Sequence[str]) -> list[tuple[LinePlan, list[tuple[TranslationUnit, TokenIds]]]]:
        """How `translate` translates each line: its plan, and the units that are searched for, each with the ids of its
        best hypothesis. What is copied, and a unit for which search finds nothing, is only in the plan."""
        plans = self.planner.plan([line.removesuffix("\n") for line in lines])
        units, hypotheses = self._search_plans(plans)
        searched = iter(zip(units, self._repair(units, hypotheses)[0], strict=True))
        units_by_line = [[next(searched) for unit in plan.units if unit.given is None] for plan in plans]
        return [
            (plan, [(unit, hypotheses[0].hypothesis.ids) for unit, hypotheses in line_units if hypotheses])
            for plan, line_units in zip(plans, units_by_line, strict=True)
        ]

    def _search_plans(self, plans: list[LinePlan]) -> tuple[list[TranslationUnit], list[list[DecodedHypothesis]]]:
        """The units of the plans that are searched for, and their hypotheses.

        Except with sampling, what must not change is first left in what the model reads, where it may have learned to
        copy it; a unit whose translation has it exactly takes the place of the one without it in its plan.
        """
        places = [(plan, index) for plan in plans for index, unit in enumerate(plan.units) if unit.given is None]
        units = [plan.units[index] for plan, index in places]
        if self.config.sampling:
            return units, self._draw(plans, units)
        hidden = [place for place, unit in enumerate(units) if unit.hidden is not None]
        attempts = {
            place: attempt
            for place, attempt in zip(hidden, self.planner.verbatim([units[place] for place in hidden]), strict=True)
            if attempt is not None
        }
        hypotheses = self._search([attempts.get(place, unit) for place, unit in enumerate(units)], self.config)
        failed = []
        for place, attempt in attempts.items():
            if self._is_exact(units[place], attempt, hypotheses[place]):
                plan, index = places[place]
                units[place] = plan.units[index] = attempt
            else:
                failed.append(place)
        for place, searched in zip(failed, self._search([units[place] for place in failed], self.config), strict=True):
            hypotheses[place] = searched
        return units, hypotheses

    def _draw(self, plans: list[LinePlan], units: list[TranslationUnit]) -> list[list[DecodedHypothesis]]:
        """The samples of each unit, in such an order that the i-th ones of a line are a draw of the line.

        An engine draws the same for the same ids, so each time that they stand in a line again, they are drawn with
        another seed.
        """
        places = iter(range(len(units)))
        lines = [[next(places) for unit in plan.units if unit.given is None] for plan in plans]
        by_occurrence: dict[int, list[int]] = defaultdict(list)
        for line in lines:
            occurrences: Counter[tuple[int, ...]] = Counter()
            for place in line:
                ids = tuple(units[place].source_ids)
                by_occurrence[occurrences[ids]].append(place)
                occurrences[ids] += 1
        hypotheses: list[list[DecodedHypothesis]] = [[] for _ in units]
        for occurrence, drawn_places in by_occurrence.items():
            config = self.config
            if occurrence:
                seed = random.Random(f"{config.seed} {occurrence}").getrandbits(63)
                config = config.model_copy(update={"seed": seed})
            drawn = self._search([units[place] for place in drawn_places], config)
            for place, unit_hypotheses in zip(drawn_places, drawn, strict=True):
                hypotheses[place] = unit_hypotheses
        for line in lines:
            self._pair_draws([place for place in line if hypotheses[place]], units, hypotheses)
        return hypotheses

    def _pair_draws(
        self, line: list[int], units: list[TranslationUnit], hypotheses: list[list[DecodedHypothesis]]
    ) -> None:
        """Order the hypotheses of the units of a line so that the i-th ones are a draw of it, the most probable first.

        Engines sort the draws of a unit; shuffled by search.seed and its source, those of a line are independent.
        """
        shuffled = [
            random.Random(f"{self.config.seed} {index} {units[place].source_ids}").sample(
                hypotheses[place], len(hypotheses[place])
            )
            for index, place in enumerate(line)
        ]
        draws = zip(*shuffled, strict=True)
        ranked = sorted(draws, key=lambda draw: -sum(part.hypothesis.score for part in draw))
        for place, drawn in zip(line, zip(*ranked, strict=True), strict=True):
            hypotheses[place] = list(drawn)

    def _is_exact(
        self, unit: TranslationUnit, attempt: TranslationUnit, hypotheses: Sequence[DecodedHypothesis]
    ) -> bool:
        """Whether every hypothesis of an attempt has exactly what must not change of the unit, and the first one no
        issue."""
        assert unit.hidden is not None
        source = SourceText(attempt.read_text, len(attempt.source_ids), "")
        unknown_id = self.tokenizers.target.unknown_id
        return (
            bool(hypotheses)
            and not find_issues(source, hypotheses)
            and all(
                unknown_id not in hypothesis.ids
                and self.planner.protector.has_exactly(
                    unit.hidden, self.planner.casing.restore(attempt.read_text, text)
                )
                for hypothesis, text, _ in hypotheses
            )
        )

    def _finish(
        self, plans: list[LinePlan], units: list[TranslationUnit], hypotheses: list[list[DecodedHypothesis]]
    ) -> list[Translation]:
        """Repair and score hypotheses, and join those of a line."""
        hypotheses, diagnoses = self._repair(units, hypotheses)
        assessments = self._assess(plans, hypotheses) if self.assess else [{}] * len(plans)
        searched = iter(
            _UnitResult(candidates, diagnosis, *self._familiarity(unit, unit_hypotheses))
            for unit, candidates, diagnosis, unit_hypotheses in zip(
                units, self._make_candidates(units, hypotheses), diagnoses, hypotheses, strict=True
            )
        )
        given = iter(self._given_candidates([unit for plan in plans for unit in plan.units if unit.given is not None]))
        translations = [
            _make_translation(
                plan,
                [next(searched) if unit.given is None else _UnitResult([next(given)]) for unit in plan.units],
                self.config,
                assessment,
            )
            for plan, assessment in zip(plans, assessments, strict=True)
        ]
        for plan, translation in zip(plans, translations, strict=True):
            if added := self.planner.protector.added_placeholders(plan.line, translation.text):
                translation.warnings.append(f"the translation has {', '.join(added)}, which the line has not")
        return translations

    def _repair(
        self, units: list[TranslationUnit], hypotheses: list[list[DecodedHypothesis]]
    ) -> tuple[list[list[DecodedHypothesis]], list[Diagnosis | None]]:
        """The hypotheses after degenerate ones were repaired (search.repair_degenerate), and what was found."""
        if not self.config.repair_degenerate:
            return hypotheses, [None] * len(units)
        return repair_degenerate(
            [SourceText(unit.read_text, len(unit.source_ids), unit.prefix) for unit in units],
            hypotheses,
            self.config,
            lambda indices, config: self._search([units[index] for index in indices], config),
        )

    def translated_parts(self, pairs: Sequence[tuple[TranslationUnit, str]]) -> list[TranslatedPart]:
        """Units with their translations, as the tokenizer encodes them, cut to what the model can write."""
        texts = [self.planner.normalizer(text.strip()) for _, text in pairs]
        limit = self.planner.max_target_tokens
        return [
            TranslatedPart(unit.source_ids, ids[:limit], len(unit.read_text.split()), text)
            for (unit, _), text, ids in zip(pairs, texts, self.tokenizers.target.encode(texts), strict=True)
        ]

    def _assess(self, plans: Sequence[LinePlan], hypotheses: list[list[DecodedHypothesis]]) -> list[dict[str, Any]]:
        """The fields of each translation that say how sure it is."""
        best_texts = iter([unit_hypotheses[0].text if unit_hypotheses else "" for unit_hypotheses in hypotheses])
        units_by_line = [
            [(unit, next(best_texts) if unit.given is None else unit.given) for unit in plan.units] for plan in plans
        ]
        parts = iter(self.translated_parts([pair for units in units_by_line for pair in units if pair[0].source_ids]))
        parts_by_line = [[next(parts) for unit, _ in units if unit.source_ids] for units in units_by_line]
        assessments = assess(self.engine, self.config, parts_by_line)
        confidences = iter(
            self.calibration.confidences([assessment.features for assessment in assessments if assessment is not None])
            if self.calibration is not None
            else []
        )
        fields: list[dict[str, Any]] = []
        for units, line_parts, assessment in zip(units_by_line, parts_by_line, assessments, strict=True):
            if assessment is None:
                is_copied = bool(units) and not line_parts
                fields.append({"confidence": 1.0 if is_copied and self.calibration is not None else None})
                continue
            words = list(self._word_probabilities([unit for unit, _ in units], line_parts, assessment))
            fields.append(
                {"confidence": next(confidences, None), "words": words, "features": tuple(assessment.features)}
            )
        return fields

    def _word_probabilities(
        self, units: Sequence[TranslationUnit], parts: Sequence[TranslatedPart], assessment: Assessment
    ) -> Iterator[list[WordProbability]]:
        """The words of each unit as the model wrote them, and the product of their tokens' probabilities; 1 for what is
        copied. What was put in by word alignment is not among them."""
        scored_parts = iter(zip(parts, assessment.log_probabilities, strict=True))
        for unit in units:
            if not unit.source_ids:
                yield [WordProbability(word, 1.0) for word in (unit.given or "").split()]
                continue
            part, log_probs = next(scored_parts)
            part_words = words_of(self.tokenizers.target, part.target_ids, part.text)[:-1]
            texts = [word.text for word in part_words]
            if unit.given is None:  # a prefix stays as it is
                texts = self.planner.casing.restore_words(unit.read_text, texts, unit.prefix)
            if unit.hidden is not None:
                texts = [unit.hidden.replace_placeholders(text) for text in texts]
            probabilities = [math.exp(sum(log_probs[word.first : word.end])) for word in part_words]
            yield [word for word in map(WordProbability, texts, probabilities) if word.text]

    def _familiarity(
        self, unit: TranslationUnit, hypotheses: Sequence[DecodedHypothesis]
    ) -> tuple[float, float | None]:
        """The share of tokens of the source that the vocabulary lacks, and the probability per token of the best
        translation."""
        share = fallback_share(unit.source_ids, self.tokenizers.source.fallback_ids)
        if not hypotheses:
            return share, None
        best = hypotheses[0].hypothesis
        return share, math.exp(best.log_probability / (len(best.ids) + 1))

    def _given_candidates(self, units: Sequence[TranslationUnit]) -> list[Candidate]:
        """Candidates that needed no search: of what is copied, with probability 1, and of a prefix, with that which the
        model gives it (0 where it cannot write as much)."""
        target_ids = self.tokenizers.target.encode([unit.given or "" for unit in units])
        log_probs = self._rescored(
            [-math.inf if unit.source_ids else 0.0 for unit in units],
            {
                index: (unit.source_ids, ids)
                for index, (unit, ids) in enumerate(zip(units, target_ids, strict=True))
                if unit.source_ids and self._can_write(ids)
            },
        )
        return [
            Candidate(
                unit.given or "",
                self.config.normalize(log_prob, len(ids) + 1) if unit.source_ids else 0.0,
                log_prob,
                self._given_alignment(unit),
            )
            for unit, ids, log_prob in zip(units, target_ids, log_probs, strict=True)
        ]

    def _given_alignment(self, unit: TranslationUnit) -> Alignment | None:
        """Each word of a copied text with itself; none for a prefix."""
        if not self.align:
            return None
        return [] if unit.source_ids else [(word, word) for word in range(len(unit.segment.text.split()))]

    def _search(self, units: Sequence[TranslationUnit], config: SearchConfig) -> list[list[DecodedHypothesis]]:
        """The hypotheses of each unit, best first; units of similar length are searched together."""
        max_batch_positions = self.engine.max_batch_positions(config)
        hypotheses: list[list[Hypothesis]] = [[] for _ in units]
        for indices in batch_by_length([len(unit.source_ids) + 1 for unit in units], max_batch_positions):
            prefixes = [units[index].prefix_ids for index in indices]
            sources = [units[index].source_ids for index in indices]
            searched = self.engine.search(sources, config, prefixes if any(prefixes) else None)
            for index, unit_hypotheses in zip(indices, searched, strict=True):
                hypotheses[index] = unit_hypotheses
        return self._decode(units, hypotheses)

    def _decode(
        self, units: Sequence[TranslationUnit], hypotheses: list[list[Hypothesis]]
    ) -> list[list[DecodedHypothesis]]:
        """The hypotheses with their texts: without <unk>, and without a final stop that the source does not have."""
        texts = iter(
            self.tokenizers.target.decode(
                [hypothesis.ids for unit_hypotheses in hypotheses for hypothesis in unit_hypotheses]
            )
        )
        decoded = [
            [DecodedHypothesis(hypothesis, to_single_line(next(texts))) for hypothesis in unit_hypotheses]
            for unit_hypotheses in hypotheses
        ]
        self._fill_unknown(units, decoded)
        if self.config.keep == "auto" and self.planner.profile.keeps_open_ends:
            return [
                [self._without_added_stop(unit, hypothesis) for hypothesis in unit_hypotheses]
                for unit, unit_hypotheses in zip(units, decoded, strict=True)
            ]
        return decoded

    def _without_added_stop(self, unit: TranslationUnit, hypothesis: DecodedHypothesis) -> DecodedHypothesis:
        text = drop_added_stop(unit.read_text, hypothesis.text)
        if text == hypothesis.text or len(hypothesis.text) <= len(unit.prefix):
            return hypothesis
        return hypothesis if self.planner.ends_in_abbreviation(hypothesis.text) else hypothesis._replace(text=text)

    def _fill_unknown(self, units: Sequence[TranslationUnit], hypotheses: list[list[DecodedHypothesis]]) -> None:
        """Replace the hypotheses that have <unk>: search.unknown."""
        unknown_id, tokenizer = self.tokenizers.target.unknown_id, self.tokenizers.target
        places = [
            (unit, rank)
            for unit, unit_hypotheses in enumerate(hypotheses)
            for rank, (hypothesis, *_) in enumerate(unit_hypotheses)
            if unknown_id in hypothesis.ids
        ]
        if not places:
            return
        pairs = [(units[unit].source_ids, hypotheses[unit][rank].hypothesis.ids) for unit, rank in places]
        copies = self.config.unknown == "copy"
        all_weights = self._reduced_attention(pairs, _token_weights) if copies else [None] * len(pairs)
        for (unit, rank), (_, ids), weights in zip(places, pairs, all_weights, strict=True):
            tokens = tokenizer.visible_tokens(ids)
            prefix_tokens = tokenizer.encode_with_texts(units[unit].prefix)[1] if units[unit].prefix else []
            prefix_tokens = prefix_tokens[: len(units[unit].prefix_ids)]
            tokens[: len(prefix_tokens)] = prefix_tokens
            unknown = [place for place in range(len(prefix_tokens), len(ids)) if ids[place] == unknown_id]
            source = self._source_tokens(units[unit]) if copies else SourceTokens([], frozenset())
            tokens = fill_unknown_tokens(tokens, unknown, source, weights)
            text = to_single_line(tokenizer.decode_tokens(tokens))
            hypotheses[unit][rank] = DecodedHypothesis(hypotheses[unit][rank].hypothesis, text, tokens)

    def _source_tokens(self, unit: TranslationUnit) -> SourceTokens:
        """The tokens of a unit's source, with its text where the vocabulary has none."""
        tokenizer = self.tokenizers.source
        if tokenizer.unknown_id not in unit.source_ids:
            return SourceTokens(tokenizer.ids_to_tokens(unit.source_ids), frozenset())
        _, texts = tokenizer.encode_with_texts(unit.language_tag + self.planner.casing.model_form(unit.read_text))
        unknown = [index for index, token_id in enumerate(unit.source_ids) if token_id == tokenizer.unknown_id]
        return SourceTokens(texts[: len(unit.source_ids)], frozenset(unknown))

    def _make_candidates(
        self, units: Sequence[TranslationUnit], hypotheses: list[list[DecodedHypothesis]]
    ) -> list[list[Candidate]]:
        flat_hypotheses = [
            (unit, hypothesis)
            for unit, unit_hypotheses in zip(units, hypotheses, strict=True)
            for hypothesis in unit_hypotheses
        ]
        alignments = self._alignments(flat_hypotheses)
        log_probabilities = self._log_probabilities(flat_hypotheses)
        candidates = iter(
            Candidate(text, hypothesis.hypothesis.score, log_probability, alignment if self.align else None)
            for (unit, hypothesis), log_probability, (text, alignment) in zip(
                flat_hypotheses, log_probabilities, self._restore(flat_hypotheses, alignments), strict=True
            )
        )
        return [[next(candidates) for _ in unit_hypotheses] for unit_hypotheses in hypotheses]

    def _restore(
        self, hypotheses: list[tuple[TranslationUnit, DecodedHypothesis]], alignments: list[Alignment | None]
    ) -> Iterator[tuple[str, Alignment | None]]:
        """The text of each hypothesis in the case of its source, with what must not change, and its alignment."""
        for (unit, hypothesis), alignment in zip(hypotheses, alignments, strict=True):
            text = self.planner.casing.restore(unit.read_text, hypothesis.text, unit.prefix)
            if unit.hidden is None:
                yield self.planner.protector.drop_placeholders(text), alignment
            else:
                written_prefix = self.tokenizers.target.decode([unit.prefix_ids])[0] if unit.prefix_ids else ""
                yield unit.hidden.restore(text, alignment, unit.prefix, to_single_line(written_prefix))

    def displayed_text(self, unit: TranslationUnit, hypothesis: Hypothesis) -> str:
        """A hypothesis of a unit as it comes out: in the case of its source, with what must not change."""
        decoded = [(unit, decoded) for decoded in self._decode([unit], [[hypothesis]])[0]]
        (restored,) = self._restore(decoded, self._alignments(decoded))
        return restored[0]

    def _log_probabilities(self, hypotheses: list[tuple[TranslationUnit, DecodedHypothesis]]) -> list[float]:
        """The log-probability of each hypothesis, the same as `nmt rescore` computes for its text."""
        scores = [hypothesis.hypothesis.log_probability for _, hypothesis in hypotheses]
        if not self.rescore_canonical:
            return scores
        texts = [self.planner.normalizer(hypothesis.text.strip()) for _, hypothesis in hypotheses]
        canonical_ids = self.tokenizers.target.encode(texts)
        noncanonical = {
            index: (unit.source_ids, ids)
            for index, (ids, (unit, hypothesis)) in enumerate(zip(canonical_ids, hypotheses, strict=True))
            if ids != hypothesis.hypothesis.ids and self._can_write(ids)
        }
        return self._rescored(scores, noncanonical)

    def _can_write(self, target_ids: TokenIds) -> bool:
        max_tokens = self.planner.max_target_tokens
        return max_tokens is None or len(target_ids) <= max_tokens

    def _rescored(self, scores: list[float], pairs: dict[int, tuple[TokenIds, TokenIds]]) -> list[float]:
        """The scores, but at the index of each pair its log-probability, where the engine can compute it."""
        sources, targets = ([pair[side] for pair in pairs.values()] for side in (0, 1))
        log_probs = self.engine.log_probabilities(sources, targets, self.config) if pairs else None
        rescored = {} if log_probs is None else dict(zip(pairs, log_probs, strict=True))
        return [rescored.get(index, score) for index, score in enumerate(scores)]

    def _alignments(self, hypotheses: list[tuple[TranslationUnit, DecodedHypothesis]]) -> list[Alignment | None]:
        """The word alignment of each hypothesis, where it is asked for or what must not change has no place yet."""
        alignments: list[Alignment | None] = [None] * len(hypotheses)
        aligned = [
            index
            for index, (unit, hypothesis) in enumerate(hypotheses)
            if self.align or (unit.hidden is not None and unit.hidden.needs_alignment(hypothesis.text))
        ]
        if not aligned:
            return alignments
        target, pairs, tokens = self.tokenizers.target, [], []
        for unit, hypothesis in (hypotheses[index] for index in aligned):
            ids = hypothesis.hypothesis.ids
            pairs.append((unit.source_ids, ids))
            tokens.append((self._source_tokens(unit).texts, hypothesis.tokens or target.ids_to_tokens(ids)))
        for index, alignment in zip(aligned, self._align_tokens(pairs, tokens), strict=True):
            alignments[index] = alignment
        return alignments

    def word_alignments(self, pairs: Sequence[tuple[TokenIds, TokenIds]]) -> list[Alignment | None]:
        """The alignment of each pair of a source and a translation; None where the engine has no attention."""
        source, target = self.tokenizers.source, self.tokenizers.target
        tokens = [(source.ids_to_tokens(pair[0]), target.ids_to_tokens(pair[1])) for pair in pairs]
        return self._align_tokens(pairs, tokens)

    def _align_tokens(
        self, pairs: Sequence[tuple[TokenIds, TokenIds]], tokens: Sequence[tuple[list[str], list[str]]]
    ) -> list[Alignment | None]:
        def align(index: int, weights: Any) -> Alignment:
            from nmt_cli.decoding.word_alignment import word_alignment  # with torch, which made the weights

            return word_alignment(weights, *tokens[index])

        return self._reduced_attention(pairs, align)

    def _reduced_attention(
        self, pairs: Sequence[tuple[TokenIds, TokenIds]], reduce: Callable[[int, Any], Reduced]
    ) -> list[Reduced | None]:
        """What `reduce` makes of the index and the attention weights of each pair, a tensor [layers, heads, T, S]; None
        where the engine has none. The weights of one batch at a time are in memory."""
        if not pairs:
            return []
        all_reduced: list[Reduced | None] = [None] * len(pairs)
        lengths = [max(len(source), len(target)) + 1 for source, target in pairs]
        for indices in batch_by_length(lengths, self.engine.max_attention_positions(self.config)):
            sources, targets = ([pairs[index][side] for index in indices] for side in (0, 1))
            batch_weights = self.engine.attention(sources, targets) or []
            for index, reduced in zip(indices, map(reduce, indices, batch_weights), strict=False):
                all_reduced[index] = reduced
            del batch_weights  # before the next
        return all_reduced


def _token_weights(_: int, weights: Any) -> list[list[float]]:
    from nmt_cli.decoding.word_alignment import token_weights  # with torch, which made the weights

    return token_weights(weights)


class _UnitResult(NamedTuple):
    candidates: list[Candidate]
    diagnosis: Diagnosis | None = None
    unknown_tokens: float = 0.0
    token_probability: float | None = None  # None where nothing was searched


def _make_translation(
    plan: LinePlan, unit_results: list[_UnitResult], config: SearchConfig, assessment: dict[str, Any]
) -> Translation:
    """The translation of a line from the results of its units; `assessment` are the fields that `_assess` made."""
    diagnosis = merge_diagnoses([result.diagnosis for result in unit_results])
    warnings = [*plan.warnings]
    if plan.truncated_tokens:
        warnings.append(f"longer than the model reads: {plan.truncated_tokens:,} of its subwords were not read")
    if diagnosis is not None:
        warnings.append(diagnosis.warning)
    if any(not result.candidates for result in unit_results):
        warnings.append("search found no translation")
    distinct = list if config.sampling else _distinct  # how often something is drawn says how probable it is
    unit_candidates = [distinct(result.candidates) for result in unit_results]
    candidates: list[Candidate]
    sentences: list[TranslatedSentence] = []
    if len(unit_candidates) == 1:
        candidates = unit_candidates[0]
        if plan.language_tag and plan.units[0].given is not None:  # its alignment does not count the tag
            candidates = [_join_candidates(plan, [candidate]) for candidate in candidates]
    else:
        combine = _draws if config.sampling else best_combinations
        combinations = combine(unit_candidates, config.n_best)
        sentences = [
            TranslatedSentence(unit.segment.text, candidate.text, candidate.score)
            for unit, candidate in zip(plan.units, combinations[0] if combinations else [], strict=False)
        ]
        candidates = distinct([_join_candidates(plan, combination) for combination in combinations])
    if plan.leading or plan.trailing:
        candidates = [replace(each, text=f"{plan.leading}{each.text}{plan.trailing}") for each in candidates]
    if "words" in assessment:
        words = [
            place_words(words, result.candidates[0].text if result.candidates else "", unit.hidden)
            for unit, result, words in zip(plan.units, unit_results, assessment["words"], strict=True)
        ]
        assessment = assessment | {"words": list(chain.from_iterable(words))}
    return Translation(
        candidates,
        warnings,
        diagnosis,
        plan.truncated_tokens,
        sentences,
        language_tag=plan.language_tag,
        unknown_tokens=max((result.unknown_tokens for result in unit_results), default=0.0),
        token_probability=min(
            (result.token_probability for result in unit_results if result.token_probability is not None), default=None
        ),
        **assessment,
    )


def _distinct(candidates: list[Candidate]) -> list[Candidate]:
    """The first candidate with each text, whatever spaces are around it, in their order."""
    distinct: dict[str, Candidate] = {}
    for candidate in candidates:
        distinct.setdefault(candidate.text.strip(), candidate)
    return list(distinct.values())


def best_combinations(unit_candidates: list[list[Candidate]], count: int) -> list[list[Candidate]]:
    """A candidate of each unit, in the `count` ways with the highest sums of scores; [] where no unit has any.

    The candidates of a unit are given best first.
    """
    if not any(unit_candidates):
        return []
    best: list[tuple[float, Any]] = [(0.0, None)]  # sum, and a chain of the last candidate and the one before it
    for candidates in unit_candidates:
        extended = [
            (total + candidate.score, (candidate, chain))
            for total, chain in best
            for candidate in candidates or [NOTHING]
        ]
        best = sorted(extended, key=lambda combination: -combination[0])[:count]
    return [_unchain(chain) for _, chain in best]


def _draws(unit_candidates: list[list[Candidate]], count: int) -> list[list[Candidate]]:
    """The i-th candidate of each unit together, `count` times; what is copied is in each draw, and alone drawn once.

    [] where no unit has any candidate.
    """
    most = max(map(len, unit_candidates), default=0)
    present = [candidates or [NOTHING] for candidates in unit_candidates]
    repeated = [candidates * (most // len(candidates)) for candidates in present]
    return [list(draw) for draw in zip(*repeated, strict=True)][:count]


def _unchain(chain: Any) -> list[Candidate]:
    candidates = []
    while chain is not None:
        candidate, chain = chain
        candidates.append(candidate)
    return candidates[::-1]


def _join_candidates(plan: LinePlan, candidates: Sequence[Candidate]) -> Candidate:
    """One candidate for the whole line; its scores are sums over the units, its alignment is of the line's words."""
    parts = spaced_translations([unit.segment for unit in plan.units], [candidate.text for candidate in candidates])
    has_alignment = any(candidate.alignment is not None for candidate in candidates)
    return Candidate(
        "".join(parts),
        sum(candidate.score for candidate in candidates),
        sum(candidate.log_probability for candidate in candidates),
        _join_alignments(plan, candidates, parts) if has_alignment else None,
    )


def _join_alignments(plan: LinePlan, candidates: Sequence[Candidate], parts: Sequence[str]) -> Alignment:
    """The alignments of the units, counted in the words of the line and of its translation, which `parts` make up."""
    alignment: Alignment = []
    tag_words = source_words = len(plan.language_tag.split())
    target_words, ends_in_word = 0, False
    for unit, candidate, part in zip(plan.units, candidates, parts, strict=True):
        target_words -= ends_in_word and bool(part) and not part[0].isspace()  # its first word is part of the last one
        own_tag = 0 if unit.given is not None else tag_words  # words of the tag that the unit was given, too
        alignment += [
            (source - own_tag + source_words, target + target_words)
            for source, target in candidate.alignment or []
            if source >= own_tag
        ]
        source_words += len(unit.segment.text.split()) - (not unit.segment.separator)
        if part:
            target_words += len(part.split())
            ends_in_word = not part[-1].isspace()
    return alignment
