"""English morphology: plurals, verb forms, and words that remember their lemma."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Literal, NamedTuple

from nmt_cli.data.quickstart.lexicon import COPULA, Noun, Number, Verb

Agreement = Literal["1sg", "2sg", "3sg", "1pl", "3pl"]
Tense = Literal["present", "past", "future", "infinitive", "can", "must", "want", "should", "may"]


class Word(NamedTuple):
    """A word as it stands in the sentence, and its lemma."""

    form: str
    lemma: str


Words = tuple[Word, ...]

IRREGULAR_PLURALS = {
    "man": "men", "woman": "women", "child": "children", "policeman": "policemen",
    "saleswoman": "saleswomen", "mouse": "mice", "goose": "geese", "wolf": "wolves",
    "knife": "knives", "shelf": "shelves", "potato": "potatoes", "tomato": "tomatoes",
}  # fmt: skip

BE = {
    "present": {"1sg": "am", "2sg": "are", "3sg": "is", "1pl": "are", "3pl": "are"},
    "past": {"1sg": "was", "2sg": "were", "3sg": "was", "1pl": "were", "3pl": "were"},
}


def words(text: str) -> Words:
    """The words of a text that does not inflect."""
    return tuple(Word(word, word) for word in text.split())


def with_s(stem: str) -> str:
    """The form in -s: third person singular of a verb, plural of a noun."""
    if stem.endswith(("s", "x", "z", "ch", "sh")) or stem in ("go", "do"):
        return stem + "es"
    if stem.endswith("y") and stem[-2] not in "aeou":
        return stem[:-1] + "ies"
    return stem + "s"


def with_ed(stem: str) -> str:
    """The regular past tense."""
    if stem.endswith("e"):
        return stem + "d"
    if stem.endswith("y") and stem[-2] not in "aeou":
        return stem[:-1] + "ied"
    return stem + "ed"


def noun_word(noun: Noun, number: Number) -> Word:
    """A noun in the singular or the plural."""
    if number == "sg":
        return Word(noun.english, noun.english)
    return Word(IRREGULAR_PLURALS.get(noun.english) or with_s(noun.english), noun.english)


@dataclass(frozen=True, slots=True, eq=False)
class VerbGroup:
    """The verbs of a clause: an auxiliary that a question moves, and the rest."""

    auxiliary: Words
    main: Words


@cache
def verb_group(verb: Verb, tense: Tense, agreement: Agreement, supported: bool) -> VerbGroup:
    """Inflect a verb; negated and inverted clauses are `supported` by an auxiliary (do)."""
    if verb is COPULA and tense in BE:
        return VerbGroup((Word(BE[tense][agreement], "be"),), ())
    base, *particles = verb.english.split()
    rest = words(" ".join(particles))
    plain = (Word(base, base), *rest)
    if tense == "infinitive":
        return VerbGroup((), plain)
    if tense in ("future", "can", "must", "should", "may"):
        return VerbGroup(words("will" if tense == "future" else tense), plain)
    if tense == "want":
        base, plain = "want", (Word("want", "want"), *words("to"), *plain)
    if supported:
        return VerbGroup((Word(_finite("do", "did", tense, agreement), "do"),), plain)
    finite = Word(_finite(base, verb.past, tense, agreement), base)
    return VerbGroup((), (finite, *plain[1:]))


def _finite(base: str, past: str, tense: Tense, agreement: Agreement) -> str:
    if tense == "past":
        return past or with_ed(base)
    return with_s(base) if agreement == "3sg" else base


def _takes_an(word: str) -> bool:
    # It is the sound that counts; in this lexicon only the silent h differs from the spelling.
    return word[0] in "aeiou" or word == "honest"


def join(sentence: Iterable[Word]) -> str:
    """Write words out, choosing between *a* and *an* and contracting *can not*."""
    forms = [word.form for word in sentence]
    for position, (form, following) in enumerate(pairwise(forms)):
        if form == "a" and _takes_an(following):
            forms[position] = "an"
    return " ".join(forms).replace("can not ", "cannot ")
