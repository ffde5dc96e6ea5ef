"""Whether a text is in the language that its recipe says, by the scripts of its letters and by its commonest words."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain

from nmt_cli.data.language_codes import base_code
from nmt_cli.data.scripts import letter_scripts, scripts_of
from nmt_cli.data.sentences.abbreviations import list_of, listed_languages

MAX_LINES = 2000  # that are looked at, evenly spaced
MIN_LETTERS = 1000  # of all of them
MIN_SCRIPT_SHARE = 0.5  # of the letters
MIN_WORD_SHARE = 0.08  # of the words: those that a language is known by, such as 'the' and 'and'
MIN_LISTED_WORDS = 20
MIN_LEAD = 1.5  # times as many words of another language

_AROUND_WORD = ".,;:!?()[]\"'“”„«»‘’¿¡-–—"


def unlike_said(texts: Sequence[str], language: str) -> str | None:
    """What a text seems to be instead; None where nothing speaks against its language, or it is too short to say."""
    sample = texts[:: max(1, len(texts) // MAX_LINES)]
    scripts = letter_scripts("\n".join(sample))
    if scripts.total() < MIN_LETTERS:
        return None
    expected = scripts_of(language)
    if expected and sum(scripts[script] for script in expected) < MIN_SCRIPT_SHARE * scripts.total():
        script, count = scripts.most_common(1)[0]
        return f"{count / scripts.total():.0%} of its letters are {script}, not {' or '.join(sorted(expected))}"
    counts = Counter[str]()
    for word, count in Counter(chain.from_iterable(map(str.split, sample))).items():
        counts[word.strip(_AROUND_WORD).lower()] += count
    shares = {code: _listed_share(counts, code) for code in listed_languages()}
    base = base_code(language)
    best = max(shares, key=shares.__getitem__)
    if base in shares and shares[best] >= MIN_WORD_SHARE and shares[best] > MIN_LEAD * shares[base]:
        return f"{shares[best]:.0%} of its words are common in {best}, {shares[base]:.0%} in {base}"
    return None


def _listed_share(counts: Counter[str], language: str) -> float:
    words = list_of(language).sets["starter"]
    if len(words) < MIN_LISTED_WORDS:
        return 0.0
    return sum(counts[word] for word in words) / counts.total()
