"""The words of a text by its tokens."""

import re
from typing import NamedTuple

from nmt_cli.data.scripts import UNSPACED_SCRIPTS
from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from nmt_cli.decoding.engine import TokenIds

END = "⏎"
UNSPACED = re.compile(rf" ?[{UNSPACED_SCRIPTS}]")


class Word(NamedTuple):
    """Tokens [first, end) of a text; the end of sentence is a word of its own."""

    text: str
    first: int
    end: int


def words_of(tokenizer: TextTokenizer, ids: TokenIds, text: str = "") -> list[Word]:
    """The words of a text and its end; where a script has no spaces, a token is a word.

    `text` is what the ids encode, in which the words that the vocabulary lacks are looked up.
    """
    tokens = tokenizer.ids_to_tokens(ids)
    has_unknown = bool(text) and tokenizer.unknown_id in ids
    if has_unknown:
        tokens = tokenizer.encode_with_texts(text)[1][: len(ids)]
    firsts = [
        index
        for index, token in enumerate(tokens)
        if index == 0 or token.startswith(" ") or UNSPACED.match(token) or UNSPACED.match(tokens[index - 1])
    ]
    ends = [*firsts[1:], len(tokens)] if firsts else []
    spans = list(zip(firsts, ends, strict=True))
    if has_unknown:
        texts = [tokenizer.decode_tokens(tokens[first:end]) for first, end in spans]
    else:
        texts = tokenizer.decode([ids[first:end] for first, end in spans])
    words = [Word(text.strip(), first, end) for text, first, end in zip(texts, firsts, ends, strict=True)]
    return [*words, Word(END, len(tokens), len(tokens) + 1)]
