"""The clauses: which subject, verb, complements and circumstances go together.

Every rule is a `Product` or a `Choice`, and builds a `Clause`, which knows both languages.  Verb
by verb, the rules make sure that people write and horses run, that kein meets negated clauses
only, and that yesterday meets the past.
"""

from dataclasses import replace
from functools import cache, partial
from typing import Any

from tools.quickstart_grammar.circumstances import (
    STATES,
    TIMELESS,
    Shape,
    circumstances,
    has_own_past,
    has_past_alone,
    past_alone,
    polarities,
)
from tools.quickstart_grammar.complements import (
    Others,
    adjuncts,
    asked_object,
    complements,
    has_place,
    indefinite_objects,
    is_human,
    place_question,
    question_words,
)
from tools.quickstart_grammar.copulas import copular_clauses, has_copula
from tools.quickstart_grammar.domain import Choice, Domain, OneOf, Product, just
from tools.quickstart_grammar.lexicon import Verb, verb_entries
from tools.quickstart_grammar.phrases import (
    INDEFINITE_THINGS,
    INDEFINITES,
    IT,
    PRONOUNS,
    SILENT,
    TOLD,
    YOU,
    Phrase,
    couples,
    names,
    noun_phrases,
)
from tools.quickstart_grammar.topology import Clause
from tools.quickstart_grammar.verbs import VERBS

# Verbs are drawn equally often, except those that the many nouns of a class depend on.
SPREAD = {
    "acc:goods": 1.8, "acc:givable": 1.4, "acc:animal": 1.5, "acc:living": 1.3, "acc:menu": 2,
    "acc:eaten": 2.5, "acc:meal": 1.5, "acc:drink": 2, "acc:anything": 3, "acc:wares": 2.4,
    "acc:owned": 6, "acc:tongue": 1.5, "acc:nothing": 3, "acc:sport,game": 1.5,
}  # fmt: skip

# These are drawn more often in simple sentences, as in spoken language.
COMMON = (
    "know", "love", "like", "have", "want", "see", "go", "come", "read", "eat", "drink", "do",
    "help", "open", "give", "speak", "sleep", "play", "need", "buy", "understand", "work",
)  # fmt: skip

# The share of clauses with to be, in long sentences and in simple ones.
COPULAR_SHARE = (0.08, 0.38)

BRIEF = Shape(time="none", adjunct="none")
BRIEF_NOW = Shape(time="none", adjunct="none", current=True)
BRIEF_PAST = Shape(time="none", adjunct="none", past=True)


@cache
def clauses(shape: Shape) -> Domain[Clause]:
    """The clauses of a shape, all verbs together."""
    verbs = [(_weight(verb, shape.simple), verb_clauses(verb, shape)) for verb in verb_entries(VERBS)]
    share = COPULAR_SHARE[shape.simple] * has_copula(shape)
    if shape.mood == "imperative":
        share = 0.04  # there are few
    if not share:
        return Choice(*verbs)
    return Choice((1 - share, Choice(*verbs)), (share, copular_clauses(shape)))


def _weight(verb: Verb, simple: bool) -> float:
    common = 2 if simple and verb.english in COMMON else 1
    return common * max(SPREAD.get(item, 1.0) for item in (*verb.complements, ""))


def verb_clauses(verb: Verb, shape: Shape) -> Domain[Clause]:
    """The clauses of a verb in a shape; none if the verb lacks what the shape asks for."""
    if not _fits(verb, shape):
        return Choice()
    # With most verbs a question has the same clauses as a statement.
    alike = has_own_past(verb)
    return _clauses_of(verb, replace(shape, question=False) if alike else shape)


@cache
def _clauses_of(verb: Verb, shape: Shape) -> Domain[Clause]:
    rules: list[tuple[float, Domain[Clause]]] = []
    for weight, polarity in polarities(shape):
        negated = polarity == "negative"
        circumstance = circumstances(verb, shape, polarity)
        adjunct = adjuncts(verb, shape.adjunct, shape.described)
        for share, subject, others in _subjects(verb, shape, negated):
            objects = complements(verb, negated, others, shape.gap, shape.described)
            for asked in _asked(verb, shape):
                build = partial(Clause, verb=verb, asked=asked)
                rule = Product(build, subject, circumstance, objects, adjunct)
                rules.append((weight * share, rule))
        if has_past_alone(verb, shape, polarity):
            one = Choice[Any]((3, noun_phrases(verb.subject, "single")), (2, OneOf(PRONOUNS[2:4])))
            objects = complements(verb, negated, (), "", shape.described)
            build = partial(Clause, verb=verb)
            rules.append((0.2, Product(build, one, past_alone(shape), objects, adjunct)))
    if shape.indefinites:
        rules += _about_anybody(verb, shape)
    return Choice(*rules)


def _about_anybody(verb: Verb, shape: Shape) -> list[tuple[float, Domain[Clause]]]:
    """Nobody sleeps, I see somebody, he does not say anything."""
    build = partial(Clause, verb=verb)
    adjunct = adjuncts(verb, shape.adjunct, shape.described)
    frame = circumstances(verb, shape, "indefinite")
    # German would put the pronoun before jemand in a question.
    others = tuple(names()) if shape.indefinites == "any" else (*PRONOUNS, *names())
    rules: list[tuple[float, Domain[Clause]]] = []
    if is_human(verb.subject):
        objects = complements(verb, False, others, "", shape.described)
        rules.append((0.06, Product(build, OneOf(INDEFINITES[shape.indefinites]), frame, objects, adjunct)))
    negative = circumstances(verb, shape, "negative")
    for weight, chosen, around in ((0.06, shape.indefinites, frame), (0.03, "not any", negative)):
        objects = indefinite_objects(verb, INDEFINITES[chosen], INDEFINITE_THINGS[chosen])
        for share, subject, _ in _subjects(verb, shape, negated=True):
            rules.append((weight * share, Product(build, subject, around, objects, adjunct)))
    return rules


def _fits(verb: Verb, shape: Shape) -> bool:
    timeless = verb.english in TIMELESS
    if shape.mood != "finite":
        if not is_human(verb.subject) or verb.english in STATES:
            return False
        return shape.mood in ("imperative", "let") or asked_object(verb).startswith("acc:")
    fits_gap = {
        "": True,
        "subject": is_human(verb.subject),
        "object": bool(asked_object(verb)),
        "amount": asked_object(verb).startswith("acc:"),
        "place": place_question(verb) is not None,
        "time": not timeless,
    }[shape.gap]
    if shape.past and not has_own_past(verb):
        return False
    fits_time = shape.time != "required" or not timeless
    return fits_gap and fits_time and (shape.adjunct != "place" or has_place(verb))


def _asked(verb: Verb, shape: Shape) -> tuple[Phrase | None, ...]:
    if shape.gap == "object":
        return question_words(verb)
    return (place_question(verb) if shape.gap == "place" else None,)


def _subjects(verb: Verb, shape: Shape, negated: bool) -> list[tuple[float, Domain[Any], Others]]:
    """The subjects by weight, and which names and pronouns may be objects next to them."""
    everybody = (*PRONOUNS, *names())
    if shape.mood == "imperative":
        return [(1, just(TOLD), _others("you"))]
    if shape.mood == "let":
        return [(1, just(TOLD), _others("I", "you", "we"))]
    if shape.mood == "infinitive":
        return [(1, just(SILENT), ())]
    if shape.gap == "subject":
        return [(1, just(SILENT), everybody)]
    if verb.subject == "it":
        return [(1, just(IT), ())]
    new = "simple subject" if shape.simple else "subject"
    phrases = noun_phrases(verb.subject, "definite" if negated else new, shape.described)
    if not is_human(verb.subject):
        return [(1, phrases, everybody)]
    known = 0.5 if shape.simple else 0.32
    called = _known(_addressed(shape))
    return [
        (1 - known, phrases, everybody),
        (0.03 * (shape.simple and not negated), couples(), everybody),
        *[(known * share, subject, others) for share, subject, others in called],
    ]


def _addressed(shape: Shape) -> float:
    # People who try a translator address somebody, more often in questions than in statements.
    if not shape.simple:
        return 1
    return 5 if shape.gap else 2.5


@cache
def _known(addressed: float) -> tuple[tuple[float, Domain[Any], Others], ...]:
    """Subjects without a noun: nobody meets himself, so Anna meets Peter and I meet you.

    `addressed` says how many times as often as another pronoun it is *you*.
    """
    called = tuple(names())
    first, second = called[::2], called[1::2]
    pronoun = 0.8 / len(PRONOUNS)
    return (
        (0.1, OneOf(first), (*PRONOUNS, *second)),
        (0.1, OneOf(second), (*PRONOUNS, *first)),
        (2 * pronoun, OneOf((PRONOUNS[0], PRONOUNS[4])), _others("I", "we")),
        (addressed * pronoun, just(YOU), _others("you")),
        (3 * pronoun, OneOf((*PRONOUNS[2:4], PRONOUNS[5])), (*PRONOUNS, *called)),
    )


@cache
def _others(*subjects: str) -> Others:
    """All names and pronouns except these."""
    return tuple(item for item in (*PRONOUNS, *names()) if item.forms[0] not in subjects)
