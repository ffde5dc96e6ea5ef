"""German morphology: article words, adjective endings, nouns and verbs."""

from functools import cache
from typing import Literal

from nmt_cli.data.quickstart.english import Agreement, Tense
from nmt_cli.data.quickstart.lexicon import COPULA, Adjective, Determiner, Noun, Number, Verb

Case = Literal["nom", "acc", "dat", "gen"]

# Endings in the order masculine, feminine, neuter, plural; a hyphen is no ending.
_ARTICLES: dict[str, dict[Case, str]] = {
    "der": {"nom": "er ie as ie", "acc": "en ie as ie", "dat": "em er em en", "gen": "es er es er"},
    "dieser": {"nom": "er e es e", "acc": "en e es e", "dat": "em er em en", "gen": "es er es er"},
    "ein": {"nom": "- e - e", "acc": "en e - e", "dat": "em er em en", "gen": "es er es er"},
    "bare": {"nom": "- - - -", "acc": "- - - -", "dat": "- - - -", "gen": "- - - -"},
}
_ADJECTIVES: dict[str, dict[Case, str]] = {
    "weak": {"nom": "e e e en", "acc": "en e e en", "dat": "en en en en", "gen": "en en en en"},
    "mixed": {"nom": "er e es en", "acc": "en e es en", "dat": "en en en en", "gen": "en en en en"},
    "strong": {"nom": "er e es e", "acc": "en e es e", "dat": "em er em en", "gen": "en er en er"},
}
_COLUMNS = {"m": 0, "f": 1, "n": 2, "pl": 3}

CONTRACTIONS = {
    "in dem": "im", "an dem": "am", "zu dem": "zum", "zu der": "zur", "in das": "ins",
}  # fmt: skip

_PERSONS: tuple[Agreement, ...] = ("1sg", "2sg", "3sg", "1pl", "3pl")
_FINITE: dict[str, str] = {
    "haben": "habe hast hat haben haben",
    "sein": "bin bist ist sind sind",
    "war": "war warst war waren waren",
    "future": "werde wirst wird werden werden",
    "can": "kann kannst kann können können",
    "must": "muss musst muss müssen müssen",
    "want": "will willst will wollen wollen",
    "should": "sollte solltest sollte sollten sollten",
    "may": "darf darfst darf dürfen dürfen",
    "wissen": "weiß weißt weiß wissen wissen",
}
_INSEPARABLE = ("be", "ge", "er", "ver", "zer", "ent", "emp")


def _ending(paradigm: dict[Case, str], case: Case, noun: Noun, number: Number) -> str:
    column = _COLUMNS["pl" if number == "pl" else noun.gender]
    return paradigm[case].split()[column].strip("-")


@cache
def article(determiner: Determiner, noun: Noun, case: Case) -> str:
    """The article word in front of a noun (der, diesem, eine, unser, ...)."""
    paradigm = _ARTICLES[determiner.paradigm]
    return determiner.german + _ending(paradigm, case, noun, determiner.number)


def declension(determiner: Determiner) -> Literal["weak", "mixed", "strong"]:
    """The adjective declension that a determiner calls for."""
    if determiner.paradigm == "ein":
        return "mixed"
    return "weak" if determiner.definite else "strong"


@cache
def attribute(adjective: Adjective, determiner: Determiner, noun: Noun, case: Case) -> str:
    """An adjective in front of a noun (alte, altes, alten, ...)."""
    stem = adjective.german.removesuffix("e")
    # dunkel and teuer lose their e before an ending: dunkle, teure.
    stem = {"dunkel": "dunkl", "teuer": "teur"}.get(stem, stem)
    paradigm = _ADJECTIVES[declension(determiner)]
    return stem + _ending(paradigm, case, noun, determiner.number)


@cache
def noun_form(noun: Noun, number: Number, case: Case) -> str:
    """A noun with its case ending, which only the plural and some singulars show."""
    if number == "pl":
        plain = case != "dat" or noun.plural.endswith(("n", "s"))
        return noun.plural if plain else noun.plural + "n"
    if noun.weak and case != "nom":
        return noun.plural
    if case == "gen" and noun.gender != "f":
        return noun.german + ("es" if noun.german.endswith(("s", "st", "z")) else "s")
    return noun.german


def contract(text: str) -> str:
    """Melt a preposition with the article after it: *in dem Park* becomes *im Park*."""
    preposition, _, rest = text.partition(" ")
    first, space, rest = rest.partition(" ")
    short = CONTRACTIONS.get(f"{preposition} {first}")
    return f"{short}{space}{rest}" if short else text


def _stem(infinitive: str) -> str:
    return infinitive[:-2] if infinitive.endswith("en") else infinitive[:-1]


@cache
def present(verb: Verb, agreement: Agreement) -> str:
    """The finite present tense, without the prefix."""
    person = _PERSONS.index(agreement)
    if verb.german in _FINITE:
        return _FINITE[verb.german].split()[person]
    stem = _stem(verb.german)
    if agreement in ("1pl", "3pl"):
        return verb.german
    if agreement == "1sg":
        return stem[:-2] + "le" if stem.endswith("el") else stem + "e"
    linking = "e" if stem.endswith(("t", "d")) else ""
    if agreement == "3sg":
        return verb.third or stem + linking + "t"
    changed = verb.third.removesuffix("t") if verb.third else stem + linking
    return changed + ("t" if changed.endswith(("s", "ß", "z")) else "st")


@cache
def participle(verb: Verb) -> str:
    """The past participle; inseparable verbs and those in -ieren go without ge-."""
    if verb.participle:
        return verb.participle
    stem = _stem(verb.german)
    bare = verb.german.startswith(_INSEPARABLE) or verb.german.endswith("ieren")
    linking = "e" if stem.endswith(("t", "d")) else ""
    return verb.prefix + ("" if bare else "ge") + stem + linking + "t"


@cache
def verb_complex(verb: Verb, tense: Tense, agreement: Agreement) -> tuple[str, str, str]:
    """The finite verb, what closes a main clause, and what closes a subordinate clause.

    This is the bracket that German clauses stretch around their middle field:
    ruft ... an, hat ... angerufen, kann ... anrufen; ... anruft, angerufen hat, anrufen kann.
    """
    person = _PERSONS.index(agreement)
    if tense == "infinitive":
        joined = f"{verb.prefix}zu{verb.german}" if verb.prefix else f"zu {verb.german}"
        return "", joined, joined
    if verb is COPULA and tense == "past":
        finite = _FINITE["war"].split()[person]
        return finite, "", finite
    if tense == "present":
        finite = present(verb, agreement)
        return finite, verb.prefix, verb.prefix + finite
    finite = _FINITE[verb.auxiliary if tense == "past" else tense].split()[person]
    close = participle(verb) if tense == "past" else verb.prefix + verb.german
    return finite, close, f"{close} {finite}"
