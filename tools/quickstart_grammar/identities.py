"""What somebody or something is: he is a teacher, she is my friend, this is a book."""

from functools import cache
from typing import Any

from tools.quickstart_grammar.domain import Choice, Domain, OneOf, Product, just
from tools.quickstart_grammar.lexicon import (
    Noun,
    Number,
    adjectives_of,
    all_nouns,
    determiners,
    feminine,
    superlatives_of,
)
from tools.quickstart_grammar.nouns import FEMALE_NAMES, HUMANS, PROFESSIONS, ROLES, SEXES
from tools.quickstart_grammar.phrases import IT, PRONOUNS, THAT, YOU, NounPhrase, Phrase, names, noun_phrases
from tools.quickstart_grammar.topology import Complement

# Classes of what this and that can point at.
POINTED_AT = (
    "person,animal,foodstuff,dish,drink,thing,plant,opening,surface,color,furniture,clothing,vehicle,text,idea,place"
)


def _is(nominal: NounPhrase) -> tuple[Complement]:
    english = nominal.english("object")
    return (Complement(Phrase(english, nominal.german("nom")), negative=nominal.negative),)


def identities(negated: bool, asked: bool) -> list[tuple[float, Domain[Any], Domain[Any]]]:
    """He is a teacher, she is my friend, this is a book."""
    use = "not identity" if negated else "identity"
    uses = "not identities" if negated else "identities"
    several: Domain[Any] = OneOf((PRONOUNS[4], PRONOUNS[5]))
    return [
        (4, _of_sex("m", asked), _roles("m", "sg", negated)),
        (4, _of_sex("f", asked), _roles("f", "sg", negated)),
        (1.2, several, _roles("m", "pl", negated)),
        (1.6, OneOf(THAT[:2]), Product(_is, noun_phrases(POINTED_AT, use, 0.15))),
        (0.1, OneOf(PRONOUNS[:2]), _kinswomen()),
        (0.3, just(IT), Product(_is, noun_phrases(POINTED_AT.removeprefix("person,"), use, 0.3))),
        (0.7, OneOf(THAT[2:]), Product(_is, noun_phrases(POINTED_AT, uses, 0.15))),
    ]


def becoming() -> list[tuple[float, Domain[Any], Domain[Any]]]:
    """Who can want to be what."""
    return [(1, _of_sex(sex, asked=False), _roles(sex, "sg", negated=False)) for sex in ("m", "f")]


def _of_sex(sex: str, asked: bool) -> Domain[Any]:
    """The men or the women; I and you count as men, since English does not distinguish."""
    female = FEMALE_NAMES.split()
    called = [name for name in names() if (name.forms[0] in female) == (sex == "f")]
    pronouns = (PRONOUNS[3],) if sex == "f" else (PRONOUNS[0], PRONOUNS[2])
    phrases = noun_phrases(SEXES[sex].replace(" ", ","), "single", 0)
    people: list[tuple[float, Domain[Any]]] = [(4, phrases), (1, OneOf(called))]
    if sex == "f":
        return Choice(*people, (4, OneOf(pronouns)))
    return Choice(*people, (2.7, OneOf(pronouns)), (4.3 if asked else 1.3, just(YOU)))


def _kinswomen() -> Domain[tuple[Complement]]:
    # My friend and others could be men as well as women.
    women = [all_nouns()[name] for name in ROLES.split() if name in SEXES["f"].split()]
    parts = OneOf(determiners("possessive.sg")), just(None), OneOf(women)
    return Product(_is, Product(NounPhrase, *parts))


@cache
def _roles(sex: str, number: Number, negated: bool) -> Domain[tuple[Complement]]:
    """Professions without an article in German, other roles with one."""

    def members(names_: str) -> Domain[Noun]:
        nouns = [all_nouns()[name] for name in names_.split()]
        if sex == "f":
            nouns = [feminine(noun) for noun in nouns]
        other = SEXES["m" if sex == "f" else "f"].split()
        return OneOf(noun for noun in nouns if noun.gender in (sex, "n") and noun.english not in other)

    def phrases(determiner: str, names_: str, described: str = "") -> Domain[Any]:
        adjectives = {
            "": just(None),
            "adjective": OneOf(adjectives_of("person")),
            "best": OneOf(superlatives_of("person")),
        }
        parts = OneOf(determiners(determiner)), adjectives[described], members(names_)
        return Product(_is, Product(NounPhrase, *parts))

    if number == "pl":
        bare = "not bare.pl" if negated else "bare.pl"
        return Choice(
            (2, phrases(bare, PROFESSIONS)),
            (0.5, phrases(bare, PROFESSIONS, "adjective")),
            (1.5, phrases("possessive.pl", ROLES)),
            (0.3, phrases("possessive.pl", ROLES, "best")),
        )
    article = "not a.sg" if negated else "a.sg"
    kin = [name for name in ROLES.split() if name not in PROFESSIONS.split()]
    others = f"{HUMANS} {' '.join(kin)}"
    return Choice(
        (5, phrases("not a.sg" if negated else "profession.sg", PROFESSIONS)),
        (1, phrases(article, PROFESSIONS, "adjective")),
        (0.5, phrases(article, others)),
        (0.5, phrases(article, HUMANS, "adjective")),
        (2, phrases("possessive.sg", ROLES)),
        (0.7, phrases("possessive.sg", ROLES, "best")),
        (0.5, phrases("the.sg", PROFESSIONS)),
    )
