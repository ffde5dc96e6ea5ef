"""The sentences: statements, questions, and clauses inside clauses.

`rules` lists the sentence types and how often each is drawn. A rule builds a whole sentence in
English and German from one or two clauses.
"""

from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Literal

from tools.quickstart_grammar.circumstances import Shape
from tools.quickstart_grammar.clauses import BRIEF, BRIEF_NOW, BRIEF_PAST, clauses, verb_clauses
from tools.quickstart_grammar.complements import asked_object
from tools.quickstart_grammar.copulas import asked_identities, birth_questions, existences, measured_clauses
from tools.quickstart_grammar.domain import Choice, Domain, OneOf, Product
from tools.quickstart_grammar.english import Agreement, Words, with_comma, words
from tools.quickstart_grammar.german import Case
from tools.quickstart_grammar.lexicon import Determiner, Noun, nouns_of, pairs, verb_entries
from tools.quickstart_grammar.phrases import WHO, Field, NounPhrase, Phrase, Sentence, noun_phrases, relative
from tools.quickstart_grammar.topology import Clause, Layout, linearize
from tools.quickstart_grammar.utterances import (
    answers,
    courtesies,
    fragments,
    introductions,
    prices,
    requests,
    words_alone,
)
from tools.quickstart_grammar.verbs import CLAUSE_VERBS, VERBS

# Simple sentences are short, with few adjectives and many pronouns.
SIMPLE = Shape(simple=True)
SIMPLE_QUESTION = Shape(simple=True, question=True)


def _sentence(layout: Layout, mark: str, clause: Clause) -> Sentence:
    return Sentence(linearize(layout, clause), mark)


def _one_clause(layout: Layout, mark: str, domain: Domain[Clause]) -> Domain[Sentence]:
    """A sentence of one clause."""
    return Product(partial(_sentence, layout, mark), domain)


# Questions that need more than their layout: who asks for the subject and keeps the order of a
# statement; why, when and how often ask for nothing that is in the entry of the verb.


def _who_questions(shape: Shape) -> Domain[Sentence]:
    def ask(clause: Clause) -> Sentence:
        return _sentence("statement", "?", replace(clause, subject=WHO))

    return Product(ask, clauses(replace(shape, gap="subject")))


ADVERBIAL_QUESTIONS = (
    (Phrase(words("why"), "warum"), {"adjunct": "none"}),
    (Phrase(words("when"), "wann"), {"time": "none", "gap": "time", "plain": True}),
    (Phrase(words("how often"), "wie oft"), {"time": "none", "gap": "time", "plain": True}),
)


def _adverbial_questions(shape: Shape) -> Domain[Sentence]:
    def ask(asked: Phrase, clause: Clause) -> Sentence:
        return _sentence("question", "?", replace(clause, asked=asked))

    return Choice(
        *[
            (1, Product(partial(ask, asked), clauses(replace(shape, **demands))))
            for asked, demands in ADVERBIAL_QUESTIONS
        ]
    )


def _amount_questions() -> Domain[Sentence]:
    """How many dogs do you have, which dog do you see: with every verb that takes an object."""
    askers = (
        Determiner("how many", "wie viel", "dieser", "pl", ""),
        Determiner("which", "welch", "dieser", "sg", ""),
        Determiner("which", "welch", "dieser", "pl", ""),
    )

    def ask(asker: Determiner, noun: Noun, clause: Clause) -> Sentence:
        counted = NounPhrase(asker, None, noun)
        english = words(asker.english) + counted.english("object")[1:]
        asked = Phrase(english, counted.german("acc"))
        return _sentence("question", "?", replace(clause, asked=asked))

    shape = replace(SIMPLE_QUESTION, gap="amount", plain=True, adjunct="none", time="none")
    rules: list[tuple[float, Domain[Sentence]]] = []
    for verb in verb_entries(VERBS):
        counted = nouns_of(asked_object(verb).removeprefix("acc:"))
        several = OneOf(noun for noun in counted if noun.number is None)
        rules.append((1, Product(ask, OneOf(askers), several, verb_clauses(verb, shape))))
    return Choice(*rules)


# Two clauses.

# Conjunctions; with those of the second table both clauses are in the present.
CONJUNCTIONS = "because = weil | although = obwohl"
PRESENT_CONJUNCTIONS = "if = wenn | while = während | when = wenn"
PAST_CONJUNCTIONS = "when = als"  # in the past

# English, German, and whether a comma goes before them.
COORDINATIONS = (("and", "und", False), ("but", "aber", True))


PLAIN = replace(BRIEF, plain=True)


def _main_first(conjunction: tuple[str, str], main: Clause, clause: Clause) -> Sentence:
    """He cooks because she sleeps."""
    outer, inner = linearize("statement", main), linearize("verb-final", clause)
    english = outer.english + words(conjunction[0]) + inner.english
    return Sentence(Phrase(english, f"{outer.german}, {conjunction[1]} {inner.german}"), ".")


def _main_last(conjunction: tuple[str, str], main: Clause, clause: Clause) -> Sentence:
    """Because she sleeps, he cooks; in German the clause is in first position, before the verb."""
    outer, inner = linearize("inverted", main), linearize("verb-final", clause)
    english = words(conjunction[0]) + with_comma(inner.english) + outer.english
    return Sentence(Phrase(english, f"{conjunction[1]} {inner.german}, {outer.german}"), ".")


def _subordinations(*, simple: bool = False) -> Domain[Sentence]:
    rules: list[tuple[float, Domain[Sentence]]] = []
    for build in (_main_first, _main_last):
        tables = ((CONJUNCTIONS, BRIEF), (PRESENT_CONJUNCTIONS, BRIEF_NOW), (PAST_CONJUNCTIONS, BRIEF_PAST))
        for table, brief in tables:
            shape = replace(brief, simple=simple)
            sides = clauses(shape), clauses(shape)
            rules.append((1.5 if table is PRESENT_CONJUNCTIONS else 1, Product(build, OneOf(pairs(table)), *sides)))
    return Choice(*rules)


CLAUSES = {"that": "dass", "whether": "ob", "why": "warum"}


def _embedded_clauses(outer: Shape, inner: Shape) -> Domain[Sentence]:
    """He says that she sleeps; he asks whether she sleeps; I do not know why she sleeps."""
    rules: list[tuple[float, Domain[Sentence]]] = []
    for verb in verb_entries(CLAUSE_VERBS):
        (conjunction,) = verb.complements
        main = verb_clauses(replace(verb, complements=()), outer)
        build = partial(_main_first, (conjunction, CLAUSES[conjunction]))
        rules.append((1, Product(build, main, clauses(inner))))
    return Choice(*rules)


def _coordinations() -> Domain[Sentence]:
    """He cooks and she sleeps: und and aber do not change the order of either clause."""

    def build(link: tuple[str, str, bool], first: Clause, second: Clause) -> Sentence:
        one, two = linearize("statement", first), linearize("statement", second)
        conjunction, konjunktion, comma = link
        english = with_comma(one.english) if comma else one.english
        german = f"{one.german}{',' if comma else ''} {konjunktion} {two.german}"
        return Sentence(Phrase(english + words(conjunction) + two.english, german), ".")

    return Product(build, OneOf(COORDINATIONS), clauses(BRIEF), clauses(BRIEF))


# The complements of verbs that can have a purpose.
MOTIONS = (("to:place",), ("to:abroad",), ("to:urban,abroad",))


def _purposes() -> Domain[Sentence]:
    """She goes to the park in order to feed the ducks: an infinitive has no subject."""
    goals = [verb for verb in verb_entries(VERBS) if verb.complements[:1] in MOTIONS]
    main: Choice[Clause] = Choice(*[(1, verb_clauses(verb, PLAIN)) for verb in goals])
    infinitives = clauses(replace(BRIEF, mood="infinitive"))
    return Product(partial(_main_first, ("in order to", "um")), main, infinitives)


@dataclass(frozen=True, slots=True, eq=False)
class RelativeNominal:
    """A noun phrase with a relative clause, set off by commas in German."""

    antecedent: NounPhrase
    clause: Phrase

    @property
    def agreement(self) -> Agreement:
        """The value of the noun phrase."""
        return self.antecedent.agreement

    @property
    def field(self) -> Field:
        """The value of the noun phrase."""
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


LONG_SHARE = 0.4  # the weight of long sentences beside simple ones; they have most of the tokens all the same


@cache
def rules() -> dict[str, tuple[float, Domain[Sentence]]]:
    """The sentence types by name, each with its weight."""
    long_rules = {name: (weight * LONG_SHARE, domain) for name, (weight, domain) in _long_rules().items()}
    return long_rules | simple_rules()


def _long_rules() -> dict[str, tuple[float, Domain[Sentence]]]:
    question = Shape(question=True)
    object_gap = replace(question, gap="object", plain=True)
    place_gap = replace(question, gap="place", adjunct="none", plain=True)
    return {
        "statement": (26, _one_clause("statement", ".", clauses(Shape()))),
        "time first": (18, _one_clause("time first", ".", clauses(Shape(time="required")))),
        "place first": (5, _one_clause("place first", ".", clauses(Shape(adjunct="place")))),
        "polar question": (9, _one_clause("question", "?", clauses(question))),
        "who question": (3, _who_questions(question)),
        "object question": (4, _one_clause("question", "?", clauses(object_gap))),
        "place question": (2, _one_clause("question", "?", clauses(place_gap))),
        "adverbial question": (5, _adverbial_questions(question)),
        "subordination": (10, _subordinations()),
        "embedded clause": (6, _embedded_clauses(BRIEF, Shape(adjunct="none"))),
        "coordination": (5, _coordinations()),
        "purpose": (3, _purposes()),
        "relative clause": (4, _relative_clauses()),
    }


@cache
def simple_rules() -> dict[str, tuple[float, Domain[Sentence]]]:
    """The simple sentence types, which people try first."""
    question = SIMPLE_QUESTION
    object_gap = replace(question, gap="object", plain=True)
    place_gap = replace(question, gap="place", adjunct="none", plain=True)
    imperative, together = replace(SIMPLE, mood="imperative"), replace(SIMPLE, mood="let")
    return {
        "simple statement": (40, _one_clause("statement", ".", clauses(replace(SIMPLE, indefinites="some")))),
        "simple polar question": (14, _one_clause("question", "?", clauses(replace(question, indefinites="any")))),
        "simple who question": (4, _who_questions(question)),
        "simple object question": (5, _one_clause("question", "?", clauses(object_gap))),
        "simple place question": (3.5, _one_clause("question", "?", clauses(place_gap))),
        "simple adverbial question": (4, _adverbial_questions(question)),
        "imperative": (8, Choice(*[(1, _one_clause("imperative", mark, clauses(imperative))) for mark in "!."])),
        "suggestion": (1.2, Choice(*[(1, _one_clause("imperative", mark, clauses(together))) for mark in "!."])),
        "birth question": (0.2, _one_clause("question", "?", birth_questions())),
        "simple embedded clause": (3, _embedded_clauses(replace(BRIEF, simple=True), replace(BRIEF, simple=True))),
        "simple subordination": (3.2, _subordinations(simple=True)),
        "identity question": (0.7, _one_clause("question", "?", asked_identities())),
        "measure question": (1.4, _one_clause("question", "?", measured_clauses())),
        "amount question": (1.6, _amount_questions()),
        "price question": (0.6, prices()),
        "existence": (1.2, _one_clause("statement", ".", existences())),
        "existence question": (0.6, _one_clause("question", "?", existences())),
        "word alone": (10, words_alone()),  # most of them: what was drawn before is drawn again
        "fragment": (4.5, fragments()),
        "courtesy": (3, courtesies()),
        "introduction": (2.2, introductions()),
        "answer": (1.2, answers()),
        "request": (3, requests()),
    }


@cache
def sentences() -> Domain[Sentence]:
    """Every sentence of the grammar."""
    return Choice(*rules().values())
