"""What goes with a verb: its complements, read off the verb table, and the adjuncts that suit."""

from functools import cache, partial
from typing import Any

from nmt_cli.data.quickstart.domain import Choice, Domain, OneOf, Product, just
from nmt_cli.data.quickstart.english import words
from nmt_cli.data.quickstart.german import Case
from nmt_cli.data.quickstart.lexicon import Verb, nouns_of
from nmt_cli.data.quickstart.phrases import (
    PRONOUNS,
    WHO,
    Phrase,
    destinations,
    locations,
    names,
    noun_phrases,
    positions,
    prepositional,
)
from nmt_cli.data.quickstart.topology import Complement, bare_object


def is_human(spec: str) -> bool:
    """Whether a class of nouns has people among it, whom pronouns and names can stand for."""
    return any(noun.kind == "person" for noun in nouns_of(spec))


@cache
def objects(spec: str, use: str, pronouns: bool) -> Domain[Any]:
    """The nominals over a class: noun phrases, and for people also names and pronouns."""
    phrases = noun_phrases(spec, use)
    if not (pronouns and is_human(spec)):
        return phrases
    return Choice((8, phrases), (1, names()), (1.6, OneOf(PRONOUNS)))


def complements(
    verb: Verb, negated: bool, pronouns: bool, gap: str
) -> Domain[tuple[Complement, ...]]:
    """All complements of a verb, less the one that a question asks for."""
    several = len(verb.complements) > 1
    parts: list[Domain[Complement]] = []
    for item in verb.complements:
        # Of two objects the dative is known; the accusative may be new.
        use = "negated" if negated else "theme" if several else "object"
        if several and "dat:" in item:
            use = "definite"
        if gap == "object" and item == asked_object(verb):
            parts += _stranded(item)
        elif not (gap == "place" and _is_place(item)):
            parts.append(_complement(item, use, pronouns))
    return Product(lambda *items: items, *parts)


def _complement(item: str, use: str, pronouns: bool) -> Domain[Complement]:
    """The domain that one item of the verb table stands for."""
    marker, _, spec = item.partition(":")
    if marker == "to":
        return Product(Complement, destinations(spec))
    if marker == "at":
        return Product(Complement, locations(spec))
    if marker.startswith("on."):
        return Product(Complement, positions(spec, _case(marker)))
    english, _, government = marker.rpartition("=")
    preposition, _, _ = government.rpartition(".")
    if preposition:
        build = partial(prepositional, english, preposition, _case(marker))
        return Product(Complement, Product(build, objects(spec, "definite", pronouns)))
    return Product(partial(bare_object, _case(marker), english), objects(spec, use, pronouns))


def _case(marker: str) -> Case:
    return "acc" if marker.endswith("acc") else "dat"


def _is_place(item: str) -> bool:
    return item.startswith(("to:", "at:"))


def asked_object(verb: Verb) -> str:
    """The complement that *what* or *who* asks for: the accusative, else a person alone."""
    accusative = [item for item in verb.complements if item.startswith("acc:")]
    alone = [item for item in verb.complements[:1] if is_human(item.partition(":")[2])]
    return next(iter(accusative + alone), "")


def question_word(verb: Verb) -> Phrase:
    """The question word for the object: what, was; who, wen or wem; who ... for, auf wen."""
    marker, _, spec = asked_object(verb).partition(":")
    if not is_human(spec):
        return Phrase(words("what"), "was")
    preposition, _, _ = marker.rpartition("=")[2].rpartition(".")
    return Phrase(words("who"), f"{preposition} {WHO.german(_case(marker))}".strip())


def _stranded(item: str) -> list[Domain[Complement]]:
    english, _, _ = item.partition(":")[0].rpartition("=")
    return [just(Complement(Phrase(words(english), "")))] if english else []


def place_question(verb: Verb) -> Phrase | None:
    """The question word for the place (where, wo) or the goal (where, wohin), if there is one."""
    if any(item.startswith("to:") for item in verb.complements):
        return Phrase(words("where"), "wohin")
    stays = any(item.startswith("at:") for item in verb.complements)
    return Phrase(words("where"), "wo") if stays or has_place(verb) else None


def has_place(verb: Verb) -> bool:
    """Whether the verb can be told where it happens."""
    return any(item not in ("with", "for") for item in verb.adjuncts)


def adjuncts(verb: Verb, wanted: str) -> Domain[Any]:
    """With whom, for whom or where; a `wanted` place leaves no other choice."""
    rules: list[tuple[float, Domain[Any]]] = []
    other = 0.35 if wanted == "optional" else 0.0
    for item in verb.adjuncts:
        if item == "with":
            rules.append((other, _companions()))
        elif item == "for":
            rules.append((other, _people("for", "für", "acc")))
        else:
            rules.append((3 if item.endswith("!") else 0.25, locations(item.removesuffix("!"))))
    if wanted == "place":
        return Choice(*rules)
    return Choice((1, just(None)), *rules) if wanted == "optional" else just(None)


@cache
def _companions() -> Domain[Phrase]:
    return Choice((3, _people("with", "mit", "dat")), (1, _people("without", "ohne", "acc")))


def _people(english: str, preposition: str, case: Case) -> Domain[Phrase]:
    people: Choice[Any] = Choice((6, noun_phrases("person", "definite")), (1, names()))
    return Product(partial(prepositional, english, preposition, case), people)
