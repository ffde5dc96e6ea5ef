"""The lexicon: every word of the corpus with what its two languages need to inflect it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from tools.quickstart_grammar import nouns, verbs

Gender = Literal["m", "f", "n"]
Number = Literal["sg", "pl"]
Paradigm = Literal["der", "dieser", "ein", "bare"]

ARTICLE_GENDER: dict[str, Gender] = {"der": "m", "die": "f", "das": "n"}


@dataclass(frozen=True, slots=True, eq=False)
class Noun:
    """A noun; without a plural it is a mass noun, and a place has three prepositions, its locus."""

    english: str
    german: str
    gender: Gender
    plural: str
    weak: bool
    kind: str
    locus: tuple[str, ...]

    @property
    def number(self) -> Number | None:
        """The one number that the noun has: mass nouns the singular, parents the plural."""
        if not self.plural:
            return "sg"
        return "pl" if self.gender == "f" and self.plural == self.german else None


@dataclass(frozen=True, slots=True, eq=False)
class Adjective:
    """An adjective and, where it has one here, its comparative in both languages."""

    english: str
    german: str
    comparative: tuple[str, str] | None


@dataclass(frozen=True, slots=True, eq=False)
class Determiner:
    """An article word: its English form, German stem and the paradigm that inflects the stem."""

    english: str
    german: str
    paradigm: Paradigm
    number: Number
    lemma: str
    definite: bool = False
    negative: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Verb:
    """A verb: principal parts in both languages, and the classes of its subject and complements."""

    english: str
    past: str
    prefix: str
    german: str
    third: str
    participle: str
    auxiliary: Literal["haben", "sein"]
    subject: str
    complements: tuple[str, ...]
    adjuncts: tuple[str, ...]


ADJECTIVES = """
old, older = alt, älter         | young, younger = jung, jünger   | new, newer = neu, neuer
big, bigger = groß, größer      | small, smaller = klein, kleiner | tall, taller = groß, größer
rich, richer = reich, reicher   | poor, poorer = arm, ärmer       | smart, smarter = klug, klüger
fast, faster = schnell, schneller         | slow, slower = langsam, langsamer
strong, stronger = stark, stärker         | heavy, heavier = schwer, schwerer
expensive, more expensive = teuer, teurer | cheap, cheaper = billig, billiger
beautiful, more beautiful = schön, schöner
friendly = freundlich | tired = müde           | happy = glücklich     | sad = traurig
famous = berühmt      | strict = streng        | polite = höflich      | lazy = faul
curious = neugierig   | honest = ehrlich       | careful = vorsichtig  | sick = krank
hungry = hungrig      | nervous = nervös       | brave = mutig         | wild = wild
dangerous = gefährlich | fresh = frisch        | cold = kalt           | warm = warm
sweet = süß           | good = gut             | delicious = lecker    | red = rot
green = grün          | yellow = gelb          | black = schwarz       | white = weiß
blue = blau           | brown = braun          | dirty = schmutzig     | clean = sauber
broken = kaputt       | modern = modern        | strange = seltsam     | long = lang
short = kurz          | funny = lustig         | boring = langweilig   | quiet = ruhig
interesting = interessant | difficult = schwierig | simple = einfach   | important = wichtig
dark = dunkel | little = klein | hot = heiß | bad = schlecht | angry = wütend
thirsty = durstig     | loud = laut          | ugly = hässlich       | empty = leer
full = voll           | nice = nett          | healthy = gesund      | easy = einfach
open = offen          | closed = geschlossen | right = richtig       | wrong = falsch
gray = grau           | intelligent = intelligent | grey = grau     | busy = beschäftigt
wet = nass            | dry = trocken        | soft = weich          | hard = hart
thin = dünn           | fat = dick           | weak = schwach        | shy = schüchtern
proud = stolz         | stupid = dumm        | pretty = hübsch
useful = nützlich     | wonderful = wunderbar | terrible = schrecklich | great = großartig
popular = beliebt    | large = groß          | noisy = laut            | married = verheiratet
nice_ = schön
"""

# Which adjectives suit which kind of noun.
ADJECTIVES_OF: dict[str, str] = {
    "person": "old young tall small rich poor strong smart friendly tired happy sad hungry famous"
    " strict polite lazy brave curious honest careful sick nervous angry thirsty nice healthy"
    " beautiful good bad intelligent little busy thin fat weak shy proud stupid pretty wonderful terrible popular"
    " married",
    "animal": "old young big small strong smart slow tired hungry lazy curious wild dangerous sick"
    " black white brown gray beautiful thirsty little grey fat weak shy wet pretty",
    "foodstuff": "big small cheap expensive fresh cold warm good delicious hot bad wonderful terrible soft hard",
    "dish": "cheap expensive fresh good delicious cold hot warm wonderful terrible dry",
    "drink": "cheap expensive cold warm good sweet hot wonderful terrible",
    "thing": "old new big small heavy cheap expensive beautiful red blue green yellow black white"
    " dirty clean broken modern strange ugly empty full good little large useful wonderful wet dry hard soft nice_",
    "plant": "old big small beautiful green yellow red white nice_",
    "body": "big small beautiful dirty clean cold warm blue brown green large wet pretty",
    "hair": "long short black brown gray grey beautiful wet dry dirty clean",
    "mealtime": "good delicious cold warm wonderful terrible",
    "sky": "beautiful good bad warm cold hot wonderful terrible nice_",
    "matter": "good bad important",
    "color": "beautiful dark ugly strange nice_",
    "tongue": "good bad",
    "sport": "",
    "opening": "old new big small green blue white dirty broken open closed",
    "surface": "old new big small green blue white dirty clean wet dry",
    "furniture": "old new big small heavy cheap expensive beautiful red brown black modern strange large soft hard",
    "clothing": "old new beautiful cheap expensive warm red blue green yellow black white brown"
    " dirty clean ugly gray grey wet dry soft pretty wonderful terrible nice_",
    "vehicle": "old new big small fast slow cheap expensive red blue green yellow black white"
    " modern dirty loud gray good empty full grey noisy large wonderful nice_",
    "text": "old new long short funny sad boring interesting beautiful important strange good bad"
    " useful wonderful terrible great popular",
    "idea": "new big small difficult simple important interesting strange easy right wrong good"
    " bad great useful wonderful terrible stupid",
    "event": "big small long short interesting important boring difficult easy loud good bad great"
    " wonderful terrible useful nice_",
    "place": "old new big small famous beautiful modern quiet dark dirty clean ugly empty cold"
    " open closed large wonderful noisy popular great nice_",
}

# Superlatives stand after an article or a possessive only: my best friend.
SUPERLATIVES = "best = best | oldest = ältest | youngest = jüngst | biggest = größt | fastest = schnellst"
SUPERLATIVES_OF = {
    "person": "best oldest youngest", "animal": "oldest biggest", "vehicle": "best fastest",
    "place": "best oldest biggest", "text": "best", "thing": "best biggest",
}  # fmt: skip

ARTICLES: dict[str, Determiner] = {
    "the.sg": Determiner("the", "d", "der", "sg", "the", definite=True),
    "the.pl": Determiner("the", "d", "der", "pl", "the", definite=True),
    "this.sg": Determiner("this", "dies", "dieser", "sg", "this", definite=True),
    "this.pl": Determiner("these", "dies", "dieser", "pl", "this", definite=True),
    "that.sg": Determiner("that", "dies", "dieser", "sg", "that", definite=True),
    "that.pl": Determiner("those", "dies", "dieser", "pl", "that", definite=True),
    "all.pl": Determiner("all", "all", "dieser", "pl", "all", definite=True),
    "every.sg": Determiner("every", "jed", "dieser", "sg", "every", definite=True),
    "a.sg": Determiner("a", "ein", "ein", "sg", "a"),
    "some.pl": Determiner("some", "einig", "dieser", "pl", "some"),
    "many.pl": Determiner("many", "viel", "dieser", "pl", "many"),
    "one.sg": Determiner("one", "ein", "ein", "sg", "one"),
    "bare.sg": Determiner("", "", "bare", "sg", ""),
    "bare.pl": Determiner("", "", "bare", "pl", ""),
    # Without an article: er ist Arzt.
    "profession.sg": Determiner("a", "", "bare", "sg", "a"),
    "no.sg": Determiner("no", "kein", "ein", "sg", "no", negative=True),
    "no.pl": Determiner("no", "kein", "ein", "pl", "no", negative=True),
    # Next to "not", English "a", "any" and no article at all are German kein.
    "not bare.sg": Determiner("", "kein", "ein", "sg", "", negative=True),
    "not bare.pl": Determiner("", "kein", "ein", "pl", "", negative=True),
    "not a.sg": Determiner("a", "kein", "ein", "sg", "a", negative=True),
    "any.sg": Determiner("any", "kein", "ein", "sg", "any", negative=True),
    "any.pl": Determiner("any", "kein", "ein", "pl", "any", negative=True),
}

POSSESSIVES = "my = mein | your = dein | his = sein | her = ihr | our = unser | their = ihr"

NUMERALS = """
two = zwei | three = drei | four = vier | five = fünf | six = sechs | seven = sieben | eight = acht
nine = neun | ten = zehn | eleven = elf | twelve = zwölf
"""

FREQUENCIES = """
always = immer | often = oft | sometimes = manchmal | rarely = selten | never = nie
"""

# Adjectives without an intensifier: nothing is very red or too broken.
UNGRADED = """
red blue green yellow black white brown
gray grey wonderful terrible great broken fresh delicious open closed right wrong married
"""

# Adjectives that are not used in front of a noun.
PREDICATIVES = "alone = allein | ready = fertig | ill = krank"
TIMELY = "late = spät | early = früh"
LATE = "late = zu spät"  # people and trains

INTENSIFIERS = "very = sehr | too = zu | really = wirklich"


def entries(table: str) -> Iterator[tuple[list[str], list[str]]]:
    """Read the entries ``a, b = x, y`` of a table, separated by bars and line ends."""
    for entry in table.replace("\n", "|").split("|"):
        if entry.strip():
            english, german = entry.split("=")
            yield _fields(english), _fields(german)


def pairs(table: str) -> list[tuple[str, str]]:
    """Read a table of one English word to one German word."""
    return [(english[0], german[0]) for english, german in entries(table)]


def texts(table: str) -> list[tuple[str, str]]:
    """Read a table of one English text to one German text, which may have commas."""
    return [(", ".join(english), ", ".join(german)) for english, german in entries(table)]


def _fields(text: str) -> list[str]:
    return [field.strip() for field in text.split(",")]


def _noun(kind: str, english: str, singular: str, plural: str = "", *locus: str) -> Noun:
    article, word = singular.split()
    word, weak = word.rstrip("*"), word.endswith("*")
    return Noun(english, word, ARTICLE_GENDER[article], plural, weak, kind, locus)


@cache
def all_nouns() -> dict[str, Noun]:
    """Every noun by its English lemma."""
    return {
        english[0]: _noun(kind, english[0], *german)
        for kind, table in nouns.KINDS.items()
        for english, german in entries(table)
    }


@cache
def nouns_of(spec: str) -> tuple[Noun, ...]:
    """The nouns of a comma-separated list of kinds, classes and single nouns, in table order."""
    names: set[str] = set()
    queue = spec.split(",")
    while queue:
        name = queue.pop()
        queue += nouns.CLASSES[name].split() if name in nouns.CLASSES else []
        names.add(name)
    return tuple(noun for noun in all_nouns().values() if {noun.english, noun.kind} & names)


@cache
def all_adjectives() -> dict[str, Adjective]:
    """Every adjective by its English lemma, with an underscore where this is its second meaning (nice house)."""
    return {
        english[0]: Adjective(english[0].rstrip("_"), german[0], (english[1], german[1]) if len(english) > 1 else None)
        for english, german in entries(ADJECTIVES)
    }


@cache
def adjectives_of(kind: str) -> tuple[Adjective, ...]:
    """The adjectives that suit a kind of noun."""
    return tuple(all_adjectives()[name] for name in ADJECTIVES_OF[kind].split())


@cache
def superlatives_of(kind: str) -> tuple[Adjective, ...]:
    """The superlatives that suit a kind of noun."""
    table = dict(pairs(SUPERLATIVES))
    return tuple(Adjective(name, table[name], None) for name in SUPERLATIVES_OF.get(kind, "").split())


@cache
def first_meanings() -> tuple[Adjective, ...]:
    """The adjectives as they are understood alone."""
    return tuple(adjective for name, adjective in all_adjectives().items() if not name.endswith("_"))


@cache
def measures() -> tuple[tuple[Noun, str], ...]:
    """What food and drink are measured in, and the names of what each holds."""
    piece = Noun("piece", "Stück", "n", "", False, "measure", ())
    return tuple((all_nouns().get(name, piece), ",".join(held.split())) for name, held in pairs(nouns.QUANTITIES))


@cache
def determiners(name: str) -> tuple[Determiner, ...]:
    """The determiners with a name: one article, or all possessives or numerals."""
    group, _, suffix = name.partition(".")
    number: Number = "sg" if suffix == "sg" else "pl"
    if group == "possessive":
        return tuple(
            Determiner(english, german, "ein", number, english, definite=True) for english, german in pairs(POSSESSIVES)
        )
    if group == "numeral":
        return tuple(Determiner(en, de, "bare", number, en) for en, de in pairs(NUMERALS))
    return (ARTICLES[name],)


@cache
def verb_entries(table: str) -> tuple[Verb, ...]:
    """Read a table of verbs."""
    verbs_: list[Verb] = []
    for line in table.split("\n"):
        if line.strip():
            verb = _verb(*line.replace("?", "").split())
            # What may be missing makes two verbs of one.
            verbs_ += [verb, replace(verb, complements=())] if "?" in line else [verb]
    return tuple(verbs_)


def _verb(
    english: str, past: str, infinitive: str, third: str, participle: str, subject: str, complements: str, adjuncts: str
) -> Verb:
    prefix, _, german = infinitive.rpartition("|")
    return Verb(
        english.replace("_", " "),
        past.strip("-"),
        prefix.replace("_", " "),
        german,
        third.strip("-"),
        participle.removeprefix("ist_").strip("-").replace("_", " "),
        "sein" if participle.startswith("ist_") else "haben",
        subject,
        tuple(complements.strip("-").replace("_", " ").split("+")) if complements != "-" else (),
        tuple(adjuncts.split(",")) if adjuncts != "-" else (),
    )


@cache
def all_verbs() -> tuple[Verb, ...]:
    """Every verb but the copula."""
    return verb_entries(verbs.VERBS) + verb_entries(verbs.CLAUSE_VERBS)


def feminine(noun: Noun) -> Noun:
    """The word for a woman, if German has one of its own (teacher: Lehrerin)."""
    word = dict(pairs(nouns.FEMININES)).get(noun.english)
    return replace(noun, german=word, gender="f", plural=f"{word}nen", weak=False) if word else noun


EXISTENCE = Verb("be", "was", "", "geben", "gibt", "gegeben", "haben", "", (), ())
"""There is and there are, es gibt."""

HAVING = Verb("be", "was", "", "haben", "", "gehabt", "haben", "", (), ())
"""To be afraid and to be right, which German says with haben."""

BORN = Verb("be born", "was", "", "gebären", "", "geboren", "sein", "", (), ())
"""To be born, in German a perfect: ist geboren."""

COPULA = Verb("be", "was", "", "sein", "ist", "gewesen", "sein", "", (), ())
