"""What goes with a verb: its complements, read off the verb table, and the adjuncts that suit."""

from functools import cache, partial
from typing import Any

from tools.quickstart_grammar.domain import Choice, Domain, OneOf, Product, just
from tools.quickstart_grammar.english import words
from tools.quickstart_grammar.german import Case
from tools.quickstart_grammar.lexicon import Verb, nouns_of, pairs
from tools.quickstart_grammar.phrases import (
    IT,
    THEM,
    WHO,
    Phrase,
    Pronoun,
    names,
    noun_phrases,
    pairs_of,
    prepositional,
    quantities,
)
from tools.quickstart_grammar.places import destinations, junctions, locations, origins, positions
from tools.quickstart_grammar.topology import Complement, bare_object

Others = tuple[Pronoun, ...]

# The share of noun phrases that have an adjective, except in simple sentences.
DESCRIBED = 0.4

# Classes whose nouns come in pairs in simple sentences: bread and milk, a dog and a cat.
COUPLED = {
    "eaten": ("dish", "bare.sg"), "drink": ("drink", "bare.sg"),
    "wares": ("dish,drink", "bare.sg"), "owned": ("animal", "a.sg"),
}  # fmt: skip

# Classes of which one often has a cup or a piece, with their weight beside 8 for the rest.
MEASURED = {"drink": 2, "menu": 1.5, "eaten": 0.7, "wares": 0.3, "owned": 0.3, "brought": 0.5, "anything": 0.2}


# How something is done, for verbs that have the key among their adjuncts.
MANNERS = {
    "pace": "fast = schnell | slowly = langsam",
    "skill": "well = gut | badly = schlecht",
    "noise": "loudly = laut | quietly = leise",
    "voice": "beautifully = schön",
    "hour": "late = spät | early = früh",
    "scent": "good = gut | bad = schlecht",
}


@cache
def is_human(spec: str) -> bool:
    """Whether a class of nouns has people among it, whom pronouns and names can stand for."""
    return any(noun.kind == "person" for noun in nouns_of(spec))


@cache
def objects(spec: str, use: str, others: Others, described: float) -> Domain[Any]:
    """The nominals over a class: noun phrases, and for people also others that can be meant."""
    phrases: Domain[Any] = noun_phrases(spec, use, described)
    if spec == "owned":
        # Eyes and hair are long or brown: nobody just has hair.
        features = noun_phrases("body,hair", use if use == "negated" else "features", 0.8)
        phrases = Choice((8, phrases), (1.4, features))
    if spec in COUPLED and use != "negated" and described != DESCRIBED:
        phrases = Choice((8, phrases), (1, pairs_of(*COUPLED[spec])))
    if spec in MEASURED and use != "definite":
        phrases = Choice((8, phrases), (MEASURED[spec], quantities(spec, use)))
    if not is_human(spec):
        return phrases
    called = OneOf(item for item in others if item.field == "definite")
    pronouns = OneOf(item for item in others if item.field == "pronouns")
    # Short sentences are about you and me.
    return Choice((8, phrases), (1, called), (1.6 if described == DESCRIBED else 4, pronouns))


@cache
def complements(
    verb: Verb, negated: bool, others: Others, gap: str, described: float = DESCRIBED
) -> Domain[tuple[Complement, ...]]:
    """All complements of a verb, less the one that a question asks for.

    The `others` are the pronouns and names that may be objects next to the subject, and
    `described` is the share of noun phrases that have an adjective.
    """
    several = len(verb.complements) > 1
    parts: list[Domain[Complement]] = []
    for item in verb.complements:
        # Of two objects the dative is definite; the accusative may be indefinite.
        use = "negated" if negated else "theme" if several else "object"
        if several and "dat:" in item:
            use = "definite"
        if verb.english == "have" and not negated:
            use = "owned"
        if gap in ("object", "amount") and item == asked_object(verb):
            parts += _stranded(item)
        elif gap == "place" and item.startswith("from:"):
            parts.append(just(Complement(Phrase(words("from"), ""))))
        elif not (gap == "place" and _is_place(item)):
            parts.append(_complement(item, use, others, described))
            if item.startswith("acc:") and not several and others and _is_free(verb):
                parts[-1] = Choice((12, parts[-1]), (1, _things(item)))
    return Product(lambda *items: items, *parts)


def _is_free(verb: Verb) -> bool:
    # "Turn it on" has an order of its own, and "watch it" is ambiguous between verbs.
    particle = verb.english.split()[-1] in ("on", "off", "along", "away", "out")
    return not particle and verb.english not in ("watch", "listen to", "answer")


@cache
def _things(item: str) -> Domain[Complement]:
    """Pronouns for things: it, and them unless the class has people, too."""
    _, _, spec = item.partition(":")
    pronouns = (IT,) if is_human(spec) else (IT, THEM)
    things = any(noun.kind != "person" for noun in nouns_of(spec))
    return OneOf([bare_object("acc", "", pronoun) for pronoun in pronouns if things])


# Verbs with something, nothing and everything as objects; others have another German verb there.
SOMETHING = (
    "see", "hear", "eat", "drink", "buy", "sell", "need", "find", "lose", "forget", "read", "write", "say", "do",
    "want", "have", "understand", "learn", "order", "cook", "take", "look for",
)  # fmt: skip


def indefinite_objects(verb: Verb, people: Others, things: Others) -> Domain[tuple[Complement, ...]]:
    """The pronouns for nobody in particular that can be the only object of the verb."""
    marker, _, spec = verb.complements[0].partition(":") if len(verb.complements) == 1 else ("", "", "")
    if marker not in ("acc", "dat") or not _is_free(verb):
        return Choice()
    called = people * is_human(spec) + things * (verb.english in SOMETHING)
    return OneOf((bare_object(_case(marker), "", pronoun),) for pronoun in called)


@cache
def _complement(item: str, use: str, others: Others, described: float) -> Domain[Complement]:
    """The domain of one item of the verb table."""
    marker, _, spec = item.partition(":")
    if marker == "to":
        return Product(Complement, destinations(spec, described))
    if marker == "from":
        return Product(Complement, origins())
    if marker == "at":
        return Product(Complement, locations(spec, described))
    if marker.startswith("on."):
        return Product(Complement, positions(spec, _case(marker), described))
    english, _, government = marker.rpartition("=")
    preposition, _, _ = government.rpartition(".")
    if preposition:
        build = partial(prepositional, english, preposition, _case(marker))
        return Product(Complement, Product(build, objects(spec, "definite", others, described)))
    nominals = objects(spec, use, others, described)
    return Product(partial(bare_object, _case(marker), english), nominals)


def _case(marker: str) -> Case:
    return "acc" if marker.endswith("acc") else "dat"


def _is_place(item: str) -> bool:
    return item.startswith(("to:", "at:", "from:"))


@cache
def asked_object(verb: Verb) -> str:
    """The complement that *what* or *who* asks for: the accusative, else a person alone."""
    accusative = [item for item in verb.complements if item.startswith("acc:")]
    alone = [item for item in verb.complements[:1] if is_human(item.partition(":")[2])]
    return next(iter(accusative + alone), "")


@cache
def question_words(verb: Verb) -> tuple[Phrase, ...]:
    """The question words for the object: what, was; who, wen or wem; who ... for, auf wen."""
    marker, _, spec = asked_object(verb).partition(":")
    what = Phrase(words("what"), "was")
    if not is_human(spec):
        return (what,)
    preposition, _, _ = marker.rpartition("=")[2].rpartition(".")
    who = Phrase(words("who"), f"{preposition} {WHO.german(_case(marker))}".strip())
    things = any(noun.kind not in ("person", "animal") for noun in nouns_of(spec))
    return (what, who) if things and marker == "acc" else (who,)


def _stranded(item: str) -> list[Domain[Complement]]:
    english, _, _ = item.partition(":")[0].rpartition("=")
    return [just(Complement(Phrase(words(english), "")))] if english else []


@cache
def place_question(verb: Verb) -> Phrase | None:
    """The question word for the place (where, wo) or the goal (where, wohin), if there is one."""
    if any(item.startswith("to:") for item in verb.complements):
        return Phrase(words("where"), "wohin")
    if any(item.startswith("from:") for item in verb.complements):
        return Phrase(words("where"), "woher")
    stays = any(item.startswith("at:") for item in verb.complements)
    return Phrase(words("where"), "wo") if stays or has_place(verb) else None


def has_place(verb: Verb) -> bool:
    """Whether the verb can have an adjunct of place."""
    return any(item.removesuffix("!") not in ("with", "for", "junction", *MANNERS) for item in verb.adjuncts)


@cache
def adjuncts(verb: Verb, wanted: str, described: float = DESCRIBED) -> Domain[Any]:
    """With whom, for whom, where or how; a `wanted` place leaves no other choice."""
    rules: list[tuple[float, Domain[Any]]] = []
    long = described == DESCRIBED
    other = (0.35 if long else 0.1) * (wanted == "optional")
    often = 3 if long or wanted == "place" else 0.7
    for item in verb.adjuncts:
        if item == "with":
            rules.append((other, _companions()))
        elif item == "for":
            rules.append((other, _people("for", "für", "acc")))
        elif item.removesuffix("!") in MANNERS:
            table = MANNERS[item.removesuffix("!")]
            manners = OneOf(Phrase(words(english), german) for english, german in pairs(table))
            rules.append(
                (
                    (8 if item.endswith("!") else 0.5 if item in ("hour", "voice") else 0.2) * (wanted == "optional"),
                    manners,
                )
            )
        elif item == "junction!":
            rules.append((3, junctions()))
        else:
            places = locations(item.removesuffix("!"), described)
            rules.append((often if item.endswith("!") else 0.25, places))
    if wanted == "place":
        return Choice(*rules)
    return Choice((1, just(None)), *rules) if wanted == "optional" else just(None)


@cache
def _companions() -> Domain[Phrase]:
    return Choice((3, _people("with", "mit", "dat")), (1, _people("without", "ohne", "acc")))


def _people(english: str, preposition: str, case: Case) -> Domain[Phrase]:
    people: Choice[Any] = Choice((6, noun_phrases("person", "definite")), (1, names()))
    return Product(partial(prepositional, english, preposition, case), people)
