"""The glossary: every lemma of the corpus that has a translation of its own."""

from tools.quickstart_grammar import grammar, lexicon, nouns, phrases, places, times

TABLES = (
    lexicon.POSSESSIVES,
    lexicon.NUMERALS,
    lexicon.FREQUENCIES,
    lexicon.INTENSIFIERS,
    nouns.CITIES,
    nouns.COUNTRIES,
    times.DAYS,
    times.MONTHS,
    times.SEASONS,
    times.ORDINALS,
    places.POSITIONS,
    grammar.CONJUNCTIONS,
    grammar.PRESENT_CONJUNCTIONS,
)


def glossary() -> list[tuple[str, str]]:
    """English lemmas, some of several words (look for), each with its German lemma."""
    entries = [(noun.english, noun.german) for noun in lexicon.all_nouns().values()]
    entries += [(item.english, item.german) for item in lexicon.all_adjectives().values()]
    entries += [(verb.english, verb.prefix + verb.german) for verb in lexicon.all_verbs()]
    entries += [(item.lemma, item.german) for item in lexicon.ARTICLES.values() if item.lemma]
    entries += [(pronoun.forms[0], pronoun.cases[0]) for pronoun in phrases.PRONOUNS]
    entries += [(lexicon.COPULA.english, lexicon.COPULA.german)]
    for table in TABLES:
        entries += lexicon.pairs(table)
    return entries
