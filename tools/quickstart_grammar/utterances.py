"""What people say and type that is no clause: phrases alone, courtesies, names, answers and requests."""

from functools import cache, partial
from typing import Any

from tools.quickstart_grammar.circumstances import Shape
from tools.quickstart_grammar.clauses import clauses
from tools.quickstart_grammar.domain import Choice, Domain, OneOf, Product, just
from tools.quickstart_grammar.english import BE, Word, with_comma, words
from tools.quickstart_grammar.german import Case
from tools.quickstart_grammar.lexicon import (
    ARTICLES,
    INTENSIFIERS,
    UNGRADED,
    adjectives_of,
    first_meanings,
    nouns_of,
    pairs,
    texts,
)
from tools.quickstart_grammar.nouns import FEMALE_NAMES, KINDS
from tools.quickstart_grammar.phrases import (
    IT,
    PRONOUNS,
    THAT,
    YOU,
    Nominal,
    NounPhrase,
    Phrase,
    Sentence,
    couples,
    names,
    noun_phrases,
    prepositional,
    quantities,
)
from tools.quickstart_grammar.places import destinations, locations, origins
from tools.quickstart_grammar.times import past_times, times
from tools.quickstart_grammar.topology import linearize

GREETINGS = """
hello = hallo | hi = hallo | good morning = guten Morgen | good evening = guten Abend
good day = guten Tag | good afternoon = guten Tag | welcome = willkommen
"""

COURTESIES = """
good night = gute Nacht | goodbye = auf Wiedersehen | bye = tschüss
see you soon = bis bald | see you later = bis später | see you tomorrow = bis morgen
thank you = danke | thanks = danke | thank you very much = vielen Dank | many thanks = vielen Dank
thank you for your help = danke für deine Hilfe | you are welcome = gern geschehen
please = bitte | excuse me = Entschuldigung | sorry = Entschuldigung | I am sorry = es tut mir leid
yes = ja | no = nein | maybe = vielleicht | of course = natürlich | okay = okay
yes, please = ja, bitte | no, thank you = nein, danke | no problem = kein Problem
good luck = viel Glück | have fun = viel Spaß | enjoy your meal = guten Appetit | cheers = prost
congratulations = herzlichen Glückwunsch | happy birthday = alles Gute zum Geburtstag
merry Christmas = frohe Weihnachten | happy new year = frohes neues Jahr | happy New Year = frohes neues Jahr
nice to meet you = freut mich | I am fine = es geht mir gut | I am fine, thank you = es geht mir gut, danke
get well soon = gute Besserung
"""

QUESTIONS = """
what is your name = wie heißt du | what is his name = wie heißt er | what is her name = wie heißt sie
what time is it = wie spät ist es | how are you today = wie geht es dir heute
what day is it today = welcher Tag ist heute
"""

ANSWERS = "yes = ja | no = nein"
APOLOGIES = "I am sorry = es tut mir leid | sorry = Entschuldigung"
ADDRESSEES = "my friend = mein Freund | world = Welt | everyone = alle zusammen"
COMPANY: dict[Case, str] = {"dat": "with = mit", "acc": "for = für | without = ohne"}


def _phrases(table: str) -> OneOf[Phrase]:
    return OneOf(Phrase(words(english), german) for english, german in texts(table))


def _marked(domain: Domain[Phrase], marks: str, *, typed: bool = False) -> Domain[Sentence]:
    """Sentences with each of these marks; as they are `typed` also without one, and without a capital."""
    forms = [(mark, True) for mark in marks] + [("", True), ("", False)] * typed
    return Product(lambda phrase, form: Sentence(phrase, *form), domain, OneOf(forms))


def _joined(first: Phrase, second: Phrase) -> Phrase:
    """Two phrases with a comma between them."""
    return Phrase(with_comma(first.english) + second.english, f"{first.german}, {second.german}")


def _beside(first: Phrase, second: Phrase) -> Phrase:
    """Two phrases with no comma between them."""
    return Phrase(first.english + second.english, f"{first.german} {second.german}")


# Phrases alone.


def _nominative(nominal: Nominal) -> Phrase:
    return Phrase(nominal.english("subject"), nominal.german("nom"))


def _accusative(nominal: Nominal) -> Phrase:
    return Phrase(nominal.english("object"), nominal.german("acc"))


def _things() -> Domain[Phrase]:
    """The red car, my sister, cold milk, red car, Anna."""
    described = Choice(*[(len(nouns_of(kind)), noun_phrases(kind, "simple subject")) for kind in KINDS])
    bare: list[tuple[float, Domain[NounPhrase]]] = []
    for kind in KINDS:
        countable = OneOf(noun for noun in nouns_of(kind) if noun.number is None)
        parts = just(ARTICLES["bare.sg"]), OneOf(adjectives_of(kind)), countable
        bare.append((countable.size, Product(NounPhrase, *parts)))
    measured = quantities("drink,foodstuff,dish", "object")
    nominals: Choice[Any] = Choice(
        (5, described), (0.6, Choice(*bare)), (0.6, couples()), (0.2, names()), (0.4, measured)
    )
    return Product(_nominative, nominals)


def words_alone() -> Domain[Sentence]:
    """Dog, red: words that somebody looks up."""
    nouns = OneOf(noun for noun in nouns_of(",".join(KINDS)) if noun.number is None)
    bare = Product(NounPhrase, just(ARTICLES["bare.sg"]), just(None), nouns)
    adjectives = OneOf(Phrase(words(item.english), item.german) for item in first_meanings())
    alone = Choice((nouns.size, Product(_nominative, bare)), (adjectives.size, adjectives))
    return _marked(alone, ".", typed=True)


def _company() -> Domain[Phrase]:
    """With the dog, for my brother, without milk."""
    nominals: Choice[Any] = Choice(
        (5, noun_phrases("person,animal,thing,foodstuff,drink,clothing,text", "definite", 0.3)),
        (1, OneOf(PRONOUNS)),
        (1, names()),
    )
    return Choice(
        *[
            (1, Product(partial(prepositional, english, preposition, case), nominals))
            for case, table in COMPANY.items()
            for english, preposition in pairs(table)
        ]
    )


def _qualities() -> Domain[Phrase]:
    """Very good, not tired."""
    graded = [item for item in first_meanings() if item.english not in UNGRADED.split()]
    grades = OneOf(Phrase(words(english), german) for english, german in pairs(f"{INTENSIFIERS} | not = nicht"))
    return Product(_beside, grades, OneOf(Phrase(words(item.english), item.german) for item in graded))


def fragments() -> Domain[Sentence]:
    """Phrases that are no sentence, with a final stop and without."""
    moments = Choice((3, times("present")), (1, past_times()))
    whereabouts = Choice(
        (3, locations("place", 0.2)),
        (1, destinations("place,abroad", 0.2)),
        (0.5, origins()),
        (2, _company()),
        (1.5, moments),
    )
    return _marked(Choice((6, _things()), (2.2, whereabouts), (0.6, _qualities())), ".", typed=True)


# What is said to somebody.


def _called() -> Domain[Phrase]:
    named: Domain[Phrase] = Product(_nominative, names())
    return Choice((2, named), (1, _phrases(ADDRESSEES)))


def _introductions() -> Domain[Phrase]:
    """My name is Peter, which German says with a verb: ich heiße Peter."""
    everyone = [_nominative(name) for name in names()]
    women = [name for name in everyone if name.german in FEMALE_NAMES.split()]
    men = [name for name in everyone if name not in women]
    named = (
        (3, "my name is", "ich heiße", everyone),
        (2, "his name is", "er heißt", men),
        (2, "her name is", "sie heißt", women),
    )
    return Choice(
        *[
            (weight, Product(partial(_beside, Phrase(words(english), german)), OneOf(people)))
            for weight, english, german, people in named
        ]
    )


def _wellbeing() -> Domain[Phrase]:
    """How are you, which German does not express with to be."""

    def build(somebody: Nominal) -> Phrase:
        be = Word(BE["present"][somebody.agreement], "be")
        return Phrase((*words("how"), be, *somebody.english("subject")), f"wie geht es {somebody.german('dat')}")

    people: Choice[Any] = Choice(
        (2, just(YOU)), (1, OneOf(item for item in PRONOUNS if item is not YOU)),
        (3, noun_phrases("person", "definite", 0)), (1, names()),
    )  # fmt: skip
    return Product(build, people)


def courtesies() -> Domain[Sentence]:
    """Greetings, thanks and wishes, to somebody or to nobody: good morning, Peter!"""
    said = Choice((1, _phrases(GREETINGS)), (2, _phrases(COURTESIES)))
    addressed = Choice((2, Product(_joined, said, _called())), (1, Product(_beside, _phrases(GREETINGS), _called())))
    return _marked(Choice((1, said), (1, addressed)), ".!", typed=True)


@cache
def fixed_phrases() -> frozenset[tuple[str, ...]]:
    """The lemmas of what cannot be translated word by word, and how are you."""
    tables = (GREETINGS, COURTESIES, QUESTIONS, ANSWERS, APOLOGIES, "how be you = ")
    return frozenset(tuple(w.lemma for w in words(english)) for table in tables for english, _ in texts(table))


def introductions() -> Domain[Sentence]:
    """Who is who and how one is, with a greeting or without."""
    greeting = _phrases(GREETINGS)
    named, asked = _introductions(), Choice((1, _wellbeing()), (2, _phrases(QUESTIONS)))
    stated = _marked(Choice((2, named), (1, Product(_joined, greeting, named))), ".", typed=True)
    opening = _phrases(f"{GREETINGS} | excuse me = Entschuldigung")
    questions = Choice((1, asked), (1, Product(_joined, opening, asked)), (1, Product(_joined, asked, _called())))
    return Choice((1, stated), (1, _marked(questions, "?", typed=True)))


def prices() -> Domain[Sentence]:
    """How much the car costs."""

    def ask(thing: Nominal) -> Phrase:
        is_one = thing.agreement == "3sg"
        english = (
            *words("how much"),
            Word("does" if is_one else "do", "do"),
            *thing.english("subject"),
            *words("cost"),
        )
        return Phrase(english, f"wie viel {'kostet' if is_one else 'kosten'} {thing.german('nom')}")

    things: Choice[Any] = Choice((5, noun_phrases("wares", "definite", 0.1)), (1, OneOf((IT, *THAT[:2]))))
    return _marked(Product(ask, things), "?")


def answers() -> Domain[Sentence]:
    """Yes, she sleeps."""
    statements = Product(partial(linearize, "statement"), clauses(Shape(simple=True)))
    return _marked(Product(_joined, Choice((2, _phrases(ANSWERS)), (0.7, _phrases(APOLOGIES))), statements), ".")


def _would_like(wanted: Phrase) -> Phrase:
    return Phrase(words("I would like") + wanted.english, f"ich möchte {wanted.german}")


def _can_have(wanted: Phrase) -> Phrase:
    return Phrase(words("can I have") + wanted.english, f"kann ich {wanted.german} haben")


def requests() -> Domain[Sentence]:
    """Please open the door; open the door, please; a coffee, please; thank you for the book."""
    please = Phrase(words("please"), "bitte")
    orders = Product(partial(linearize, "imperative"), clauses(Shape(simple=True, mood="imperative")))
    drinks = Product(NounPhrase, just(ARTICLES["a.sg"]), just(None), OneOf(nouns_of("drink")))  # a coffee: a cup of it
    measured = quantities("menu", "object")
    wanted: Domain[Phrase] = Product(
        _accusative, Choice((4, noun_phrases("menu", "object", 0.2)), (1, drinks), (2.5, measured))
    )
    given: Domain[Phrase] = Product(
        partial(prepositional, "for", "für", "acc"), noun_phrases("givable,menu", "definite", 0.2)
    )
    thanks = Product(partial(_beside, Phrase(words("thank you"), "danke")), given)
    after = Choice((1, orders), (3, wanted), (0.5, Product(_would_like, wanted)))
    asked = Product(_can_have, wanted)
    return Choice(
        (2, _marked(Product(partial(_beside, please), orders), ".!")),
        (2.5, _marked(Product(_joined, after, just(please)), ".!")),
        (0.5, _marked(Choice((1, asked), (1, Product(_joined, asked, just(please)))), "?")),
        (1, _marked(thanks, ".!", typed=True)),
    )
