"""Time expressions: the clock, the calendar and the words around them.

The phrases are literal on both sides except where a rule is at work: the clock counts towards the
next hour (half past seven, halb acht), and dates and spans combine numbers with nouns.
"""

from functools import cache
from typing import Literal

from tools.quickstart_grammar.domain import Choice, Domain, OneOf, Product
from tools.quickstart_grammar.english import Word, words
from tools.quickstart_grammar.lexicon import ARTICLES, NUMERALS, entries, nouns_of, pairs
from tools.quickstart_grammar.phrases import NounPhrase, Phrase, prepositional

HOURS = [("one", "eins"), *pairs(NUMERALS)]

CLOCK = """
a quarter past = Viertel nach | five past = fünf nach | ten past = zehn nach
a quarter to = Viertel vor    | five to = fünf vor    | ten to = zehn vor
twenty past = zwanzig nach    | twenty to = zwanzig vor
"""

DAYS = """
Monday = Montag     | Tuesday = Dienstag | Wednesday = Mittwoch | Thursday = Donnerstag
Friday = Freitag    | Saturday = Samstag | Sunday = Sonntag
"""

# With the number of days, to exclude the thirtieth of February.
MONTHS = """
January = Januar, 31 | February = Februar, 28 | March = März, 31    | April = April, 30
May = Mai, 31        | June = Juni, 30        | July = Juli, 31     | August = August, 31
September = September, 30 | October = Oktober, 31 | November = November, 30
December = Dezember, 31
"""

SEASONS = "spring = Frühling | summer = Sommer | autumn = Herbst | winter = Winter"

ORDINALS = """
first = erst        | second = zweit      | third = dritt       | fourth = viert   | fifth = fünft
sixth = sechst      | seventh = siebt     | eighth = acht       | ninth = neunt    | tenth = zehnt
eleventh = elft     | twelfth = zwölft    | thirteenth = dreizehnt | fourteenth = vierzehnt
fifteenth = fünfzehnt | sixteenth = sechzehnt | seventeenth = siebzehnt
eighteenth = achtzehnt | nineteenth = neunzehnt | twentieth = zwanzigst
twenty-first = einundzwanzigst | twenty-second = zweiundzwanzigst
twenty-third = dreiundzwanzigst | twenty-fourth = vierundzwanzigst
twenty-fifth = fünfundzwanzigst | twenty-sixth = sechsundzwanzigst
twenty-seventh = siebenundzwanzigst | twenty-eighth = achtundzwanzigst
twenty-ninth = neunundzwanzigst | thirtieth = dreißigst | thirty-first = einunddreißigst
"""

UNITS = """
day = Tagen | week = Wochen | month = Monaten | year = Jahren
"""

TODAY = {"past": "yesterday = gestern", "present": "today = heute", "future": "tomorrow = morgen"}

PAST = """
yesterday = gestern       | last week = letzte Woche | last month = letzten Monat
last year = letztes Jahr  | last night = letzte Nacht
"""
PRESENT = """
today = heute             | now = jetzt              | every day = jeden Tag
every week = jede Woche   | every month = jeden Monat | every year = jedes Jahr
every morning = jeden Morgen | every evening = jeden Abend | every night = jede Nacht
"""
FUTURE = """
tomorrow = morgen         | soon = bald              | next week = nächste Woche
next month = nächsten Monat | next year = nächstes Jahr
tonight = heute Abend     | this evening = heute Abend | this week = diese Woche
"""
ANY = """
in the morning = am Morgen | in the afternoon = am Nachmittag | in the evening = am Abend
at night = in der Nacht    | at noon = mittags | at midnight = um Mitternacht
at the weekend = am Wochenende | on the weekend = am Wochenende
"""


def _fixed(table: str) -> Domain[Phrase]:
    return OneOf(Phrase(words(english[0]), german[0]) for english, german in entries(table))


def _framed(english: str, german: str, table: str) -> Domain[Phrase]:
    """Each word of a table in the same frame: ``on {}`` and ``am {}`` around the weekdays."""
    return OneOf(Phrase(words(english.format(en[0])), german.format(de[0])) for en, de in entries(table))


@cache
def clock() -> Domain[Phrase]:
    """The times of the day in steps of five or ten minutes."""
    full = [
        Phrase(words(f"at {hour} o'clock"), f"um {'ein' if hour == 'one' else stunde} Uhr") for hour, stunde in HOURS
    ]
    short = [Phrase(words(f"at {hour}"), f"um {stunde}") for hour, stunde in HOURS]
    # Half past two is half three in German.
    half = [
        Phrase(words(f"at half past {hour}"), f"um halb {following}")
        for (hour, _), (_, following) in zip(HOURS, HOURS[1:] + HOURS[:1], strict=True)
    ]
    other = [
        Phrase(words(f"at {english[0]} {hour}"), f"um {german[0]} {stunde}")
        for english, german in entries(CLOCK)
        for hour, stunde in HOURS
    ]
    return OneOf([*full, *short, *half, *other])


@cache
def dates() -> Domain[Phrase]:
    """The days of the year."""
    ordinals = pairs(ORDINALS)
    return OneOf(
        Phrase(words(f"on the {english} of {month[0]}"), f"am {german}en {monat}")
        for month, (monat, length) in entries(MONTHS)
        for english, german in ordinals[: int(length)]
    )


def _span(english: str, german: str) -> Domain[Phrase]:
    return OneOf(
        Phrase(
            tuple(Word(word, unit[0] if word == unit[0] + "s" else word) for word in text.split()),
            german.format(f"{zahl} {einheit[0]}"),
        )
        for number, zahl in pairs(NUMERALS)
        for unit, einheit in entries(UNITS)
        for text in [english.format(f"{number} {unit[0]}s")]
    )


@cache
def _around_events() -> Domain[Phrase]:
    """Before, after and during an event: two datives and a genitive."""
    events = Product(lambda noun: NounPhrase(ARTICLES["the.sg"], None, noun), OneOf(nouns_of("event")))
    return Choice(
        (1, Product(lambda event: prepositional("before", "vor", "dat", event), events)),
        (1, Product(lambda event: prepositional("after", "nach", "dat", event), events)),
        (1, Product(lambda event: prepositional("during", "während", "gen", event), events)),
    )


def _at_the_clock(day: Phrase, hour: Phrase) -> Phrase:
    return Phrase(day.english + hour.english, f"{day.german} {hour.german}")


@cache
def times(tense: Literal["past", "present", "future"]) -> Domain[Phrase]:
    """The time expressions that go with a past, a present or a future."""
    weekdays = _framed("on {}", "am {}", DAYS)
    days = Choice((1.0, _fixed(TODAY[tense])), (2.0, weekdays))
    return Choice(
        (7.0, _calendar(tense)),
        (1.5, weekdays),
        (2.5, dates()),
        (0.8, months()),
        (0.4, _framed("in {}", "im {}", SEASONS)),
        (1.2, _fixed(ANY)),
        (1.6, clock()),
        (1.0, Product(_at_the_clock, days, clock())),
        (1.2, _around_events()),
    )


def past_times() -> Domain[Phrase]:
    """Yesterday, last week: the words for it that only the past has."""
    return _fixed(PAST)


def months() -> Domain[Phrase]:
    """In March."""
    return _framed("in {}", "im {}", MONTHS)


@cache
def moments() -> Domain[Phrase]:
    """When something is in progress."""
    return _fixed("now = jetzt | today = heute | tonight = heute Abend")


@cache
def _calendar(tense: Literal["past", "present", "future"]) -> Domain[Phrase]:
    """The expressions of a tense; the present can express the future, too."""
    if tense == "past":
        return Choice(
            (4.0, _fixed(PAST)),
            (1.0, _framed("last {}", "letzten {}", DAYS)),
            (0.5, _framed("last {}", "letzten {}", SEASONS)),
            (1.5, _span("{} ago", "vor {}")),
        )
    if tense == "present":
        every = _framed("every {}", "jeden {}", DAYS)
        return Choice((4.0, _fixed(PRESENT)), (0.7, every), (3.0, _calendar("future")))
    return Choice(
        (3.5, _fixed(FUTURE)),
        (1.0, _framed("next {}", "nächsten {}", DAYS)),
        (0.5, _framed("next {}", "nächsten {}", SEASONS)),
        (1.0, _span("in {}", "in {}")),
    )
