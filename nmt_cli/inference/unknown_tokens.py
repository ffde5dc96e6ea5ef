"""What a reader gets in place of <unk>: the word of the source that it stands for, or nothing.

A model whose vocabulary has no pieces for a word reads <unk>, and writes it where the word belongs (Luong et al. 2015,
Addressing the Rare Word Problem). Attention says which word of the source that is. Without attention, the first <unk>
stands for the first unknown word of the source, and so on.
"""

from collections.abc import Sequence
from typing import NamedTuple


class SourceTokens(NamedTuple):
    """The tokens of a source, as text."""

    texts: list[str]  # a space at the beginning of each word
    unknown: frozenset[int]  # positions of those that the vocabulary lacks


def fill_unknown_tokens(
    tokens: Sequence[str],
    unknown_positions: Sequence[int],
    source: SourceTokens,
    weights: Sequence[Sequence[float]] | None,
) -> list[str]:
    """The tokens of a translation with text of the source at `unknown_positions`; "" where there is none left.

    `weights` are the attention of each target to each source token. Unknown source tokens come first; a source token
    is used once.
    """
    copied = _align(unknown_positions, source, weights)
    filled = ["" if position in unknown_positions else token for position, token in enumerate(tokens)]
    before = ""
    for position, token in enumerate(filled):
        if position in copied:
            token = source.texts[copied[position]]
            if before[-1:].isalnum() and token[:1].isalnum():
                token = f" {token}"
            filled[position] = token
        before = token or before
    return filled


def _align(
    unknown_positions: Sequence[int], source: SourceTokens, weights: Sequence[Sequence[float]] | None
) -> dict[int, int]:
    """The source token for each position that has one."""
    if weights is None:
        return dict(zip(unknown_positions, sorted(source.unknown), strict=False))
    words = [index for index, text in enumerate(source.texts) if any(map(str.isalnum, text))]
    pairs = [
        (index not in source.unknown, -weights[position][index], position, index)
        for position in unknown_positions
        for index in {*words, *source.unknown}
    ]
    aligned: dict[int, int] = {}
    for _, _, position, index in sorted(pairs):
        if position not in aligned and index not in aligned.values():
            aligned[position] = index
    return aligned
