"""A text of a request as jobs, and the translation of the text from theirs."""

import html
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

from nmt_cli.data.numbers import missing_numbers
from nmt_cli.data.protected_spans import find_spans
from nmt_cli.data.text_profile import TextProfile
from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from nmt_cli.inference.joining import best_combinations
from nmt_cli.inference.lines import LINE_BREAKS
from nmt_cli.inference.output import Candidate, Translation
from nmt_cli.inference.segments import Segment, make_segments, spaced_translations

MAX_NAMED_NUMBERS = 5
SENTENCES_PER_JOB = 8  # of one line, about
MAX_UNCUT_CHARACTERS = 300  # a line up to this is one piece, whatever sentences it has
MAX_PIECE_CHARACTERS = 1_500  # more than a model reads at once, so that engines cut longer sentences, too
LINE_BREAK = re.compile(rf"(\r\n|[{LINE_BREAKS}])")
_BLOCK_TAG = re.compile(
    "address|article|aside|blockquote|body|br|d[dlt]|details|div|fieldset|fig(caption|ure)|footer|form|h[1-6r]|head|header"
    "|html|li|main|nav|[ou]l|opt(group|ion)|p|pre|section|select|table|t(body|d|extarea|foot|h|head|itle|r)"
)
_TAG_START = re.compile(r"<[/!?]?[a-zA-Z]|<[!?]")
_TAG = re.compile(
    r"""<!-- | <(?: (?P<closing>/?)(?P<name>[a-zA-Z][^\s/>]*+) | [!?] ) (?: [^>"']++ | "[^"]*+" | '[^']*+' )*+ >""",
    re.VERBOSE,
)
_HIDDEN_ENDS = {
    name: re.compile(f"</{name}", re.IGNORECASE | re.ASCII) for name in ("script", "style", "template", "noscript")
}
_COMMENT_END = re.compile("-->")
_WHITE_SPACE = re.compile("[ \t\n\f\r]+")  # of HTML


@dataclass(frozen=True)
class TextLine:
    """A line of a text: white space, pieces to translate (none in a blank line), white space and a line break."""

    before: str
    pieces: list[Segment]
    after: str


@dataclass(frozen=True)
class SentencePair:
    """What was translated as a whole, with its translation."""

    line: int
    source: str
    target: str
    confidence: float | None = None
    language_tag: str = ""
    """What was read before the source to say which language it is translated to."""


@dataclass(frozen=True)
class TranslatedText:
    """A text of a request, translated."""

    texts: list[str]
    """The best translation, then as many others as were asked for, if there are."""
    sentences: list[SentencePair]
    warnings: list[str]
    confidence: float | None = None


class TextPlanner:
    """Cuts the texts for a run: into lines, and long lines into groups of sentences. Only the tokenizer of an imported
    model is needed."""

    def __init__(self, profile: TextProfile, tokenizer: TextTokenizer | None = None) -> None:
        self._language_tag = partial(profile.language_tag, tokenizer=tokenizer)
        self._splitter = profile.source_splitter()
        self._typical_sentences = profile.lengths.typical_sentences

    def plan(self, text: str, *, split: bool = True, short_pieces: bool = False) -> list[TextLine]:
        """The lines of a text; without `split`, a line is one piece however long it is. Every piece begins with the
        language tag of its line.

        With `short_pieces`, a piece has as few sentences as are translated together.
        """
        size = self._typical_sentences
        if not short_pieces:
            size *= max(1, SENTENCES_PER_JOB // size)
        lines_and_breaks = [*LINE_BREAK.split(text), ""]  # in turn
        lines = []
        for line, line_break in zip(lines_and_breaks[::2], lines_and_breaks[1::2], strict=True):
            content = line.strip()
            before = line[: len(line) - len(line.lstrip())]
            after = line[len(line.rstrip()) :] if content else ""
            is_split = split and (short_pieces or len(content) > MAX_UNCUT_CHARACTERS)
            sentences = self._splitter.split(content) if content and is_split else [content]
            pieces = list(make_segments(content, _group(_sentence_ends(content, sentences), size))) if content else []
            tag = self._language_tag(content)
            pieces[1:] = [replace(piece, text=tag + piece.text) for piece in pieces[1:]]
            lines.append(TextLine(before, pieces, after + line_break))
        return lines


def _sentence_ends(text: str, sentences: Sequence[str]) -> Iterator[int]:
    """Where a text may be cut: behind its sentences, and in those that are longer than MAX_PIECE_CHARACTERS, at white
    space where there is any; but nowhere inside what must not change, such as an address or a tag."""
    spans = find_spans(text)
    starts = [start for start, _ in spans]
    begin = 0
    for sentence in sentences:
        sentence_end = begin + len(sentence)
        while begin < sentence_end:
            end = sentence_end
            if end - begin > MAX_PIECE_CHARACTERS:
                bound = begin + MAX_PIECE_CHARACTERS
                end = text.rfind(" ", begin + 1, bound) + 1 or bound
            span = bisect_left(starts, end) - 1  # the last that begins before the cut
            if span < 0 or spans[span][1] <= end:
                yield end
            begin = end


def _group(ends: Iterator[int], size: int) -> list[tuple[int, int]]:
    """Where pieces of so many sentences begin and end, or of fewer long ones."""
    groups: list[tuple[int, int]] = []
    count = 0
    for begin, end in pairwise([0, *ends]):
        if groups and count < size and end - groups[-1][0] <= MAX_PIECE_CHARACTERS:
            groups[-1] = (groups[-1][0], end)
            count += 1
        else:
            groups.append((begin, end))
            count = 1
    return groups


def join_text(lines: Sequence[TextLine], translations: Sequence[Translation], count: int) -> TranslatedText:
    """The `count` best translations of a text from those of the pieces of its lines."""
    pieces = [piece for line in lines for piece in line.pieces]
    choices = [translation.candidates or [Candidate("", 0.0, 0.0)] for translation in translations]
    is_single = count == 1 or not pieces
    combinations = [[candidates[0] for candidates in choices]] if is_single else best_combinations(choices, count)
    texts = [_join_lines(lines, [candidate.text for candidate in combination]) for combination in combinations]
    line_numbers = [number for number, line in enumerate(lines) for _ in line.pieces]
    sentences = [
        pair
        for number, piece, translation in zip(line_numbers, pieces, translations, strict=True)
        for pair in _sentence_pairs(number, piece.text, translation)
    ]
    warnings = list(dict.fromkeys(warning for translation in translations for warning in translation.warnings))
    warnings += _number_warnings(pieces, translations)
    return TranslatedText(list(dict.fromkeys(texts)), sentences, warnings, _mean_confidence(pieces, translations))


def _number_warnings(pieces: Sequence[Segment], translations: Sequence[Translation]) -> list[str]:
    """That the translations have other numbers, or one of them in words."""
    missing: list[str] = []
    added: list[str] = []
    for piece, translation in zip(pieces, translations, strict=True):
        if not translation.candidates:
            continue
        source = piece.text[len(translation.language_tag) :]
        missing += missing_numbers(source, translation.text)
        added += missing_numbers(translation.text, source)
    sides = {"only in the text": missing, "only in the translation": added}
    parts = [f"{_first(numbers)} {side}" for side, numbers in sides.items() if numbers]
    return [f"check the numbers: {', '.join(parts)}"] if parts else []


def _first(numbers: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(numbers))
    more = ", ..." if len(distinct) > MAX_NAMED_NUMBERS else ""
    return ", ".join(distinct[:MAX_NAMED_NUMBERS]) + more


def _join_lines(lines: Sequence[TextLine], translations: list[str]) -> str:
    remaining, parts = iter(translations), []
    for line in lines:
        parts += [line.before, *spaced_translations(line.pieces, [next(remaining) for _ in line.pieces]), line.after]
    return "".join(parts)


def _sentence_pairs(line: int, source: str, translation: Translation) -> list[SentencePair]:
    tag = translation.language_tag
    if translation.sentences:
        return [
            SentencePair(line, sentence.text, sentence.translation, language_tag=tag)
            for sentence in translation.sentences
        ]
    return [SentencePair(line, source[len(tag) :], translation.text, translation.confidence, tag)]


def _mean_confidence(pieces: Sequence[Segment], translations: Sequence[Translation]) -> float | None:
    """The mean over the characters of the source; None where a piece has none."""
    confidences = [translation.confidence for translation in translations]
    lengths = [len(piece.text) for piece in pieces]
    if not lengths or any(confidence is None for confidence in confidences):
        return None
    weighted = [(confidence or 0.0) * length for confidence, length in zip(confidences, lengths, strict=True)]
    return sum(weighted) / sum(lengths)


def strip_tags(markup: str) -> tuple[str, bool]:
    """The text of HTML, a line per block without a line feed behind the last, and whether there were tags.

    Scripts, styles and comments are left out. White space is a single space outside `pre` and `textarea`. A tag that is
    not closed is text. In linear time, which html.parser does not promise.
    """
    parts, position, has_tags = [""], 0, False
    preformatted_depth, line_break = 0, ""  # before the next text
    while position < len(markup):
        start = markup.find("<", position)
        text_end = start if start >= 0 else len(markup)
        if text_end > position:
            text = markup[position:text_end]
            text = text if preformatted_depth else _WHITE_SPACE.sub(" ", text)
            is_at_start = not preformatted_depth and (line_break or not parts[-1] or parts[-1].endswith(("\n", " ")))
            text = text.removeprefix(" ") if is_at_start else text
            if text:
                parts.append(line_break + html.unescape(text))
                line_break = ""
        if start < 0:
            break
        tag = _TAG.match(markup, start)
        if tag is None:
            is_unclosed = _TAG_START.match(markup, start) is not None
            position = len(markup) if is_unclosed else start + 1  # where one tag is not closed, no later one is
            parts.append(line_break + html.unescape(markup[start:position]))
            line_break = ""
            continue
        has_tags, position, name = True, tag.end(), (tag["name"] or "").lower()
        is_comment = tag[0] == "<!--"
        hidden_end = _COMMENT_END if is_comment else None if tag["closing"] else _HIDDEN_ENDS.get(name)
        if hidden_end is not None:
            end = hidden_end.search(markup, position)
            if end is None:
                break
            position = end.end() if is_comment else end.start()
        if name in ("pre", "textarea"):
            preformatted_depth = max(0, preformatted_depth + (-1 if tag["closing"] else 1))
        if _BLOCK_TAG.fullmatch(name) and parts[-1] and not parts[-1].endswith("\n"):
            line_break = "\n"
    return "".join(parts), has_tags


def escape_html(text: str) -> str:
    """A translation as HTML, which no browser executes."""
    return html.escape(text, quote=False)
