"""What becomes of a line of input: its translations, its warnings, and the lines of output for it."""

import json
import math
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from nmt_cli.data.numbers import missing_numbers
from nmt_cli.inference.degeneration import Diagnosis
from nmt_cli.inference.lines import InputLine

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ABSTENTION_MARK = "[?] "  # before a translation that is probably not good

OutputFormat = Literal["text", "candidates", "alignments", "jsonl"]


@dataclass(frozen=True)
class Candidate:
    """One translation of a line; for a line translated in segments, scores are sums over them."""

    text: str
    score: float  # what search ranks by, in the tokens that search wrote
    log_probability: float  # of the text as the tokenizer encodes it (see Translator); natural log
    alignment: list[tuple[int, int]] | None = None  # (source word, target word), from 0

    def record(self) -> dict[str, Any]:
        """The scores of the candidate for --jsonl; null for an infinite one."""
        scores = {"score": _finite(self.score), "log_probability": _finite(self.log_probability)}
        return scores if self.alignment is None else {**scores, "alignment": self.alignment}


@dataclass(frozen=True)
class Attention:
    """What each token of a translation reads of the source; the last token of each side is the end of sentence."""

    source: list[str]  # S tokens, as `nmt tokenize` prints them
    target: list[str]  # T tokens
    weights: "NDArray[np.float32]"  # [layers, heads, T, S]


class WordProbability(NamedTuple):
    """A word of a translation, and the product of its tokens' probabilities; 1 for what the model did not write."""

    text: str
    probability: float


class TranslatedSentence(NamedTuple):
    """A part of a line that was translated by itself."""

    text: str
    translation: str
    score: float


@dataclass(frozen=True)
class Translation:
    """The candidates for one line, best first; none for a line without text."""

    candidates: list[Candidate]
    warnings: list[str] = field(default_factory=list)
    diagnosis: Diagnosis | None = None
    """Signs of degeneration; None where there are none."""
    truncated_tokens: int = 0
    """Source tokens that were not translated because the line is too long."""
    sentences: list[TranslatedSentence] = field(default_factory=list)
    """The parts of a line that was translated in several, with their best translations."""
    confidence: float | None = None
    """The probability that the best candidate is good; None where it is not asked for or the run has no calibration."""
    words: list[WordProbability] = field(default_factory=list)
    """The words of the best candidate; empty where they are not asked for."""
    features: tuple[float, ...] | None = None
    """What the confidence depends on (inference/confidence.py)."""
    abstained: bool = False
    """Whether the translation was replaced or marked because its confidence is too low."""
    replacement: str | None = None
    """What is printed in place of the best candidate, which is withheld; None: that is printed."""
    unknown_tokens: float = 0.0
    """The share of source tokens that stand for text which the vocabulary lacks, in the part with most of them."""
    language_tag: str = ""
    """What the line begins with to say which language it is translated to, and a space for whatever space follows."""
    token_probability: float | None = None
    """The geometric mean of the tokens' probabilities, in the least probable part; None where nothing was searched."""

    @property
    def text(self) -> str:
        """What is printed, on one line: the best candidate or what replaces it."""
        if self.replacement is not None:
            return self.replacement
        return self.candidates[0].text if self.candidates else ""

    @property
    def printed(self) -> list[Candidate]:
        """The candidates, unless they are withheld."""
        return [] if self.replacement is not None else self.candidates


@dataclass(frozen=True)
class TranslatedLine:
    """A line of input and its translation."""

    line: InputLine
    translation: Translation
    unknown_words: list[str] = field(default_factory=list)
    """Words that were not in the training text; empty where they are not looked for."""
    unfamiliar: dict[str, float] = field(default_factory=dict)
    """How the line is far from what the run was trained on: see `FamiliarityLimits.signs`."""

    @property
    def text(self) -> str:
        """The best translation; a blank line comes out as it is."""
        return self.translation.text if self.line.text.strip() else self.line.text

    @property
    def warnings(self) -> list[str]:
        """What was replaced, cut or repaired."""
        encoding_warnings = ["invalid UTF-8 was replaced by U+FFFD"] if self.line.invalid_utf8 else []
        return encoding_warnings + self.translation.warnings

    @cached_property
    def missing_numbers(self) -> list[str]:
        """The numbers of the line that are not in its translation, as the line writes them."""
        return missing_numbers(self._source, self.translation.text) if self.translation.printed else []

    @cached_property
    def added_numbers(self) -> list[str]:
        """The numbers of the translation that are not in the line, as the translation writes them."""
        return missing_numbers(self.translation.text, self._source) if self.translation.printed else []

    @property
    def _source(self) -> str:
        """The line without what says which language it is translated to."""
        return self.line.text.lstrip()[len(self.translation.language_tag) :]

    def output_lines(self, output_format: OutputFormat) -> list[str]:
        """The output for the line, with its CR where it ends with CR LF; only `candidates` may have several lines."""
        if output_format == "jsonl":
            return [json.dumps(self.record(), ensure_ascii=False)]
        return [f"{text}{self.line.ending}" for text in self._text_lines(output_format)]

    def _text_lines(self, output_format: OutputFormat) -> list[str]:
        candidates = self.translation.printed
        if output_format == "candidates":
            candidate_lines = [
                f"{self.line.number} ||| {candidate.text} ||| {candidate.score:.4f}" for candidate in candidates
            ]
            return candidate_lines or [f"{self.line.number} ||| {self.text} ||| -inf"]
        if output_format == "alignments":
            word_pairs = (candidates[0].alignment or []) if candidates else []
            links = " ".join(f"{source_word}-{target_word}" for source_word, target_word in word_pairs)
            return [f"{self.text} ||| {links}"]
        return [self.text]

    def record(self) -> dict[str, Any]:
        """The line as an object for --jsonl."""
        translation, printed = self.translation, self.translation.printed
        scores = {"score": None, "log_probability": None} | (printed[0].record() if printed else {})
        record = {"line": self.line.number, "source": self.line.text, "translation": self.text, **scores}
        if translation.confidence is not None:
            record["confidence"] = round(translation.confidence, 4)
        listed = [] if len(printed) == 1 else translation.candidates
        optional = {
            "abstained": translation.abstained,
            "candidates": [{"text": candidate.text, **candidate.record()} for candidate in listed],
            "words": [{"text": word.text, "probability": round(word.probability, 4)} for word in translation.words],
            "sentences": [
                sentence._asdict() | {"score": _finite(sentence.score)} for sentence in translation.sentences
            ],
            "degeneration": translation.diagnosis and translation.diagnosis.record(),
            "truncated_tokens": translation.truncated_tokens,
            "numbers": self.missing_numbers,
            "added_numbers": self.added_numbers,
            "unknown_words": self.unknown_words,
            "unfamiliar": self.unfamiliar,
            "warnings": self.warnings,
        }
        return record | {key: value for key, value in optional.items() if value}


@dataclass(frozen=True)
class Abstention:
    """What is printed where the confidence is too low."""

    below: float
    instead: str = "mark"
    """copy: the source; empty: nothing; mark: the translation after a mark."""

    def apply(self, translated: TranslatedLine) -> TranslatedLine:
        """The line with its translation, or with what stands in its place."""
        translation = translated.translation
        if translation.confidence is None or translation.confidence >= self.below:
            return translated
        if self.instead == "mark":
            mark = [WordProbability(ABSTENTION_MARK.strip(), 1.0)] if translation.words else []
            candidates = [_marked(candidate) for candidate in translation.candidates]
            marked = replace(translation, candidates=candidates, words=mark + translation.words, abstained=True)
            return replace(translated, translation=marked)
        text = translated.line.text if self.instead == "copy" else ""
        withheld = replace(translation, replacement=text, words=[], sentences=[], abstained=True)
        return replace(translated, translation=withheld)


def _marked(candidate: Candidate) -> Candidate:
    """The candidate behind a mark, which is a word more."""
    links = candidate.alignment and [(source_word, target_word + 1) for source_word, target_word in candidate.alignment]
    return replace(candidate, text=re.sub(r"\A\s*", rf"\g<0>{ABSTENTION_MARK}", candidate.text), alignment=links)


def _finite(value: float) -> float | None:
    """JSON has no infinite numbers."""
    return value if math.isfinite(value) else None
