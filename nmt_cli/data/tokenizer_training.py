"""Learn a tokenizer's pieces from text. Training twice on the same text gives the same file."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import accumulate

from tokenizers import models, trainers

from nmt_cli.data.tokenizer import (
    BYTE_PIECES,
    VISIBLE_SPACE,
    TextTokenizer,
    TokenizerConfig,
    frame,
    model_content,
)
from nmt_cli.data.unigram import train_unigram
from nmt_cli.errors import DataError
from nmt_cli.vocabulary import SPECIAL_PIECES

LEAST_COVERAGE = 0.99  # share of the text whose characters must have pieces of their own
LONGEST_PIECE = 20  # characters; text without spaces would else get whole sentences as pieces
RESERVED = [*SPECIAL_PIECES, *BYTE_PIECES]


def train_tokenizer(
    lines: Callable[[], Iterable[str]], config: TokenizerConfig, *, nfc: bool = True
) -> TextTokenizer:
    """A tokenizer for the text that `lines()` yields, anew at each call.

    DataError where vocab_size has no room for the characters of the text.
    """
    if config.type == "word":
        return TextTokenizer(frame(_words(lines(), config, nfc), nfc=nfc))
    room = config.vocab_size - len(RESERVED)
    alphabet = _alphabet(lines(), config, room if config.type == "character" else room * 2 // 3)
    train = {"bpe": _bpe, "unigram": _unigram, "character": _characters}[config.type]
    return TextTokenizer(frame(train(lines(), alphabet, room), nfc=nfc))


def _alphabet(lines: Iterable[str], config: TokenizerConfig, most: int) -> list[str]:
    """The most frequent characters that make up the wanted share of the text, most frequent first.

    At most `most` of them, so that room is left for longer pieces; DataError where those would be
    less than LEAST_COVERAGE of the text. U+2581 is always spelled in bytes, so that it can stand
    for the space when pieces are printed.
    """
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(line)
    del counts[VISIBLE_SPACE]
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    sums = list(accumulate(count for _, count in ordered))
    total = sums[-1] if sums else 0
    wanted = bisect_left(sums, config.character_coverage * total) + 1
    least = bisect_left(sums, min(LEAST_COVERAGE, config.character_coverage) * total) + 1
    if least > most:
        size = len(RESERVED) + (least if config.type == "character" else -(-least * 3 // 2))
        raise DataError(
            f"tokenizer.vocab_size: {config.vocab_size} has no room for 4 specials, 256 bytes and "
            f"the {least} characters that make up {LEAST_COVERAGE:.0%} of the text; "
            f"use {size} or more"
        )
    alphabet = [character for character, _ in ordered[: min(wanted, most)]]
    if " " not in alphabet:  # it goes before every text, also where words have none between them
        alphabet = [*alphabet[: most - 1], " "]
    return alphabet


def _covered(lines: Iterable[str], alphabet: list[str]) -> Iterable[str]:
    """The lines with every character outside the alphabet replaced by a line end.

    Pieces are never learned across such a character.
    """
    known = set(alphabet)
    for line in lines:
        rare = set(line) - known
        yield line.translate({ord(character): "\n" for character in rare}) if rare else line


def _bpe(lines: Iterable[str], alphabet: list[str], room: int) -> models.Model:
    scratch = frame(models.BPE(), nfc=False)
    trainer = trainers.BpeTrainer(
        vocab_size=room, initial_alphabet=alphabet, limit_alphabet=len(alphabet),
        max_token_length=LONGEST_PIECE, show_progress=False,
    )  # fmt: skip
    scratch.train_from_iterator(_covered(lines, alphabet), trainer)
    merges = [(left, right) for left, right in model_content(TextTokenizer(scratch))["merges"]]
    learned = sorted(scratch.get_vocab().items(), key=lambda item: item[1])
    vocabulary = {piece: n for n, piece in enumerate([*RESERVED, *(p for p, _ in learned)])}
    return models.BPE(vocabulary, merges, byte_fallback=True, unk_token=SPECIAL_PIECES[1])


def _unigram(lines: Iterable[str], alphabet: list[str], room: int) -> models.Model:
    counts: Counter[str] = Counter()
    scratch = TextTokenizer(frame(models.BPE(), nfc=False))
    for line in _covered(lines, alphabet):
        counts.update(word for word in scratch.words(line) if "\n" not in word)
    pieces = train_unigram(counts, room, alphabet)
    lowest = min(score for _, score in pieces)
    scored = [*((piece, lowest) for piece in RESERVED), *pieces]
    return models.Unigram(scored, unk_id=1, byte_fallback=True)


def _characters(lines: Iterable[str], alphabet: list[str], room: int) -> models.Model:
    vocabulary = {piece: number for number, piece in enumerate([*RESERVED, *alphabet])}
    return models.BPE(vocabulary, [], byte_fallback=True, unk_token=SPECIAL_PIECES[1])


def _words(lines: Iterable[str], config: TokenizerConfig, nfc: bool) -> models.Model:
    scratch = TextTokenizer(frame(models.BPE(), nfc=nfc))
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(scratch.words(line))
    plain = ((word, count) for word, count in counts.items() if VISIBLE_SPACE not in word)
    ordered = sorted(plain, key=lambda item: (-item[1], item[0]))
    pieces = [*SPECIAL_PIECES, *(word for word, _ in ordered)][: config.vocab_size]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    return models.WordLevel(vocabulary, unk_token=SPECIAL_PIECES[1])
