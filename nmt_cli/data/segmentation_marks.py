"""Marks that other programs leave in text that they have segmented or tokenised, which nmt does itself.

Such text is not refused, since a model can learn it, but its subwords would be segmented again and scored as words.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from nmt_cli.data import SIDES

MAX_MARKED_SHARE = 0.05  # of the lines of a side, above which it is worth a warning
MAX_EXAMPLE_LENGTH = 120


class _Marking(NamedTuple):
    """What a program writes, and the command that undoes it."""

    sign: str  # that a text without it needs no search
    pattern: re.Pattern[str]
    description: str
    command: str  # {language} is the language of the side


# In the order in which they are undone. Entities alone are no sign of Moses: unlike HTML, it sets spaces around them.
_MARKINGS = {
    "subword-nmt": _Marking(
        "@@",
        re.compile(r"[^\s@]@@(?:\s|$)"),
        "words that end in @@, as subword-nmt and fastBPE segment text",
        "sed -E 's/(@@ )|(@@ ?$)//g'",
    ),
    "SentencePiece": _Marking(
        "\u2581",
        re.compile("(?:^|\\s)\u2581(?![\u2581-\u259f])"),  # which begins no row of blocks
        "words that begin with \u2581 (U+2581), as SentencePiece segments text",
        "sed 's/ //g; s/\u2581/ /g; s/^ //'",
    ),
    "Moses": _Marking(
        "",
        re.compile(
            r"\s@-@\s|(?:^|\s)&quot;(?:\s|$)|(?:^|\s)&apos;(?:\s|$|(?:[dmst]|re|ve|ll)\b)|\w&apos;\s\w", re.IGNORECASE
        ),
        "words set apart and escaped as the tokenizer of Moses writes them (&apos; &quot; @-@)",
        "sacremoses -l {language} detokenize",
    ),
}


@dataclass
class MarkedLines:
    """How many lines of each side have such marks."""

    total: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)  # by side and program
    examples: dict[tuple[str, str], str] = field(default_factory=dict)  # the first line of each

    def look_at(self, source: str, target: str, line_number: int) -> None:
        """Count the marks of a pair."""
        self.total += 1
        for side, text in zip(SIDES, (source, target), strict=True):
            if "@" not in text and "&" not in text and "\u2581" not in text:
                continue
            for program, marking in _MARKINGS.items():
                if marking.sign in text and marking.pattern.search(text):
                    self.counts[side, program] += 1
                    shown = text if len(text) <= MAX_EXAMPLE_LENGTH else text[:MAX_EXAMPLE_LENGTH] + "…"
                    self.examples.setdefault((side, program), f"{line_number}: {shown}")

    def add(self, other: "MarkedLines", label: str | None = None) -> None:
        """Count the lines of another text, whose examples get its label, if they have none yet."""
        self.total += other.total
        self.counts.update(other.counts)
        for key, example in other.examples.items():
            self.examples.setdefault(key, example if label is None else f"{label}:{example}")

    def warnings(self, languages: Sequence[str]) -> dict[str, str]:
        """What to say about each side of which too many lines have marks."""
        warnings = {}
        for side, language in zip(SIDES, languages, strict=True):
            programs = [name for name in _MARKINGS if self.counts[side, name] > max(1, MAX_MARKED_SHARE * self.total)]
            if not programs:
                continue
            signs = " and ".join(
                f"{self.counts[side, name] / self.total:.0%} of its lines have {_MARKINGS[name].description}"
                for name in programs
            )
            first, *others = [_MARKINGS[name].command.format(language=language) for name in programs]
            command = " | ".join([f"{first} < FILE", *others]) + " > PLAIN"
            warnings[side] = (
                f"the {side} is not plain text: {signs}, as in {self.examples[side, programs[0]]}; nmt segments text "
                f"itself, and filters and BLEU expect plain text: undo it in the text of this side first: {command}"
            )
        return warnings
