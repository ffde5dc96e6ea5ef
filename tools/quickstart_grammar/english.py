"""English morphology: plurals, verb forms, and words that remember their lemma."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Literal, NamedTuple

from tools.quickstart_grammar.lexicon import Noun, Number, Verb

Agreement = Literal["1sg", "2sg", "3sg", "1pl", "3pl"]
Tense = Literal[
    "present", "past", "future", "progressive", "perfect", "infinitive", "imperative",
    "can", "must", "want", "should", "may", "have to", "would like",
    "like to", "let us", "let's",
]  # fmt: skip


class Word(NamedTuple):
    """A word as it stands in the sentence, and its lemma."""

    form: str
    lemma: str


Words = tuple[Word, ...]

IRREGULAR_PLURALS = {
    "man": "men", "woman": "women", "child": "children", "policeman": "policemen",
    "mouse": "mice", "knife": "knives", "shelf": "shelves", "potato": "potatoes", "tomato": "tomatoes",
    "foot": "feet", "tooth": "teeth", "wife": "wives", "parents": "parents", "people": "people",
}  # fmt: skip

# Participles that are not like the past tense.
PARTICIPLES = {
    "see": "seen", "take": "taken", "choose": "chosen", "throw": "thrown", "forget": "forgotten",
    "steal": "stolen", "wear": "worn", "eat": "eaten", "drink": "drunk", "write": "written",
    "give": "given", "show": "shown", "go": "gone", "run": "run", "drive": "driven",
    "fly": "flown", "lie": "lain", "sing": "sung", "wake": "woken", "fall": "fallen",
    "know": "known", "draw": "drawn", "speak": "spoken", "swim": "swum", "begin": "begun",
    "come": "come", "do": "done", "break": "broken", "be": "been",
}  # fmt: skip

# Verbs that double their last letter before -ing.
DOUBLING = "get plan run sit cut swim begin hug win forget put stop"

BE = {
    "present": {"1sg": "am", "2sg": "are", "3sg": "is", "1pl": "are", "3pl": "are"},
    "past": {"1sg": "was", "2sg": "were", "3sg": "was", "1pl": "were", "3pl": "were"},
}


@cache
def words(text: str) -> Words:
    """The words of a text that does not inflect."""
    return tuple(Word(word, word.rstrip(",")) for word in text.split())


def with_comma(phrase: Words) -> Words:
    """The words with a comma behind the last one."""
    return (*phrase[:-1], Word(phrase[-1].form + ",", phrase[-1].lemma))


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


def with_ing(stem: str) -> str:
    """The form in -ing."""
    if stem in DOUBLING.split():
        return stem + stem[-1] + "ing"
    if stem.endswith("ie"):
        return stem[:-2] + "ying"
    return (stem[:-1] if stem.endswith("e") and not stem.endswith("ee") else stem) + "ing"


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
    base, *particles = verb.english.split()
    rest = words(" ".join(particles))
    if base == "be" and tense in BE:
        return VerbGroup((Word(BE[tense][agreement], "be"),), rest)
    plain = (Word(base, base), *rest)
    if tense in ("infinitive", "imperative"):
        return VerbGroup(words("do") if supported else (), plain)
    if tense in ("let us", "let's"):
        return VerbGroup((), words(tense) + plain)
    if tense in ("future", "can", "must", "should", "may"):
        return VerbGroup(words("will" if tense == "future" else tense), plain)
    if tense == "progressive":
        return VerbGroup((Word(BE["present"][agreement], "be"),), (Word(with_ing(base), base), *rest))
    if tense == "perfect":
        done = PARTICIPLES.get(base) or verb.past or with_ed(base)
        auxiliary = Word(_finite("have", "", "present", agreement), "have")
        return VerbGroup((auxiliary,), (Word(done, base), *rest))
    if tense == "would like":
        return VerbGroup(words("would"), plain if base == "like" else words("like to") + plain)
    if tense in ("want", "have to", "like to"):
        base = tense.split()[0]
        plain = (Word(base, base), *words("to"), *plain)
    if supported:
        return VerbGroup((Word(_finite("do", "did", tense, agreement), "do"),), plain)
    past = verb.past if base == verb.english.split()[0] else ""
    finite = Word(_finite(base, past, tense, agreement), base)
    return VerbGroup((), (finite, *plain[1:]))


def _finite(base: str, past: str, tense: Tense, agreement: Agreement) -> str:
    if tense == "past":
        return past or with_ed(base)
    if agreement == "3sg":
        return "has" if base == "have" else with_s(base)
    return base


def _takes_an(word: str) -> bool:
    # The sound decides: in this lexicon a silent h and the first sound of "use" differ from the spelling.
    return (word[0] in "aeiou" and not word.startswith(("uni", "use"))) or word == "honest"


def join(sentence: Iterable[Word]) -> str:
    """Write words out, choosing between *a* and *an* and contracting *can not*."""
    forms = [word.form for word in sentence]
    for position, (form, following) in enumerate(pairwise(forms)):
        if form == "a" and _takes_an(following):
            forms[position] = "an"
    return " ".join(forms).replace("can not ", "cannot ")
