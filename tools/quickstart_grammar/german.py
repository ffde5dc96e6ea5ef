"""German morphology: article words, adjective endings, nouns and verbs."""

from functools import cache
from typing import Literal

from tools.quickstart_grammar.english import Agreement, Tense
from tools.quickstart_grammar.lexicon import EXISTENCE, Adjective, Determiner, Noun, Number, Verb

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
    "in dem": "im", "an dem": "am", "zu dem": "zum", "zu der": "zur", "in das": "ins", "an das": "ans",
}  # fmt: skip

_PERSONS: tuple[Agreement, ...] = ("1sg", "2sg", "3sg", "1pl", "3pl")
_FINITE: dict[str, str] = {
    "haben": "habe hast hat haben haben",
    "sein": "bin bist ist sind sind",
    "future": "werde wirst wird werden werden",
    "can": "kann kannst kann können können",
    "must": "muss musst muss müssen müssen",
    "want": "will willst will wollen wollen",
    "should": "sollte solltest sollte sollten sollten",
    "may": "darf darfst darf dürfen dürfen",
    "have to": "muss musst muss müssen müssen",
    "would like": "möchte möchtest möchte möchten möchten",
    "wissen": "weiß weißt weiß wissen wissen",
    "mögen": "mag magst mag mögen mögen",
    "wollen": "will willst will wollen wollen",
}
# The verbs whose past is not the perfect.
_PRETERITES: dict[str, str] = {
    "sein": "war warst war waren waren",
    "haben": "hatte hattest hatte hatten hatten",
    "mögen": "mochte mochtest mochte mochten mochten",
    "wollen": "wollte wolltest wollte wollten wollten",
}
# Stems that cannot be followed by t or st alone: arbeitest, öffnet, regnet.
_LINKING = ("t", "d", "ffn", "chn", "gn")
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
    """Contract a preposition with the article after it: *in dem Park* becomes *im Park*."""
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
        return stem[:-2] + "le" if verb.german.endswith("eln") else stem + "e"
    linking = "e" if stem.endswith(_LINKING) else ""
    if agreement == "3sg":
        return verb.third or stem + linking + "t"
    changed = (verb.third if stem.endswith("t") else verb.third.removesuffix("t")) or stem + linking
    return changed + ("t" if changed.endswith(("s", "ß", "z")) else "st")


@cache
def imperative(verb: Verb) -> str:
    """The imperative singular without the prefix: warte, kauf, and with the vowel of isst: iss."""
    stem = _stem(verb.german)
    if verb.german == "sein":
        return "sei"
    if verb.third and "ä" not in verb.third:
        return verb.third.removesuffix("t")
    if verb.german.endswith("eln"):
        return stem[:-2] + "le"
    linking = verb.german.endswith("ern") or stem.endswith(_LINKING)
    return stem + ("e" if linking else "")


@cache
def participle(verb: Verb) -> str:
    """The past participle; inseparable verbs and those in -ieren go without ge-."""
    if verb.participle:
        return verb.participle
    stem = _stem(verb.german)
    bare = verb.german.startswith(_INSEPARABLE) or verb.german.endswith("ieren")
    linking = "e" if stem.endswith(_LINKING) else ""
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
    if tense in ("let us", "let's"):
        return "lass uns", verb.prefix + verb.german, ""
    if tense == "past" and verb.german in _PRETERITES:
        finite = _PRETERITES[verb.german].split()[person]
        return finite, "", finite
    if tense == "would like" and verb.german == "mögen":
        finite = _FINITE[tense].split()[person]
        return finite, "", finite
    if tense in ("present", "progressive", "imperative", "like to"):
        # There are is es gibt, too.
        person_ = "3sg" if verb is EXISTENCE else agreement
        finite = imperative(verb) if tense == "imperative" else present(verb, person_)
        return finite, verb.prefix, verb.prefix + finite
    done = tense in ("past", "perfect")
    finite = _FINITE[verb.auxiliary if done else tense].split()[person]
    close = participle(verb) if done else verb.prefix + verb.german
    return finite, close, f"{close} {finite}"
