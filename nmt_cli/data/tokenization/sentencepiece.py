"""SentencePiece models (Kudo and Richardson 2018), read without the SentencePiece library.

A model file is a protocol buffer. The few fields that determine the segmentation are read here and converted to a
tokenizer of the tokenizers library.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from nmt_cli.data.tokenization.tokenizer import BYTE_TOKENS, META_SPACE
from nmt_cli.errors import DataError

UNKNOWN_PIECE = " <unk>"  # cannot be found in text, whose spaces have become U+2581
_NORMAL, _USER_DEFINED, _BYTE = 1, 4, 6  # ModelProto.SentencePiece.Type
_MODEL_TYPES: dict[int, Literal["unigram", "bpe"]] = {1: "unigram", 2: "bpe"}  # TrainerSpec.ModelType
FieldValue = int | bytes


@dataclass(frozen=True)
class SentencePieceModel:
    """The content of a .spm or .model file."""

    model_type: Literal["unigram", "bpe"]
    pieces: list[tuple[str, float]]  # those that text is cut into, with their scores
    byte_fallback: bool
    precompiled_charsmap: bytes  # of the normalisation, compiled; empty for none
    add_dummy_prefix: bool
    remove_extra_whitespaces: bool


def read_sentencepiece(path: Path) -> SentencePieceModel:
    """Read a model; DataError if it is none, or of a kind that is not supported."""
    try:
        fields = list(_parse_fields(path.read_bytes()))
        submessages = [(number, value) for number, value in fields if isinstance(value, bytes)]
        pieces = [_parse_piece(value) for number, value in submessages if number == 1]
        trainer_spec = dict(_parse_fields(b"".join(value for number, value in submessages if number == 2)))
        normalizer_spec = dict(_parse_fields(b"".join(value for number, value in submessages if number == 3)))
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror}") from error
    except (ValueError, IndexError, struct.error) as error:
        raise DataError(f"{path}: not a SentencePiece model") from error
    model_type = _MODEL_TYPES.get(int(trainer_spec.get(3, 1)))
    if not pieces or model_type is None:
        raise DataError(f"{path}: not a SentencePiece model of type unigram or bpe")
    if any(piece_type == _USER_DEFINED for _, _, piece_type in pieces):
        raise DataError(f"{path}: has user defined symbols, which are not understood here")
    charsmap = normalizer_spec.get(2, b"")
    return SentencePieceModel(
        model_type,
        [(text, score) for text, score, piece_type in pieces if piece_type in (_NORMAL, _BYTE)],
        byte_fallback=bool(trainer_spec.get(35, 0)),
        precompiled_charsmap=charsmap if isinstance(charsmap, bytes) else b"",
        add_dummy_prefix=bool(normalizer_spec.get(3, 1)),
        remove_extra_whitespaces=bool(normalizer_spec.get(4, 1)),
    )


def build_tokenizer(model: SentencePieceModel) -> Tokenizer:
    """A tokenizer that segments text as the model does; unknown characters become UNKNOWN_PIECE."""
    unigram_pieces = [(UNKNOWN_PIECE, 0.0), *model.pieces]
    is_unigram = model.model_type == "unigram"
    backend = Tokenizer(models.Unigram(unigram_pieces, 0, model.byte_fallback) if is_unigram else _bpe(model))
    steps: list[normalizers.Normalizer] = []
    if model.precompiled_charsmap:
        steps.append(normalizers.Precompiled(model.precompiled_charsmap))
    if model.remove_extra_whitespaces:
        steps += [normalizers.Replace(Regex("^ +| +$"), ""), normalizers.Replace(Regex(" {2,}"), " ")]
    backend.normalizer = normalizers.Sequence(steps)
    backend.pre_tokenizer = pre_tokenizers.Metaspace(META_SPACE, "always" if model.add_dummy_prefix else "never")
    return backend


def _bpe(model: SentencePieceModel) -> models.BPE:
    """Merges from scores: SentencePiece joins the neighbours that make the piece with the best score."""
    piece_texts = [piece for piece, _ in model.pieces]
    vocabulary = {piece: number for number, piece in enumerate([UNKNOWN_PIECE, *piece_texts])}
    ranked = sorted(model.pieces, key=lambda piece_and_score: -piece_and_score[1])
    merges = [
        (piece[:split_at], piece[split_at:])
        for piece, _ in ranked
        if piece not in BYTE_TOKENS
        for split_at in range(1, len(piece))
        if piece[:split_at] in vocabulary and piece[split_at:] in vocabulary
    ]
    return models.BPE(vocabulary, merges, unk_token=UNKNOWN_PIECE, fuse_unk=True, byte_fallback=model.byte_fallback)


def _parse_piece(message: bytes) -> tuple[str, float, int]:
    """Text, score and type of a piece."""
    fields = dict(_parse_fields(message))
    text, score = fields.get(1, b""), fields.get(2, b"\0\0\0\0")
    assert isinstance(text, bytes) and isinstance(score, bytes)
    return text.decode(), struct.unpack("<f", score)[0], int(fields.get(3, _NORMAL))


def _parse_fields(message: bytes) -> Iterator[tuple[int, FieldValue]]:
    """Number and value of each field of a message: varints as integers, everything else as bytes.

    https://protobuf.dev/programming-guides/encoding/. ValueError or IndexError if the message is damaged.
    """
    offset = 0
    while offset < len(message):
        key, offset = _parse_varint(message, offset)
        number, wire_type = key >> 3, key & 7
        if wire_type == 0:
            value, offset = _parse_varint(message, offset)
            yield number, value
            continue
        if wire_type not in (1, 2, 5):
            raise ValueError("no such wire type")
        size, offset = _parse_varint(message, offset) if wire_type == 2 else ({1: 8, 5: 4}[wire_type], offset)
        if offset + size > len(message):
            raise ValueError("the message ends early")
        yield number, message[offset : offset + size]
        offset += size


def _parse_varint(message: bytes, offset: int) -> tuple[int, int]:
    """Decode a varint, groups of seven bits with the lowest first; its value and the position after it."""
    value = shift = 0
    while True:
        byte = message[offset]
        value |= (byte & 0x7F) << shift
        offset, shift = offset + 1, shift + 7
        if byte < 0x80:
            return value, offset
