"""Noun phrases and prepositional phrases, built in both languages at once.

A nominal (a noun phrase, a name, a pronoun) does not have a form until the clause asks it for one:
English asks for a subject or an object, German for a case.  Agreement and placement are what a
clause has to know about it.
"""

from dataclasses import dataclass
from functools import cache, partial
from typing import Literal, NamedTuple, Protocol

from tools.quickstart_grammar import german
from tools.quickstart_grammar.domain import Choice, Domain, OneOf, Product, just, maybe
from tools.quickstart_grammar.english import Agreement, Word, Words, noun_word, words
from tools.quickstart_grammar.german import Case
from tools.quickstart_grammar.lexicon import (
    Adjective,
    Determiner,
    Noun,
    adjectives_of,
    determiners,
    measures,
    nouns_of,
    superlatives_of,
)
from tools.quickstart_grammar.nouns import NAMES, SEXES

Field = Literal["pronouns", "definite", "indefinite", "complement"]


@dataclass(frozen=True, slots=True, eq=False)
class Phrase:
    """A finished phrase: English words and German text."""

    english: Words
    german: str


class Sentence(NamedTuple):
    """A sentence and its final punctuation mark, which a phrase alone may lack, as it may its first capital."""

    phrase: Phrase
    mark: str
    is_capitalized: bool = True


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
        """German puts definite objects before indefinite ones."""
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
class Couple:
    """Two noun phrases joined by and."""

    first: NounPhrase
    second: NounPhrase
    agreement: Agreement = "3pl"
    field: Field = "definite"
    negative: bool = False

    def english(self, role: Literal["subject", "object"]) -> Words:
        """The man and the woman."""
        return self.first.english(role) + words("and") + self.second.english(role)

    def german(self, case: Case) -> str:
        """Der Mann und die Frau, both in the same case."""
        return f"{self.first.german(case)} und {self.second.german(case)}"


@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """A measure of something: a cup of tea, eine Tasse Tee."""

    measure: NounPhrase
    content: Noun

    @property
    def agreement(self) -> Agreement:
        """The value of the measure."""
        return self.measure.agreement

    @property
    def field(self) -> Field:
        """The value of the measure."""
        return self.measure.field

    @property
    def negative(self) -> bool:
        """Whether the measure is negative."""
        return self.measure.negative

    def english(self, role: Literal["subject", "object"]) -> Words:
        """A cup of tea."""
        return self.measure.english(role) + words("of") + (noun_word(self.content, "sg"),)

    def german(self, case: Case) -> str:
        """Eine Tasse Tee: only the measure has a case."""
        return f"{self.measure.german(case)} {self.content.german}"


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
        said = zip(self.forms[role == "object"].split(), self.forms[0].split(), strict=True)
        return tuple(Word(form, lemma) for form, lemma in said)

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
YOU = PRONOUNS[1]
IT = Pronoun(("it", "it"), ("es", "es", "ihm"), "3sg")
THEM = PRONOUNS[-1]
THAT = (
    Pronoun(("that", "that"), ("das", "das", "dem"), "3sg"),
    Pronoun(("this", "this"), ("das", "das", "dem"), "3sg"),
    Pronoun(("these", "these"), ("das", "das", "dem"), "3pl"),
    Pronoun(("those", "those"), ("das", "das", "dem"), "3pl"),
)
"""Demonstrative pronouns as subjects; in German all of them are das."""
THERE = (Pronoun(("there", "there"), ("es", "es", "es"), "3sg"), Pronoun(("there", "there"), ("es", "es", "es"), "3pl"))
"""The subject of there is and there are."""
WHO = Pronoun(("who", "who"), ("wer", "wen", "wem"), "3sg")
SILENT = Pronoun(("", ""), ("", "", ""), "3sg")
"""The subject of an infinitive, or of a clause whose subject is filled in later."""
TOLD = Pronoun(("", ""), ("", "", ""), "2sg")
"""The subject of an imperative."""


def _indefinite(english: str, *cases: str) -> tuple[Pronoun, ...]:
    """Pronouns for nobody in particular, all with the same German cases; niemand and nichts negate their clause."""
    negative = cases[0] in ("niemand", "nichts")
    forms = [form.strip() for form in english.split(",")]
    return tuple(Pronoun((form, form), (*cases,), "3sg", "indefinite", negative) for form in forms)  # type: ignore[arg-type]


NOBODY, SOMEBODY = ("niemand", "niemanden", "niemandem"), ("jemand", "jemanden", "jemandem")
NOTHING, SOMETHING = ("nichts", "nichts", "nichts"), ("etwas", "etwas", "etwas")
INDEFINITES = {
    "some": (
        *_indefinite("nobody, no one", *NOBODY),
        *_indefinite("somebody, someone", *SOMEBODY),
        *_indefinite("everybody, everyone", "jeder", "jeden", "jedem"),
    ),
    "any": _indefinite("anybody, anyone", *SOMEBODY),
    "not any": _indefinite("anybody, anyone", *NOBODY),
}
"""People in statements, in questions and next to not."""
INDEFINITE_THINGS = {
    "some": tuple(
        pronoun
        for form, cases in (("nothing", NOTHING), ("something", SOMETHING), ("everything", ("alles", "alles", "allem")))
        for pronoun in _indefinite(form, *cases)
    ),
    "any": _indefinite("anything", *SOMETHING),
    "not any": _indefinite("anything", *NOTHING),
}


def relative(antecedent: NounPhrase) -> Pronoun:
    """The relative pronoun for a noun phrase: who; der, die, das."""
    plural = antecedent.determiner.number == "pl"
    form = "die" if plural else {"m": "der", "f": "die", "n": "das"}[antecedent.noun.gender]
    return Pronoun(("who", "who"), (form, form, form), antecedent.agreement)


@cache
def names() -> Domain[Pronoun]:
    """First names."""
    return OneOf(Pronoun((name, name), (name, name, name), "3sg", "definite") for name in NAMES.split())


# How often each determiner is drawn, for each use of a noun phrase.  What a use leaves out it
# excludes: kein only stands in negated clauses, and there it is the only indefinite.
_KNOWN = "the.sg:6, this.sg:.7, this.pl:.7, that.sg:.5, that.pl:.3, possessive.sg:4"
USES: dict[str, str] = {
    "subject": f"{_KNOWN}, the.pl:3, possessive.pl:1, a.sg:3, every.sg:.6, all.pl:.4, many.pl:.6, numeral.pl:.6,"
    " bare.pl:.8",
    # Simple sentences often have no article: horses are strong.
    "simple subject": f"{_KNOWN}, the.pl:4, possessive.pl:1, a.sg:2, every.sg:.6, all.pl:.6, many.pl:.6,"
    " numeral.pl:.8, bare.pl:4",
    "definite": f"{_KNOWN}, the.pl:2, possessive.pl:1",
    "theme": f"{_KNOWN}, the.pl:2, possessive.pl:1, a.sg:6, numeral.pl:2, some.pl:1",
    "object": f"{_KNOWN}, the.pl:2, possessive.pl:1, a.sg:6, numeral.pl:2, some.pl:1, many.pl:.6,"
    " bare.pl:1.5, one.sg:.4",
    "owned": "a.sg:6, the.sg:2, possessive.sg:1, the.pl:1, numeral.pl:4, one.sg:1, some.pl:.6,"
    " many.pl:1, bare.pl:1, no.sg:1.5, no.pl:1",
    "negated": f"{_KNOWN}, the.pl:2, not a.sg:4, any.pl:2, not bare.pl:1.5",
    "single": "the.sg:6, this.sg:.7, possessive.sg:4",
    "existing": "a.sg:6, numeral.pl:2, many.pl:1, no.sg:1, no.pl:1",
    "identity": "a.sg:4, the.sg:2, possessive.sg:5",
    "identities": "bare.pl:2, the.pl:2, possessive.pl:5",
    "not identity": "not a.sg:3, the.sg:2, possessive.sg:5",
    "not identities": "not bare.pl:3, the.pl:2, possessive.pl:5",
    "antecedent": "the.sg:6, the.pl:3, a.sg:3",
    "standard": "possessive.sg:2, possessive.pl:1, the.sg:1.5",
    "place": "the.sg:6, this.sg:.7, a.sg:1.5",
    "position": "the.sg:6, this.sg:.7, possessive.sg:2",
    "features": "bare.pl:5, a.sg:2, numeral.pl:1",
    "feared": "bare.pl:6, the.sg:3, the.pl:1, possessive.sg:1",
}
MASS_USES: dict[str, str] = {
    "features": "bare.sg:1",
    "subject": "the.sg:4, this.sg:1, possessive.sg:2, bare.sg:2",
    "simple subject": "the.sg:4, this.sg:1, possessive.sg:2, bare.sg:2",
    "owned": "bare.sg:4, the.sg:2, no.sg:2",
    "existing": "bare.sg:1, no.sg:.4",
    "identity": "bare.sg:2, possessive.sg:2",
    "object": "the.sg:4, this.sg:1, possessive.sg:2, bare.sg:4",
    "negated": "the.sg:3, this.sg:1, possessive.sg:1, any.sg:2, not bare.sg:4",
    "not identity": "not bare.sg:2, possessive.sg:2",
    "theme": "the.sg:4, this.sg:1, possessive.sg:2, bare.sg:4",
    "definite": "the.sg:4, this.sg:1, possessive.sg:2",
    "standard": "possessive.sg:1",
}
# Kinds that keep to one article in all uses, but for kein.
KIND_USES: dict[str, str] = {"sky": "the.sg:1", "tongue": "bare.sg:1", "sport": "bare.sg:1"}

# In classes of several kinds, these are drawn less or more often than in proportion to their size:
# people are in most sentences anyway, and few verbs are about trees or hands.
SHARES = {"person": 0.4, "foodstuff": 1.5, "plant": 3, "body": 2.5, "hair": 8, "mealtime": 2}


def _options(noun: Noun, use: str) -> list[tuple[str, float]]:
    """The determiners that a noun may have in a use, each with its weight."""
    text = MASS_USES.get(use, "") if noun.number == "sg" else USES[use]
    if noun.kind in KIND_USES:
        kin = use == "negated" and KIND_USES[noun.kind].startswith("bare")
        text = "not bare.sg:1" if kin else KIND_USES[noun.kind]
    options = [option.strip().partition(":") for option in text.split(",") if option]
    return [(name, float(weight)) for name, _, weight in options if noun.number != "pl" or name.endswith(".pl")]


@cache
def noun_phrases(spec: str, use: str, described: float = 0.4) -> Domain[NounPhrase]:
    """The noun phrases over a class of nouns; `described` is the share that has an adjective."""
    nouns = nouns_of(spec)
    alternatives: list[tuple[float, Domain[NounPhrase]]] = []
    for kind, number in dict.fromkeys((noun.kind, noun.number) for noun in nouns):
        members = OneOf(noun for noun in nouns if (noun.kind, noun.number) == (kind, number))
        rules = [
            (weight, Product(NounPhrase, OneOf(determiners(name)), maybe(_attributes(kind, name), described), members))
            for name, weight in _options(members.items[0], use)
        ]
        alternatives.append((members.size * SHARES.get(kind, 1), Choice(*rules)))
    return Choice(*alternatives)


def _attributes(kind: str, determiner: str) -> Domain[Adjective]:
    """The adjectives before a kind of noun; *best* only stands after *the*, *my* and the like."""
    known = determiner.startswith(("the.", "possessive."))
    return Choice((1, OneOf(adjectives_of(kind))), (0.1 * known, OneOf(superlatives_of(kind))))


@cache
def quantities(spec: str, use: str) -> Domain[Quantity]:
    """A cup of tea, two bottles of water: measures of what a class of food and drink has."""
    articles = {"negated": "not a.sg:1", "existing": "a.sg:6, numeral.pl:2"}
    options = articles.get(use, "a.sg:8, numeral.pl:2, the.sg:1, possessive.sg:.5").split(", ")
    rules: list[tuple[float, Domain[Quantity]]] = []
    for measure, contents in measures():
        held = [noun for noun in nouns_of(contents) if noun in nouns_of(spec)]
        for name, _, weight in (option.partition(":") for option in options):
            if measure.plural or not name.endswith(".pl"):
                measured = Product(NounPhrase, OneOf(determiners(name)), just(None), just(measure))
                rules.append((float(weight) * len(held), Product(Quantity, measured, OneOf(held))))
    return Choice(*rules)


@cache
def couples() -> Domain[Couple]:
    """A man and a woman, from two lists, so that they differ."""
    men, women = (noun_phrases(SEXES[sex].replace(" ", ","), "single", 0) for sex in "mf")
    return Choice((1, Product(Couple, men, women)), (1, Product(Couple, women, men)))


@cache
def pairs_of(spec: str, determiner: str) -> Domain[Couple]:
    """Two nouns of a class, bread and milk, one from each half of the list."""
    (article,), nouns = determiners(determiner), nouns_of(spec)
    halves = [Product(NounPhrase, just(article), just(None), OneOf(half)) for half in (nouns[::2], nouns[1::2])]
    build = partial(Couple, field="indefinite")
    return Choice((1, Product(build, *halves)), (1, Product(build, *reversed(halves))))


def prepositional(english: str, preposition: str, case: Case, nominal: Nominal) -> Phrase:
    """A preposition with its object, contracted with the article where German does so."""
    text = german.contract(f"{preposition} {nominal.german(case)}")
    return Phrase(words(english) + nominal.english("object"), text)
