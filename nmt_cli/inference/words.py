"""The words of a text by its tokens."""

import math
import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from nmt_cli.data.scripts import UNSPACED_SCRIPTS
from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from nmt_cli.decoding.engine import TokenIds
from nmt_cli.inference.hidden_spans import HiddenSpans
from nmt_cli.inference.masks import literal_pattern
from nmt_cli.inference.output import WordProbability

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


def place_words(words: Sequence[WordProbability], text: str, hidden: HiddenSpans | None) -> list[WordProbability]:
    """The words that a model wrote as those of the text that was made of them, with what was hidden from the model."""
    if "".join("".join(word.text for word in words).split()) == "".join(text.split()):
        return list(words)
    literals = literal_pattern(hidden.parts if hidden else ()).pattern
    pattern = rf"{literals}|[{UNSPACED_SCRIPTS}]|[^\W{UNSPACED_SCRIPTS}]+|[^\w\s]"
    written = [(part, number) for number, word in enumerate(words) for part in re.findall(pattern, word.text)]
    shown = list(re.finditer(pattern, text))
    matcher = SequenceMatcher(None, [part for part, _ in written], [match[0] for match in shown], autojunk=False)
    word_numbers: list[int | None] = [None] * len(shown)
    for first, shown_first, size in matcher.get_matching_blocks():
        word_numbers[shown_first : shown_first + size] = [number for _, number in written[first : first + size]]
    groups: list[list[int]] = []  # the parts of each word
    for index, match in enumerate(shown):
        before = shown[index - 1]
        is_apart = word_numbers[index] != word_numbers[index - 1] and (
            UNSPACED.match(before[0]) or UNSPACED.match(match[0])
        )
        if index == 0 or before.end() < match.start() or is_apart:
            groups.append([])
        groups[-1].append(index)
    placed = []
    for group in groups:
        numbers = {number for index in group if (number := word_numbers[index]) is not None}
        probability = math.prod((words[number].probability for number in numbers), start=1.0)
        placed.append(WordProbability(text[shown[group[0]].start() : shown[group[-1]].end()], probability))
    return placed
