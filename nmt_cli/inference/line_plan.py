"""What is translated for each line: its sentences, normalised, tokenized, and cut to what the model reads."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import NamedTuple

from nmt_cli.data.protected_spans import PARAGRAPH_END, has_nothing_to_translate
from nmt_cli.data.sentences.missing_stops import split_at_missing_stops
from nmt_cli.data.sentences.splitter import SentenceSplitter
from nmt_cli.data.text_profile import TextProfile
from nmt_cli.data.tokenization.tokenizer_pair import Tokenizers
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.engine import TokenIds
from nmt_cli.inference.casing import CaseHandler
from nmt_cli.inference.degeneration import DecodedHypothesis, Diagnosis
from nmt_cli.inference.hidden_spans import HiddenSpans
from nmt_cli.inference.lines import LINE_BREAKS, SURROGATES_REPLACED, replace_surrogates
from nmt_cli.inference.masks import mask_known, unmask
from nmt_cli.inference.output import Candidate
from nmt_cli.inference.pieces import COLUMN_END, Piece, split_into_pieces
from nmt_cli.inference.protection import SEPARATORS, Protector
from nmt_cli.inference.segments import Segment, split_at_clauses, split_line
from nmt_cli.vocabulary import BREAK_MARK, SPAN_MARK

EDGE_SPACES = f" \t\xa0\u3000{LINE_BREAKS}"  # at the ends of a line: indentation, empty columns of a table or lines


@dataclass
class TranslationUnit:
    """What is translated as a whole, sentences of a line or a segment of a long one, and what comes of it."""

    segment: Segment
    source_ids: TokenIds = field(default_factory=list)  # cut to the length that is read
    prefix: str = ""
    prefix_ids: TokenIds = field(default_factory=list)
    given: str | None = None
    """Its translation where that needs no search: itself if it is copied, or sentences of the line's prefix."""
    sentences: Sequence[Piece] = ()
    """The sentences that it holds, where it is more than one."""
    hidden: HiddenSpans | None = None
    """What of the segment must not change, where there is anything."""
    copied: HiddenSpans | None = None
    """What must not change where the model reads it as it is, and has copied it."""
    language_tag: str = ""
    """What its source ids begin with, before the segment's."""
    hypotheses: list[DecodedHypothesis] = field(default_factory=list)
    """What search found, best first."""
    diagnosis: Diagnosis | None = None
    candidates: list[Candidate] = field(default_factory=list)

    @property
    def read_text(self) -> str:
        """The text that the model reads."""
        return self.segment.text if self.hidden is None else self.hidden.read_text

    @property
    def written_text(self) -> str:
        """What is given, or what the model wrote; empty where search found nothing."""
        if self.given is not None:
            return self.given
        return self.hypotheses[0].text if self.hypotheses else ""


@dataclass
class LinePlan:
    """The units of a line; none for a line without text."""

    line: str  # without its language tag
    language_tag: str = ""
    leading: str = ""  # spaces and tabs that the translation begins with, too
    trailing: str = ""
    units: list[TranslationUnit] = field(default_factory=list)
    is_segmented: bool = False
    """Whether a sentence was too long and is translated in segments."""
    truncated_tokens: int = 0  # source tokens that are in no unit
    warnings: list[str] = field(default_factory=list)

    @property
    def searched_units(self) -> list[TranslationUnit]:
        """The units whose translation is searched for."""
        return [unit for unit in self.units if unit.given is None]


class JoinedUnits(NamedTuple):
    """Units [first, end) of a plan as one."""

    plan: LinePlan
    first: int
    end: int
    unit: TranslationUnit

    def replace(self) -> None:
        """Let the plan have the one in place of the others."""
        self.plan.units[self.first : self.end] = [self.unit]

    @property
    def units(self) -> list[TranslationUnit]:
        """The units of the plan."""
        return self.plan.units[self.first : self.end]

    @property
    def separate(self) -> list[TranslationUnit]:
        """Those of the units that are searched for."""
        return [unit for unit in self.units if unit.given is None]


class LinePlanner:
    """Plans lines for a model that reads and writes at most so many tokens; `max_target_tokens` None: any number."""

    def __init__(
        self,
        tokenizers: Tokenizers,
        config: SearchConfig,
        profile: TextProfile,
        *,
        max_source_tokens: int,
        max_target_tokens: int | None,
    ) -> None:
        self.tokenizers, self.config, self.profile = tokenizers, config, profile
        self.max_source_tokens, self.max_target_tokens = max_source_tokens, max_target_tokens
        self.max_sentence_tokens = profile.lengths.max_sentence_tokens
        self.max_part_tokens = profile.lengths.typical_tokens
        self.normalizer = profile.normalizer()
        self.protector = Protector(config, profile, self.normalizer)
        self.casing = CaseHandler(profile, config.case)
        self._corrector = profile.typo_corrector() if config.correct_typos else None
        self._source_splitter, self._target_splitter = profile.source_splitter(), profile.target_splitter()

    def plan(self, lines: Sequence[str]) -> list[LinePlan]:
        """A plan for each line; the sentences of all lines are tokenized together."""
        plans = [self._begin(line) for line in lines]
        groups_by_line = self._group([self._split(plan.line, self._source_splitter) for plan in plans])
        joined_by_line = [[(self._join(group), group) for group in groups] for groups in groups_by_line]
        texts = [
            plan.language_tag + self._model_form(piece)
            for plan, joined in zip(plans, joined_by_line, strict=True)
            for piece, _ in joined
            if not piece.is_copied
        ]
        encoded = iter(self.tokenizers.source.encode(texts))
        for plan, joined in zip(plans, joined_by_line, strict=True):
            for index, (piece, sentences) in enumerate(joined):
                if piece.is_copied:
                    segment = Segment(piece.text, piece.separator, is_copied=True)
                    plan.units.append(TranslationUnit(segment, given=segment.text))
                    continue
                is_before_sentence = index + 1 < len(joined) and not joined[index + 1][0].is_copied
                if is_before_sentence and not piece.separator:
                    piece = piece._replace(separator=" ")  # the target may need one where the source does not
                self._add_units(plan, piece, next(encoded), sentences)
            is_translated = any(unit.given is None for unit in plan.units)
            if (plan.language_tag or is_translated) and (warning := self.profile.tag_warning(plan.language_tag)):
                plan.warnings.append(warning)
        return plans

    def read_verbatim(self, units: Sequence[TranslationUnit]) -> list[tuple[TranslationUnit, TokenIds, HiddenSpans]]:
        """Leave what must not change in what the model reads of a unit, where it may have learned to copy that.

        These units, each with its source ids and what was hidden of it until now. Not a unit that has nothing of the
        kind, a placeholder for it, a prefix, or too many tokens.
        """
        hidden = [
            (unit, unit.hidden)
            for unit in units
            if unit.hidden is not None and not unit.prefix and self.protector.may_copy(unit.hidden)
        ]
        texts = [unit.language_tag + self.casing.model_form(self.normalizer(unit.segment.text)) for unit, _ in hidden]
        changed = []
        for (unit, hidden_spans), ids in zip(hidden, self.tokenizers.source.encode(texts), strict=True):
            if len(ids) <= self._max_verbatim_tokens:
                changed.append((unit, unit.source_ids, hidden_spans))
                unit.source_ids, unit.hidden, unit.copied = ids, None, hidden_spans
        return changed

    def written_sentences(self, units: Sequence[TranslationUnit]) -> int:
        """How many sentences the translations of consecutive units have together."""
        texts = [
            self.casing.restore(unit.read_text, unit.written_text, unit.prefix) + unit.segment.separator
            for unit in units
        ]
        return len(self._target_splitter.split("".join(texts)))

    def single_sentences(self, plan: LinePlan, unit: TranslationUnit) -> LinePlan:
        """A plan like that of the line with the sentences of a unit only, each by itself."""
        single = LinePlan(unit.segment.text, plan.language_tag)
        pieces = [piece if piece.separator else piece._replace(separator=" ") for piece in unit.sentences[:-1]]
        pieces.append(unit.sentences[-1]._replace(separator=unit.segment.separator))
        encoded = self.tokenizers.source.encode([plan.language_tag + self._model_form(piece) for piece in pieces])
        for piece, ids in zip(pieces, encoded, strict=True):
            self._add_units(single, piece, ids)
        return single

    def join_paragraphs(self, plans: Sequence[LinePlan]) -> list[JoinedUnits]:
        """Paragraphs of a line that the model may have learned to read together, with what ends each of them, which is
        a placeholder or read as it is."""
        if not self.profile.paragraph_ends:
            return []
        joined, texts = [], []
        for plan in plans:
            for first, end in _paragraph_ranges(plan.units, self.profile.paragraph_ends):
                text = "".join(unit.segment.text + unit.segment.separator for unit in plan.units[first:end])
                piece = self._whole(text.strip())
                hidden = self.protector.hide(piece, plan.language_tag)
                if hidden is None or not (self.protector.may_copy(hidden) or hidden.has_placeholders):
                    continue
                segment = Segment(piece.unmasked, plan.units[end - 1].segment.separator)
                unit = TranslationUnit(segment, language_tag=plan.language_tag)
                unit.hidden, unit.copied = (hidden, None) if hidden.has_placeholders else (None, hidden)
                joined.append(JoinedUnits(plan, first, end, unit))
                texts.append(plan.language_tag + self.casing.model_form(self.normalizer(unit.read_text)))
        for each, ids in zip(joined, self.tokenizers.source.encode(texts), strict=True):
            each.unit.source_ids = ids
        return [each for each in joined if len(each.unit.source_ids) <= self._max_verbatim_tokens]

    @property
    def _max_verbatim_tokens(self) -> int:
        return min(self.max_source_tokens, self.max_sentence_tokens or self.max_source_tokens)

    def translated_texts(self, line: str) -> list[str]:
        """The normalised pieces of a line, without its language tag, that are translated and not copied."""
        pieces = self._split(self._begin(line).line, self._source_splitter)
        return [piece.text for piece in pieces if not piece.is_copied]

    def whole_unit(self, line: str) -> TranslationUnit:
        """A line as one unit, however many sentences it has, cut to what the model reads."""
        plan = self._begin(line)
        piece = self._whole_source(plan.line)
        (ids,) = self.tokenizers.source.encode([plan.language_tag + self._model_form(piece)])
        return self._searched_unit(plan, piece, ids)

    def read_form(self, unit: TranslationUnit) -> str:
        """The text of a unit as the model reads it, in the case that it knows."""
        return unit.language_tag + self.casing.model_form(unit.read_text)

    def written_form(self, unit: TranslationUnit, translation: str) -> str:
        """The translation of a unit as the model writes it: without what must not change, in the case that it knows."""
        spans = () if unit.hidden is None else unit.hidden.parts
        target = self._whole(translation.strip(), [span for span in spans if span not in SEPARATORS])
        return self.casing.written_form(unit.read_text, self.protector.hide_in_target(target, unit.hidden))

    def ends_in_abbreviation(self, translation: str) -> bool:
        """Whether the period at the end of a translation may belong to its last word."""
        return self._target_splitter.is_abbreviation(translation.split()[-1].removesuffix("."))

    def split_pair(self, source: str, target: str) -> list[tuple[str, str]]:
        """The units of a source line, each with its part of the target line where both have the same pieces and copied
        ones are copies; else one pair, the whole lines.

        What is copied to the target has no probability and is in none of the pairs.
        """
        plan = self._begin(source)
        source_pieces = self._split(plan.line, self._source_splitter)
        spans = [*self.protector.mask(plan.line)[1], *(span for piece in source_pieces for span in piece.spans)]
        target_pieces = self._split(target, self._target_splitter, [s for s in spans if s not in SEPARATORS])
        copies, target_copies = (
            [piece.text if piece.is_copied else None for piece in pieces] for pieces in (source_pieces, target_pieces)
        )
        if copies != target_copies or not copies:
            whole = self._whole_source(plan.line)
            source_pieces, target_pieces = [whole], [self._whole(target.strip(), whole.spans)]
        (groups,), position, pairs = self._group([source_pieces]), 0, []
        for group in groups:
            target_group = target_pieces[position : position + len(group)]
            position += len(group)
            if not group[0].is_copied:
                source_piece = self._join(group)
                hidden = self.protector.hide(source_piece)
                source_text = source_piece.text if hidden is None else hidden.read_text
                target_text = self.protector.hide_in_target(self._join(target_group), hidden)
                pairs.append((plan.language_tag + source_text, target_text))
        return pairs

    def _begin(self, line: str) -> LinePlan:
        """The plan of a line without units: its text without its language tag, and with its typos corrected."""
        given, line = line, replace_surrogates(line)
        text = line.strip()
        tag = self.profile.language_tag(text, self.tokenizers.source)
        leading, trailing = len(line) - len(line.lstrip(EDGE_SPACES)), len(line.rstrip(EDGE_SPACES))
        plan = LinePlan(text[len(tag) :], tag, line[:leading], line[trailing:])
        if line != given:
            plan.warnings.append(SURROGATES_REPLACED)
        if self._corrector is not None:
            corrected: dict[str, str] = {}
            masked, spans = self.protector.mask(plan.line)
            plan.line = unmask(self._corrector(masked, corrected.__setitem__), spans)
            plan.warnings += [f"read “{word}” as “{form}”" for word, form in corrected.items()]
        return plan

    def set_prefix(self, plan: LinePlan, prefix: str) -> None:
        """Let a translation begin with a text, not empty: its sentences are those of the first units, the last of them
        begins the next unit.

        Where the pieces of the prefix are not those of the line, the line is one unit that begins with the prefix.
        """
        plan.leading = ""  # the prefix is what the translation begins with
        given, prefix = prefix, replace_surrogates(prefix)
        if prefix != given:
            plan.warnings.append(SURROGATES_REPLACED)
        if not plan.units:
            plan.warnings.append("the line is blank: its prefix was not used")
            return
        if not plan.is_segmented:
            if self._set_prefix_pieces(plan, self._split(prefix, self._target_splitter, self._spans(plan))):
                return
            piece = self._whole(plan.line)
            (ids,) = self.tokenizers.source.encode([plan.language_tag + self._model_form(piece)])
            if not piece.text or not ids:
                plan.warnings.append("the line is copied: its prefix was not used")
                return
            plan.units.clear()
            self._add_units(plan, piece, ids)
        self._begin_with(plan, plan.units[0], self.normalizer(prefix))

    def _split(self, line: str, splitter: SentenceSplitter, spans: Sequence[str] | None = None) -> list[Piece]:
        """The normalised pieces of a line, with the spacing between them as it is, and what is protected in them.

        In a translation that is what its source has, `spans`.
        """
        masked, masked_spans = self._mask(line, spans)
        splits = self.config.split == "sentences"
        pieces = split_into_pieces(
            masked if splits else masked.replace(BREAK_MARK, SPAN_MARK),
            partial(self._split_sentences, splitter) if splits else None,
            clean=self.normalizer.clean,
            copies=self.config.keep == "auto",
            has_ordinals=self._source_splitter.has_ordinals,  # both sides of a pair have the same list marks
            known_marks=self.profile.list_marks,
        )
        pieces = [
            piece
            if piece.is_copied
            else piece._replace(text=self.normalizer.collapse(piece.text), is_copied=self._is_label(piece.text))
            for piece in pieces
        ]
        return self.protector.assign(pieces, masked_spans, is_source=spans is None)

    def _mask(self, line: str, spans: Sequence[str] | None) -> tuple[str, tuple[str, ...]]:
        return self.protector.mask(line) if spans is None else mask_known(line, spans)

    def _split_sentences(self, splitter: SentenceSplitter, text: str) -> list[str]:
        """The sentences of a text; of a source also those with no stop between them."""
        sentences = splitter.split(text)
        if splitter is self._source_splitter:
            starters = self.profile.line_starters
            sentences = [part for sentence in sentences for part in split_at_missing_stops(sentence, starters)]
        return [part for sentence in sentences for part in self.protector.split_at_separators(sentence)]

    def _is_label(self, text: str) -> bool:
        """Whether a piece is one word before a colon that the model has never read: of it alone a sentence is made."""
        return ":" in self.protector.unseen_separators and text.endswith(":") and len(text.split()) == 1

    def _whole(self, line: str, spans: Sequence[str] | None = None) -> Piece:
        """A line as one piece that is translated; `spans` as for `_split`."""
        masked, masked_spans = self._mask(line, spans)
        text = self.normalizer(masked.replace(BREAK_MARK, SPAN_MARK))
        (piece,) = self.protector.assign([Piece(text)], masked_spans, is_source=spans is None)
        return piece

    def _whole_source(self, line: str) -> Piece:
        """As `_whole`; where nothing but what must not change is in the line, the model reads that."""
        piece = self._whole(line)
        return Piece(self.normalizer(line)) if piece.spans and has_nothing_to_translate(piece.text) else piece

    def _model_form(self, piece: Piece) -> str:
        """A piece as the model reads it."""
        hidden = self.protector.hide(piece)
        return self.casing.model_form(piece.text if hidden is None else hidden.read_text)

    def _group(self, pieces_by_line: list[list[Piece]]) -> list[list[list[Piece]]]:
        """Sentences together, as far as the training text has lines of so many, and so long; copied pieces alone."""
        max_sentences = self.profile.lengths.typical_sentences
        if max_sentences == 1:
            return [[[piece] for piece in pieces] for pieces in pieces_by_line]
        max_tokens = self.profile.lengths.typical_tokens or self.max_source_tokens
        texts = [self.casing.model_form(piece.text) for pieces in pieces_by_line for piece in pieces]
        encoded = iter(self.tokenizers.source.encode(texts))
        groups_by_line = []
        for pieces in pieces_by_line:
            groups: list[list[Piece]] = []
            token_count = 0
            for piece in pieces:
                piece_tokens = len(next(encoded))
                is_full = not groups or len(groups[-1]) >= max_sentences or token_count + piece_tokens > max_tokens
                is_full = is_full or piece.is_copied or groups[-1][0].is_copied
                if is_full or COLUMN_END.match(groups[-1][-1].separator):
                    groups.append([piece])
                    token_count = piece_tokens
                else:
                    groups[-1].append(piece)
                    token_count += piece_tokens
            groups_by_line.append(groups)
        return groups_by_line

    def _join(self, pieces: Sequence[Piece]) -> Piece:
        """Pieces as one, whose inner spacing is normalised."""
        if len(pieces) == 1:
            return pieces[0]
        text = "".join(piece.text + piece.separator for piece in pieces[:-1]) + pieces[-1].text
        spans = tuple(span for piece in pieces for span in piece.spans)
        return Piece(self.normalizer(text), pieces[-1].separator, spans=spans)

    def _add_units(self, plan: LinePlan, piece: Piece, ids: TokenIds, sentences: Sequence[Piece] = ()) -> None:
        """Add a unit for a piece, or several for one that is too long."""
        limit = self.max_sentence_tokens if self.config.split == "sentences" and len(sentences) < 2 else None
        if limit is not None and limit < len(ids) <= self.max_source_tokens:
            segments = split_at_clauses(piece.text, self.max_part_tokens or limit, self._count_tokens)
            if len(segments) > 1:
                unit_count = self._add_segments(plan, piece, segments)
                plan.warnings.append(
                    f"a sentence of {len(ids):,} subwords, longer than those of the training text: translated in "
                    f"{unit_count} parts"
                )
                return
        if len(ids) <= self.max_source_tokens or self.config.split == "none":
            self._add_unit(plan, piece, ids, sentences)
            return
        tag_tokens = len(self.tokenizers.source.encode([plan.language_tag])[0]) if plan.language_tag else 0
        segments = split_line(piece.text, max(1, self.max_source_tokens - tag_tokens), self._count_tokens)
        unit_count = self._add_segments(plan, piece, segments)
        if unit_count > 1:
            plan.warnings.append(f"longer than the model reads: translated in {unit_count} parts")

    def _count_tokens(self, texts: list[str]) -> list[int]:
        return [len(ids) for ids in self.tokenizers.source.encode([*map(self.casing.model_form, texts)])]

    def _add_segments(self, plan: LinePlan, piece: Piece, segments: Sequence[Segment]) -> int:
        """Add a unit for each segment of a piece; returns their number."""
        segments = [*segments[:-1], replace(segments[-1], separator=piece.separator)]
        remaining = iter(piece.spans)
        pieces = [
            Piece(segment.text, segment.separator, spans=tuple(islice(remaining, segment.text.count(SPAN_MARK))))
            for segment in segments
        ]
        encoded = self.tokenizers.source.encode([plan.language_tag + self._model_form(part) for part in pieces])
        first = len(plan.units)
        for segment_piece, segment_ids in zip(pieces, encoded, strict=True):
            self._add_unit(plan, segment_piece, segment_ids)
        unit_count = len(plan.units) - first
        plan.is_segmented |= unit_count > 1
        return unit_count

    def _add_unit(self, plan: LinePlan, piece: Piece, ids: TokenIds, sentences: Sequence[Piece] = ()) -> None:
        """Add the unit of a piece, truncated to what the model reads; none for one without anything to translate."""
        plan.truncated_tokens += max(0, len(ids) - self.max_source_tokens)
        if piece.spans and (not ids or has_nothing_to_translate(piece.text)):
            plan.units.append(TranslationUnit(Segment(piece.unmasked, piece.separator), given=piece.unmasked))
        elif ids:
            plan.units.append(self._searched_unit(plan, piece, ids, sentences))

    def _searched_unit(
        self, plan: LinePlan, piece: Piece, ids: TokenIds, sentences: Sequence[Piece] = ()
    ) -> TranslationUnit:
        """A piece as a unit whose translation is searched for."""
        return TranslationUnit(
            Segment(piece.unmasked, piece.separator),
            ids[: self.max_source_tokens],
            sentences=sentences if len(sentences) > 1 else (),
            hidden=self.protector.hide(piece, plan.language_tag),
            language_tag=plan.language_tag,
        )

    def _set_prefix_pieces(self, plan: LinePlan, pieces: list[Piece]) -> bool:
        """Give the pieces of a prefix to the units of a line, one after the other; False where they do not match."""
        for index, unit in enumerate(plan.units):
            if not pieces:
                return True
            if unit.given is not None:
                if pieces[0].text != unit.given:
                    return len(pieces) == 1 and unit.given.startswith(pieces[0].text)
                pieces = pieces[1:]
            elif len(pieces) <= max(1, len(unit.sentences)) or index == len(plan.units) - 1:
                self._begin_with(plan, unit, self._join(pieces).unmasked)
                return True
            else:
                count = max(1, len(unit.sentences))
                sentences, pieces = pieces[:count], pieces[count:]
                if any(piece.is_copied for piece in sentences):
                    return False
                unit.given = self._join(sentences).unmasked
        return not pieces

    def _spans(self, plan: LinePlan) -> list[str]:
        """What is protected in a line, but for what it is cut at."""
        parts = (part for unit in plan.units if unit.hidden is not None for part in unit.hidden.parts)
        return [*self.protector.mask(plan.line)[1], *(part for part in parts if part not in SEPARATORS)]

    def _begin_with(self, plan: LinePlan, unit: TranslationUnit, prefix: str) -> None:
        """Give a unit a prefix, truncated to what the model can write."""
        (ids,) = self.tokenizers.target.encode([prefix])
        if self.max_target_tokens is not None and len(ids) > self.max_target_tokens:
            plan.warnings.append(
                f"the prefix is longer than the {self.max_target_tokens} subwords that the model can write: it was cut"
            )
            ids = ids[: self.max_target_tokens]
        unit.prefix, unit.prefix_ids = prefix, ids


def _paragraph_ranges(units: Sequence[TranslationUnit], known_ends: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Ranges of neighbouring units that are each a paragraph to translate, and of what ends them, each of which is
    known."""
    kinds = "".join(
        "t" if unit.given is None and not unit.prefix else "e" if _is_paragraph_end(unit.segment, known_ends) else "-"
        for unit in units
    )
    for match in re.finditer("(?<!t)t(?:et)+(?!t)", kinds):
        yield match.span()


def _is_paragraph_end(segment: Segment, known_ends: Sequence[str]) -> bool:
    is_nothing_else = segment.is_copied and not PARAGRAPH_END.sub("", segment.text).strip()
    return is_nothing_else and all(end in known_ends for end in PARAGRAPH_END.findall(segment.text))
