"""Characters of a text that a vocabulary lacks, such as those of a new language in a fine-tuning."""

from collections import Counter
from collections.abc import Iterable
from itertools import chain

from nmt_cli.data.language_tags import split_tag
from nmt_cli.data.tokenization.tokenizer import BYTE_TOKENS, TextTokenizer
from nmt_cli.vocabulary import SPECIAL_TOKENS

MAX_SHOWN_CHARACTERS = 10
MIN_REPORTED_SHARE = 1e-4


def missing_characters(tokenizer: TextTokenizer, lines: Iterable[str]) -> str | None:
    """Which share of the characters, white space apart, no subword of the tokenizer has, and what becomes of them.

    None if it is negligible.
    """
    tokens, tags = set(tokenizer.ids_to_tokens(range(tokenizer.vocab_size))), tokenizer.tags
    alphabet = set("".join(tokens - {*SPECIAL_TOKENS, *BYTE_TOKENS, *(f" {tag}" for tag in tags)}))
    counts = Counter(chain.from_iterable(split_tag(line, tags)[1] for line in lines))
    counts = Counter({character: count for character, count in counts.items() if not character.isspace()})
    missing = Counter({character: count for character, count in counts.items() if character not in alphabet})
    share = missing.total() / max(1, counts.total())
    if share < MIN_REPORTED_SHARE:
        return None
    shown = [character for character, _ in missing.most_common(MAX_SHOWN_CHARACTERS)]
    if len(missing) > len(shown):
        shown.append("…")
    fate = "they are spelled in bytes" if tokens.issuperset(BYTE_TOKENS) else "it has no bytes, so they are lost"
    return f"{share:.2%} of the characters are not in the vocabulary ({' '.join(shown)}): {fate}"
