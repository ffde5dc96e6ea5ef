"""Whether a line is far from what a run was trained on, so that its translation is a guess.

Three signs: words that are not in the training text, tokens that stand for text which the vocabulary lacks, and a
translation that the model itself finds improbable. Each is far where hardly any line of the development text is; a run
made before that was measured has no such limits.
"""

from typing import NamedTuple

from nmt_cli.data.text_profile import UnknownShares

# Development text can be so uniform that a single new word or character would be unusual.
MIN_UNKNOWN_WORDS, MIN_UNKNOWN_TOKENS = 1 / 3, 1 / 4


class FamiliarityLimits(NamedTuple):
    """What is still familiar to a run; None: nobody has measured that."""

    unknown: UnknownShares = UnknownShares()
    token_probability: float | None = None
    """That RARE_SHARE of the translations of the development text reach."""

    def signs(self, unknown_words: float, unknown_tokens: float, token_probability: float | None) -> dict[str, float]:
        """The signs of a line that are beyond the limits, by the names that they have in --jsonl."""
        signs = {}
        if self.unknown.words is not None and unknown_words > max(self.unknown.words, MIN_UNKNOWN_WORDS):
            signs["unknown_words"] = round(unknown_words, 3)
        if self.unknown.tokens is not None and unknown_tokens > max(self.unknown.tokens, MIN_UNKNOWN_TOKENS):
            signs["unknown_tokens"] = round(unknown_tokens, 3)
        if (
            self.token_probability is not None
            and token_probability is not None
            and token_probability < self.token_probability
        ):
            signs["token_probability"] = round(token_probability, 3)
        return signs
