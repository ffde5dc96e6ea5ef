"""A text as a model reads it, without what must not change in it, and the translation with that put back exactly once.

Each span that a text hides behind a SPAN_MARK (masks.py) is read and written as a placeholder, if the model has learned
them. Else it is left out of what is read, and put where the word alignment says or, without attention, where it stands
in proportion.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from operator import itemgetter
from typing import NamedTuple

from nmt_cli.data.final_marks import FINAL_MARK, FINAL_MARKS, FULL_STOPS, without_full_stop
from nmt_cli.data.protected_spans import BETWEEN_SPANS, Span
from nmt_cli.data.scripts import UNSPACED_SCRIPTS
from nmt_cli.data.text_profile import ends_in_word
from nmt_cli.inference.masks import literal_pattern, unmask
from nmt_cli.vocabulary import SPAN_MARK, SPAN_PLACEHOLDERS

Alignment = list[tuple[int, int]]  # (source word, target word), from 0

PLACEHOLDER = re.compile(f"[{SPAN_MARK}{SPAN_PLACEHOLDERS[0]}-{SPAN_PLACEHOLDERS[-1]}]")

_WORD = re.compile(r"\S+")
_UNSPACED = re.compile(f"[{UNSPACED_SCRIPTS}]")
_SOUTHERN = r"\u0e00-\u109f\u1780-\u17ff"  # of them, those with spaces between phrases
_MARKS = "".join(
    character for character in map(chr, range(0xE00, 0x1800)) if unicodedata.category(character) in ("Mn", "Mc")
)
# What is never torn: a letter of such a script with the vowels and marks around it, the letters stacked under it and
# those that are silent or close its syllable; a syllable of Tibetan, a word in Katakana, or else a word.
_CLUSTER = (
    rf"[เ-ไເ-ໄ]?[{UNSPACED_SCRIPTS}](?:[\u1039\u17d2][{UNSPACED_SCRIPTS}]|[{_MARKS}\u3099\u309aะาำๅๆະາຳຽໆ]|"
    rf"[{_SOUTHERN}][{_MARKS}]?[\u0e4c\u0ecc\u103a\u17cd])*"
)
_CLUSTER_OR_WORD = re.compile(
    rf"[\u0f00-\u0fff]+?(?:\u0f0b|(?![\u0f00-\u0fff]))|[ァ-ヺー]+|{_CLUSTER}|[^\s{UNSPACED_SCRIPTS}]+"
)
_INSIDE_PHRASE = re.compile(rf"(?<=[{_SOUTHERN}])(?=[{_SOUTHERN}])")
_STOPS = f",;:，{FINAL_MARKS}"
_BEFORE_WORDS = (*FINAL_MARKS, ":", ";", ",", ")", "]")  # a space follows
_CONTROL_CHARACTERS = frozenset(c for c in map(chr, (*range(0x20), *range(0x7F, 0xA0))) if not c.isspace())
_SPACED = tuple("-–—&+=/*")  # with a space before them, unless they belong to a word
_GROUP = f"{SPAN_MARK}(?:{BETWEEN_SPANS}{SPAN_MARK})*"
_GROUPS = rf"[^\w\s]*{_GROUP}(?:[^\w\s]*{_GROUP})*"
# Words that have no letter besides what is protected in them, without the stops that follow; and in the beginning of a
# text with them, as in 'NAME: it is'.
_WORDS_OF_MARKS = rf"\A{_GROUPS}[^\w\s]*(?=\s)|(?<!\S){_GROUPS}[^\w\s]*?(?=[{_STOPS}]*(?:\s|\Z))"
_STOP = re.compile(rf"(?:{FINAL_MARK}|[;:؛፤፥፦；：])[^\w\s]*")
_CLOSING = tuple(f")]}}»”’\"'{_STOPS}")
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
_OPENING = tuple("([{<«„“‚‘¿¡「『（【《〈［")
_SPACED_OPENING = tuple(mark for mark in _OPENING if mark < "\u3000")  # with a space before them
_OPENING_END = re.compile(rf"[{re.escape(''.join(_OPENING))}]|(?<!\S)[\"']")
_GENITIVE = re.compile(rf"(?<={SPAN_MARK})['’][sS]\Z")  # of English, which other languages do not have
_OPENING_TAG = re.compile(r"<\w[^<>]*(?<!/)>\Z")
_MARK_OR_TAG = re.compile(r"</?\w[\w:.-]*|[^\w\s]")
_ENDS_BEFORE = re.compile(rf"[{_STOPS})\]»”“’\"']*(?:\s|\Z)")  # what may follow a word
_BEGINS_AFTER = re.compile(r"(?:\A|\s)[(\[«„“‚‘\"'¿¡]*\Z")
_LEADING_PUNCTUATION = re.compile(r"[^\w\s]+")


@dataclass(frozen=True, eq=False)
class HiddenSpan:
    """What must come out: a span or, where punctuation between several belongs to them, a few."""

    text: str
    parts: tuple[str, ...]  # the spans in it
    placeholder: str  # that stands for it in what the model reads; empty: nothing does
    source_start: int  # offset in the source text
    read_start: int  # offset of its placeholder, or of where it was, in what the model reads
    left: str  # the characters that stand directly before and behind it, or nothing
    right: str
    begins_word: bool  # it stands in the word behind it: '(' is before it or, if it is glued to what follows, "l'"
    is_last: bool  # nothing is behind it that is read
    is_stop: bool  # a full stop is read in its place

    @cached_property
    def is_glued_left(self) -> bool:
        """Whether it belongs to the word before it, as a closing tag does."""
        return _is_in_word(self.left) or (self.text.startswith("</") and _is_letter(self.left))

    @cached_property
    def is_glued_right(self) -> bool:
        """Whether it belongs to the word behind it, as an opening tag does."""
        return _is_in_word(self.right) or (_OPENING_TAG.search(self.text) is not None and self.right.isalnum())

    def stands_alike(self, before: str, behind: str) -> bool:
        """Whether it stands between these parts of a translation as in its source: as a word, or glued to one."""
        is_left = _stands_alike(self.left, before[-1:], is_apart=_BEGINS_AFTER.search(before) is not None)
        return is_left and _stands_alike(self.right, behind[:1], is_apart=_ENDS_BEFORE.match(behind) is not None)

    @cached_property
    def is_before_mark(self) -> bool:
        """Whether punctuation follows it, without a space."""
        return _is_mark(self.right)

    @cached_property
    def closes(self) -> bool:
        """Whether it belongs to the punctuation before it, as the second mark of '“Yes,” he said' does."""
        return bool(self.left) and not _is_letter(self.left) and not self.right and self.text.startswith(_CLOSING)


def _stands_alike(in_source: str, written: str, *, is_apart: bool) -> bool:
    """Whether what is written beside a span joins it as its neighbour in the source does, or keeps apart from it."""
    if _is_letter(in_source):
        return _is_letter(written)
    return is_apart or (written == in_source and written not in _STOPS)


def _is_letter(character: str) -> bool:
    """Whether a character is a letter, a mark on one or a digit; False for none."""
    return character.isalnum() or (bool(character) and unicodedata.category(character).startswith("M"))


def _is_mark(character: str) -> bool:
    """Whether a character is a punctuation mark or a symbol; False for none."""
    return bool(character.strip()) and not _is_letter(character) and character not in _CONTROL_CHARACTERS


def _is_in_word(character: str) -> bool:
    """Whether a character is part of a word that has spaces around it; so are control characters that were not
    dropped."""
    return (_is_letter(character) or character in _CONTROL_CHARACTERS) and not _UNSPACED.match(character)


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
    ) -> None:
        """`placeholder_of` gives what stands for a span, or nothing. The model reads `tag_words` words before it, and
        where a span ends the sentence, as an ellipsis does that it has never seen, what `full_stop_after` gives for
        the text before it, if anything."""
        self.tag_words, self._masked, self.parts = tag_words, masked, tuple(spans)
        marks = [match.start() for match in re.finditer(SPAN_MARK, masked)]
        self._to_source = _Edits(masked, [(mark, mark + 1, span) for mark, span in zip(marks, spans, strict=True)])
        regions = list(_regions(masked, spans, placeholder_of))
        read_behind = _read_behind(masked, regions)
        edits: list[Edit] = []
        for (start, end, text, _, placeholder), behind in zip(regions, read_behind, strict=True):
            if not placeholder and _is_stop(text, masked[:start], masked[end:]):
                placeholder = full_stop_after(masked[:start])
            edits.append((start, end, placeholder) if placeholder else _removal(masked, start, end, behind, edits))
        self._to_read = _Edits(masked, edits)
        self.spans = [
            HiddenSpan(
                text,
                parts,
                placeholder,
                self._to_source.move(start),
                self._to_read.move(start),
                masked[start - 1 : start].strip(),
                masked[end : end + 1].strip() or (masked[behind] if _is_mark(masked[behind : behind + 1]) else ""),
                not placeholder and self._begins_word(masked, start, end),
                behind == len(masked),
                edit[2] in FULL_STOPS,
            )
            for (start, end, text, parts, placeholder), edit, behind in zip(regions, edits, read_behind, strict=True)
        ]

    @property
    def source_text(self) -> str:
        """The text as it was."""
        return self._to_source.text

    @property
    def read_text(self) -> str:
        """The text as a model reads it, without a language tag."""
        return self._to_read.text

    @cached_property
    def _literals(self) -> re.Pattern[str]:
        return literal_pattern(self.parts)

    @cached_property
    def _read_words(self) -> list[Span]:
        return _spans_of(_CLUSTER_OR_WORD, self.read_text)

    def _begins_word(self, masked: str, start: int, end: int) -> bool:
        """Whether a part that is not read stands in the word behind it, with nothing before it but what opens the word
        or, if it is glued to the rest, an article as in "l'"."""
        read_start = self._to_read.move(start)
        number = bisect_left(self._read_words, read_start, key=itemgetter(0)) - 1
        if number < 0 or read_start >= self._read_words[number][1]:
            return False
        is_glued = _is_in_word(masked[end : end + 1]) and not _is_in_word(masked[start - 1 : start])
        opening = _LEADING_PUNCTUATION.fullmatch(self.read_text, self._read_words[number][0], read_start)
        return is_glued or (opening is not None and not _is_mark(masked[end : end + 1]))

    def needs_alignment(self, text: str) -> bool:
        """Whether a span has no place in what the model wrote."""
        return not all(span.placeholder and span.placeholder in text for span in self.spans)

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
        pattern = re.compile(f"{self._literals.pattern}|{PLACEHOLDER.pattern}")
        for match in pattern.finditer(text, len(written_prefix) if prefix else 0):
            span = _written_span(match[0], missing, text)
            if span is None:
                edits.append(_removal(text, *match.span(), match.end(), edits))
            else:
                placed.append((len(edits), span))
                edits.append((*match.span(), missing.pop(span)))
        draft = _Edits(text, edits)
        links = None if alignment is None else _move_targets(alignment, text, draft)
        gaps = _Gaps(draft.text, len(prefix), [draft.written(number) for number, _ in placed])
        insertions = sorted(self._insertions(gaps, missing, links), key=itemgetter(0))
        counts = Counter(position for position, _ in insertions)
        final = _Edits(
            draft.text,
            [
                (*_replaced(draft.text, position, span, counts[position]),
                 _with_spaces(draft.text, position, span, missing[span]))
                for position, span in insertions
            ],
        )  # fmt: skip
        if links is None:
            return RestoredText(final.text, None)
        starts = {span: final.move(draft.written(number)[0]) for number, span in placed}
        starts |= {span: final.written(number)[0] for number, (_, span) in enumerate(insertions)}
        return RestoredText(
            final.text, self._final_alignment(_move_targets(links, draft.text, final), final.text, starts)
        )

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
        self, gaps: "_Gaps", spans: Iterable[HiddenSpan], links: Alignment | None
    ) -> Iterator[tuple[int, HiddenSpan]]:
        """Where to insert spans, given in the order of the source: what closes something behind what opens it."""
        if links is None or _UNSPACED.search(gaps.text + self.read_text):
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

    def _best_position(self, gaps: "_Gaps", span: HiddenSpan, links: Alignment, first: int) -> int:
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
        if _UNSPACED.search(self.read_text) and not any(map(_is_letter, self.read_text[span.read_start :])):
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
        read_words, source_words, target_words = map(_starts, (self.read_text, self.source_text, text))
        to_source = {
            _word_at(read_words, self._to_read.move(start)): _word_at(source_words, self._to_source.move(start))
            for start, end in _spans_of(_WORD, self._masked)
            if not self._to_read.removes(start, end)
        }
        pairs = {
            (source if source < self.tag_words else to_source[source - self.tag_words] + self.tag_words, target)
            for source, target in links
            if source - self.tag_words in to_source or source < self.tag_words
        }
        for span in self.spans:
            if span in starts:
                source = _word_at(source_words, span.source_start) + self.tag_words
                target = _word_at(target_words, starts[span])
                pairs |= {(source + word, target + word) for word in range(len(span.text.split()))}
        return sorted(pairs, key=lambda pair: (pair[1], pair[0]))


Edit = tuple[int, int, str]  # start, end and what is written there


class _Edits:
    """A text in which some parts are replaced; none overlaps the next."""

    def __init__(self, original: str, edits: Sequence[Edit]) -> None:
        self.edits, self._written_starts = edits, []
        parts, position, length = [], 0, 0
        for start, end, replacement in edits:
            parts += [original[position:start], replacement]
            self._written_starts.append(length + start - position)
            length += start - position + len(replacement)
            position = end
        self.text = "".join([*parts, original[position:]])
        self._starts = [start for start, _, _ in edits]

    def move(self, offset: int) -> int:
        """The offset in the new text of an offset in the original; of a part that was replaced, its beginning."""
        number = bisect_right(self._starts, offset) - 1
        if number < 0:
            return offset
        _, end, replacement = self.edits[number]
        start = self._written_starts[number]
        return start if offset < end else start + len(replacement) + offset - end

    def written(self, number: int) -> Span:
        """Where what an edit has written stands in the new text, without spaces around it."""
        start, replacement = self._written_starts[number], self.edits[number][2]
        start += len(replacement) - len(replacement.lstrip(" "))
        return start, start + len(replacement.strip(" "))

    def removes(self, start: int, end: int) -> bool:
        """Whether all of a part of the original is gone."""
        number = bisect_right(self._starts, start) - 1
        return number >= 0 and self.edits[number][1] >= end and not self.edits[number][2]


class _Region(NamedTuple):
    """Where one span stands, or several neighbours as one."""

    start: int
    end: int
    text: str  # what must come out in its place
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
            groups.append(_Region(*group.span(), text, parts, placeholder_of(text)))
        is_without = not any(group.placeholder for group in groups)
        is_word = match[0].endswith(("s", "S")) and groups[-1].text.endswith(">")  # the s of '<b>s</b>' is no ending
        if is_without and _is_balanced(match[0]) and not is_word:
            parts = tuple(part for group in groups for part in group.parts)
            yield _Region(*match.span(), unmask(_GENITIVE.sub("", match[0]), parts), parts, "")
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
    for start, end, _, _, placeholder in reversed(regions):
        offsets.append(end if masked[end:next_start].strip() else next_behind)
        next_start, next_behind = start, start if placeholder else offsets[-1]
    return offsets[::-1]


def _removal(text: str, start: int, end: int, behind: int, earlier: Sequence[Edit]) -> Edit:
    """An edit that removes a part, with a space that would be left over beside it; letters around it get one.

    Later edits remove what is between `end` and `behind`, too; `earlier` are those before it.
    """
    first = earlier[-1][1] if earlier else 0
    left, right = text[max(first, start - 1) : start], text[end : end + 1]
    following = text[behind : behind + 1]
    is_before_space = right.isspace() and following.isspace()
    is_before_word = following in (*_OPENING, SPAN_MARK) or following.isalnum() or following in _CONTROL_CHARACTERS
    if left.isspace() and not is_before_space and not is_before_word:
        return start - 1, end, ""
    if right.isspace() and (start == 0 or text[start - 1].isspace() or _OPENING_END.match(text, start - 1)):
        return start, end + 1, ""
    is_inside = (_is_in_word(left) or left in _BEFORE_WORDS) and _is_in_word(following) and not right.isspace()
    return start, end, " " if is_inside else ""


def _written_span(written: str, missing: Mapping[HiddenSpan, str], text: str) -> HiddenSpan | None:
    """Which span that is still missing a placeholder or a string of the translation is; None: none."""
    for span, lacking in missing.items():
        if written == span.placeholder or (
            lacking == written and (not span.placeholder or span.placeholder not in text)
        ):
            return span
    return None


def _move_targets(links: Alignment, text: str, edited: _Edits) -> Alignment:
    """Links to the words of a text as links to those of the edited text; those to words that are gone are, too."""
    words, new_words = _spans_of(_WORD, text), _starts(edited.text)
    return [
        (source, _word_at(new_words, edited.move(words[target][0])))
        for source, target in links
        if target < len(words) and not edited.removes(*words[target])
    ]


class _Gaps:
    """The places of a translation at which a span can be inserted."""

    def __init__(self, text: str, first: int, blocked: Sequence[Span]) -> None:
        """`first` is the first offset that is allowed, and none inside the `blocked` parts is."""
        self.text, self._first, self._blocked = text, first, blocked
        self.words = _spans_of(_CLUSTER_OR_WORD, text)
        self._has_spaces = bool(re.search(r"\S\s+\S", text))

    def is_inside_phrase(self, position: int) -> bool:
        """Whether a place is inside a phrase of a script without spaces between words, in a text of several phrases."""
        return self._has_spaces and bool(_INSIDE_PHRASE.match(self.text, position))

    def position(self, gap: int, span: HiddenSpan) -> int | None:
        """Where a span is written before word `gap`: behind the word on its left, or directly before that on its right.

        None where it may not be.
        """
        words = self.words
        if gap < len(words) and (gap == 0 or span.begins_word or (span.is_glued_right and not span.is_glued_left)):
            start, end = words[gap]
            opening = _LEADING_PUNCTUATION.match(self.text, start, end) if span.begins_word else None
            is_opened = opening and (
                opening.end() < end or (opening[0] in _OPENING and _UNSPACED.match(self.text, end))
            )
            position = opening.end() if opening and is_opened else start
        elif gap == 0:
            position = len(self.text)
        else:
            start, position = words[gap - 1]
            if span.is_before_mark or (gap == len(words) and not span.is_last):
                stops = _trailing_punctuation(self.text[start:position])
                own = stops.rfind(span.right) if span.right else 0
                if span.right in tuple(FINAL_MARKS):  # before the '!!' of ',!!' in 'Hello, {name}!!'
                    own = len(stops[: own + 1].rstrip(span.right))
                position += max(0, own) - len(stops)
        is_allowed = position >= self._first and not any(start < position < end for start, end in self._blocked)
        return position if is_allowed else None


def _trailing_punctuation(word: str) -> str:
    """The punctuation at the end of a word, not the marks on its last letter."""
    end = len(word)
    while end and not _is_letter(word[end - 1]) and word[end - 1] != "_":
        end -= 1
    return word[end:]


def _replaced(text: str, position: int, span: HiddenSpan, count: int) -> Span:
    """What gives way to a span, the only one at this position: the space that stood for one with none around it."""
    if span.is_stop and (stem := without_full_stop(text[:position])) != text[:position]:
        return len(stem), position
    is_inside = span.is_glued_right and (span.is_glued_left or span.left in _BEFORE_WORDS)
    if is_inside and count == 1 and text[position : position + 1] == " ":
        return position, position + 1
    if is_inside and count == 1 and text[position - 1 : position] == " ":
        return position - 1, position
    return position, position


def _with_spaces(text: str, position: int, span: HiddenSpan, span_text: str) -> str:
    """What is written at a position, with the spaces that are needed around it."""
    left, right = text[max(0, position - 1) : position], text[position : position + 1]
    follows_stop = span.left and not _is_letter(span.left) and not _is_letter(left)  # as '.</p>' does
    follows_unspaced = _UNSPACED.match(left) and (span.is_glued_right or _UNSPACED.match(span.left))
    is_attached = span.is_glued_left or span.closes or follows_stop or follows_unspaced
    is_opened = left in _OPENING and span.left
    needs_left = left and not left.isspace() and not is_opened and not is_attached
    is_apart = right.isalnum() or right in _SPACED_OPENING or (not span.right and right in _SPACED)
    precedes_unspaced = _UNSPACED.match(right) and (span.is_glued_left or _UNSPACED.match(span.right))
    needs_right = right and is_apart and not span.is_glued_right and not precedes_unspaced
    return " " * bool(needs_left) + span_text + " " * bool(needs_right)


def _spans_of(pattern: re.Pattern[str], text: str) -> list[Span]:
    return [match.span() for match in pattern.finditer(text)]


def _starts(text: str) -> list[int]:
    """Where the words of a text begin."""
    return [match.start() for match in _WORD.finditer(text)]


def _word_at(starts: Sequence[int], offset: int) -> int:
    """The index of the word that begins at or before an offset."""
    return max(0, bisect_right(starts, offset) - 1)
