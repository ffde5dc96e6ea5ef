"""The marks that end a sentence, in all scripts."""

OWN_STOPS = "۔։།༎꓿᠃᠉᱾᱿꯫"
"""Full stops of scripts that have white space after them."""
UNSPACED_STOPS = "。｡︒।॥။។៕።"
"""Full stops that need no white space."""
OWN_MARKS = f"{OWN_STOPS}؟‼⁇⁈⁉⸮"
"""With the marks of questions and exclamations, and doubled ones."""
UNSPACED_MARKS = f"{UNSPACED_STOPS}！？፧"
TYPED_STOP = "፡፡"
"""Two of the marks between words of Amharic, as many keyboards write its full stop."""
FULL_STOPS = (".", "．", *OWN_STOPS, *UNSPACED_STOPS)
FINAL_MARKS = f".．!?…{OWN_MARKS}{UNSPACED_MARKS}"
FINAL_MARK = f"(?:[{FINAL_MARKS}]|{TYPED_STOP})"
"""One of them, for a pattern."""
CLOSERS = "\"'”’»)\\]」』）"
"""What may close behind them, for a class of a pattern."""


def without_full_stop(text: str) -> str:
    """The text without the full stop that it ends in, if it does."""
    if text[-1:] in FULL_STOPS:
        return text[:-1]
    return text.removesuffix(TYPED_STOP)
