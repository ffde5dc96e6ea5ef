"""A small English-German corpus that a synchronous grammar writes.

The grammar derives each English sentence together with its one German translation: gender, case
and adjective endings, verb-second and verb-final clauses, separable and modal verbs, the perfect,
negation, questions, times and dates.  It reads from the outside in: `corpus` draws and divides
pairs, `grammar` makes sentences of clauses, long ones and the simple ones that people try first,
`clauses` and `complements` decide what goes with which verb, `copulas` and `identities` what goes
with to be, `circumstances` when and whether, `topology` puts a clause in order, `phrases`, `places`
and `times` build what stands in it, and `english` and `german` inflect the words of `lexicon`,
`nouns` and `verbs`.  `domain` is the algebra underneath, in which a grammar can be counted as well
as drawn from.
"""

from tools.quickstart_grammar.corpus import Corpus, Pair, corpus, count_sentences, generate, part_of

__all__ = ["Corpus", "Pair", "corpus", "count_sentences", "generate", "part_of"]
