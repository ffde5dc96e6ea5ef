"""Finding what must not change in a translation, and checking that nothing of the kind was lost or added.

Addresses, paths, placeholders, tags, emoji, words with a character that the training text never had, and what
search.keep_patterns names. They are masked (masks.py) before a line is split and normalised, and hidden from the model
(hidden_spans.py) unless it copies them exactly. In a run that was trained with placeholders (corpus.placeholders), each
is read and written as one of them.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice, pairwise
from operator import ge

from nmt_cli.data.apostrophes import UsualApostrophes
from nmt_cli.data.final_marks import COLONS, UNSPACED_COLONS
from nmt_cli.data.list_marks import list_marks_end
from nmt_cli.data.normalization import Normalizer
from nmt_cli.data.protected_spans import PARAGRAPH_END, Span, find_emoji, find_spans, merge_overlapping
from nmt_cli.data.text_profile import TextProfile, ends_in_word
from nmt_cli.data.unseen_characters import UnseenCharacters
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.inference.hidden_spans import PLACEHOLDER, HiddenSpans
from nmt_cli.inference.masks import ANY_MARK, mask, unmask
from nmt_cli.inference.pieces import Piece
from nmt_cli.inference.written_spans import ADDRESS, StringKinds, without_strings
from nmt_cli.vocabulary import SPAN_MARK, SPAN_PLACEHOLDERS

SEPARATORS = tuple(COLONS + UNSPACED_COLONS)
_SEPARATOR = re.compile(f"[{COLONS}]\\s+(?=\\S)|[{UNSPACED_COLONS}](?!\\d)(?=\\S)")
_ANY_SEPARATOR = re.compile(f"[{COLONS}{UNSPACED_COLONS}]")
_MAX_MARKS = 8  # on a letter
_MARKUP = re.compile(r"[{}<>\[\]%$\\`|]")
_MAY_BE_ADDED = re.compile(rf"{_MARKUP.pattern}|://|www\.|@", re.IGNORECASE)
_OF_PROGRAMS = re.compile(
    r"\$?\{{1,2}[^{}]+\}{1,2}|%(?:\d+\$|\(\w+\))?[sdifgxu@]|</?[a-zA-Z][\w:.-]*(?:\s[^<>]*=[^<>]*)?\s*/?>"
)


class Protector:
    """Finds what is protected in lines, for a run."""

    def __init__(self, config: SearchConfig, profile: TextProfile, normalizer: Normalizer) -> None:
        self.is_on = config.keep == "auto"
        self.placeholders = SPAN_PLACEHOLDERS if self.is_on and profile.has_placeholders else ()
        self._patterns = [re.compile(pattern) for pattern in config.keep_patterns]
        characters = profile.source_characters
        self._unseen = None if characters is None else UnseenCharacters(characters, profile.entities)
        self._with_usual_apostrophes = UsualApostrophes(profile.apostrophes, characters or "")
        self._normalizer, self._clean = normalizer, normalizer.clean
        self._language, self._target_language = profile.source_language, profile.target_language
        self._kinds = StringKinds(self._patterns, self._target_language)
        self._list_marks = profile.list_marks
        unseen = self._unseen if self.is_on else None
        self.unseen_separators = frozenset(mark for mark in SEPARATORS if unseen is not None and unseen.lacks(mark))
        """Behind which a sentence is cut, since the model has never read them."""

    def split_at_separators(self, sentence: str) -> list[str]:
        """The parts of a sentence that end in a colon or the like behind a word that the model has never read."""
        if self.unseen_separators.isdisjoint(sentence):
            return [sentence]
        cuts = [
            match.end()
            for match in _SEPARATOR.finditer(sentence)
            if match[0][0] in self.unseen_separators
            and ends_in_word(sentence[max(0, match.start() - _MAX_MARKS) : match.start()])
        ]
        return [sentence[start:end] for start, end in pairwise([0, *cuts, len(sentence)])]

    def mask(self, line: str) -> tuple[str, tuple[str, ...]]:
        """The line with a SPAN_MARK in place of each span but emoji and signs, or a BREAK_MARK, and the spans; with
        apostrophes as the training text had them."""
        if not self.is_on:
            return line, ()
        spans = find_spans(line, self._patterns, self._language)
        if self._unseen is not None:
            first = list_marks_end(line, known_marks=self._list_marks)
            read = self._with_usual_apostrophes(line)
            unseen = [*self._unseen.words(read, self._clean), *self._unseen.entities(line, self._clean)]
            spans += [span for span in unseen if span[0] >= first]
        masked, masked_spans = mask(line, merge_overlapping(spans))
        return self._with_usual_apostrophes(masked), masked_spans

    def assign(self, pieces: list[Piece], spans: Sequence[str], *, is_source: bool = True) -> list[Piece]:
        """The pieces of a masked line, those that are copied unmasked, the others with their spans.

        Emoji and signs that the training text never had are masked only now: between sentences they are copied.
        """
        if not spans and (not self.is_on or not is_source):
            return pieces
        remaining = iter(spans)
        assigned = []
        for piece in pieces:
            own_spans = tuple(islice(remaining, len(ANY_MARK.findall(piece.text))))
            if piece.is_copied:
                assigned.append(piece._replace(text=unmask(piece.text, own_spans)))
                continue
            piece = piece._replace(spans=own_spans)
            assigned.append(self._mask_signs(piece) if is_source else piece)
        return assigned

    def _mask_signs(self, piece: Piece) -> Piece:
        """The piece with its emoji and unknown signs masked, too."""
        if self._unseen is None:
            return _mask_more(piece, find_emoji(piece.text))
        piece = piece._replace(text=self._unseen.replace_full_stops(piece.text))
        return _mask_more(piece, find_emoji(piece.text) + self._unseen.signs(piece.text))

    def hide(self, piece: Piece, language_tag: str = "") -> HiddenSpans | None:
        """A piece as the model reads it, after a language tag; None where nothing in it is protected."""
        if not piece.spans:
            return None
        placeholders, unseen = iter(self.placeholders), self._unseen

        def placeholder_of(text: str) -> str:
            return "" if unseen is not None and unseen.is_punctuation(text) else next(placeholders, "")

        full_stop_after = (lambda text: "") if unseen is None else unseen.full_stop_after
        tag_words = len(language_tag.split())
        return HiddenSpans(piece.text, piece.spans, placeholder_of, tag_words, full_stop_after, self._kinds)

    def hide_in_target(self, target: Piece, hidden_source: HiddenSpans | None) -> str:
        """A translation as the model would write it: without the separators that its source hides, and with the
        placeholders that its source has for the same spans."""
        if hidden_source is None:
            return HiddenSpans(target.text, target.spans).read_text
        separators = [match.span() for match in _ANY_SEPARATOR.finditer(target.text) if match[0] in hidden_source.parts]
        target = _mask_more(target, separators)
        available: dict[str, list[str]] = {}
        for span in hidden_source.spans:
            available.setdefault(span.text, []).append(span.placeholder)
        return HiddenSpans(
            target.text,
            target.spans,
            lambda text: available[text].pop(0) if available.get(text) else "",
            full_stop_after=lambda text: "." if any(span.is_stop for span in hidden_source.spans) else "",
        ).read_text

    def may_copy(self, hidden: HiddenSpans) -> bool:
        """Whether a model may have learned to copy what is hidden from it: the training text had its characters."""
        unseen = self._unseen
        return unseen is not None and all(not span.placeholder and unseen.knows(span.text) for span in hidden.spans)

    def has_exactly(self, hidden: HiddenSpans, text: str) -> bool:
        """Whether a text has what is hidden of its source, each as often, tags in their order, joined to nothing else.

        Besides, it may have no more markup than the source, and each of its paragraphs has words if that of the source
        has. Quotation marks and
        brackets around a span may be others.
        """
        strings = list(hidden.find(text))
        if not all(
            span is not None and span.stands_alike(hidden.source_text, text[:start], text[end:])
            for start, end, span in strings
        ):
            return False
        written = [span for _, _, span in strings if span is not None]
        tags, source_tags = (
            [span.text for span in spans if span.text.startswith("<")] for spans in (written, hidden.spans)
        )
        paragraphs = _paragraphs(text, [(start, end) for start, end, _ in strings])
        source = _paragraphs(hidden.source_text, [(span.source_start, span.source_end) for span in hidden.spans])
        rest, source_rest = " ".join(paragraphs), " ".join(source)
        has_words, source_has_words = (
            [any(map(str.isalpha, part)) for part in parts] for parts in (paragraphs, source)
        )
        return (
            len(written) == len(hidden.spans)
            and tags == source_tags
            and not Counter(_MARKUP.findall(rest)) - Counter(_MARKUP.findall(source_rest))
            and all(map(ge, has_words, source_has_words))
            and not find_spans(rest, self._patterns, self._target_language)
        )

    def added_placeholders(self, line: str, translation: str) -> list[str]:
        """The placeholders of programs, tags, URLs and e-mail addresses that a translation has and its line has not."""
        if not self.is_on or not _MAY_BE_ADDED.search(translation):
            return []
        given, kinds = f"{line} {self._normalizer(line)}", StringKinds([], self._target_language)
        rest = without_strings(translation, (given[start:end] for start, end in kinds.find(given)))
        added = [rest[start:end] for start, end in kinds.find(rest)]
        return list(
            dict.fromkeys(
                span
                for span in added
                if kinds.of(span) == ADDRESS or (_OF_PROGRAMS.fullmatch(span) and span not in given)
            )
        )

    def drop_placeholders(self, text: str) -> str:
        """The text without placeholders that stand for nothing."""
        if not self.placeholders or not PLACEHOLDER.search(text):
            return text
        return HiddenSpans("", []).restore(text).text


def _paragraphs(text: str, spans: Sequence[Span]) -> list[str]:
    """The paragraphs of a text without its spans, some of which part them."""
    paragraphs, position = [""], 0
    for start, end in spans:
        paragraphs[-1] += f"{text[position:start]} "
        paragraphs += [""] * bool(PARAGRAPH_END.search(text, start, end))
        position = end
    paragraphs[-1] += text[position:]
    return paragraphs


def _mask_more(piece: Piece, parts: Sequence[Span]) -> Piece:
    """The piece with these parts masked, too."""
    if not parts:
        return piece
    marks = [match.span() for match in re.finditer(SPAN_MARK, piece.text)]
    text, masked = mask(piece.text, merge_overlapping([*marks, *parts]))
    remaining = iter(piece.spans)
    spans = tuple(unmask(span, tuple(islice(remaining, span.count(SPAN_MARK)))) for span in masked)
    return piece._replace(text=text, spans=spans)
