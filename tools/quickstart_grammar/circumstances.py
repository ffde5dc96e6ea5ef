"""What a sentence requires of a clause, and its circumstances: tense, negation and time."""

from dataclasses import dataclass
from functools import cache, partial
from typing import Literal

from tools.quickstart_grammar.complements import DESCRIBED
from tools.quickstart_grammar.domain import Choice, Domain, OneOf, Product, just
from tools.quickstart_grammar.english import Tense, words
from tools.quickstart_grammar.lexicon import COPULA, FREQUENCIES, Verb, pairs
from tools.quickstart_grammar.phrases import Phrase
from tools.quickstart_grammar.times import moments, times
from tools.quickstart_grammar.topology import NOT, Circumstance

Polarity = Literal["affirmative", "plain", "indefinite", "negative"]
Gap = Literal["", "subject", "object", "amount", "place", "time"]

# A modal with a negation, or with nobody, is left out where English and German disagree: "must not" is "darf nicht".
MODALS: dict[Polarity, tuple[Tense, ...]] = {
    "affirmative": ("can", "must", "want", "should", "may", "have to", "would like", "like to"),
    "plain": ("can", "must", "want", "should", "may", "have to", "would like", "like to"),
    "indefinite": ("can", "want", "should", "have to", "would like"),
    "negative": ("can", "want", "should", "have to", "would like"),
}

# Verbs without a time and a modal: those of state, as nobody plans to belong to somebody on Monday,
# and those with a clause, whose time would be taken for that of the clause.
TIMELESS = (
    "belong to", "stand", "lie", "say", "believe", "know", "hope", "notice", "ask",
    "have", "like", "want", "hate", "be",
)  # fmt: skip

# These have no progressive and no imperative.
STATES = (
    "belong to", "believe", "know", "hope", "notice", "have", "like", "want", "hate", "love",
    "see", "hear", "understand", "need", "miss", "recognize", "trust", "be", "smell",
)  # fmt: skip

# Tenses that some of the timeless verbs have besides: would like, can I have a coffee.
SPECIAL: dict[str, tuple[float, Tense]] = {"like": (1.5, "would like"), "have": (0.5, "can")}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a sentence requires of a clause: what it may have, must have, and lacks.

    The gap is what a question asks for or a relative pronoun stands for.  A `plain` clause has no
    negation and no adverb of frequency, a `current` one no past and no future, a `simple` one few
    adjectives and many pronouns.  In a question *did* tells the past even of verbs like *read*.
    A `past` clause has no other tense, and *indefinites* are about somebody (some) or anybody (any).
    """

    time: Literal["none", "optional", "required"] = "optional"
    adjunct: Literal["none", "optional", "place"] = "optional"
    gap: Gap = ""
    plain: bool = False
    current: bool = False
    past: bool = False
    simple: bool = False
    question: bool = False
    mood: Literal["finite", "infinitive", "imperative", "let"] = "finite"
    indefinites: Literal["", "some", "any"] = ""

    @property
    def described(self) -> float:
        """The share of noun phrases that have an adjective."""
        return 0.15 if self.simple else DESCRIBED


def polarities(shape: Shape) -> tuple[tuple[float, Polarity], ...]:
    """The polarities that a shape allows, with their weights."""
    if shape.plain or shape.mood in ("infinitive", "let"):
        return ((1, "plain"),)
    return ((0.84, "affirmative"), (0.16, "negative"))


def circumstances(verb: Verb, shape: Shape, polarity: Polarity) -> Domain[Circumstance]:
    """Tense, adverb and time, which depend on one another and on the verb."""
    if shape.mood == "imperative":
        return just(Circumstance("imperative", NOT if polarity == "negative" else None))
    if shape.mood == "infinitive":
        return just(Circumstance("infinitive"))
    if shape.mood == "let":
        return OneOf((Circumstance("let us"), Circumstance("let's")))
    if shape.past:
        return just(Circumstance("past", _adverb(polarity)))
    past = _tells_past(verb, shape, polarity) and not shape.current
    if verb is COPULA or verb.english in TIMELESS:
        if verb.german == "kommen":  # to be from is kommen aus, but only now
            return just(Circumstance("present", _adverb(polarity)))
        rules = _timeless(polarity, past, not shape.current, verb.english)
        if verb is not COPULA or not shape.simple or shape.time == "none":
            return rules
        return Choice((0.9, rules), (0.1, _dated(polarity)))
    progressive = verb.english not in STATES and verb.german != "schmecken"
    return _timed(polarity, shape.time, past, not shape.current, progressive, shape.simple)


def has_own_past(verb: Verb) -> bool:
    """Whether the past differs from the present, unlike that of read."""
    return verb.past != verb.english.split()[0]


def _tells_past(verb: Verb, shape: Shape, polarity: Polarity) -> bool:
    # With did, the past is visible: not in "they read", but in "they did not read".
    return has_own_past(verb) or shape.question or polarity == "negative"


def has_past_alone(verb: Verb, shape: Shape, polarity: Polarity) -> bool:
    """Whether a clause may have the circumstances of `past_alone`."""
    told = _tells_past(verb, shape, polarity)
    return not (told or shape.current or shape.gap) and shape.mood == "finite"


def past_alone(shape: Shape) -> Domain[Circumstance]:
    """The past of verbs like read, for subjects whose present has an -s: he read."""
    timed = _at("past", None, times("past"))
    if shape.time == "required":
        return timed
    return Choice((1, just(Circumstance("past"))), (0.2 * (shape.time == "optional"), timed))


def _adverb(polarity: Polarity) -> Phrase | None:
    return NOT if polarity == "negative" else None


def _at(tense: Tense, adverb: Phrase | None, time: Domain[Phrase]) -> Domain[Circumstance]:
    return Product(partial(Circumstance, tense, adverb), time)


@cache
def _timeless(polarity: Polarity, past: bool, then: bool, english: str) -> Domain[Circumstance]:
    weights: list[tuple[float, Tense]] = [
        (3, "present"), (2 * past, "past"), (0.3 * then, "future"),
    ]  # fmt: skip
    weights += [SPECIAL[english]] if english in SPECIAL and then else []
    adverb = _adverb(polarity)
    return Choice(*[(weight, just(Circumstance(tense, adverb))) for weight, tense in weights])


@cache
def _dated(polarity: Polarity) -> Domain[Circumstance]:
    adverb = _adverb(polarity)
    return Choice((1, _at("present", adverb, moments())), (2, _at("past", adverb, times("past"))))


@cache
def _timed(
    polarity: Polarity, time: str, past: bool, then: bool, progressive: bool, simple: bool
) -> Domain[Circumstance]:
    untimed = _untimed(polarity, past, then, progressive, simple)
    adverb = _adverb(polarity)
    intended: list[Tense] = [tense for tense in MODALS[polarity] if tense != "like to"]
    timed: Choice[Circumstance] = Choice(
        (3, _at("present", adverb, times("present"))),
        (0.6 * progressive, _at("progressive", adverb, moments())),
        (3 * past, _at("past", adverb, times("past"))),
        (1.5 * then, _at("future", adverb, times("future"))),
        *[(1.2 / len(intended), _at(tense, adverb, times("future"))) for tense in intended],
        *[(0.3 / len(intended), _at(tense, adverb, moments())) for tense in intended],
    )
    share = {"none": 0.0, "optional": 0.1 if simple else 0.4, "required": 1.0}[time]
    return Choice((1 - share, untimed), (share, timed))


@cache
def _untimed(polarity: Polarity, past: bool, then: bool, progressive: bool, simple: bool) -> Domain[Circumstance]:
    # Weights of long and of simple sentences.
    weights: list[tuple[tuple[float, float], Tense, bool]] = [
        ((3, 6), "present", True), ((0.6, 2), "progressive", progressive),
        ((2, 2.5), "past", past), ((0.6, 1.5), "perfect", then), ((1, 0.6), "future", then),
    ]  # fmt: skip
    adverb = _adverb(polarity)
    often = [Phrase(words(english), german) for english, german in pairs(FREQUENCIES)]
    seldom = (0.4 if simple else 1) * (polarity == "affirmative")
    return Choice(
        *[(weight[simple] * allowed, just(Circumstance(tense, adverb))) for weight, tense, allowed in weights],
        (2.5, OneOf(Circumstance(tense, adverb) for tense in MODALS[polarity])),
        (2 * seldom, OneOf(Circumstance("present", item) for item in often)),
        (seldom * past, OneOf(Circumstance("past", item) for item in often)),
    )
