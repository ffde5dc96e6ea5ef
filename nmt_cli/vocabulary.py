"""Vocabulary sizes and special tokens, which tokenizers and models must agree on."""

from dataclasses import dataclass

SPECIAL_TOKENS = ("<pad>", "<unk>", "<s>", "</s>")

# What stands for a part of a line that must not change. Counting rods: characters that no text has, that every
# normal form leaves as they are, and that tokenizers never join with their neighbours, since they are numbers.
SPAN_MARK = "\U0001d360"  # inside nmt, before a line is read by a model
BREAK_MARK = "\U0001d369"  # likewise, of what ends a paragraph
SPAN_PLACEHOLDERS = tuple(chr(code) for code in range(0x1D361, 0x1D369))  # pieces of vocabularies that have them


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Sizes of the source and target vocabularies, and the ids of the special tokens.

    The defaults are the order of `SPECIAL_TOKENS`, in which trained tokenizers number them; imported models may
    have other ids.
    """

    source_size: int
    target_size: int
    joint: bool
    pad: int = 0
    unknown: int = 1
    start: int = 2
    end: int = 3
