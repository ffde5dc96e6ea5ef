"""Which strings of a translation are what must not change in its source, in the marks of the target language."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from functools import lru_cache

from nmt_cli.data.protected_spans import EMAIL, PARAGRAPH_END, URL, Span, find_spans
from nmt_cli.inference.masks import as_word, unmask
from nmt_cli.inference.span_places import QUOTES, HiddenSpan
from nmt_cli.vocabulary import SPAN_MARK

_ALIKE = (QUOTES, "(（", ")）", "[［【", "]］】")  # what languages write for each other
_EMPTY_PAIR = re.compile(
    r"(?<![^\s(\[])(?:„[“”]|“”|\"\"|«\s?»|»«|‹\s?›|›‹|‘’|‚[‘’]|'')(?!\w)|「」|『』|《》|〈〉|[(（][)）]|[\[［【][\]］】]"
)
_IN_PAIR = re.compile(rf"([^\w\s])\s*({SPAN_MARK}(?:.*{SPAN_MARK})?)\s*[^\w\s]")
_OPENED, _CLOSED = re.compile(r"[(\[{«„“‚‘‹「『（【《〈［\"'»]\Z"), re.compile(r"[.,!?]*[)\]}»“”’‘›」』）】》〉］\"'«]")
_URL, _EMAIL = re.compile(rf"{URL}|www\.", re.IGNORECASE), re.compile(EMAIL)
_IS_PERCENTAGE = re.compile(r"\d\s?\Z")  # what stands before a percent sign
ADDRESS = "address"  # the kind of URLs and e-mail addresses
_NAME = "name"  # of a file, a domain and the like, which are not told apart
_OF_PROGRAM = "%{$"  # what placeholders of programs begin with, another in every language and library
MIN_LIKENESS = 0.5  # of a name, to be taken for another that was miscopied

Placed = tuple[int, int, HiddenSpan, str]  # a part of a translation, the span that it is, and what is written there


class StringKinds:
    """Finds strings that look as if they must not change, and says of what kind each is."""

    def __init__(self, patterns: Sequence[re.Pattern[str]], language: str | None) -> None:
        """`patterns` are those of search.keep_patterns, each a kind; `language` is that of the text."""
        self._patterns, self._language = patterns, language

    def find(self, text: str) -> list[Span]:
        """Where such strings are in a text; percentages are none."""
        spans = find_spans(text, self._patterns, self._language)
        return [
            (start, end)
            for start, end in spans
            if text[start] != "%" or not _IS_PERCENTAGE.search(text[max(0, start - 2) : start])
        ]

    def of(self, string: str) -> str:
        """The kind of a string."""
        for number, pattern in enumerate(self._patterns):
            if pattern.fullmatch(string):
                return f"pattern {number}"
        if _URL.match(string) or _EMAIL.fullmatch(string):
            return ADDRESS
        if string.startswith("<"):
            return string[: 1 + string.startswith("</")]
        if string[0].isalnum() or string[0] in "/\\~.":
            return _NAME
        return _OF_PROGRAM if string[0] in _OF_PROGRAM else string[0]

    def may_replace(self, string: str, written: str) -> bool:
        """Whether one that a translation lacks may stand in place of one that it has besides."""
        kind, written_kind = self.of(string), self.of(written)
        if kind == written_kind == _NAME:
            return likeness(string, written) >= MIN_LIKENESS
        return kind == written_kind or (kind == _NAME and written_kind == ADDRESS)


def likeness(string: str, other: str) -> float:
    """How much of two strings is the same, from 0 to 1."""
    return SequenceMatcher(None, other, string, autojunk=False).ratio()


@lru_cache(maxsize=1024)  # every line may have other strings
def written_pattern(masked: str, parts: tuple[str, ...]) -> re.Pattern[str]:
    """Matches a span, given as what stands beside its parts and as these, with any quotation marks and brackets in
    place of its own; no part of a word."""
    first, *between, last = masked.split(SPAN_MARK)
    opening, closing = first.rstrip(), last.lstrip()
    pattern = _any_marks(opening) + r"\s?" * _is_quote(opening[-1:])
    for part, behind in zip(parts, [*between, ""], strict=True):
        pattern += re.escape(part) + _any_marks(behind)
    pattern += r"\s?" * _is_quote(closing[:1]) + _any_marks(closing)
    return re.compile(as_word(unmask(masked, parts), pattern))


def pattern_of(span: HiddenSpan) -> re.Pattern[str]:
    """Matches the span in a translation, with any marks around it, also where its own are protected."""
    return written_pattern(*_with_own_marks(span))


def has_protected_marks(span: HiddenSpan) -> bool:
    """Whether marks around it must not change: the training text never had them."""
    return len(_with_own_marks(span)[1]) < len(span.parts)


def _with_own_marks(span: HiddenSpan) -> tuple[str, tuple[str, ...]]:
    """A masked span, and its parts but for quotation marks and brackets, which are not masked."""
    parts = tuple(part for part in span.parts if not any(part in marks for marks in _ALIKE))
    if not parts:
        return span.masked, span.parts
    return unmask(span.masked, [SPAN_MARK if part in parts else part for part in span.parts]), parts


def _any_marks(text: str) -> str:
    """A pattern of a text with marks that mean the same."""
    return "".join(
        next((f"[{re.escape(marks)}]" for marks in _ALIKE if char in marks), re.escape(char)) for char in text
    )


def _is_quote(character: str) -> bool:
    return bool(character) and character in QUOTES


def written_span(match: re.Match[str], missing: Mapping[HiddenSpan, str]) -> HiddenSpan | None:
    """Which span that is still missing, or what a translation lacks of it, a placeholder or string of the translation
    is; None: none."""
    for span, lacking in missing.items():
        if match[0] == span.placeholder:
            return span
        if span.placeholder and span.placeholder in match.string:
            continue
        if match[0] == lacking or (lacking == span.text and pattern_of(span).fullmatch(match[0])):
            return span
    return None


def span_without_marks(match: re.Match[str], missing: Mapping[HiddenSpan, str]) -> tuple[HiddenSpan, str] | None:
    """Which span that is still missing a string of the translation is without the marks that belong to it, and what is
    written in its place: the string with these marks, unless there are others."""
    for span, lacking in missing.items():
        if span.parts == (match[0],) and lacking == span.text and not span.placeholder:
            return span, _with_marks(span, match.string, *match.span())
    return None


def _with_marks(span: HiddenSpan, text: str, start: int, end: int) -> str:
    """What is written of a span in place of this part of a translation."""
    has_marks = _OPENED.search(text, 0, start) or _CLOSED.match(text, end)
    return span.parts[0] if has_marks and len(span.parts) == 1 else span.text


def has_string(text: str, string: str) -> bool:
    """Whether a text has a string, not only as the beginning of a longer one."""
    return re.search(_whole(string), text) is not None


def without_strings(text: str, strings: Iterable[str]) -> str:
    """A text with a space in place of each of some strings, where it is not only the beginning of a longer one."""
    ordered = sorted(set(strings), key=len, reverse=True)
    return re.sub("|".join(map(_whole, ordered)), " ", text) if ordered else text


def _whole(string: str) -> str:
    return re.escape(string) + (r"(?!(?a:[\w/]|[.-]\w))" if string[-1].isalnum() else "")


def replace_alike(
    text: str, first: int, missing: Iterable[HiddenSpan], source: str, kinds: StringKinds
) -> Iterator[Placed]:
    """Spans that belong in the place of a string of their kind that a translation has behind its offset `first`, and
    its source has not: of several, the one that is most like it."""
    strings = [(start, end) for start, end in kinds.find(text) if start >= first]
    invented = [(start, end) for start, end in strings if not has_string(source, text[start:end])]
    lacking = list(missing) if invented else []
    likenesses = []
    for order, (start, end) in enumerate(invented):
        for span_order, span in enumerate(lacking):
            parts = [part for part in span.parts if kinds.may_replace(part, text[start:end])]
            if parts and (len(span.parts) == 1 or _is_whole(span)):
                likenesses.append((-likeness(parts[0], text[start:end]), abs(order - span_order), order, span_order))
    replaced, placed = set[int](), set[int]()
    for _, _, order, span_order in sorted(likenesses):
        if order not in replaced and span_order not in placed:
            replaced.add(order)
            placed.add(span_order)
            yield *invented[order], lacking[span_order], _with_marks(lacking[span_order], text, *invented[order])


def _is_whole(span: HiddenSpan) -> bool:
    """Whether it has as many closing tags as opening ones, and something between them."""
    closing = sum(part.startswith("</") for part in span.parts)
    opening = sum(part.startswith("<") and not part.endswith("/>") for part in span.parts) - closing
    return opening == closing and not all(part.startswith("<") for part in span.parts)


def fill_empty_pairs(text: str, first: int, missing: Mapping[HiddenSpan, str], source: str) -> Iterator[Placed]:
    """Spans that belong into quotation marks or brackets of a translation, behind its offset `first`, that are empty
    while those of the source are not."""
    remaining = [span for span, lacking in missing.items() if lacking == span.text and not span.placeholder]
    for pair in () if _EMPTY_PAIR.search(source) else _EMPTY_PAIR.finditer(text, first):
        mark = pair[0][0]
        is_alike = [(span, _inside(span, mark)) for span in remaining]
        span, inside = next(((span, inside) for span, inside in is_alike if inside), (None, ""))
        if span is not None:
            remaining.remove(span)
            space = pair[0][1:-1]
            in_pair = f"{mark}{space}{inside}{space}{pair[0][-1]}"
            yield *pair.span(), span, span.text if has_protected_marks(span) else in_pair


def _inside(span: HiddenSpan, mark: str) -> str:
    """What of a span belongs behind an opening mark; nothing where it belongs elsewhere."""
    masked, parts = _with_own_marks(span)
    in_pair = _IN_PAIR.fullmatch(masked)
    if in_pair is not None:
        return unmask(in_pair[2], parts) if _any_marks(in_pair[1]) == _any_marks(mark) else ""
    is_word = _is_whole(span) and not any(PARAGRAPH_END.fullmatch(part) for part in parts)
    return span.text if is_word and _is_quote(mark) and not masked.strip(SPAN_MARK) else ""
