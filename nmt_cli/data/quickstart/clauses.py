"""The clauses: which subject, verb, complements and circumstances go together.

Every rule is a `Product` or a `Choice`, and builds a `Clause`, which knows both languages.  Verb
by verb, the rules make sure that people write and horses run, that kein meets negated clauses
only, and that yesterday meets the past.
"""

from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

from nmt_cli.data.quickstart.complements import (
    adjuncts,
    asked_object,
    complements,
    has_place,
    is_human,
    place_question,
    question_word,
)
from nmt_cli.data.quickstart.domain import Choice, Domain, OneOf, Product, just
from nmt_cli.data.quickstart.english import Tense, Word, Words, words
from nmt_cli.data.quickstart.lexicon import (
    COPULA,
    FREQUENCIES,
    INTENSIFIERS,
    UNGRADED,
    Adjective,
    Verb,
    adjectives_of,
    pairs,
    verb_entries,
)
from nmt_cli.data.quickstart.phrases import (
    PRONOUNS,
    SILENT,
    NounPhrase,
    Phrase,
    names,
    noun_phrases,
)
from nmt_cli.data.quickstart.times import times
from nmt_cli.data.quickstart.topology import NOT, Circumstance, Clause, Complement
from nmt_cli.data.quickstart.verbs import VERBS

Polarity = Literal["affirmative", "plain", "negative"]
Gap = Literal["", "subject", "object", "place", "time"]

# A modal with a negation is left out where English and German disagree: "must not" is "darf nicht".
MODALS: dict[Polarity, tuple[Tense, ...]] = {
    "affirmative": ("can", "must", "want", "should", "may"),
    "plain": ("can", "must", "want", "should", "may"),
    "negative": ("can", "want", "should"),
}

# Verbs without a time and a modal: those of state, as nobody plans to belong to somebody on Monday,
# and those with a clause, whose time would be taken for that of the clause.
TIMELESS = ("belong to", "stand", "lie", "say", "believe", "know", "hope", "notice", "ask")


@dataclass(frozen=True, slots=True)
class Shape:
    """What a sentence asks of a clause: what it may have, must have, and lacks.

    The gap is what a question asks for or a relative pronoun stands for.  A `plain` clause has no
    negation and no adverb of frequency, a `current` one no past and no future.
    """

    time: Literal["none", "optional", "required"] = "optional"
    adjunct: Literal["none", "optional", "place"] = "optional"
    gap: Gap = ""
    plain: bool = False
    current: bool = False
    infinitive: bool = False


# Verbs are drawn alike, save those on which the many nouns of a class depend.
SPREAD = {
    "acc:goods": 1.8, "acc:present": 1.4, "acc:animal": 1.5, "acc:living": 1.3, "acc:menu": 2,
    "acc:edible": 1.5, "acc:meal": 1.5, "acc:drink": 2,
}  # fmt: skip

BRIEF = Shape(time="none", adjunct="none")
BRIEF_NOW = Shape(time="none", adjunct="none", current=True)


@cache
def circumstances(polarity: Polarity, time: str, current: bool = False) -> Domain[Circumstance]:
    """Tense, adverb and time, which depend on one another."""
    then = 0 if current else 1
    adverb = just(NOT if polarity == "negative" else None)
    often = OneOf(Phrase(words(english), german) for english, german in pairs(FREQUENCIES))
    modal = OneOf(MODALS[polarity])
    timeless: Choice[Circumstance] = Choice(
        (3, Product(Circumstance, just("present"), adverb)),
        (2 * then, Product(Circumstance, just("past"), adverb)),
        (1 * then, Product(Circumstance, just("future"), adverb)),
        (2.5, Product(Circumstance, modal, adverb)),
        (2 * (polarity == "affirmative"), Product(Circumstance, just("present"), often)),
        (1 * then * (polarity == "affirmative"), Product(Circumstance, just("past"), often)),
    )
    timed: Choice[Circumstance] = Choice(
        (3, Product(Circumstance, just("present"), adverb, times("present"))),
        (3 * then, Product(Circumstance, just("past"), adverb, times("past"))),
        (1.5 * then, Product(Circumstance, just("future"), adverb, times("future"))),
        (1.5, Product(Circumstance, modal, adverb, times("future"))),
    )
    share = {"none": 0.0, "optional": 0.4, "required": 1.0}[time]
    return Choice((1 - share, timeless), (share, timed))


@cache
def _timeless(polarity: Polarity, current: bool) -> Domain[Circumstance]:
    adverb = just(NOT if polarity == "negative" else None)
    then = 0 if current else 1
    present, past = just("present"), just("past")
    return Choice(
        (3, Product(Circumstance, present, adverb)), (2 * then, Product(Circumstance, past, adverb))
    )


def _circumstances(verb: Verb, shape: Shape, polarity: Polarity) -> Domain[Circumstance]:
    if shape.infinitive:
        return just(Circumstance("infinitive"))
    if verb is COPULA or verb.english in TIMELESS:
        return _timeless(polarity, shape.current)
    return circumstances(polarity, shape.time, shape.current)


def _polarities(shape: Shape) -> tuple[tuple[float, Polarity], ...]:
    if shape.plain or shape.infinitive:
        return ((1, "plain"),)
    return ((0.84, "affirmative"), (0.16, "negative"))


@cache
def _known() -> Domain[Any]:
    """Subjects that need no noun."""
    return Choice[Any]((1, names()), (2, OneOf(PRONOUNS)))


@cache
def clauses(shape: Shape) -> Domain[Clause]:
    """The clauses of a shape, all verbs together."""
    rules = [(_weight(verb), verb_clauses(verb, shape)) for verb in verb_entries(VERBS)]
    if shape in (Shape(), Shape(adjunct="none"), BRIEF, BRIEF_NOW):
        rules.append((9, copular_clauses(shape)))
    return Choice(*rules)


def _weight(verb: Verb) -> float:
    return max(SPREAD.get(item, 1.0) for item in (*verb.complements, ""))


def verb_clauses(verb: Verb, shape: Shape) -> Domain[Clause]:
    """The clauses of a verb in a shape; none if the verb lacks what the shape asks for."""
    if not _fits(verb, shape):
        return Choice()
    rules: list[tuple[float, Domain[Clause]]] = []
    for weight, polarity in _polarities(shape):
        negated = polarity == "negative"
        build = partial(Clause, verb=verb, asked=_asked(verb, shape))
        circumstance = _circumstances(verb, shape, polarity)
        adjunct = adjuncts(verb, shape.adjunct)
        # A name or pronoun is the subject or an object, not both, lest Anna should meet Anna.
        for share, subject, pronouns in _subjects(verb, shape, negated):
            objects = complements(verb, negated, pronouns, shape.gap)
            rule = Product(build, subject, circumstance, objects, adjunct)
            rules.append((weight * share, rule))
    return Choice(*rules)


def _fits(verb: Verb, shape: Shape) -> bool:
    timeless = verb.english in TIMELESS
    if shape.infinitive:
        return is_human(verb.subject) and any(item.startswith("acc:") for item in verb.complements)
    fits_gap = {
        "": True,
        "subject": is_human(verb.subject),
        "object": bool(asked_object(verb)),
        "place": place_question(verb) is not None,
        "time": not timeless,
    }[shape.gap]
    fits_time = shape.time != "required" or not timeless
    return fits_gap and fits_time and (shape.adjunct != "place" or has_place(verb))


def _asked(verb: Verb, shape: Shape) -> Phrase | None:
    if shape.gap == "object":
        return question_word(verb)
    return place_question(verb) if shape.gap == "place" else None


def _subjects(
    verb: Verb, shape: Shape, negated: bool
) -> tuple[tuple[float, Domain[Any], bool], ...]:
    """The subjects by weight, and whether pronouns may be objects next to them."""
    if shape.gap == "subject" or shape.infinitive:
        return ((1, just(SILENT), False),)
    phrases = noun_phrases(verb.subject, "definite" if negated else "subject")
    if not is_human(verb.subject):
        return ((1, phrases, True),)
    return ((0.68, phrases, True), (0.32, _known(), False))


# Clauses with to be: each kind of noun with the adjectives that suit it.

COPULAR_KINDS: dict[str, float] = {
    "person": 3, "animal": 1, "food": 0.6, "dish": 0.4, "drink": 0.5, "thing": 1.2, "opening": 0.3,
    "furniture": 0.6, "clothing": 0.8, "vehicle": 1, "text": 0.8, "idea": 0.8, "event": 0.7,
    "place": 1,
}  # fmt: skip


@cache
def copular_clauses(shape: Shape) -> Domain[Clause]:
    """The clauses that say how somebody or something is or was."""
    rules: list[tuple[float, Domain[Clause]]] = []
    for kind, share in COPULAR_KINDS.items():
        for weight, polarity in _polarities(shape):
            use = "definite" if polarity == "negative" or kind != "person" else "subject"
            subject: Domain[Any] = noun_phrases(kind, use, described=0)
            if kind == "person":
                subject = Choice((2, subject), (1, _known()))
            build = partial(Clause, verb=COPULA)
            frame = _timeless(polarity, shape.current)
            rule = Product(build, subject, frame, _predicates(kind))
            rules.append((share * weight, rule))
    return Choice(*rules)


@cache
def _predicates(kind: str) -> Domain[tuple[Complement]]:
    ungraded = UNGRADED.split()
    adjectives = adjectives_of(kind)
    graded = [item for item in adjectives if item.english not in ungraded]
    compared = [item for item in adjectives if item.comparative]
    degrees = OneOf(Phrase(words(english), german) for english, german in pairs(INTENSIFIERS))
    standards = noun_phrases(kind, "standard", described=0)
    return Choice(
        (1, Product(_predicate, just(None), OneOf(adjectives))),
        (1, Product(_predicate, degrees, OneOf(graded))),
        (1, Product(_comparison, OneOf(compared), standards)),
    )


def _predicate(degree: Phrase | None, adjective: Adjective) -> tuple[Complement]:
    english = (degree.english if degree else ()) + words(adjective.english)
    german = f"{degree.german} {adjective.german}" if degree else adjective.german
    return (Complement(Phrase(english, german)),)


def _comparison(adjective: Adjective, standard: NounPhrase) -> tuple[Complement]:
    """Older than my house; in German the standard stands in the case of the subject."""
    assert adjective.comparative
    english, german = adjective.comparative
    than = (*_graded(adjective, english), *words("than"), *standard.english("object"))
    return (Complement(Phrase(than, f"{german} als {standard.german('nom')}")),)


def _graded(adjective: Adjective, comparative: str) -> Words:
    if comparative.startswith("more "):
        return words(comparative)
    return (Word(comparative, adjective.english),)
