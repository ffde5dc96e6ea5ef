"""Noun phrases and prepositional phrases, built in both languages at once.

A nominal (a noun phrase, a name, a pronoun) does not have a form until the clause asks it for one:
English asks for a subject or an object, German for a case.  Agreement and placement are what a
clause has to know about it.
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal, Protocol

from nmt_cli.data.quickstart import german
from nmt_cli.data.quickstart.domain import Choice, Domain, OneOf, Product, maybe
from nmt_cli.data.quickstart.english import Agreement, Word, Words, noun_word, words
from nmt_cli.data.quickstart.german import Case
from nmt_cli.data.quickstart.lexicon import (
    Adjective,
    Determiner,
    Noun,
    adjectives_of,
    determiners,
    entries,
    nouns_of,
    pairs,
)
from nmt_cli.data.quickstart.nouns import CITIES, COUNTRIES, NAMES

Field = Literal["pronouns", "definite", "indefinite", "complement"]


@dataclass(frozen=True, slots=True, eq=False)
class Phrase:
    """A finished phrase: English words and German text."""

    english: Words
    german: str


class Nominal(Protocol):
    """What can be the subject or an object."""

    @property
    def agreement(self) -> Agreement:
        """Person and number, with which the verb agrees."""

    @property
    def field(self) -> Field:
        """Where in the German clause it stands as an object."""

    @property
    def negative(self) -> bool:
        """Whether it negates its clause (kein)."""

    def english(self, role: Literal["subject", "object"]) -> Words:
        """The English words."""

    def german(self, case: Case) -> str:
        """The German text."""


@dataclass(frozen=True, slots=True, eq=False)
class NounPhrase:
    """A determiner, perhaps an adjective, and a noun; the determiner decides the number."""

    determiner: Determiner
    adjective: Adjective | None
    noun: Noun

    @property
    def agreement(self) -> Agreement:
        """Third person, in the number of the noun."""
        return "3sg" if self.determiner.number == "sg" else "3pl"

    @property
    def field(self) -> Field:
        """German moves what is known ahead of what is new."""
        return "definite" if self.determiner.definite else "indefinite"

    @property
    def negative(self) -> bool:
        """Whether the determiner is kein."""
        return self.determiner.negative

    def english(self, role: Literal["subject", "object"]) -> Words:
        """The English words, the same for subject and object."""
        determiner, adjective = self.determiner, self.adjective
        first = (Word(determiner.english, determiner.lemma),) if determiner.english else ()
        second = (Word(adjective.english, adjective.english),) if adjective else ()
        return (*first, *second, noun_word(self.noun, determiner.number))

    def german(self, case: Case) -> str:
        """The German text, with agreement in gender, number and case."""
        determiner, noun = self.determiner, self.noun
        parts = [german.noun_form(noun, determiner.number, case)]
        if self.adjective:
            parts.insert(0, german.attribute(self.adjective, determiner, noun, case))
        if article := german.article(determiner, noun, case):
            parts.insert(0, article)
        return " ".join(parts)


@dataclass(frozen=True, slots=True, eq=False)
class Pronoun:
    """A pronoun or a name, with its forms spelled out."""

    forms: tuple[str, str]
    cases: tuple[str, str, str]
    agreement: Agreement
    field: Field = "pronouns"
    negative: bool = False

    def english(self, role: Literal["subject", "object"]) -> Words:
        """The form for the role: he, him."""
        form = self.forms[role == "object"]
        return (Word(form, self.forms[0]),) if form else ()

    def german(self, case: Case) -> str:
        """The form for the case: er, ihn, ihm."""
        return self.cases[("nom", "acc", "dat").index(case)]


PRONOUNS = (
    Pronoun(("I", "me"), ("ich", "mich", "mir"), "1sg"),
    Pronoun(("you", "you"), ("du", "dich", "dir"), "2sg"),
    Pronoun(("he", "him"), ("er", "ihn", "ihm"), "3sg"),
    Pronoun(("she", "her"), ("sie", "sie", "ihr"), "3sg"),
    Pronoun(("we", "us"), ("wir", "uns", "uns"), "1pl"),
    Pronoun(("they", "them"), ("sie", "sie", "ihnen"), "3pl"),
)
WHO = Pronoun(("who", "who"), ("wer", "wen", "wem"), "3sg")
SILENT = Pronoun(("", ""), ("", "", ""), "3sg")
"""The subject of a clause that waits for one, or of an infinitive, which never gets one."""


def relative(antecedent: NounPhrase) -> Pronoun:
    """The relative pronoun for a noun phrase: who; der, die, das."""
    plural = antecedent.determiner.number == "pl"
    form = "die" if plural else {"m": "der", "f": "die", "n": "das"}[antecedent.noun.gender]
    return Pronoun(("who", "who"), (form, form, form), antecedent.agreement)


@cache
def names() -> Domain[Pronoun]:
    """First names."""
    return OneOf(
        Pronoun((name, name), (name, name, name), "3sg", "definite") for name in NAMES.split()
    )


# How often each determiner is drawn, for each use of a noun phrase.  What a use leaves out it
# excludes: kein only stands in negated clauses, and there it is the only indefinite.
_KNOWN = "the.sg:6, this.sg:.7, this.pl:.7, possessive.sg:4"
USES: dict[str, str] = {
    "subject": f"{_KNOWN}, the.pl:3, possessive.pl:1, a.sg:3, every.sg:.6, many.pl:.6",
    "definite": f"{_KNOWN}, the.pl:2, possessive.pl:1",
    "theme": f"{_KNOWN}, the.pl:2, possessive.pl:1, a.sg:6, numeral.pl:2, some.pl:1",
    "object": f"{_KNOWN}, the.pl:2, possessive.pl:1, a.sg:6, numeral.pl:2, some.pl:1, many.pl:.6,"
    " bare.pl:1.5",
    "negated": f"{_KNOWN}, the.pl:2, not a.sg:4, any.pl:3",
    "antecedent": "the.sg:6, the.pl:3, a.sg:3",
    "standard": "possessive.sg:2, possessive.pl:1",
    "place": "the.sg:6, this.sg:.7, a.sg:1.5",
    "position": "the.sg:6, this.sg:.7, possessive.sg:2",
}
MASS_USES: dict[str, str] = {
    "object": "the.sg:4, this.sg:1, possessive.sg:2, bare.sg:4",
    "negated": "the.sg:3, this.sg:1, possessive.sg:1, any.sg:4",
    "definite": "the.sg:4, this.sg:1, possessive.sg:2",
    "standard": "possessive.sg:1",
}


@cache
def noun_phrases(spec: str, use: str, described: float = 0.4) -> Domain[NounPhrase]:
    """The noun phrases over a class of nouns; `described` is the share that has an adjective."""
    nouns = nouns_of(spec)
    alternatives: list[tuple[float, Domain[NounPhrase]]] = []
    for kind in dict.fromkeys(noun.kind for noun in nouns):
        members = OneOf(noun for noun in nouns if noun.kind == kind)
        adjectives = maybe(OneOf(adjectives_of(kind)), described)
        uses = USES if members.items[0].plural else MASS_USES
        options = [option.strip().partition(":") for option in uses[use].split(",")]
        rules = [
            (float(weight), Product(NounPhrase, OneOf(determiners(name)), adjectives, members))
            for name, _, weight in options
        ]
        alternatives.append((members.size, Choice(*rules)))
    return Choice(*alternatives)


def prepositional(english: str, preposition: str, case: Case, nominal: Nominal) -> Phrase:
    """A preposition with its object, melted with the article where German does so."""
    text = german.contract(f"{preposition} {nominal.german(case)}")
    return Phrase(words(english) + nominal.english("object"), text)


@cache
def proper_places(table: str, english: str, preposition: str) -> Domain[Phrase]:
    """Cities or countries after a preposition: in Berlin, nach Italien."""
    return OneOf(
        Phrase(words(f"{english} {en[0]}"), f"{preposition} {de[0]}") for en, de in entries(table)
    )


def _located(place: NounPhrase) -> Phrase:
    english, preposition, _ = place.noun.locus
    return prepositional(english, preposition, "dat", place)


def _approached(place: NounPhrase) -> Phrase:
    _, _, preposition = place.noun.locus
    return prepositional("to", preposition, "dat" if preposition == "zu" else "acc", place)


@cache
def locations(spec: str) -> Domain[Phrase]:
    """Where something happens: in the park, in Berlin."""
    cities = proper_places(CITIES, "in", "in")
    countries = proper_places(COUNTRIES, "in", "in")
    places = Product(_located, noun_phrases(spec, "place"))
    return Choice((5, places), (1, cities), (0.7, countries))


@cache
def destinations(spec: str) -> Domain[Phrase]:
    """Where somebody goes: a class of places, ``abroad``, or both (``town,abroad``)."""
    cities = proper_places(CITIES, "to", "nach")
    countries = proper_places(COUNTRIES, "to", "nach")
    abroad: Domain[Phrase] = Choice((1, cities), (1, countries))
    nearby = [name for name in spec.split(",") if name != "abroad"]
    options = [(2, Product(_approached, noun_phrases(name, "place"))) for name in nearby]
    return Choice(*options, (1, abroad)) if "abroad" in spec else Choice(*options)


POSITIONS = "on = auf | next to = neben | behind = hinter | in front of = vor | under = unter"


@cache
def positions(spec: str, case: Case) -> Domain[Phrase]:
    """Next to or on a piece of furniture; the case tells place (dative) from goal (accusative)."""

    def build(pair: tuple[str, str], nominal: NounPhrase) -> Phrase:
        return prepositional(*pair, case, nominal)

    # Who sits, sits under nothing.
    options = [pair for pair in pairs(POSITIONS) if (spec, pair[0]) != ("seat", "under")]
    return Product(build, OneOf(options), noun_phrases(spec, "position"))
