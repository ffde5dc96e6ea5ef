"""From text to text: split, normalise, encode, sort, batch, search, repair, decode, join, restore the order."""

import copy
import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from nmt_cli.data.length_batching import batch_by_length
from nmt_cli.data.text_profile import TextProfile, UnknownShares, fallback_share
from nmt_cli.data.tokenization.tokenizer import spell_bytes
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import Engine, Hypothesis, TokenIds
from nmt_cli.errors import DataError, UserError, pluralize
from nmt_cli.inference.confidence import Assessment, Calibration, TranslatedPart, assess
from nmt_cli.inference.degeneration import (
    DecodedHypothesis,
    SourceText,
    find_issues,
    merge_diagnoses,
    repair_degenerate,
)
from nmt_cli.inference.familiarity import FamiliarityLimits
from nmt_cli.inference.hidden_spans import HiddenSpans
from nmt_cli.inference.joining import join_candidates
from nmt_cli.inference.line_plan import JoinedUnits, LinePlan, LinePlanner, TranslationUnit
from nmt_cli.inference.lines import list_of_lines, replace_surrogates, to_single_line
from nmt_cli.inference.output import Attention, Candidate, Translation, WordProbability
from nmt_cli.inference.punctuation import drop_added_stop
from nmt_cli.inference.text_edits import Alignment
from nmt_cli.inference.unknown_tokens import SourceTokens, fill_unknown_tokens
from nmt_cli.inference.words import place_words, words_of
from nmt_cli.recipe.loader import change_search
from nmt_cli.vocabulary import SPECIAL_TOKENS

Reduced = TypeVar("Reduced")


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
                f"translate: {len(prefixes):,} prefixes for {pluralize(len(lines), 'line')}: give one for each"
            )
        plans = self.planner.plan(lines)
        for plan, prefix in zip(plans, prefixes, strict=True):
            if prefix.strip():
                self.planner.set_prefix(plan, prefix)
        self._search_plans(plans)
        self._add_candidates([unit for plan in plans for unit in plan.searched_units])
        self._add_given_candidates([unit for plan in plans for unit in plan.units if unit.given is not None])
        translations = [self._make_translation(plan) for plan in plans]
        return self._assess(plans, translations) if self.assess else translations

    def attention(self, source: str, target: str) -> Attention:
        """What each token of a translation reads of the source, which is read as a whole, cut to what the model reads.

        DataError for a source without text; UserError where the model has no attention, or the engine shows none.
        """
        import numpy as np

        if not isinstance(source, str) or not isinstance(target, str):
            raise DataError("attention: needs a text and its translation")
        unit = self.planner.whole_unit(source)
        if not unit.source_ids:
            raise DataError("attention: the source has no text")
        (target_ids,) = self.tokenizers.target.encode([self.planner.written_form(unit, replace_surrogates(target))])
        target_ids = target_ids[: self.planner.max_target_tokens]
        weights = self.engine.attention([unit.source_ids], [target_ids])
        if weights is None:
            raise UserError(
                "attention: the model has no attention to the source, or engine onnx shows none: try engine torch"
            )
        end = SPECIAL_TOKENS[-1]
        return Attention(
            [*self.tokenizers.source.ids_to_visible_tokens(unit.source_ids), end],
            [*self.tokenizers.target.ids_to_visible_tokens(target_ids), end],
            np.asarray(weights[0]),
        )

    def searched_units(self, lines: Sequence[str]) -> list[tuple[LinePlan, list[tuple[TranslationUnit, TokenIds]]]]:
        """How `translate` translates each line: its plan, and the units that are searched for, each with the ids of its
        best hypothesis. What is copied, and a unit for which search finds nothing, is only in the plan."""
        plans = self.planner.plan([line.removesuffix("\n") for line in lines])
        self._search_plans(plans)
        return [
            (plan, [(unit, unit.hypotheses[0].hypothesis.ids) for unit in plan.units if unit.hypotheses])
            for plan in plans
        ]

    def _search_plans(self, plans: list[LinePlan]) -> None:
        """Search for the units of the plans that need it, and repair what is degenerate (search.repair_degenerate).

        Except with sampling, paragraphs that were also translated together stay so where that is better, and sentences
        that were translated together are translated one by one where some are lost.
        """
        if self.config.sampling:
            self._draw(plans)
        else:
            joined = self.planner.join_paragraphs(plans)
            self._search([each.unit for each in joined], self.config)
            self._search_verbatim([unit for plan in plans for unit in plan.searched_units])
            for each in reversed(joined):
                if self._is_better(each):
                    each.replace()
        if self.config.repair_degenerate:
            self._repair([unit for plan in plans for unit in plan.searched_units])
        if not self.config.sampling:
            self._find_lost_sentences(plans)

    def _is_better(self, joined: JoinedUnits) -> bool:
        """Whether paragraphs that were read together have exactly what must not change, no fewer sentences than those
        that were read one by one, and are at least as probable, token by token."""
        unit, hidden = joined.unit, joined.unit.hidden or joined.unit.copied
        count_sentences = self.planner.written_sentences
        return (
            hidden is not None
            and _mean_log_probability([unit]) >= _mean_log_probability(joined.separate)
            and self._is_exact(unit, hidden)
            and count_sentences([unit]) >= count_sentences(joined.units)
        )

    def _search_verbatim(self, units: Sequence[TranslationUnit]) -> None:
        """Search for units. What must not change is first left in what the model reads, where it may have learned to
        copy it; a unit whose translation has it exactly stays like that."""
        attempts = self.planner.read_verbatim(units)
        self._search(units, self.config)
        failed = []
        for unit, source_ids, hidden in attempts:
            if not self._is_exact(unit, hidden):
                unit.source_ids, unit.hidden, unit.copied = source_ids, hidden, None
                failed.append(unit)
        self._search(failed, self.config)

    def _find_lost_sentences(self, plans: Sequence[LinePlan]) -> None:
        """Translate sentences one by one where their translation together has fewer, if they then have more."""
        losses = [
            (plan, unit, self.planner.single_sentences(plan, unit))
            for plan in plans
            for unit in plan.units
            if unit.hypotheses and not unit.prefix and self.planner.written_sentences([unit]) < len(unit.sentences)
        ]
        if not losses:
            return
        self._search_plans([single for _, _, single in losses])
        for plan, unit, single in losses:
            if self.planner.written_sentences(single.units) > self.planner.written_sentences([unit]):
                place = next(index for index, other in enumerate(plan.units) if other is unit)
                plan.units[place : place + 1] = single.units
                plan.warnings += single.warnings
                plan.is_segmented |= single.is_segmented

    def _draw(self, plans: list[LinePlan]) -> None:
        """Draw the samples of each unit, in such an order that the i-th ones of a line are a draw of the line.

        An engine draws the same for the same ids, so each time that they stand in a line again, they are drawn with
        another seed.
        """
        by_occurrence: dict[int, list[TranslationUnit]] = defaultdict(list)
        for plan in plans:
            occurrences: Counter[tuple[int, ...]] = Counter()
            for unit in plan.searched_units:
                ids = tuple(unit.source_ids)
                by_occurrence[occurrences[ids]].append(unit)
                occurrences[ids] += 1
        for occurrence, units in by_occurrence.items():
            config = self.config
            if occurrence:
                seed = random.Random(f"{config.seed} {occurrence}").getrandbits(63)
                config = config.model_copy(update={"seed": seed})
            self._search(units, config)
        for plan in plans:
            self._pair_draws([unit for unit in plan.units if unit.hypotheses])

    def _pair_draws(self, units: list[TranslationUnit]) -> None:
        """Order the hypotheses of the units of a line so that the i-th ones are a draw of it, the most probable first.

        Engines sort the draws of a unit; shuffled by search.seed and its source, those of a line are independent.
        """
        shuffled = [
            random.Random(f"{self.config.seed} {index} {unit.source_ids}").sample(unit.hypotheses, len(unit.hypotheses))
            for index, unit in enumerate(units)
        ]
        draws = zip(*shuffled, strict=True)
        ranked = sorted(draws, key=lambda draw: -sum(part.hypothesis.score for part in draw))
        for unit, drawn in zip(units, zip(*ranked, strict=True), strict=True):
            unit.hypotheses = list(drawn)

    def _is_exact(self, unit: TranslationUnit, hidden: HiddenSpans) -> bool:
        """Whether every hypothesis of a unit that was read verbatim, or with a placeholder for each span, has exactly
        what is hidden of it, once it is corrected, and the first one no issue."""
        source = SourceText(unit.read_text, len(unit.source_ids), "")
        unknown_id, casing = self.tokenizers.target.unknown_id, self.planner.casing

        def shown(text: str) -> str:
            text = casing.restore(unit.read_text, text)
            return hidden.corrected(text).text if unit.hidden is None else hidden.replace_placeholders(text)

        return (
            bool(unit.hypotheses)
            and not find_issues(source, unit.hypotheses)
            and all(
                unknown_id not in hypothesis.ids and self.planner.protector.has_exactly(hidden, shown(text))
                for hypothesis, text, _ in unit.hypotheses
            )
        )

    def _repair(self, units: Sequence[TranslationUnit]) -> None:
        """Replace degenerate hypotheses where that is possible, and say what was found."""
        hypotheses, diagnoses = repair_degenerate(
            [SourceText(unit.read_text, len(unit.source_ids), unit.prefix) for unit in units],
            [unit.hypotheses for unit in units],
            self.config,
            lambda indices, config: self._hypotheses([units[index] for index in indices], config),
        )
        for unit, repaired, diagnosis in zip(units, hypotheses, diagnoses, strict=True):
            unit.hypotheses, unit.diagnosis = repaired, diagnosis

    def _make_translation(self, plan: LinePlan) -> Translation:
        """The translation of a line from the candidates of its units."""
        candidates, sentences = join_candidates(plan, self.config)
        searched, fallback_ids = plan.searched_units, self.tokenizers.source.fallback_ids
        diagnosis = merge_diagnoses([unit.diagnosis for unit in searched])
        warnings = [*plan.warnings]
        if plan.truncated_tokens:
            warnings.append(f"longer than the model reads: {plan.truncated_tokens:,} of its subwords were not read")
        if diagnosis is not None:
            warnings.append(diagnosis.warning)
        if not all(unit.hypotheses for unit in searched):
            warnings.append("search found no translation")
        text = candidates[0].text if candidates else ""
        if added := self.planner.protector.added_placeholders(plan.line, text):
            warnings.append(f"the translation has {', '.join(added)}, which the line lacks")
        best = [unit.hypotheses[0].hypothesis for unit in searched if unit.hypotheses]
        return Translation(
            candidates,
            warnings,
            diagnosis,
            plan.truncated_tokens,
            sentences,
            language_tag=plan.language_tag,
            unknown_tokens=max((fallback_share(unit.source_ids, fallback_ids) for unit in searched), default=0.0),
            token_probability=min((_token_probability(hypothesis) for hypothesis in best), default=None),
        )

    def translated_parts(self, pairs: Sequence[tuple[TranslationUnit, str]]) -> list[TranslatedPart]:
        """Units with their translations, as the tokenizer encodes them, cut to what the model can write."""
        texts = [self.planner.normalizer(text.strip()) for _, text in pairs]
        limit = self.planner.max_target_tokens
        return [
            TranslatedPart(unit.source_ids, ids[:limit], len(unit.read_text.split()), text)
            for (unit, _), text, ids in zip(pairs, texts, self.tokenizers.target.encode(texts), strict=True)
        ]

    def _assess(self, plans: Sequence[LinePlan], translations: Sequence[Translation]) -> list[Translation]:
        """The translations with how sure they are, and their words."""
        read = [[unit for unit in plan.units if unit.source_ids] for plan in plans]
        parts = iter(self.translated_parts([(unit, unit.written_text) for units in read for unit in units]))
        parts_by_line = [[next(parts) for _ in units] for units in read]
        assessments = assess(self.engine, self.config, parts_by_line)
        features = [assessment.features for assessment in assessments if assessment is not None]
        confidences = iter([] if self.calibration is None else self.calibration.confidences(features))
        assessed = []
        for plan, translation, line_parts, assessment in zip(
            plans, translations, parts_by_line, assessments, strict=True
        ):
            if assessment is not None:
                translation = replace(
                    translation,
                    confidence=next(confidences, None),
                    words=self._word_probabilities(plan.units, line_parts, assessment),
                    features=tuple(assessment.features),
                )
            elif self.calibration is not None and plan.units and not line_parts:  # all of it is copied
                translation = replace(translation, confidence=1.0)
            assessed.append(translation)
        return assessed

    def _word_probabilities(
        self, units: Sequence[TranslationUnit], parts: Sequence[TranslatedPart], assessment: Assessment
    ) -> list[WordProbability]:
        """The words of a translation, and the product of their tokens' probabilities; 1 for what is copied, or was put
        in by word alignment."""
        scored_parts = iter(zip(parts, assessment.log_probabilities, strict=True))
        words: list[WordProbability] = []
        for unit in units:
            if unit.source_ids:
                part, log_probs = next(scored_parts)
                written = self._written_words(unit, part, log_probs)
            else:
                written = [WordProbability(word, 1.0) for word in unit.written_text.split()]
            words += place_words(
                written, unit.candidates[0].text if unit.candidates else "", unit.hidden or unit.copied
            )
        return words

    def _written_words(
        self, unit: TranslationUnit, part: TranslatedPart, log_probs: Sequence[float]
    ) -> list[WordProbability]:
        """The words of a unit as the model wrote them."""
        part_words = words_of(self.tokenizers.target, part.target_ids, part.text)[:-1]
        texts = [word.text for word in part_words]
        if unit.given is None:  # a prefix stays as it is
            texts = self.planner.casing.restore_words(unit.read_text, texts, unit.prefix)
        if unit.hidden is not None:
            texts = [unit.hidden.replace_placeholders(text) for text in texts]
        probabilities = [math.exp(sum(log_probs[word.first : word.end])) for word in part_words]
        return [word for word in map(WordProbability, texts, probabilities) if word.text]

    def _add_given_candidates(self, units: Sequence[TranslationUnit]) -> None:
        """Candidates that needed no search: of what is copied, with probability 1, and of a prefix, with that which the
        model gives it (0 where it cannot write as much)."""
        target_ids = self.tokenizers.target.encode([unit.written_text for unit in units])
        log_probs = self._rescored(
            [-math.inf if unit.source_ids else 0.0 for unit in units],
            {
                index: (unit.source_ids, ids)
                for index, (unit, ids) in enumerate(zip(units, target_ids, strict=True))
                if unit.source_ids and self._can_write(ids)
            },
        )
        for unit, ids, log_prob in zip(units, target_ids, log_probs, strict=True):
            score = self.config.normalize(log_prob, len(ids) + 1) if unit.source_ids else 0.0
            copied_words = 0 if unit.source_ids else len(unit.segment.text.split())
            alignment = [(word, word) for word in range(copied_words)] if self.align else None
            unit.candidates = [Candidate(unit.written_text, score, log_prob, alignment)]

    def _search(self, units: Sequence[TranslationUnit], config: SearchConfig) -> None:
        for unit, hypotheses in zip(units, self._hypotheses(units, config), strict=True):
            unit.hypotheses = hypotheses

    def _hypotheses(self, units: Sequence[TranslationUnit], config: SearchConfig) -> list[list[DecodedHypothesis]]:
        """The hypotheses of each unit, best first; units of similar length are searched together."""
        max_batch_positions = self.engine.max_batch_positions(config)
        hypotheses: list[list[Hypothesis]] = [[] for _ in units]
        for indices in batch_by_length([len(unit.source_ids) + 1 for unit in units], max_batch_positions):
            prefixes = [units[index].prefix_ids for index in indices]
            sources = [units[index].source_ids for index in indices]
            searched = self.engine.search(sources, config, prefixes if any(prefixes) else None)
            for index, unit_hypotheses in zip(indices, searched, strict=True):
                hypotheses[index] = unit_hypotheses
        decoded = iter(
            self._decode(
                [
                    (unit, hypothesis)
                    for unit, unit_hypotheses in zip(units, hypotheses, strict=True)
                    for hypothesis in unit_hypotheses
                ]
            )
        )
        return [[next(decoded) for _ in unit_hypotheses] for unit_hypotheses in hypotheses]

    def _decode(self, pairs: Sequence[tuple[TranslationUnit, Hypothesis]]) -> list[DecodedHypothesis]:
        """Hypotheses of units with their texts: without <unk>, and without a final stop that the source does not
        have."""
        texts = self.tokenizers.target.decode([hypothesis.ids for _, hypothesis in pairs])
        units = [unit for unit, _ in pairs]
        decoded = [
            DecodedHypothesis(hypothesis, to_single_line(text))
            for (_, hypothesis), text in zip(pairs, texts, strict=True)
        ]
        self._fill_unknown(units, decoded)
        if self.config.keep == "auto" and self.planner.profile.keeps_open_ends:
            return [self._without_added_stop(*pair) for pair in zip(units, decoded, strict=True)]
        return decoded

    def _without_added_stop(self, unit: TranslationUnit, hypothesis: DecodedHypothesis) -> DecodedHypothesis:
        text = drop_added_stop(unit.read_text, hypothesis.text, keeps_marks=self.planner.profile.keeps_marks)
        if text == hypothesis.text or len(hypothesis.text) <= len(unit.prefix):
            return hypothesis
        return hypothesis if self.planner.ends_in_abbreviation(hypothesis.text) else hypothesis._replace(text=text)

    def _fill_unknown(self, units: Sequence[TranslationUnit], hypotheses: list[DecodedHypothesis]) -> None:
        """Replace the hypotheses, one of each unit, that have <unk>: search.unknown."""
        tokenizer, copies = self.tokenizers.target, self.config.unknown == "copy"
        places = [place for place, decoded in enumerate(hypotheses) if tokenizer.unknown_id in decoded.hypothesis.ids]
        pairs = [(units[place].source_ids, hypotheses[place].hypothesis.ids) for place in places]
        all_weights = self._reduced_attention(pairs, _token_weights) if copies else [None] * len(pairs)
        for place, (_, ids), weights in zip(places, pairs, all_weights, strict=True):
            unit = units[place]
            prefix_tokens = tokenizer.encode_with_texts(unit.prefix)[1][: len(unit.prefix_ids)]
            tokens = prefix_tokens + tokenizer.visible_tokens(ids)[len(prefix_tokens) :]
            unknown = [
                position for position in range(len(prefix_tokens), len(ids)) if ids[position] == tokenizer.unknown_id
            ]
            source = self._source_tokens(unit) if copies else SourceTokens([], frozenset())
            tokens = fill_unknown_tokens(tokens, unknown, source, weights)
            text = to_single_line(tokenizer.decode_tokens(tokens))
            hypotheses[place] = DecodedHypothesis(hypotheses[place].hypothesis, text, tokens)

    def _source_tokens(self, unit: TranslationUnit) -> SourceTokens:
        """The tokens of a unit's source, with its text where the vocabulary has none."""
        tokenizer = self.tokenizers.source
        if tokenizer.unknown_id not in unit.source_ids:
            return SourceTokens(tokenizer.ids_to_tokens(unit.source_ids), frozenset())
        _, texts = tokenizer.encode_with_texts(unit.language_tag + self.planner.casing.model_form(unit.read_text))
        unknown = [index for index, token_id in enumerate(unit.source_ids) if token_id == tokenizer.unknown_id]
        return SourceTokens(texts[: len(unit.source_ids)], frozenset(unknown))

    def _add_candidates(self, units: Sequence[TranslationUnit]) -> None:
        """The candidates of units that were searched for, from their hypotheses."""
        hypotheses = [(unit, hypothesis) for unit in units for hypothesis in unit.hypotheses]
        restored = self._restore(hypotheses, self._alignments(hypotheses))
        for (unit, hypothesis), log_probability, (text, alignment) in zip(
            hypotheses, self._log_probabilities(hypotheses), restored, strict=True
        ):
            score = hypothesis.hypothesis.score
            unit.candidates.append(Candidate(text, score, log_probability, alignment if self.align else None))

    def _restore(
        self, hypotheses: list[tuple[TranslationUnit, DecodedHypothesis]], alignments: list[Alignment | None]
    ) -> Iterator[tuple[str, Alignment | None]]:
        """The text of each hypothesis in the case of its source, with what must not change, and its alignment."""
        for (unit, hypothesis), alignment in zip(hypotheses, alignments, strict=True):
            text = self.planner.casing.restore(unit.read_text, hypothesis.text, unit.prefix)
            if unit.copied is not None:
                edits = unit.copied.corrected(text)
                yield edits.text, None if alignment is None else edits.move_targets(alignment)
            elif unit.hidden is None:
                yield self.planner.protector.drop_placeholders(text), alignment
            else:
                written_prefix = self.tokenizers.target.decode([unit.prefix_ids])[0] if unit.prefix_ids else ""
                yield unit.hidden.restore(text, alignment, unit.prefix, to_single_line(written_prefix))

    def displayed_text(self, unit: TranslationUnit, hypothesis: Hypothesis) -> str:
        """A hypothesis of a unit as it comes out: in the case of its source, with what must not change."""
        decoded = [(unit, decoded) for decoded in self._decode([(unit, hypothesis)])]
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
        pairs, tokens = [], []
        for unit, hypothesis in (hypotheses[index] for index in aligned):
            ids = hypothesis.hypothesis.ids
            pairs.append((unit.source_ids, ids))
            target_tokens = hypothesis.tokens or self.tokenizers.target.ids_to_tokens(ids)
            tokens.append((self._source_tokens(unit).texts, target_tokens))
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

            return word_alignment(weights, *map(spell_bytes, tokens[index]))

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


def _mean_log_probability(units: Sequence[TranslationUnit]) -> float:
    """The mean log-probability of the tokens of the best hypotheses; minus infinity where a unit has none."""
    if not all(unit.hypotheses for unit in units):
        return -math.inf
    best = [unit.hypotheses[0].hypothesis for unit in units]
    return sum(each.log_probability for each in best) / sum(len(each.ids) + 1 for each in best)


def _token_probability(hypothesis: Hypothesis) -> float:
    """The geometric mean of the probabilities of its tokens."""
    return math.exp(hypothesis.log_probability / (len(hypothesis.ids) + 1))
