"""SentencePiece models (Kudo and Richardson 2018), read without the library that made them.

A model file is a protocol buffer; the few fields that decide how text is cut are read here and
put together as a tokenizer of the tokenizers library.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from nmt_cli.data.tokenizer import BYTE_PIECES, VISIBLE_SPACE
from nmt_cli.errors import DataError

UNKNOWN = " <unk>"  # cannot be found in text, whose spaces have become U+2581
_NORMAL, _USER_DEFINED, _BYTE = 1, 4, 6  # ModelProto.SentencePiece.Type
_KINDS: dict[int, Literal["unigram", "bpe"]] = {1: "unigram", 2: "bpe"}  # TrainerSpec.ModelType
Value = int | bytes


@dataclass(frozen=True)
class SentencePieceModel:
    """What a .spm or .model file says."""

    kind: Literal["unigram", "bpe"]
    pieces: list[tuple[str, float]]  # those that text is cut into, with their scores
    byte_fallback: bool
    charsmap: bytes  # of the normalisation, compiled; empty for none
    dummy_prefix: bool
    collapse_spaces: bool


def read_sentencepiece(path: Path) -> SentencePieceModel:
    """Read a model; DataError where it is none, or is of a kind that is not understood here."""
    try:
        fields = list(_fields(path.read_bytes()))
        found = [(number, value) for number, value in fields if isinstance(value, bytes)]
        pieces = [_piece(value) for number, value in found if number == 1]
        trainer = dict(_fields(b"".join(value for number, value in found if number == 2)))
        normalizer = dict(_fields(b"".join(value for number, value in found if number == 3)))
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror}") from error
    except (ValueError, IndexError, struct.error) as error:
        raise DataError(f"{path}: not a SentencePiece model") from error
    kind = _KINDS.get(int(trainer.get(3, 1)))
    if not pieces or kind is None:
        raise DataError(f"{path}: not a SentencePiece model of type unigram or bpe")
    if any(type_ == _USER_DEFINED for _, _, type_ in pieces):
        raise DataError(f"{path}: has user defined symbols, which are not understood here")
    charsmap = normalizer.get(2, b"")
    return SentencePieceModel(
        kind,
        [(text, score) for text, score, type_ in pieces if type_ in (_NORMAL, _BYTE)],
        byte_fallback=bool(trainer.get(35, 0)),
        charsmap=charsmap if isinstance(charsmap, bytes) else b"",
        dummy_prefix=bool(normalizer.get(3, 1)),
        collapse_spaces=bool(normalizer.get(4, 1)),
    )


def build_tokenizer(model: SentencePieceModel) -> Tokenizer:
    """A tokenizer that cuts text as the model does; unknown characters become `UNKNOWN`."""
    backend = Tokenizer(_unigram(model) if model.kind == "unigram" else _bpe(model))
    steps: list[normalizers.Normalizer] = []
    if model.charsmap:
        steps.append(normalizers.Precompiled(model.charsmap))
    if model.collapse_spaces:
        steps += [
            normalizers.Replace(Regex("^ +| +$"), ""),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    backend.normalizer = normalizers.Sequence(steps)
    backend.pre_tokenizer = pre_tokenizers.Metaspace(
        VISIBLE_SPACE, "always" if model.dummy_prefix else "never"
    )
    return backend


def _unigram(model: SentencePieceModel) -> models.Unigram:
    return models.Unigram([(UNKNOWN, 0.0), *model.pieces], 0, model.byte_fallback)


def _bpe(model: SentencePieceModel) -> models.BPE:
    """Merges from scores: SentencePiece joins the neighbours that make the best scored piece."""
    names = [piece for piece, _ in model.pieces]
    vocabulary = {piece: number for number, piece in enumerate([UNKNOWN, *names])}
    ranked = sorted(
        (one for one in model.pieces if one[0] not in BYTE_PIECES), key=lambda one: -one[1]
    )
    merges = [
        (piece[:cut], piece[cut:])
        for piece, _ in ranked
        for cut in range(1, len(piece))
        if piece[:cut] in vocabulary and piece[cut:] in vocabulary
    ]
    return models.BPE(
        vocabulary, merges, unk_token=UNKNOWN, fuse_unk=True, byte_fallback=model.byte_fallback
    )


def _piece(message: bytes) -> tuple[str, float, int]:
    """Text, score and type of a piece."""
    fields = dict(_fields(message))
    text, score = fields.get(1, b""), fields.get(2, b"\0\0\0\0")
    assert isinstance(text, bytes) and isinstance(score, bytes)
    return text.decode(), struct.unpack("<f", score)[0], int(fields.get(3, _NORMAL))


def _fields(message: bytes) -> Iterator[tuple[int, Value]]:
    """Number and value of each field: varints as integers, all else as the bytes that it has.

    https://protobuf.dev/programming-guides/encoding/. ValueError or IndexError where the message
    is damaged.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind not in (1, 2, 5):
            raise ValueError("no such wire type")
        size, at = _varint(message, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
        if at + size > len(message):
            raise ValueError("the message ends early")
        yield number, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, lowest first, and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
