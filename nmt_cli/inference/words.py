"""The words of a text by its tokens."""

import re
from typing import NamedTuple

from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from nmt_cli.decoding.engine import TokenIds
from nmt_cli.inference.degeneration import UNSPACED_SCRIPTS

END = "⏎"
UNSPACED = re.compile(rf" ?[{UNSPACED_SCRIPTS}]")


class Word(NamedTuple):
    """Tokens [first, end) of a text; the end of sentence is a word of its own."""

    text: str
    first: int
    end: int


def words_of(tokenizer: TextTokenizer, ids: TokenIds) -> list[Word]:
    """The words of a text and its end; where a script has no spaces, a token is a word."""
    tokens = tokenizer.ids_to_tokens(ids)
    firsts = [
        index
        for index, token in enumerate(tokens)
        if index == 0 or token.startswith(" ") or UNSPACED.match(token) or UNSPACED.match(tokens[index - 1])
    ]
    ends = [*firsts[1:], len(tokens)] if firsts else []
    texts = tokenizer.decode([ids[first:end] for first, end in zip(firsts, ends, strict=True)])
    words = [Word(text.strip(), first, end) for text, first, end in zip(texts, firsts, ends, strict=True)]
    return [*words, Word(END, len(tokens), len(tokens) + 1)]
