"""Text to subword pieces and back, exactly, in the format of the Hugging Face tokenizers library.

A piece is a substring of the text, spaces included (' dog'); decoding is concatenation. A space is added before every
text, so that a word has the same piece at the beginning of a line and inside it, and removed again when decoding. No
special token is ever matched in text: text that spells one is split after its first character. Characters that the
vocabulary lacks become pieces for their UTF-8 bytes (for all types but `word`). A tag that was known when the tokenizer
was trained, such as <2de>, is one piece with the space before it, where a space or nothing follows.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from nmt_cli.config import Section
from nmt_cli.data.language_tags import is_tag
from nmt_cli.errors import DataError, error_reason
from nmt_cli.fs import DAMAGE_HINT, read_json
from nmt_cli.vocabulary import SPECIAL_TOKENS

T = TypeVar("T")
TokenizerType = Literal["bpe", "unigram", "character", "word"]

BYTE_TOKENS = tuple(f"<0x{byte:02X}>" for byte in range(256))
_BYTE_OF_TOKEN = {token: byte for byte, token in enumerate(BYTE_TOKENS)}
MAX_TOKENIZER_FILE_BYTES = 1 << 29  # a million pieces take some hundred million bytes
_PROBE_TEXT = "The 3 “odd” \u2581 </s> \U0001f642\t\u0301"  # exercises every part of a tokenizer
META_SPACE = "▁"  # how a space inside a piece is printed; never part of a vocabulary
SPECIAL_TOKEN_PATTERN = r"<(?=(?:pad|unk|/?s|0x[0-9A-F]{2})>)"
WORD_PATTERN = r" ?[\p{L}\p{M}]+| ?\p{N}| ?[^\s\p{L}\p{M}\p{N}]+|\s+(?!\S)|\s+"


def token_name(tokenizer_type: str) -> str:
    """What a message calls a token of this type of tokenizer: subword, character or word."""
    return tokenizer_type if tokenizer_type in ("character", "word") else "subword"


class TokenizerConfig(Section):
    """The tokenizer section of a recipe."""

    type: TokenizerType = "bpe"
    """bpe (Sennrich et al. 2016), unigram (Kudo 2018), character or word. For word, a text is split at spaces and
    punctuation: a word is a run of letters, one digit, or a run of other characters, so that don't is three words."""
    vocab_size: int = Field(default=8000, ge=8, le=10_000_000)
    """Subwords in each vocabulary, including 4 special tokens and (except for word) 256 bytes."""
    joint: bool = True
    """One vocabulary for both languages, as tied_embeddings: all needs."""
    character_coverage: float = Field(default=0.9999, gt=0, le=1)
    """Share of the text's characters that get subwords; rarer ones are encoded as bytes."""
    subword_samples: int = Field(default=1, ge=1, le=64)
    """Encodings of the training text, one per epoch in turn; the first is always the best one."""
    subword_sampling: float = Field(default=0.1, gt=0, lt=1)
    """For the other samples: dropout of BPE merges (Provilkov et al. 2020), or alpha of unigram
    sampling (Kudo 2018)."""
    sample_lines: int = Field(default=2_000_000, ge=1)
    """At most this many training lines per language, evenly spaced, are used to train the tokenizer."""

    def errors(self) -> list[str]:
        """Options that do not fit together."""
        if self.subword_samples > 1 and self.type in ("character", "word"):
            return [f"subword_samples: type {self.type} has only one encoding of a text; use bpe or unigram"]
        return []

    def warnings(self) -> list[str]:
        """Options that have no effect."""
        messages = []
        if self.subword_samples == 1 and self.non_default("subword_sampling"):
            messages.append("subword_sampling: does nothing without subword_samples")
        if self.type == "word" and self.non_default("character_coverage"):
            messages.append("character_coverage: does nothing with type: word")
        return messages


class TextTokenizer:
    """A trained tokenizer of one language or of both."""

    def __init__(self, backend: Tokenizer) -> None:
        self.backend = backend
        self.vocab_size: int = backend.get_vocab_size()
        self.unknown_id = SPECIAL_TOKENS.index("<unk>")
        self._skipped_ids = frozenset(range(len(SPECIAL_TOKENS))) - {self.unknown_id}  # in text

    @classmethod
    def load(cls, path: Path) -> "TextTokenizer":
        """Read a tokenizer.json; DataError if it was not trained here."""
        return cls.from_dict(read_json(path, MAX_TOKENIZER_FILE_BYTES, hint=DAMAGE_HINT), path)

    @classmethod
    def from_dict(cls, content: dict[str, Any], path: Path) -> "TextTokenizer":
        """The tokenizer that the content of a tokenizer.json describes; DataError if it was not trained here."""
        try:
            backend = Tokenizer.from_str(json.dumps(content))
            unsupported = _unsupported_feature(content, backend)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # the library raises bare Exception, and BaseException for a panic
            raise DataError(f"{path}: not a tokenizer file: {error_reason(error)}") from error
        if unsupported:
            raise DataError(f"{path}: not a tokenizer made by nmt prepare: {unsupported}")
        return cls(backend)

    def save(self, path: Path) -> None:
        """Write tokenizer.json."""
        path.write_bytes(f"{self.backend.to_str(pretty=True)}\n".encode())

    def serialize(self) -> str:
        """The tokenizer as text, equal if two tokenizers give the same ids."""
        return str(self.backend.to_str())

    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        """Ids of each line, without the end of sentence. Uses every core."""
        encodings = self.backend.encode_batch_fast(lines, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def skip_normal_form(self) -> None:
        """From now on encode text as it is, not in Unicode NFC."""
        self.backend.normalizer = normalizers.Prepend(" ")

    def language_tag(self, line: str) -> str:
        """What each segment of a line must begin with: nothing, for tokenizers trained here."""
        return ""

    def decode(self, sequences: Sequence[Sequence[int]]) -> list[str]:
        """The text of each sequence; without special tokens except <unk>, and bytes that form no character."""
        first_visible, unknown_id = len(SPECIAL_TOKENS), self.unknown_id  # faster than to look in _skipped_ids
        visible_ids = [[i for i in ids if i >= first_visible or i == unknown_id] for ids in sequences]
        decoded: list[str] = self.backend.decode_batch(visible_ids, skip_special_tokens=False)
        return [  # the library, which is faster, writes U+FFFD for each byte of a run that is not valid as a whole
            self.decode_tokens(self.ids_to_tokens(ids)) if "\ufffd" in text else text
            for ids, text in zip(visible_ids, decoded, strict=True)
        ]

    @cached_property
    def has_only_words(self) -> bool:
        """Whether its tokens are whole words (type `word`)."""
        return isinstance(self.backend.model, models.WordLevel)

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """The tags that are one piece each, sorted."""
        vocabulary = self.backend.get_vocab()
        return tuple(sorted(token[1:] for token in vocabulary if token.startswith(" ") and is_tag(token[1:])))

    @cached_property
    def fallback_ids(self) -> frozenset[int]:
        """Ids of what stands for text that the vocabulary lacks: <unk>, and the bytes of a character."""
        byte_ids = map(self.visible_token_to_id, BYTE_TOKENS)
        return frozenset([self.unknown_id, *(token_id for token_id in byte_ids if token_id is not None)])

    def decode_tokens(self, tokens: Sequence[str]) -> str:
        """The text of tokens, which need not be in the vocabulary."""
        return "".join(spell_bytes(tokens)).removeprefix(" ")

    def visible_tokens(self, ids: Iterable[int]) -> list[str]:
        """The token of each id; "" for special tokens except <unk>."""
        return ["" if i in self._skipped_ids else self.ids_to_tokens([i])[0] for i in ids]

    def encode_with_texts(self, line: str) -> tuple[list[int], list[str]]:
        """Ids of a line, and the token of each, with the text of the line in place of <unk>."""
        encoding = self.backend.encode(line, add_special_tokens=False)
        texts = [
            token if token_id != self.unknown_id else line[start:end] if start else f" {line[:end]}"
            for token_id, token, (start, end) in zip(encoding.ids, encoding.tokens, encoding.offsets, strict=True)
        ]
        return encoding.ids, texts

    def ids_to_tokens(self, ids: Iterable[int]) -> list[str]:
        """The piece of each id, as it is in the vocabulary."""
        tokens: list[str] = [self.backend.id_to_token(i) or "" for i in ids]
        return tokens

    def ids_to_visible_tokens(self, ids: Iterable[int]) -> list[str]:
        """Pieces with their spaces made visible."""
        return [token.replace(" ", META_SPACE) for token in self.ids_to_tokens(ids)]

    def visible_token_to_id(self, token: str) -> int | None:
        """The id of a piece whose spaces are visible; None if it is unknown."""
        token_id: int | None = self.backend.token_to_id(token.replace(META_SPACE, " "))
        return token_id

    def visible_tokens_to_ids(self, tokens: Iterable[str]) -> list[int]:
        """The inverse of `ids_to_visible_tokens`; DataError if a piece is unknown."""
        ids = []
        for token in tokens:
            token_id = self.visible_token_to_id(token)
            if token_id is None:
                raise DataError(f"{token!r} is not a subword of this tokenizer")
            ids.append(token_id)
        return ids

    def pre_tokenize(self, line: str) -> list[str]:
        """The words that are segmented independently; joined, they are the line."""
        normalized = self.backend.normalizer.normalize_str(line)
        return [word for word, _ in self.backend.pre_tokenizer.pre_tokenize_str(normalized)]


def spell_bytes(tokens: Iterable[str]) -> list[str]:
    """What each token writes: the first of a run of byte tokens the characters that the run spells, the others nothing.

    Bytes that form no character are left out.
    """
    texts: list[str] = []
    for are_bytes, group in groupby(tokens, _BYTE_OF_TOKEN.__contains__):
        run = list(group)
        if are_bytes:
            spelled = bytes(_BYTE_OF_TOKEN[token] for token in run).decode(errors="ignore")
            run = [spelled, *[""] * (len(run) - 1)]
        texts += run
    return texts


def _unsupported_feature(content: dict[str, Any], backend: Tokenizer) -> str | None:
    """A feature that tokenizers trained here never have, or None; raises whatever the library raises.

    A tokenizer that truncates text, matches special tokens in it, or has ids beyond its size would lose text or stop a
    translation halfway, so it is rejected when it is opened.
    """
    for key in ("added_tokens", "truncation", "padding", "post_processor"):
        if content.get(key):
            return f"it has {key}"
    for token_id, token in enumerate(SPECIAL_TOKENS):
        if backend.token_to_id(token) != token_id:
            return f"{token} is not subword {token_id}"
    if max(backend.get_vocab().values()) >= backend.get_vocab_size():
        return "its ids have gaps"
    if backend.normalizer is None or backend.pre_tokenizer is None:
        return "it has no normalizer or pre_tokenizer"
    our_decoder = json.loads(build_backend(models.BPE(), nfc=False).to_str())["decoder"]
    if json.loads(backend.to_str())["decoder"] != our_decoder:
        return "its decoder is another"
    # Not in batches: the library's threads would make it unsafe to fork this process.
    ids = backend.encode(_PROBE_TEXT, add_special_tokens=False).ids
    TextTokenizer(backend).pre_tokenize(_PROBE_TEXT)
    backend.decode(ids, skip_special_tokens=False)
    return None


def build_backend(model: models.Model, *, nfc: bool, tags: Sequence[str] = ()) -> Tokenizer:
    """A tokenizer of the library around a model of pieces, in which each of the tags is a word."""
    word_pattern = rf" (?:{'|'.join(map(re.escape, tags))})(?!\S)|{WORD_PATTERN}" if tags else WORD_PATTERN
    backend = Tokenizer(model)
    prepend_space = normalizers.Prepend(" ")
    backend.normalizer = normalizers.Sequence([normalizers.NFC(), prepend_space] if nfc else [prepend_space])
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPECIAL_TOKEN_PATTERN), "isolated"),
            pre_tokenizers.Split(Regex(word_pattern), "isolated"),
        ]
    )
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return backend


def model_dict(backend: Tokenizer) -> dict[str, Any]:
    """The model part of tokenizer.json."""
    content: dict[str, Any] = json.loads(backend.to_str())["model"]
    return content


def batched(items: Iterable[T], size: int = 10_000) -> Iterator[list[T]]:
    """Lists of at most `size` items."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
