"""Training tokenizers. Training twice on the same text gives the same file."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from itertools import accumulate, chain

from tokenizers import models, trainers

from nmt_cli.data.language_tags import is_tag, split_tag
from nmt_cli.data.tokenization.tokenizer import (
    BYTE_TOKENS,
    META_SPACE,
    TextTokenizer,
    TokenizerConfig,
    build_backend,
    model_dict,
)
from nmt_cli.data.tokenization.unigram import train_unigram
from nmt_cli.errors import DataError, pluralize
from nmt_cli.vocabulary import SPAN_MARK, SPAN_PLACEHOLDERS, SPECIAL_TOKENS

MIN_COVERAGE = 0.99  # share of the text whose characters must be pieces
MAX_SUBWORD_CHARS = 20  # otherwise, text without spaces would get whole sentences as pieces


def train_tokenizer(
    lines: Callable[[], Iterable[str]],
    config: TokenizerConfig,
    *,
    nfc: bool = True,
    placeholders: bool = False,
    tags: Collection[str] = (),
) -> TextTokenizer:
    """A tokenizer for the text that `lines()` yields, from the beginning at each call.

    With `placeholders`, those of the package are pieces, with and without a space before them. The `tags` are pieces
    with a space before them, and nothing is learned of those that lines begin with. DataError if vocab_size has no room
    for the characters of the text.
    """
    tags = sorted(filter(is_tag, tags))

    def untagged() -> Iterable[str]:
        return (split_tag(line, tags)[1] for line in lines())

    extra = [*(_placeholder_tokens(config.type) if placeholders else ()), *(f" {tag}" for tag in tags)]
    if config.type == "word":
        model = _word_model(untagged(), config, nfc, [*SPECIAL_TOKENS, *extra])
    else:
        reserved = [*SPECIAL_TOKENS, *BYTE_TOKENS, *extra]
        alphabet = _select_alphabet(untagged(), config, reserved)
        train = {"bpe": _train_bpe, "unigram": _train_unigram, "character": _character_model}[config.type]
        model = train(untagged(), alphabet, config.vocab_size - len(reserved), reserved)
    return TextTokenizer(build_backend(model, nfc=nfc, tags=tags))


def _is_placeholder(token: str) -> bool:
    return token[-1] in SPAN_PLACEHOLDERS


def _placeholder_tokens(tokenizer_type: str) -> list[str]:
    with_space = [] if tokenizer_type == "character" else [f" {placeholder}" for placeholder in SPAN_PLACEHOLDERS]
    return [*SPAN_PLACEHOLDERS, *with_space]


def _select_alphabet(lines: Iterable[str], config: TokenizerConfig, reserved: list[str]) -> list[str]:
    """The most frequent characters that together cover the configured share of the text, most frequent first.

    At most two thirds of what is not `reserved`, so that room is left for longer pieces; DataError if those cover less
    than MIN_COVERAGE of the text. U+2581 is always encoded as bytes, so that it can stand for the space when pieces are
    printed.
    """
    subword_count = config.vocab_size - len(reserved)
    max_characters = subword_count if config.type == "character" else subword_count * 2 // 3
    counts = Counter(chain.from_iterable(lines))
    for character in (META_SPACE, SPAN_MARK, *SPAN_PLACEHOLDERS):
        del counts[character]
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    cumulative_counts = list(accumulate(count for _, count in ordered))
    total = cumulative_counts[-1] if cumulative_counts else 0
    wanted_characters = bisect_left(cumulative_counts, config.character_coverage * total) + 1
    min_characters = bisect_left(cumulative_counts, min(MIN_COVERAGE, config.character_coverage) * total) + 1
    if min_characters > max_characters:
        raise DataError(_no_room(config, reserved, min_characters))
    alphabet = [character for character, _ in ordered[: min(wanted_characters, max_characters)]]
    if " " not in alphabet:  # it goes before every text, also where words have none between them
        alphabet = [*alphabet[: max_characters - 1], " "]
    return alphabet


def _no_room(config: TokenizerConfig, reserved: list[str], min_characters: int) -> str:
    """The message that a vocabulary is too small for the reserved tokens and so many characters."""
    placeholders = sum(map(_is_placeholder, reserved))
    tags = len(reserved) - len(SPECIAL_TOKENS) - len(BYTE_TOKENS) - placeholders
    longer_subwords = 0 if config.type == "character" else -(-min_characters // 2)
    contents = [
        f"{len(SPECIAL_TOKENS)} specials",
        f"{len(BYTE_TOKENS)} bytes",
        *([f"{placeholders} placeholders"] if placeholders else []),
        *([pluralize(tags, "tag")] if tags else []),
        f"the {min_characters} characters that make up {MIN_COVERAGE:.0%} of the text",
        *([f"half as many longer subwords ({longer_subwords})"] if longer_subwords else []),
    ]
    return (
        f"tokenizer.vocab_size: {config.vocab_size} has no room for {', '.join(contents[:-1])} and {contents[-1]}; "
        f"use {len(reserved) + min_characters + longer_subwords} or more"
    )


def _mask_uncovered(lines: Iterable[str], alphabet: list[str]) -> Iterable[str]:
    """The lines with every character outside the alphabet replaced by a line end.

    Pieces never contain such a character.
    """
    covered = set(alphabet)
    for line in lines:
        uncovered = set(line) - covered
        yield (line.translate({ord(character): "\n" for character in uncovered}) if uncovered else line)


def _train_bpe(lines: Iterable[str], alphabet: list[str], subword_count: int, reserved: list[str]) -> models.Model:
    backend = build_backend(models.BPE(), nfc=False)
    trainer = trainers.BpeTrainer(
        vocab_size=subword_count, initial_alphabet=alphabet, limit_alphabet=len(alphabet),
        max_token_length=MAX_SUBWORD_CHARS, show_progress=False,
    )  # fmt: skip
    backend.train_from_iterator(_mask_uncovered(lines, alphabet), trainer)
    merges = [(left, right) for left, right in model_dict(backend)["merges"]]
    merges += [(" ", token[1:]) for token in reserved if token.startswith(" ") and _is_placeholder(token)]
    learned = sorted(backend.get_vocab().items(), key=lambda item: item[1])
    vocabulary = {token: token_id for token_id, token in enumerate([*reserved, *(subword for subword, _ in learned)])}
    return _bpe_model(vocabulary, merges)


def _bpe_model(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> models.BPE:
    """The model of pieces; with tags, which no merges make, a word that is a piece is not cut."""
    has_tags = any(is_tag(token[1:]) for token in vocabulary if token.startswith(" "))
    options = {"ignore_merges": True} if has_tags else {}
    return models.BPE(vocabulary, merges, byte_fallback=True, unk_token=SPECIAL_TOKENS[1], **options)


def _train_unigram(lines: Iterable[str], alphabet: list[str], subword_count: int, reserved: list[str]) -> models.Model:
    counts: Counter[str] = Counter()
    pre_tokenizer = TextTokenizer(build_backend(models.BPE(), nfc=False))
    for line in _mask_uncovered(lines, alphabet):
        counts.update(word for word in pre_tokenizer.pre_tokenize(line) if "\n" not in word)
    scored_subwords = train_unigram(counts, subword_count, alphabet)
    lowest_score = min(score for _, score in scored_subwords)
    reserved_scores = (0.0 if is_tag(token[1:]) else lowest_score for token in reserved)  # a tag is never cut
    scored_tokens = [*zip(reserved, reserved_scores, strict=True), *scored_subwords]
    return models.Unigram(scored_tokens, unk_id=1, byte_fallback=True)


def _character_model(
    lines: Iterable[str], alphabet: list[str], subword_count: int, reserved: list[str]
) -> models.Model:
    vocabulary = {token: token_id for token_id, token in enumerate([*reserved, *alphabet])}
    return _bpe_model(vocabulary, [])


def _word_model(lines: Iterable[str], config: TokenizerConfig, nfc: bool, reserved: list[str]) -> models.Model:
    pre_tokenizer = TextTokenizer(build_backend(models.BPE(), nfc=nfc))
    counts = Counter(chain.from_iterable(map(pre_tokenizer.pre_tokenize, lines)))
    without_meta_space = ((word, count) for word, count in counts.items() if META_SPACE not in word)
    ordered = sorted(without_meta_space, key=lambda item: (-item[1], item[0]))
    tokens = [*reserved, *(word for word, _ in ordered)][: config.vocab_size]
    vocabulary = {token: token_id for token_id, token in enumerate(tokens)}
    return models.WordLevel(vocabulary, unk_token=SPECIAL_TOKENS[1])
