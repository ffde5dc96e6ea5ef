"""The clauses with to be: how somebody or something is, what, and where; and what there is."""

from dataclasses import replace
from functools import cache, partial
from typing import Any

from tools.quickstart_grammar.circumstances import Polarity, Shape, circumstances, polarities
from tools.quickstart_grammar.domain import Choice, Domain, OneOf, Product, just
from tools.quickstart_grammar.english import Word, Words, words
from tools.quickstart_grammar.identities import becoming, identities
from tools.quickstart_grammar.lexicon import (
    BORN,
    COPULA,
    EXISTENCE,
    HAVING,
    INTENSIFIERS,
    LATE,
    PREDICATIVES,
    TIMELY,
    UNGRADED,
    Adjective,
    adjectives_of,
    all_adjectives,
    pairs,
)
from tools.quickstart_grammar.nouns import CITIES, COUNTRIES
from tools.quickstart_grammar.phrases import (
    INDEFINITE_THINGS,
    INDEFINITES,
    IT,
    PRONOUNS,
    SILENT,
    THAT,
    THEM,
    THERE,
    TOLD,
    WHO,
    YOU,
    Nominal,
    NounPhrase,
    Phrase,
    names,
    noun_phrases,
    prepositional,
    quantities,
)
from tools.quickstart_grammar.places import PLACES, beside_buildings, insides, locations, positions, proper_places
from tools.quickstart_grammar.times import dates, months
from tools.quickstart_grammar.topology import NOT, Circumstance, Clause, Complement

# Each kind of noun with the weight of statements about it; adjectives are those that suit the kind.
KINDS: dict[str, float] = {
    "person": 3, "animal": 1.5, "foodstuff": 1, "dish": 0.6, "drink": 0.5, "thing": 1.2,
    "opening": 1, "furniture": 0.6, "clothing": 0.8, "vehicle": 1, "text": 0.8, "idea": 1.4,
    "event": 0.7, "place": 1, "plant": 0.6, "body": 0.7, "sky": 0.5, "matter": 0.3,
    "hair": 0.5, "mealtime": 0.3, "color": 0.4, "surface": 0.2,
}  # fmt: skip

# What stands, sits or lies somewhere, and what stands on tables.
LOCATED = "person,animal,thing,clothing,vehicle,text"
PLACED = "thing,text,clothing,foodstuff,cat"
INSIDE = "thing,text,clothing,foodstuff,dish,drink"

# Adjectives in imperatives: be quiet, do not be sad.
ASKED_TO_BE = "careful polite quiet nice honest brave friendly good happy smart"
ASKED_NOT_TO_BE = "sad nervous lazy angry strict sick"

MEASURED = (
    "old big tall fast heavy expensive cheap rich strong long cold warm hot good bad difficult"
    " important dangerous beautiful"
)


def _known(asked: bool = False) -> Domain[Any]:
    # Questions are often about whom they are put to.
    others = [item for item in PRONOUNS if item is not YOU]
    return Choice[Any]((3, names()), (5, OneOf(others)), (5.5 if asked else 1, just(YOU)))


def has_copula(shape: Shape) -> bool:
    """Whether a clause of this shape may be one with to be."""
    return (
        shape.time != "required"
        and shape.adjunct != "place"
        and shape.gap not in ("object", "amount")
        and shape.mood not in ("infinitive", "let")
    )


@cache
def copular_clauses(shape: Shape) -> Domain[Clause]:
    """The clauses that say how, what or where somebody or something is or was."""
    rules: list[tuple[float, Domain[Clause]]] = []
    for weight, polarity in polarities(shape):
        build = partial(Clause, verb=COPULA)
        frame = circumstances(COPULA, shape, polarity)
        if shape.mood == "imperative":
            wanted = ASKED_NOT_TO_BE if polarity == "negative" else ASKED_TO_BE
            predicates: Domain[Any] = Product(_predicate, just(None), _adjectives(wanted))
            rules.append((weight, Product(build, just(TOLD), frame, predicates)))
            if polarity == "negative":
                rules.append((weight, Product(partial(Clause, verb=HAVING), just(TOLD), frame, _fear(negated=True))))
            continue
        for share, subject, predicates in _sayings(shape, polarity):
            asked = partial(build, asked=Phrase(words("where"), "wo"))
            builder = asked if shape.gap == "place" else build
            rules.append((weight * share, Product(builder, subject, frame, predicates)))
    if shape.simple and shape.mood == "finite" and not shape.gap:
        rules += idioms(shape)
    return Choice(*rules)


def _sayings(shape: Shape, polarity: Polarity) -> list[tuple[float, Domain[Any], Domain[Any]]]:
    """Subjects with what can be said about them, weighted."""
    negated = polarity == "negative"
    nothing: Domain[Any] = just(())
    if shape.gap == "time":
        return [(1, noun_phrases("event", "definite", 0), nothing)]
    if shape.gap == "place":
        subjects: Domain[Any] = Choice(
            (8, noun_phrases(LOCATED, "definite", shape.described)),
            (2, noun_phrases("place", "definite", 0)),
            (1.5 * (1 + shape.simple), _known(shape.simple)),
            (0.3, just(IT)),
        )
        return [(1, subjects, nothing)]
    if shape.gap == "subject":
        silent: Domain[Any] = just(SILENT)
        return [(3, silent, _predicates("person", shape)), (2, silent, _whereabouts(shape))]
    said = [(share, _subjects(kind, shape, negated), _predicates(kind, shape)) for kind, share in KINDS.items()]
    if not shape.simple:
        return said
    said.append((1.2, OneOf((IT, *THAT[:2])), _predicates_of_it()))
    placed = positions("furniture", "dat", 0)
    somebody = Choice((2, _movable(negated)), (1, _known(shape.question)))
    said.append((1.6, somebody, _whereabouts(shape)))
    said.append((0.8, noun_phrases(PLACED, "definite", 0), Product(_standing, placed)))
    said.append((0.9, noun_phrases(INSIDE, "definite", 0), Product(_standing, insides())))
    said.append((0.35, noun_phrases("hung", "definite", 0), just(_standing(ON_THE_WALL))))
    said.append((0.5, noun_phrases("buildings", "definite", 0), Product(_standing, beside_buildings())))
    punctual: Domain[Any] = Choice(
        (2, _known(shape.question)), (1, noun_phrases("person,bus,train,plane", "single", 0))
    )
    said.append((0.5, punctual, _fixed(LATE)))
    return said + identities(negated, shape.question)


def _subjects(kind: str, shape: Shape, negated: bool) -> Domain[Any]:
    new = kind == "person" or (shape.simple and kind not in ("sky",))
    use = "simple subject" if shape.simple else "subject"
    subject: Domain[Any] = noun_phrases(kind, use if new and not negated else "definite", 0)
    if kind != "person":
        return subject
    known = _known(shape.simple and shape.question)
    return Choice((2, subject), (1.5 if shape.simple else 1, known))


def _movable(negated: bool) -> Domain[Any]:
    return noun_phrases(LOCATED, "definite", 0)


def _standing(place: Phrase) -> tuple[Complement]:
    return (Complement(place),)


def _whereabouts(shape: Shape) -> Domain[tuple[Complement]]:
    return Product(_standing, locations("place", shape.described))


# How somebody or something is.


def _adjectives(names_: str) -> Domain[Adjective]:
    return OneOf(all_adjectives()[name] for name in names_.split())


@cache
def _predicates(kind: str, shape: Shape) -> Domain[tuple[Complement]]:
    ungraded = UNGRADED.split()
    adjectives = adjectives_of(kind)
    graded = [item for item in adjectives if item.english not in ungraded]
    compared = [item for item in adjectives if item.comparative]
    degrees = OneOf(Phrase(words(english), german) for english, german in pairs(INTENSIFIERS))
    standards = noun_phrases(kind, "standard", described=0)
    plain = 5 if shape.simple else 1
    alone = 0.4 * (kind == "person" and shape.simple)
    return Choice(
        (plain, Product(_predicate, just(None), OneOf(adjectives))),
        (1.5, Product(_predicate, degrees, OneOf(graded))),
        (1, Product(_comparison, OneOf(compared), standards)),
        (0.3, Product(_comparison, OneOf(compared))),
        (0.3, Product(_equality, OneOf(graded), standards)),
        (0.4 * (alone > 0), Product(_comparison, OneOf(compared), OneOf(PRONOUNS))),
        (alone, _fixed(PREDICATIVES)),
        (0.3 * shape.simple, Product(_two, OneOf(adjectives[::2]), OneOf(adjectives[1::2]))),
    )


@cache
def _predicates_of_it() -> Domain[tuple[Complement]]:
    kinds = [kind for kind in KINDS if kind not in ("person", "animal")]
    adjectives = dict.fromkeys(item for kind in kinds for item in adjectives_of(kind))
    degrees = OneOf(Phrase(words(english), german) for english, german in pairs(INTENSIFIERS))
    graded = [item for item in adjectives if item.english not in UNGRADED.split()]
    return Choice(
        (0.15, _fixed(TIMELY)),
        (3, Product(_predicate, just(None), OneOf(adjectives))),
        (1, Product(_predicate, degrees, OneOf(graded))),
    )


def _predicate(degree: Phrase | None, adjective: Adjective) -> tuple[Complement]:
    english = (degree.english if degree else ()) + words(adjective.english)
    german = f"{degree.german} {adjective.german}" if degree else adjective.german
    return (Complement(Phrase(english, german)),)


def _two(one: Adjective, other: Adjective) -> tuple[Complement]:
    english = words(f"{one.english} and {other.english}")
    return (Complement(Phrase(english, f"{one.german} und {other.german}")),)


def _fixed(table: str) -> Domain[tuple[Complement]]:
    return OneOf(_standing(Phrase(words(en), de)) for en, de in pairs(table))


def _comparison(adjective: Adjective, standard: Nominal | None = None) -> tuple[Complement]:
    """Older than my house, or older; in German the standard stands in the case of the subject."""
    assert adjective.comparative
    english, german = adjective.comparative
    if standard is None:
        return (Complement(Phrase(_graded(adjective, english), german)),)
    than = (*_graded(adjective, english), *words("than"), *standard.english("object"))
    return (Complement(Phrase(than, f"{german} als {standard.german('nom')}")),)


def _equality(adjective: Adjective, standard: Nominal) -> tuple[Complement]:
    """As old as my house."""
    english = words(f"as {adjective.english} as") + standard.english("object")
    return (Complement(Phrase(english, f"so {adjective.german} wie {standard.german('nom')}")),)


def _graded(adjective: Adjective, comparative: str) -> Words:
    if comparative.startswith("more "):
        return words(comparative)
    return (Word(comparative, adjective.english),)


# What English says with to be and German with something else.

ON_THE_WALL = Phrase(words("on the wall"), "an der Wand")
WEATHER = "cold warm hot dark quiet nice_ wet beautiful loud"
EVERYTHING = "good bad new expensive cheap beautiful wonderful important easy difficult right wrong clean dirty"


def idioms(shape: Shape) -> list[tuple[float, Domain[Clause]]]:
    """He is afraid and right, she was born in May, has been to Rome and wants to be a doctor; it is cold outside."""
    people: Choice[Any] = Choice((2, _known(shape.question)), (1, noun_phrases("person", "definite", 0)))
    rules: list[tuple[float, Domain[Clause]]] = []
    for weight, polarity in polarities(shape):
        frame = circumstances(COPULA, shape, polarity)
        rules.append((weight * 1.2, Product(partial(Clause, verb=HAVING), people, frame, _having(polarity))))
    weather = Product(_predicate, just(None), _adjectives(WEATHER))
    here = Choice((3, _outside()), (1, _indoors()))
    now = circumstances(COPULA, replace(shape, time="none"), "plain")
    rules.append((0.9, Product(partial(Clause, verb=COPULA), just(IT), now, weather, here)))
    if not (shape.current or shape.past):
        rules += [(0.7, _wishes_to_be()), (0.5, _been(people))]
    if not shape.current:
        rules.append((0.6, _born(people)))
    if shape.indefinites:
        rules.append((0.9, _somebody_is(shape)))
    return rules


def _having(polarity: Polarity) -> Domain[tuple[Complement, ...]]:
    return Choice((2, _fear(polarity == "negative")), (1, _fixed("right = recht | wrong = unrecht")))


def _fear(negated: bool) -> Domain[tuple[Complement, ...]]:
    """Afraid, afraid of dogs."""
    fear = Complement(Phrase(words("afraid"), "keine Angst" if negated else "Angst"), "indefinite", negated)
    feared: Choice[Any] = Choice(
        (4, noun_phrases("animal", "feared", 0)), (1, noun_phrases("person", "definite", 0)),
        (0.7, OneOf((*PRONOUNS[2:4], THEM))),
    )  # fmt: skip
    of = Product(partial(prepositional, "of", "vor", "dat"), feared)
    return Choice((1, just((fear,))), (1, Product(lambda phrase: (fear, Complement(phrase)), of)))


def _outside() -> Domain[Phrase]:
    return OneOf(Phrase(words(english), german) for english, german in pairs(PLACES) if " " not in english)


def _indoors() -> Domain[Phrase]:
    rooms = noun_phrases("garden,house,kitchen,city,room,forest", "position", 0)
    return Product(partial(prepositional, "in", "in", "dat"), rooms)


def _wishes_to_be() -> Domain[Clause]:
    modals: Choice[Circumstance] = Choice(
        (2, just(Circumstance("want"))), (1, OneOf(Circumstance(tense) for tense in ("must", "should", "can")))
    )
    build = partial(Clause, verb=COPULA)
    professions = [(share, Product(build, subject, modals, roles)) for share, subject, roles in becoming()]
    wanted = Product(_predicate, just(None), _adjectives(ASKED_TO_BE))
    return Choice(*professions, (4, Product(build, _known(), modals, wanted)))


def _been(people: Domain[Any]) -> Domain[Clause]:
    """I have never been to Paris, where German has in."""
    adverbs = (NOT, *(Phrase(words(english), german) for english, german in pairs("never = nie | often = oft")))
    frames = Choice(
        (1, just(Circumstance("perfect"))), (2, OneOf(Circumstance("perfect", adverb) for adverb in adverbs))
    )
    places = Choice(*[(1, proper_places(table, "to", "in")) for table in (CITIES, COUNTRIES)])
    return Product(partial(Clause, verb=COPULA), people, frames, Product(_standing, places))


def _born(people: Domain[Any]) -> Domain[Clause]:
    when = Product(lambda time: Circumstance("past", None, time), Choice((2, months()), (0.5, dates())))
    places = Choice(*[(1, proper_places(table, "in", "in")) for table in (CITIES, COUNTRIES)])
    build = partial(Clause, verb=BORN)
    there = Product(build, people, just(Circumstance("past")), Product(_standing, places))
    return Choice((2, Product(build, people, when, just(()))), (1, there))


def _somebody_is(shape: Shape) -> Domain[Clause]:
    """Nobody is here, everything is good, is anybody at home."""
    frame = circumstances(COPULA, replace(shape, time="none"), "indefinite")
    build = partial(Clause, verb=COPULA)
    people, things = OneOf(INDEFINITES[shape.indefinites]), OneOf(INDEFINITE_THINGS[shape.indefinites])
    how = Product(_predicate, just(None), OneOf(adjectives_of("person")))
    what = Product(_predicate, just(None), _adjectives(EVERYTHING))
    return Choice(
        (1, Product(build, people, frame, Choice((1, how), (1.5, _whereabouts(shape))))),
        (1, Product(build, things, frame, what)),
    )


def birth_questions() -> Domain[Clause]:
    """When and where somebody was born."""
    asked = OneOf(Phrase(words(english), german) for english, german in pairs("when = wann | where = wo"))
    people: Choice[Any] = Choice((2, _known(asked=True)), (1, noun_phrases("person", "definite", 0)))
    return Product(lambda word, who: Clause(who, Circumstance("past"), verb=BORN, asked=word), asked, people)


# Questions of their own.


def asked_identities() -> Domain[Clause]:
    """Who is the man, what is this."""
    who, what = Phrase(words("who"), WHO.german("nom")), Phrase(words("what"), "was")
    people: Choice[Any] = Choice(
        (3, noun_phrases("person", "definite", 0.15)), (1, OneOf(PRONOUNS)), (1, OneOf(THAT[:2]))
    )
    things: Choice[Any] = Choice((1, OneOf((IT, *THAT))), (1, noun_phrases("idea,text", "standard", 0)))
    now = just(Circumstance("present"))
    return Choice(
        (3, Product(partial(Clause, verb=COPULA, asked=who), people, now)),
        (1, Product(partial(Clause, verb=COPULA, asked=what), things, now)),
    )


def measured_clauses() -> Domain[Clause]:
    """How old the man is."""

    def ask(adjective: Adjective, subject: Any, frame: Circumstance) -> Clause:
        asked = Phrase(words(f"how {adjective.english}"), f"wie {adjective.german}")
        return Clause(subject, frame, verb=COPULA, asked=asked)

    shape = Shape(simple=True, plain=True)
    rules: list[tuple[float, Domain[Clause]]] = []
    for kind, share in KINDS.items():
        adjectives = [item for item in adjectives_of(kind) if item.english in MEASURED.split()]
        subjects: Domain[Any] = noun_phrases(kind, "definite", 0)
        if kind == "person":
            subjects = Choice((1, subjects), (1, _known(asked=True)))
        frame = circumstances(COPULA, shape, "plain")
        rules.append((share, Product(ask, OneOf(adjectives), subjects, frame)))
    return Choice(*rules)


def existences() -> Domain[Clause]:
    """There is a dog in the garden."""
    things = noun_phrases("animal,thing,person,dish,drink,plant", "existing", 0.1)
    buildings = noun_phrases("buildings", "existing", 0.1)

    def build(thing: NounPhrase, place: Phrase) -> Clause:
        subject = THERE[thing.agreement == "3pl"]
        what = Complement(Phrase(thing.english("object"), thing.german("acc")), thing.field, thing.negative)
        now = Circumstance("present")
        return Clause(subject, now, (what, Complement(place)), verb=EXISTENCE)

    places = Choice((4, locations("place", 0.1)), (1, positions("furniture", "dat", 0)), (1, insides(0)))
    served = quantities("drink,foodstuff,dish", "existing")
    hung = noun_phrases("hung", "existing", 0)
    return Choice(
        (2, Product(build, things, places)),
        (0.3, Product(build, served, Choice((2, positions("table,desk", "dat", 0)), (1, insides(0))))),
        (0.15, Product(build, hung, just(ON_THE_WALL))),
        (1, Product(build, buildings, locations("settlement", 0.1))),
    )
