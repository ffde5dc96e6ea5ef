"""The clause: word order in English and German.

German linguists divide a clause into topological fields.  The finite verb and the rest of the verb
form a bracket around the middle field; in a main clause the finite verb is second and just one
constituent stands before it; in a subordinate clause all verbs go to the end.  English keeps its
order and moves an auxiliary.  `LAYOUTS` states both sides of each clause type in these terms, and
`MIDDLE_FIELD` the order inside the German middle field.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from tools.quickstart_grammar import german
from tools.quickstart_grammar.english import Tense, Word, Words, verb_group, words
from tools.quickstart_grammar.german import Case
from tools.quickstart_grammar.lexicon import Verb
from tools.quickstart_grammar.phrases import Field, Nominal, Phrase

# Definite objects before indefinite ones, and nicht between them, which negates all that follows it.
MIDDLE_FIELD = "pronouns time definite adverb adjunct indefinite complement"

Layout = Literal["statement", "time first", "place first", "inverted", "question", "imperative", "verb-final"]

# Clause type: the English order, the German order.
LAYOUTS: dict[Layout, tuple[str, str]] = {
    "statement": ("subject VERBS adjunct time", "subject finite MIDDLE close"),
    "time first": ("time subject VERBS adjunct", "time finite subject MIDDLE close"),
    "place first": ("adjunct subject VERBS time", "adjunct finite subject MIDDLE close"),
    "inverted": ("subject VERBS adjunct time", "finite subject MIDDLE close"),
    "imperative": ("VERBS adjunct time", "finite MIDDLE close"),
    "verb-final": ("subject VERBS adjunct time", "subject MIDDLE final"),
    "question": ("asked auxiliary subject adverb main complements adjunct time", "asked finite subject MIDDLE close"),
}
_ABBREVIATIONS = {"VERBS": "auxiliary adverb main complements", "MIDDLE": MIDDLE_FIELD}


@cache
def _orders(layout: Layout) -> list[list[str]]:
    """The fields in the order of each language."""
    sides = LAYOUTS[layout]
    for short, full in _ABBREVIATIONS.items():
        sides = sides[0].replace(short, full), sides[1].replace(short, full)
    return [side.split() for side in sides]


NOT = Phrase(words("not"), "nicht")


@dataclass(frozen=True, slots=True, eq=False)
class Complement:
    """Something the verb asks for, ready in both languages, and its place in the middle field."""

    phrase: Phrase
    field: Field = "complement"
    negative: bool = False
    dative: bool = False


def bare_object(case: Case, preposition: str, nominal: Nominal) -> Complement:
    """An object without a German preposition; only English may mark it (explain to the child)."""
    english = words(preposition) + nominal.english("object")
    phrase = Phrase(english, nominal.german(case))
    return Complement(phrase, nominal.field, nominal.negative, case == "dat")


@dataclass(frozen=True, slots=True, eq=False)
class Circumstance:
    """When and whether: the tense, a negation or an adverb of frequency, and a time."""

    tense: Tense
    adverb: Phrase | None = None
    time: Phrase | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Clause:
    """One verb with all that belongs to it, in no order yet."""

    subject: Nominal
    circumstance: Circumstance
    complements: tuple[Complement, ...] = ()
    adjunct: Phrase | None = None
    verb: Verb = field(kw_only=True)
    asked: Phrase | None = field(default=None, kw_only=True)


def linearize(layout: Layout, clause: Clause) -> Phrase:
    """Put the fields of a clause into the order of both languages."""
    english_order, german_order = _orders(layout)
    english = _english_fields(clause, layout == "question")
    german_fields = _german_fields(clause)
    # A field in first position is removed from its usual position.
    said: list[Word] = []
    for name in english_order:
        said += english.pop(name, ())
    texts = [german_fields.pop(name, "") for name in german_order]
    return Phrase(tuple(said), " ".join(filter(None, texts)))


def _english_fields(clause: Clause, inverted: bool) -> dict[str, Words]:
    circumstance = clause.circumstance
    negated = circumstance.adverb is NOT
    tense, agreement = circumstance.tense, clause.subject.agreement
    group = verb_group(clause.verb, tense, agreement, supported=negated or inverted)
    return {
        "asked": clause.asked.english if clause.asked else (),
        "subject": clause.subject.english("subject"),
        "auxiliary": group.auxiliary,
        "adverb": circumstance.adverb.english if circumstance.adverb else (),
        "main": group.main,
        "complements": tuple(w for item in clause.complements for w in item.phrase.english),
        "adjunct": clause.adjunct.english if clause.adjunct else (),
        "time": circumstance.time.english if circumstance.time else (),
    }


def _german_fields(clause: Clause) -> dict[str, str]:
    circumstance, agreement = clause.circumstance, clause.subject.agreement
    finite, close, final = german.verb_complex(clause.verb, circumstance.tense, agreement)
    fields = {
        "asked": clause.asked.german if clause.asked else "",
        "subject": clause.subject.german("nom"),
        "finite": finite,
        "time": circumstance.time.german if circumstance.time else "",
        "adverb": _german_adverb(clause),
        "adjunct": clause.adjunct.german if clause.adjunct else "",
        "close": close,
        "final": final,
    }
    # Within a field the dative goes first: gibt dem Kind das Buch, erklärt dem Kind den Plan.
    for item in sorted(clause.complements, key=lambda item: not item.dative):
        fields[item.field] = f"{fields.get(item.field, '')} {item.phrase.german}".strip()
    return fields


def _german_adverb(clause: Clause) -> str:
    adverb = clause.circumstance.adverb
    if clause.circumstance.tense == "like to":
        return "gern"
    # Where kein has negated the clause there is no nicht.
    if adverb is None or (adverb is NOT and any(item.negative for item in clause.complements)):
        return ""
    return adverb.german
