"""The section corpus.filters of a recipe."""

from pydantic import Field

from nmt_cli.config import Section


class FilterConfig(Section):
    """Filters of training pairs by their content, each with its threshold; null switches one off.

    Those that are on lose at most 0.1 % of clean text.
    """

    copies: int | None = Field(default=15, ge=1)
    """Drop pairs whose sides are the same, but for case and punctuation, and have at least this many letters."""
    swapped: float | None = Field(default=5.0, gt=0)
    """Drop pairs with both sides likelier in the language of the other side, with at least these log odds."""
    language: float | None = Field(default=9.5, gt=0)
    """Drop pairs with a side that fits the language of that side by this many standard deviations worse than usual:
    the source again, a third language. The languages are learned from the corpus; nothing is dropped
    where it has fewer than 2,000 pairs, sides that are too similar, or more noise than text."""
    script: float | None = Field(default=0.5, ge=0, le=1)
    """Drop pairs with a side of whose letters more than this share are in scripts that this side hardly has in the
    corpus."""
    mojibake: int | None = Field(default=1, ge=1)
    """Drop pairs with at least this many signs of a wrong encoding, such as Ã¤ for ä, or U+FFFD."""
    entities: int | None = Field(default=1, ge=1)
    """Drop pairs with at least this many HTML entities, such as &auml;, that normalization.entities has not decoded.
    Those that the tokenizer of Moses writes (&apos; &quot; &amp; ...) do not count in tokenised text."""
    markup: int | None = Field(default=1, ge=1)
    """Drop pairs with at least this many tags of HTML that the other side lacks."""
    controls: int | None = Field(default=None, ge=1)
    """Drop pairs with at least this many control characters, which normalization.invisible otherwise removes."""
    length: float | None = Field(default=None, gt=0)
    """Drop pairs whose length ratio is at least this many standard deviations from what is usual in the corpus for
    pairs of that length; two are added if the side that is too short lacks the final punctuation of the other one."""
    shifted: float | None = Field(default=0.5, gt=0)
    """Drop pairs in a stretch whose sources agree with the targets before or after theirs better than with their own,
    by this much: the gain in the correlation of lengths and in the share of pairs with a word in common."""
    numbers: int | None = Field(default=None, ge=1)
    """Drop pairs with at least this many numbers on each side that the other side lacks."""
    addresses: int | None = Field(default=None, ge=1)
    """Drop pairs with at least this many addresses (web, mail) that the other side lacks."""
    brackets: int | None = Field(default=None, ge=1)
    """Drop pairs with at least this many more brackets of a kind on one side than on the other."""


NO_FILTERS = FilterConfig(**dict.fromkeys(FilterConfig.model_fields))
