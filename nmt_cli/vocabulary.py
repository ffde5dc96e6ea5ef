"""Vocabulary sizes and special tokens, which tokenizers and models must agree on."""

from dataclasses import dataclass

SPECIAL_TOKENS = ("<pad>", "<unk>", "<s>", "</s>")


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
