"""A text of a request as jobs, and the translation of the text from theirs."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html.parser import HTMLParser

from nmt_cli.data.text_profile import TextProfile
from nmt_cli.inference.output import Candidate, Translation
from nmt_cli.inference.segments import Segment, join_translations
from nmt_cli.inference.translator import best_combinations

SENTENCES_PER_JOB = 8  # of one line, about
SURROGATES = re.compile("[\ud800-\udfff]")
LINE_BREAK = re.compile(r"\r\n|[\n\r\u2028\u2029]")
_BLOCK_TAG = re.compile(
    "address|article|aside|blockquote|body|br|d[dlt]|details|div|fieldset|fig(caption|ure)|footer|form|h[1-6r]|head|header"
    "|html|li|main|nav|[ou]l|opt(group|ion)|p|pre|section|select|table|t(body|d|extarea|foot|h|head|itle|r)"
)
_HIDDEN_TAGS = frozenset({"script", "style", "template", "noscript"})


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
    score: float
    confidence: float | None = None


@dataclass(frozen=True)
class TranslatedText:
    """A text of a request, translated."""

    texts: list[str]
    """The best translation, then as many others as were asked for, if there are."""
    sentences: list[SentencePair]
    warnings: list[str]
    confidence: float | None = None


class TextPlanner:
    """Cuts the texts for a run: into lines, and long lines into groups of sentences."""

    def __init__(self, profile: TextProfile) -> None:
        self._splitter = profile.source_splitter()
        typical = profile.lengths.typical_sentences
        self._sentences_per_piece = typical * max(1, SENTENCES_PER_JOB // typical)

    def plan(self, text: str, *, split: bool = True) -> list[TextLine]:
        """The lines of a text; without `split`, a line is one piece however long it is."""
        lines, position = [], 0
        for line_break in [*LINE_BREAK.finditer(text), None]:
            end = len(text) if line_break is None else line_break.start()
            next_position = len(text) if line_break is None else line_break.end()
            line = text[position:end]
            content = line.strip()
            before = line[: len(line) - len(line.lstrip())] if content else line
            after = line[len(line.rstrip()) :] if content else ""
            pieces = self._pieces(content, split=split) if content else []
            lines.append(TextLine(before, pieces, after + text[end:next_position]))
            position = next_position
        return lines

    def _pieces(self, line: str, *, split: bool) -> list[Segment]:
        sentences = self._splitter.split(line) if split else [line]
        size = self._sentences_per_piece
        groups = ["".join(sentences[start : start + size]) for start in range(0, len(sentences), size)]
        pieces = [(group.rstrip(), group) for group in groups]
        return [Segment(piece, group[len(piece) :]) for piece, group in pieces]


def join_text(lines: Sequence[TextLine], translations: Sequence[Translation], count: int) -> TranslatedText:
    """The `count` best translations of a text from those of the pieces of its lines."""
    pieces = [piece for line in lines for piece in line.pieces]
    choices = [translation.candidates or [Candidate("", 0.0, 0.0)] for translation in translations]
    combinations = best_combinations(choices, count) if count > 1 else [[candidates[0] for candidates in choices]]
    texts = [_join_lines(lines, [candidate.text for candidate in combination]) for combination in combinations]
    line_numbers = [number for number, line in enumerate(lines) for _ in line.pieces]
    sentences = [
        pair
        for number, piece, translation in zip(line_numbers, pieces, translations, strict=True)
        for pair in _sentence_pairs(number, piece.text, translation)
    ]
    warnings = list(dict.fromkeys(warning for translation in translations for warning in translation.warnings))
    return TranslatedText(list(dict.fromkeys(texts)), sentences, warnings, _mean_confidence(sentences))


def _join_lines(lines: Sequence[TextLine], translations: list[str]) -> str:
    remaining, parts = iter(translations), []
    for line in lines:
        parts += [line.before, join_translations(line.pieces, [next(remaining) for _ in line.pieces]), line.after]
    return "".join(parts)


def _sentence_pairs(line: int, source: str, translation: Translation) -> list[SentencePair]:
    if translation.sentences:
        return [
            SentencePair(line, sentence.text, sentence.translation, sentence.score, _confidence(sentence))
            for sentence in translation.sentences
        ]
    best = translation.candidates[0] if translation.candidates else Candidate("", 0.0, 0.0)
    return [SentencePair(line, source, best.text, best.score, _confidence(best))]


def _confidence(scored: object) -> float | None:
    """How sure a run is of a translation, if it was calibrated to say so."""
    value = getattr(scored, "confidence", None)
    return value if isinstance(value, float) else None


def _mean_confidence(sentences: list[SentencePair]) -> float | None:
    """The mean over the characters of the source; None where a sentence has none."""
    total = sum(len(pair.source) for pair in sentences)
    if not total or any(pair.confidence is None for pair in sentences):
        return None
    return sum((pair.confidence or 0.0) * len(pair.source) for pair in sentences) / total


def clean_input(text: str) -> str:
    """The text without halves of surrogate pairs, which JSON can hold and UTF-8 cannot."""
    return SURROGATES.sub("\ufffd", text)


def strip_tags(markup: str) -> tuple[str, bool]:
    """The text of HTML, a line per block, and whether there were tags; scripts and styles are left out."""
    extractor = _TextExtractor()
    extractor.feed(markup)
    extractor.close()
    return "".join(extractor.parts), extractor.has_tags


def escape_html(text: str) -> str:
    """A translation as HTML, which no browser executes."""
    return html.escape(text, quote=False)


class _TextExtractor(HTMLParser):
    """Collects the text between tags."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.has_tags = False
        self._hidden_tag: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A new line where a block begins."""
        self.has_tags = True
        if tag in _HIDDEN_TAGS and self._hidden_tag is None:
            self._hidden_tag = tag
        self._break_line(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A new line for <br/>."""
        self.has_tags = True
        self._break_line(tag)

    def handle_endtag(self, tag: str) -> None:
        """A new line where a block ends."""
        self.has_tags = True
        if tag == self._hidden_tag:
            self._hidden_tag = None
        self._break_line(tag)

    def handle_data(self, data: str) -> None:
        """Text that a browser would show."""
        if self._hidden_tag is None:
            self.parts.append(data)

    def handle_comment(self, data: str) -> None:
        """Comments are left out."""
        self.has_tags = True

    def _break_line(self, tag: str) -> None:
        if _BLOCK_TAG.fullmatch(tag) and self.parts and not self.parts[-1].endswith("\n"):
            self.parts.append("\n")
