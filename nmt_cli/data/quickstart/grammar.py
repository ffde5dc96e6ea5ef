"""The sentences: statements, questions, and clauses inside clauses.

`rules` lists the sentence types with how often each is drawn.  A rule makes a whole sentence in
English and German out of one clause or two.
"""

from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Literal, NamedTuple

from nmt_cli.data.quickstart.clauses import BRIEF, BRIEF_NOW, Shape, clauses, verb_clauses
from nmt_cli.data.quickstart.domain import Choice, Domain, OneOf, Product
from nmt_cli.data.quickstart.english import Agreement, Word, Words, words
from nmt_cli.data.quickstart.german import Case
from nmt_cli.data.quickstart.lexicon import pairs, verb_entries
from nmt_cli.data.quickstart.phrases import (
    WHO,
    Field,
    NounPhrase,
    Phrase,
    noun_phrases,
    relative,
)
from nmt_cli.data.quickstart.topology import Clause, Layout, linearize
from nmt_cli.data.quickstart.verbs import CLAUSE_VERBS, VERBS


class Sentence(NamedTuple):
    """A sentence that lacks nothing but its capital letter."""

    phrase: Phrase
    mark: str


def _sentence(layout: Layout, mark: str, clause: Clause) -> Sentence:
    return Sentence(linearize(layout, clause), mark)


def _simple(layout: Layout, mark: str, shape: Shape) -> Domain[Sentence]:
    """A sentence of one clause."""
    return Product(partial(_sentence, layout, mark), clauses(shape))


# Questions that need more than their layout: who asks for the subject, and so keeps the order of a
# statement; why, when and how often ask for nothing that the verb has in its entry.


def _who_questions() -> Domain[Sentence]:
    def ask(clause: Clause) -> Sentence:
        return _sentence("statement", "?", replace(clause, subject=WHO))

    return Product(ask, clauses(Shape(gap="subject")))


ADVERBIAL_QUESTIONS = (
    (Phrase(words("why"), "warum"), Shape(adjunct="none")),
    (Phrase(words("when"), "wann"), Shape(time="none", gap="time", plain=True)),
    (Phrase(words("how often"), "wie oft"), Shape(time="none", gap="time", plain=True)),
)


def _adverbial_questions() -> Domain[Sentence]:
    def ask(asked: Phrase, clause: Clause) -> Sentence:
        return _sentence("question", "?", replace(clause, asked=asked))

    return Choice(
        *[(1, Product(partial(ask, asked), clauses(shape))) for asked, shape in ADVERBIAL_QUESTIONS]
    )


# Two clauses.

# Conjunctions; with those of the second kind both clauses are in the present.
CONJUNCTIONS = "because = weil | although = obwohl"
PRESENT_CONJUNCTIONS = "if = wenn | while = während"

# English, German, and whether a comma goes before them.
COORDINATIONS = (("and", "und", False), ("but", "aber", True))


PLAIN = replace(BRIEF, plain=True)


def _with_comma(english: Words) -> Words:
    return (*english[:-1], Word(english[-1].form + ",", english[-1].lemma))


def _main_first(conjunction: tuple[str, str], main: Clause, clause: Clause) -> Sentence:
    """He cooks because she sleeps."""
    outer, inner = linearize("statement", main), linearize("verb-final", clause)
    english = outer.english + words(conjunction[0]) + inner.english
    return Sentence(Phrase(english, f"{outer.german}, {conjunction[1]} {inner.german}"), ".")


def _main_last(conjunction: tuple[str, str], main: Clause, clause: Clause) -> Sentence:
    """Because she sleeps, he cooks; in German the clause fills the place before the verb."""
    outer, inner = linearize("inverted", main), linearize("verb-final", clause)
    english = words(conjunction[0]) + _with_comma(inner.english) + outer.english
    return Sentence(Phrase(english, f"{conjunction[1]} {inner.german}, {outer.german}"), ".")


def _subordinations() -> Domain[Sentence]:
    rules: list[tuple[float, Domain[Sentence]]] = []
    for build in (_main_first, _main_last):
        for table, shape in ((CONJUNCTIONS, BRIEF), (PRESENT_CONJUNCTIONS, BRIEF_NOW)):
            sides = clauses(shape), clauses(shape)
            rules.append((1, Product(build, OneOf(pairs(table)), *sides)))
    return Choice(*rules)


def _embedded_clauses() -> Domain[Sentence]:
    """He says that she sleeps; he asks whether she sleeps."""
    rules: list[tuple[float, Domain[Sentence]]] = []
    for verb in verb_entries(CLAUSE_VERBS):
        conjunction = ("that", "dass") if verb.complements == ("that",) else ("whether", "ob")
        main = verb_clauses(replace(verb, complements=()), BRIEF)
        build = partial(_main_first, conjunction)
        rules.append((1, Product(build, main, clauses(Shape(adjunct="none")))))
    return Choice(*rules)


def _coordinations() -> Domain[Sentence]:
    """He cooks and she sleeps: und and aber leave the order of both clauses alone."""

    def build(link: tuple[str, str, bool], first: Clause, second: Clause) -> Sentence:
        one, two = linearize("statement", first), linearize("statement", second)
        conjunction, konjunktion, comma = link
        english = _with_comma(one.english) if comma else one.english
        german = f"{one.german}{',' if comma else ''} {konjunktion} {two.german}"
        return Sentence(Phrase(english + words(conjunction) + two.english, german), ".")

    return Product(build, OneOf(COORDINATIONS), clauses(BRIEF), clauses(BRIEF))


# The verbs that have a purpose, by their complements.
MOTIONS = (("to:place",), ("to:abroad",), ("to:town,abroad",))


def _purposes() -> Domain[Sentence]:
    """She goes to the park in order to feed the ducks: an infinitive has no subject."""
    goals = [verb for verb in verb_entries(VERBS) if verb.complements[:1] in MOTIONS]
    main: Choice[Clause] = Choice(*[(1, verb_clauses(verb, PLAIN)) for verb in goals])
    infinitives = clauses(replace(BRIEF, infinitive=True))
    return Product(partial(_main_first, ("in order to", "um")), main, infinitives)


@dataclass(frozen=True, slots=True, eq=False)
class RelativeNominal:
    """A noun phrase with a relative clause, set off by commas in German."""

    antecedent: NounPhrase
    clause: Phrase

    @property
    def agreement(self) -> Agreement:
        """That of the noun phrase."""
        return self.antecedent.agreement

    @property
    def field(self) -> Field:
        """That of the noun phrase."""
        return self.antecedent.field

    @property
    def negative(self) -> bool:
        """Whether the noun phrase is negative."""
        return self.antecedent.negative

    def english(self, role: Literal["subject", "object"]) -> Words:
        """The man who sleeps."""
        return self.antecedent.english(role) + self.clause.english

    def german(self, case: Case) -> str:
        """Der Mann, der schläft, with the comma that ends the clause."""
        return f"{self.antecedent.german(case)}, {self.clause.german},"


def _relative_clauses() -> Domain[Sentence]:
    """The man who sleeps buys a car: the relative pronoun is a subject in its own clause."""

    def build(antecedent: NounPhrase, clause: Clause, main: Clause) -> Sentence:
        inner = linearize("verb-final", replace(clause, subject=relative(antecedent)))
        subject = RelativeNominal(antecedent, inner)
        return _sentence("statement", ".", replace(main, subject=subject))

    people = noun_phrases("person", "antecedent", described=0.2)
    shape = replace(BRIEF, gap="subject")
    return Product(build, people, clauses(shape), clauses(shape))


@cache
def rules() -> dict[str, tuple[float, Domain[Sentence]]]:
    """The sentence types by name, each with its weight."""
    object_gap = Shape(gap="object", plain=True)
    place_gap = Shape(gap="place", adjunct="none", plain=True)
    return {
        "statement": (26, _simple("statement", ".", Shape())),
        "time first": (18, _simple("time first", ".", Shape(time="required"))),
        "place first": (5, _simple("place first", ".", Shape(adjunct="place"))),
        "polar question": (9, _simple("question", "?", Shape())),
        "who question": (3, _who_questions()),
        "object question": (4, _simple("question", "?", object_gap)),
        "place question": (2, _simple("question", "?", place_gap)),
        "adverbial question": (5, _adverbial_questions()),
        "subordination": (10, _subordinations()),
        "embedded clause": (6, _embedded_clauses()),
        "coordination": (5, _coordinations()),
        "purpose": (3, _purposes()),
        "relative clause": (4, _relative_clauses()),
    }


@cache
def sentences() -> Domain[Sentence]:
    """Every sentence of the grammar."""
    return Choice(*rules().values())
