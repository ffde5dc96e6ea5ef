"""What text and tensors must agree on: the special tokens and the size of each vocabulary."""

from dataclasses import dataclass

SPECIAL_TOKENS = ("<pad>", "<unk>", "<s>", "</s>")


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Sizes of the source and target vocabularies and the ids of the special tokens.

    Tokenizers trained here number the specials as in `SPECIAL_TOKENS`; imported models may not.
    """

    source_size: int
    target_size: int
    joint: bool
    pad: int = 0
    unknown: int = 1
    start: int = 2
    end: int = 3
