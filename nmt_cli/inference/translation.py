"""What is translated for a line, and what became of it."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nmt_cli.inference.degeneration import Diagnosis
from nmt_cli.inference.segments import Segment


@dataclass(frozen=True)
class Candidate:
    """One translation of a line; scores of a line that was split are sums over its parts."""

    text: str
    score: float  # what search ranked it by, in the pieces that search wrote
    log_probability: float  # of the text, spelled by the tokenizer (see Translator); natural log
    alignment: list[tuple[int, int]] | None = None  # (source word, target word), from 0


@dataclass(frozen=True)
class Translation:
    """What became of one line: candidates, best first; none for a line without text."""

    candidates: list[Candidate]
    warnings: list[str] = field(default_factory=list)
    diagnosis: Diagnosis | None = None
    """What the guard found; None where it found nothing."""
    truncated_tokens: int = 0
    """Source pieces that were not read."""

    @property
    def text(self) -> str:
        """The best candidate, on one line."""
        return self.candidates[0].text if self.candidates else ""

    def annotations(self) -> dict[str, Any]:
        """What a program should know about the line, for --jsonl."""
        annotations: dict[str, Any] = {}
        if self.diagnosis is not None:
            annotations["degeneration"] = self.diagnosis.record()
        if self.truncated_tokens:
            annotations["truncated_tokens"] = self.truncated_tokens
        return annotations


class TranslationUnit(NamedTuple):
    """What is searched for at once: a line, or a segment of a long one."""

    segment: Segment
    source_ids: list[int]  # of its text, cut to what is read
    prefix: str = ""
    prefix_ids: list[int] = []  # noqa: RUF012 (never changed) ids of the prefix


@dataclass(frozen=True)
class LinePlan:
    """What is translated for a line."""

    units: list[TranslationUnit]
    truncated_tokens: int = 0  # pieces that no part holds
    warnings: list[str] = field(default_factory=list)
