"""Where something is or happens, where somebody goes, and where somebody comes from."""

from functools import cache, partial

from tools.quickstart_grammar.domain import Choice, Domain, OneOf, Product
from tools.quickstart_grammar.english import words
from tools.quickstart_grammar.german import Case
from tools.quickstart_grammar.lexicon import entries, pairs
from tools.quickstart_grammar.nouns import CITIES, COUNTRIES
from tools.quickstart_grammar.phrases import NounPhrase, Phrase, noun_phrases, prepositional

# Places and goals without an article in English.
PLACES = """
at home = zu Hause | here = hier | there = dort | at school = in der Schule | at work = bei der Arbeit
outside = draußen | inside = drinnen
"""
GOALS = "home = nach Hause | to school = zur Schule | to bed = ins Bett"
HERE = "here = hierher | outside = nach draußen"  # but not alone


@cache
def proper_places(table: str, english: str, preposition: str) -> Domain[Phrase]:
    """Cities or countries after a preposition: in Berlin, nach Italien."""
    return OneOf(Phrase(words(f"{english} {en[0]}"), f"{preposition} {de[0]}") for en, de in entries(table))


def _located(place: NounPhrase) -> Phrase:
    english, preposition, _ = place.noun.locus
    return prepositional(english, preposition, "dat", place)


def _approached(place: NounPhrase) -> Phrase:
    _, _, preposition = place.noun.locus
    return prepositional("to", preposition, "dat" if preposition == "zu" else "acc", place)


@cache
def locations(spec: str, described: float = 0.4) -> Domain[Phrase]:
    """Where something happens: in the park, in Berlin, at home."""
    cities = proper_places(CITIES, "in", "in")
    countries = proper_places(COUNTRIES, "in", "in")
    places = Product(_located, noun_phrases(spec, "place", described))
    fixed = OneOf(Phrase(words(english), german) for english, german in pairs(PLACES))
    return Choice((5, places), (1, cities), (0.7, countries), (0.6, fixed), (0.3, nearby(spec)))


@cache
def nearby(spec: str) -> Domain[Phrase]:
    """Near the station, near Berlin."""
    cities = proper_places(CITIES, "near", "in der Nähe von")
    near = partial(prepositional, "near", "in der Nähe", "gen")
    return Choice((3, Product(near, noun_phrases(spec, "place", 0))), (1, cities))


@cache
def junctions() -> Domain[Phrase]:
    """At the corner, on the bridge: where one turns."""
    return Product(_located, noun_phrases("junction", "position", 0))


@cache
def insides(described: float = 0.1) -> Domain[Phrase]:
    """In the fridge, in my bag."""
    return Product(partial(prepositional, "in", "in", "dat"), noun_phrases("container", "position", described))


@cache
def beside_buildings() -> Domain[Phrase]:
    """Near the station, next to the bank."""

    def build(side: tuple[str, str], building: NounPhrase) -> Phrase:
        return prepositional(*side, "dat", building)

    sides = [pair for pair in pairs(POSITIONS) if pair[0] not in ("on", "under")]
    buildings = noun_phrases("buildings", "position", 0)
    return Choice((1, nearby("buildings")), (1, Product(build, OneOf(sides), buildings)))


@cache
def destinations(spec: str, described: float = 0.4) -> Domain[Phrase]:
    """Where somebody goes: a class of places, ``abroad``, or both (``urban,abroad``)."""
    cities = proper_places(CITIES, "to", "nach")
    countries = proper_places(COUNTRIES, "to", "nach")
    abroad: Domain[Phrase] = Choice((1, cities), (1, countries))
    nearby = [name for name in spec.split(",") if name != "abroad"]
    options: list[tuple[float, Domain[Phrase]]] = [
        (2, Product(_approached, noun_phrases(name, "place", described))) for name in nearby
    ]
    if "place" in nearby:
        goals = pairs(GOALS) + pairs(HERE) * ("abroad" not in spec)
        fixed = OneOf(Phrase(words(english), german) for english, german in goals)
        options.append((0.3, fixed))
    return Choice(*options, (1, abroad)) if "abroad" in spec else Choice(*options)


@cache
def origins() -> Domain[Phrase]:
    """Where somebody comes from."""
    tables = CITIES, COUNTRIES
    return Choice(*[(1, proper_places(table, "from", "aus")) for table in tables])


POSITIONS = "on = auf | next to = neben | behind = hinter | in front of = vor | under = unter"


@cache
def positions(spec: str, case: Case, described: float = 0.4) -> Domain[Phrase]:
    """Next to or on a piece of furniture; the case tells place (dative) from goal (accusative)."""

    def build(pair: tuple[str, str], nominal: NounPhrase) -> Phrase:
        return prepositional(*pair, case, nominal)

    # Nobody sits under a piece of furniture.
    options = [pair for pair in pairs(POSITIONS) if (spec, pair[0]) != ("seat", "under")]
    return Product(build, OneOf(options), noun_phrases(spec, "position", described))
