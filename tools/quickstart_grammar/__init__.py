"""A synchronous English-German grammar, which wrote the quickstart corpus shipped with nmt_cli.

The grammar derives each English sentence together with its only German translation: gender, case
and adjective endings, verb-second and verb-final clauses, separable and modal verbs, the perfect,
negation, questions, times and dates. From the outside in: `corpus` draws pairs and splits them into
train, dev and test; `grammar` builds sentences from clauses, long ones and the simple ones that
people try first, and `utterances` what people type that is no clause, such as greetings and single
words; `clauses` and `complements` decide what goes with which verb, `copulas` and
`identities` what goes with to be, and `circumstances` tense, negation and time; `topology` orders
the words of a clause; `phrases`, `places` and `times` build its phrases; `english` and `german`
inflect the words of `lexicon`, `nouns` and `verbs`. `domain` is the algebra underneath: the
derivations of a grammar can be counted and listed as well as drawn.
"""

from tools.quickstart_grammar.corpus import Corpus, Pair, corpus, count_sentences, generate, split_of

__all__ = ["Corpus", "Pair", "corpus", "count_sentences", "generate", "split_of"]
