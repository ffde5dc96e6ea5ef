"""A text as a model reads it, without what must not change in it, and the translation with that put back exactly once.

Each span that a text hides behind a SPAN_MARK (masks.py) is read and written as a placeholder, if the model has learned
them. Else it is left out of what is read, and put where the word alignment says or, without attention, where it stands
in proportion.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from operator import itemgetter
from typing import NamedTuple

from nmt_cli.data.final_marks import COLONS, FINAL_MARK, FULL_STOPS, UNSPACED_COLONS
from nmt_cli.data.protected_spans import BETWEEN_SPANS
from nmt_cli.data.text_profile import ends_in_word
from nmt_cli.inference.masks import literal_pattern, unmask
from nmt_cli.inference.span_places import (
    CLUSTER_OR_WORD,
    LEADING_PUNCTUATION,
    STOPS,
    UNSPACED,
    Gaps,
    HiddenSpan,
    is_in_word,
    is_letter,
    is_mark,
    removal,
    replaced,
    with_spaces,
)
from nmt_cli.inference.text_edits import WORD, Alignment, Edit, Edits, spans_of, word_at, word_starts
from nmt_cli.inference.written_spans import (
    StringKinds,
    fill_empty_pairs,
    has_protected_marks,
    pattern_of,
    replace_alike,
    span_without_marks,
    written_span,
)
from nmt_cli.vocabulary import SPAN_MARK, SPAN_PLACEHOLDERS

PLACEHOLDER = re.compile(f"[{SPAN_MARK}{SPAN_PLACEHOLDERS[0]}-{SPAN_PLACEHOLDERS[-1]}]")

_GROUP = f"{SPAN_MARK}(?:{BETWEEN_SPANS}{SPAN_MARK})*"
_GROUPS = rf"[^\w\s]*{_GROUP}(?:[^\w\s]*{_GROUP})*"
# Words that have no letter besides what is protected in them, without the stops that follow; and in the beginning of a
# text with them, as in 'NAME: it is'.
_WORDS_OF_MARKS = rf"\A{_GROUPS}[^\w\s]*(?=\s)|(?<!\S){_GROUPS}[^\w\s]*?(?=[{STOPS}]*(?:\s|\Z))"
_STOP = re.compile(rf"(?:{FINAL_MARK}|[{COLONS}{UNSPACED_COLONS}])[^\w\s]*")
_CLOSED_BY = {
    "(": ")", "[": "]", "{": "}", "«": "»", "»": "«", "“": "”", "„": "“”", "‘": "’", "‚": "‘’", "‹": "›", "›": "‹",
    "「": "」", "『": "』", "（": "）", "【": "】", "《": "》", "〈": "〉", "［": "］",
}  # fmt: skip
_CLOSING_ONLY = ")]}”」』）】》〉］"
_IN_BRACKETS = "|".join(
    f"{re.escape(opening)}{_GROUP}[{re.escape(closing)}]" for opening, closing in _CLOSED_BY.items()
)
# A span with what goes with it: brackets and quotation marks around it alone, and the ending of a genitive or a plural.
_WORDS_OR_GROUP = re.compile(
    rf"{_WORDS_OF_MARKS}|{_IN_BRACKETS}|\"{_GROUP}\"|«\s*{_GROUP}\s*»|(?<!\w){_GROUP}['’]?[sS](?!\w)|{_GROUP}"
)
_GENITIVE = re.compile(rf"(?<={SPAN_MARK})['’][sS]\Z")  # of English, which other languages do not have
_MARK_OR_TAG = re.compile(r"</?\w[\w:.-]*|[^\w\s]")

Written = tuple[int, int, HiddenSpan | None, str]  # a part of a translation, the span that it is, what is written there


class RestoredText(NamedTuple):
    """A translation in which every span stands once."""

    text: str
    alignment: Alignment | None  # None where none was given


class HiddenSpans:
    """A text as a model reads it, and what of it comes out unchanged."""

    def __init__(
        self,
        masked: str,
        spans: Sequence[str],
        placeholder_of: Callable[[str], str] = lambda text: "",
        tag_words: int = 0,
        full_stop_after: Callable[[str], str] = lambda text: "",
        kinds: StringKinds | None = None,
    ) -> None:
        """`placeholder_of` gives what stands for a span, or nothing. The model reads `tag_words` words before it, and
        where a span ends the sentence, as an ellipsis does that it has never seen, what `full_stop_after` gives for
        the text before it, if anything. A string that the model writes in place of one of its kind is replaced, if
        there are `kinds`."""
        self.tag_words, self._masked, self.parts, self._kinds = tag_words, masked, tuple(spans), kinds
        marks = [match.start() for match in re.finditer(SPAN_MARK, masked)]
        self._to_source = Edits(masked, [(mark, mark + 1, span) for mark, span in zip(marks, spans, strict=True)])
        regions = list(_regions(masked, spans, placeholder_of))
        read_behind = _read_behind(masked, regions)
        edits: list[Edit] = []
        for (start, end, text, _, _, placeholder), behind in zip(regions, read_behind, strict=True):
            if not placeholder and _is_stop(text, masked[:start], masked[end:]):
                placeholder = full_stop_after(masked[:start])
            edits.append((start, end, placeholder) if placeholder else removal(masked, start, end, behind, edits))
        self._to_read = Edits(masked, edits)
        self.source_text, self.read_text = self._to_source.text, self._to_read.text
        self._read_words = spans_of(CLUSTER_OR_WORD, self.read_text)
        self.spans = [
            HiddenSpan(
                text,
                text_masked,
                parts,
                placeholder,
                self._to_source.move(start),
                self._to_source.move(end),
                self._to_read.move(start),
                masked[start - 1 : start].strip(),
                masked[end : end + 1].strip() or (masked[behind] if is_mark(masked[behind : behind + 1]) else ""),
                not placeholder and self._begins_word(masked, start, end),
                behind == len(masked),
                edit[2] in FULL_STOPS,
            )
            for (start, end, text, text_masked, parts, placeholder), edit, behind in zip(
                regions, edits, read_behind, strict=True
            )
        ]

    @cached_property
    def _written(self) -> re.Pattern[str]:
        """Matches spans in a translation, their parts, and placeholders."""
        spans = sorted(self.spans, key=lambda span: -len(span.text))
        patterns = [pattern_of(span).pattern for span in spans]
        return re.compile("|".join([*dict.fromkeys(patterns), self._literals.pattern, PLACEHOLDER.pattern]))

    @cached_property
    def _literals(self) -> re.Pattern[str]:
        return literal_pattern(self.parts)

    def _begins_word(self, masked: str, start: int, end: int) -> bool:
        """Whether a part that is not read stands in the word behind it, with nothing before it but what opens the word
        or, if it is glued to the rest, an article as in "l'"."""
        read_start = self._to_read.move(start)
        number = bisect_left(self._read_words, read_start, key=itemgetter(0)) - 1
        if number < 0 or read_start >= self._read_words[number][1]:
            return False
        is_glued = is_in_word(masked[end : end + 1]) and not is_in_word(masked[start - 1 : start])
        opening = LEADING_PUNCTUATION.fullmatch(self.read_text, self._read_words[number][0], read_start)
        return is_glued or (opening is not None and not is_mark(masked[end : end + 1]))

    @property
    def has_placeholders(self) -> bool:
        """Whether something is read in place of every span."""
        return all(span.placeholder for span in self.spans)

    def needs_alignment(self, text: str) -> bool:
        """Whether a span has no place in what the model wrote."""
        return not all(span.placeholder and span.placeholder in text for span in self.spans)

    def find(self, text: str) -> Iterator[tuple[int, int, HiddenSpan | None]]:
        """The strings of a translation that are spans or their parts, each with the span that it is; None: one that
        the translation has besides."""
        remaining = {span: span.text for span in self.spans}
        for match in self._written.finditer(text):
            span = written_span(match, remaining)
            if span is not None and has_protected_marks(span) and match[0] != span.text:
                span = None
            if span is not None:
                del remaining[span]
            yield *match.span(), span

    def corrected(self, text: str) -> Edits:
        """A translation by a model that has read the source as it is, in which strings that it miscopied are
        replaced."""
        missing = {span: span.text for span in self.spans}
        strings = self._strings(text, 0, missing, with_tags=True)
        return Edits(text, [(start, end, written) for start, end, span, written in strings if span is not None])

    def replace_placeholders(self, text: str) -> str:
        """A part of what the model wrote with what its placeholders stand for."""
        texts = {span.placeholder: span.text for span in self.spans if span.placeholder}
        return PLACEHOLDER.sub(lambda match: texts.get(match[0], ""), text)

    def restore(
        self, text: str, alignment: Alignment | None = None, prefix: str = "", written_prefix: str = ""
    ) -> RestoredText:
        """What the model wrote, with each span exactly once.

        `alignment` pairs words that were read, the tag counted, with words that were written. The text begins with
        `prefix`, which is as the user gave it, where the model has written it as `written_prefix`.
        """
        edits: list[Edit] = []
        if written_prefix and text.startswith(written_prefix):
            edits.append((0, len(written_prefix), prefix))
        else:
            prefix = ""
        missing = self._missing_parts(prefix)
        placed: list[tuple[int, HiddenSpan]] = []  # number of the edit, and what it writes
        strings = self._strings(text, len(written_prefix) if prefix else 0, missing)
        for start, end, span, written in strings:
            if span is None:
                edits.append(removal(text, start, end, end, edits))
            else:
                placed.append((len(edits), span))
                edits.append((start, end, written))
        draft = Edits(text, edits)
        links = None if alignment is None else draft.move_targets(alignment)
        gaps = Gaps(draft.text, len(prefix), [draft.written(number) for number, _ in placed])
        insertions = sorted(self._insertions(gaps, missing, links), key=itemgetter(0))
        counts = Counter(position for position, _ in insertions)
        final = Edits(
            draft.text,
            [
                (*replaced(draft.text, position, span, counts[position]),
                 with_spaces(draft.text, position, span, missing[span]))
                for position, span in insertions
            ],
        )  # fmt: skip
        if links is None:
            return RestoredText(final.text, None)
        starts = {span: final.move(draft.written(number)[0]) for number, span in placed}
        starts |= {span: final.written(number)[0] for number, (_, span) in enumerate(insertions)}
        return RestoredText(final.text, self._final_alignment(final.move_targets(links), final.text, starts))

    def _strings(
        self, text: str, first: int, missing: dict[HiddenSpan, str], *, with_tags: bool = False
    ) -> list[Written]:
        """The parts of what the model wrote, from the offset `first` on, that are spans, and those that may not stay:
        None. The spans are then no longer missing. A tag takes the place of another only `with_tags`: where the order
        of tags is checked."""
        strings: list[Written] = []
        for match in self._written.finditer(text, first):
            span, written = written_span(match, missing), match[0]
            if span is None:
                span, written = span_without_marks(match, missing) or (None, "")
            elif written == span.placeholder or has_protected_marks(span):
                written = missing[span]
            if span is not None:
                del missing[span]
            strings.append((*match.span(), span, written))
        places = list(fill_empty_pairs(text, first, missing, self.source_text))
        if self._kinds is not None and missing:
            filled = [span for _, _, span, _ in places]
            lacking = [
                span
                for span in missing
                if span not in filled and (with_tags or len(span.parts) > 1 or not span.text.startswith("<"))
            ]
            places += replace_alike(text, first, lacking, self.source_text, self._kinds)
        for start, end, span, written in places:
            inside = [other for other in strings if start < other[1] and other[0] < end]
            if all(other[2] is None and start <= other[0] and other[1] <= end for other in inside):
                del missing[span]
                strings = [*(other for other in strings if other not in inside), (start, end, span, written)]
        return sorted(strings, key=itemgetter(0))

    def _missing_parts(self, prefix: str) -> dict[HiddenSpan, str]:
        """What a prefix lacks of each span that it does not have whole."""
        missing: dict[HiddenSpan, str] = {}
        counts = Counter(self._literals.findall(prefix))
        for span in self.spans:
            lacking = []
            for part in span.parts:
                if counts[part]:
                    counts[part] -= 1
                else:
                    lacking.append(part)
            if lacking:
                missing[span] = span.text if len(lacking) == len(span.parts) else " ".join(lacking)
        return missing

    def _insertions(
        self, gaps: Gaps, spans: Iterable[HiddenSpan], links: Alignment | None
    ) -> Iterator[tuple[int, HiddenSpan]]:
        """Where to insert spans, given in the order of the source: what closes something behind what opens it."""
        if links is None or UNSPACED.search(gaps.text + self.read_text):
            links = []  # they are between words, of which such a text has none
        opened: list[tuple[Sequence[str], int]] = []  # what may close each, and the number of the span that opens it
        positions: list[int] = []
        for number, span in enumerate(spans):
            first = 0
            for mark in _MARK_OR_TAG.findall(span.text):
                opening = next((entry for entry in reversed(opened) if mark in entry[0]), None)
                if opening is not None:
                    opened.remove(opening)
                    first = positions[opening[1]] + 1 if opening[1] < number else first
                elif closing := (f"</{mark[1:]}",) if mark[1:] else _CLOSED_BY.get(mark):
                    opened.append((closing, number))
            positions.append(self._best_position(gaps, span, links, first))
            yield positions[-1], span

    def _best_position(self, gaps: Gaps, span: HiddenSpan, links: Alignment, first: int) -> int:
        """Where to insert a span: at the gap between words that the fewest links cross, beside its neighbours.

        What is glued to a word, as a tag is, stays with it before all else. `first` is the first offset to consider.
        """
        words, read_words = gaps.words, self._read_words
        before = bisect_left(read_words, span.read_start, key=itemgetter(0)) - span.begins_word  # words left of it
        before += self.tag_words
        is_word = bool(span.placeholder) and not span.is_glued_left and not span.is_glued_right
        behind = before + is_word  # the first word that is right of it
        aligned = {target: source for source, target in links}
        expected = len(words) * (before - self.tag_words) / max(1, len(read_words) - is_word)
        if UNSPACED.search(self.read_text) and not any(map(is_letter, self.read_text[span.read_start :])):
            expected = len(words)  # it ends the sentence, before its stop, which is a word of such a text
        crossing = sum(source < before for source in aligned.values())  # links that cross the gap before all words
        candidates = []
        for gap in range(len(words) + 1):
            if gap and (source := aligned.get(gap - 1)) is not None:
                crossing += (source >= behind) - (source < before)
            position = gaps.position(gap, span)
            if position is not None and position >= first:
                is_left, is_right = aligned.get(gap - 1) == before - 1, aligned.get(gap) == behind
                glued = span.is_glued_left * is_left + span.is_glued_right * is_right
                if span.closes:
                    glued += gaps.text.endswith(span.left, 0, position)
                near = -2 * is_left - is_right, gaps.is_inside_phrase(position), abs(gap - expected)
                candidates.append((-glued, crossing, *near, position))
        return min(candidates)[-1] if candidates else len(gaps.text)

    def _final_alignment(self, links: Alignment, text: str, starts: Mapping[HiddenSpan, int]) -> Alignment:
        """Links between the words of the source text and those of the translation, a language tag counted."""
        read_words, source_words, target_words = map(word_starts, (self.read_text, self.source_text, text))
        to_source = {
            word_at(read_words, self._to_read.move(start)): word_at(source_words, self._to_source.move(start))
            for start, end in spans_of(WORD, self._masked)
            if not self._to_read.removes(start, end)
        }
        pairs = {
            (source if source < self.tag_words else to_source[source - self.tag_words] + self.tag_words, target)
            for source, target in links
            if source - self.tag_words in to_source or source < self.tag_words
        }
        for span in self.spans:
            if span in starts:
                source = word_at(source_words, span.source_start) + self.tag_words
                target = word_at(target_words, starts[span])
                pairs |= {(source + word, target + word) for word in range(len(span.text.split()))}
        return sorted(pairs, key=lambda pair: (pair[1], pair[0]))


class _Region(NamedTuple):
    """Where one span stands, or several neighbours as one."""

    start: int
    end: int
    text: str  # what must come out in its place
    masked: str  # with a SPAN_MARK in place of each span
    parts: tuple[str, ...]  # the spans in it
    placeholder: str


def _regions(masked: str, spans: Sequence[str], placeholder_of: Callable[[str], str]) -> Iterator[_Region]:
    """The regions of a text in their order; one without a placeholder takes with it brackets and quotation marks that
    hold nothing else."""
    remaining = iter(spans)
    for match in _WORDS_OR_GROUP.finditer(masked):
        groups = []
        for group in re.compile(_GROUP).finditer(masked, *match.span()):
            parts = tuple(islice(remaining, group[0].count(SPAN_MARK)))
            text = unmask(group[0], parts)
            groups.append(_Region(*group.span(), text, group[0], parts, placeholder_of(text)))
        is_without = not any(group.placeholder for group in groups)
        is_word = match[0].endswith(("s", "S")) and groups[-1].text.endswith(">")  # the s of '<b>s</b>' is no ending
        if is_without and _is_balanced(match[0]) and not is_word:
            parts = tuple(part for group in groups for part in group.parts)
            text = _GENITIVE.sub("", match[0])
            yield _Region(*match.span(), unmask(text, parts), text, parts, "")
        else:
            yield from groups


def _is_stop(text: str, before: str, behind: str) -> bool:
    """Whether a span is what ends a sentence, with the marks that close it."""
    return bool(_STOP.fullmatch(text)) and ends_in_word(before) and not behind.strip()


def _is_balanced(text: str) -> bool:
    expected: list[str] = []
    for mark in text:
        if expected and mark in expected[-1]:
            expected.pop()
        elif mark in _CLOSING_ONLY:
            return False
        elif mark in _CLOSED_BY:
            expected.append(_CLOSED_BY[mark])
    return not expected and text.count('"') % 2 == 0


def _read_behind(masked: str, regions: Sequence[_Region]) -> list[int]:
    """Where what is read behind each region begins: other regions that follow directly may not be read either."""
    offsets: list[int] = []
    next_start = next_behind = len(masked)
    for start, end, *_, placeholder in reversed(regions):
        offsets.append(end if masked[end:next_start].strip() else next_behind)
        next_start, next_behind = start, start if placeholder else offsets[-1]
    return offsets[::-1]
