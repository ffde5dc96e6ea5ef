"""Tokenizers of imported models: SentencePiece segments the text, and a list of pieces gives the ids.

OPUS-MT models have a SentencePiece model per language and one list of pieces for both, in an order of its own.
SentencePiece normalises (NFKC and more, single spaces), so decoding does not restore the text exactly, as tokenizers
trained here do.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from tokenizers import Tokenizer

from nmt_cli.data import SIDES
from nmt_cli.data.tokenization.tokenizer import MAX_TOKENIZER_FILE_BYTES, META_SPACE, TextTokenizer, spell_bytes
from nmt_cli.errors import DataError
from nmt_cli.fs import DAMAGE_HINT, damaged_file, read_json
from nmt_cli.vocabulary import Vocabulary

VOCABULARY_FILE = "tokenizer.vocabulary.json"  # what marks the tokenizers of a folder as imported
ORIGINAL_PREFIX = "original."  # begins the names of the files as they came
_LANGUAGE_TAG = re.compile(r">>[\w-]{1,60}<<")


@dataclass(frozen=True)
class ImportedTokenizerInfo:
    """What the two tokenizers of an imported model have in common."""

    vocabulary: Vocabulary
    original_files: dict[str, bytes]  # by name, to be handed on when the model is exported again


class ImportedTokenizer(TextTokenizer):
    """A SentencePiece model of one language with the vocabulary of an imported model."""

    def __init__(self, backend: Tokenizer, tokens: Sequence[str], vocabulary: Vocabulary) -> None:
        """`tokens` in the order of ids, with U+2581 for spaces."""
        super().__init__(backend)
        self.vocab_size = len(tokens)
        self.tokens, self.unknown_id = list(tokens), vocabulary.unknown
        self._skipped_ids = frozenset((vocabulary.pad, vocabulary.start, vocabulary.end))
        self._token_ids = {token: token_id for token_id, token in enumerate(tokens)}
        self._model_id_by_sentencepiece_id = [
            self._token_ids.get(backend.id_to_token(sentencepiece_id) or "", self.unknown_id)
            for sentencepiece_id in range(backend.get_vocab_size())
        ]

    def serialize(self) -> str:
        """The tokenizer as text, equal if two tokenizers give the same ids."""
        return json.dumps([self.backend.to_str(), self.tokens])

    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        """Ids of each line, without the end of sentence; a language code such as >>fra<< in front is one piece."""
        tagged_texts = [self._split_language_tag(line) for line in lines]
        sentencepiece_ids = super().encode([text for _, text in tagged_texts])
        return [
            [self._token_ids[tag] for tag in tags] + self._to_model_ids(text, ids)
            for (tags, text), ids in zip(tagged_texts, sentencepiece_ids, strict=True)
        ]

    def skip_normal_form(self) -> None:
        """Does nothing: SentencePiece segments what it has normalised."""

    def language_tag(self, line: str) -> str:
        """What each segment of a line must begin with: its language code and the space after it, if it has one."""
        tags, text = self._split_language_tag(line)
        return line[: len(line) - len(text.lstrip())] if tags else ""

    def _split_language_tag(self, line: str) -> tuple[tuple[str, ...], str]:
        """Split a line into the target language code of a multilingual model, if it has one, and the rest."""
        tag = _LANGUAGE_TAG.match(line)
        if tag is None or tag[0] not in self._token_ids:
            return (), line
        return (tag[0],), line[tag.end() :]

    def decode(self, sequences: Sequence[Sequence[int]]) -> list[str]:
        """The text of each sequence."""
        token_lists = [[self.tokens[i] for i in ids if i not in self._skipped_ids] for ids in sequences]
        return list(map(self.decode_tokens, token_lists))

    def decode_tokens(self, tokens: Sequence[str]) -> str:
        """The text of tokens, which need not be in the vocabulary."""
        return "".join(spell_bytes(tokens)).replace(META_SPACE, " ").strip(" ")

    def encode_with_texts(self, line: str) -> tuple[list[int], list[str]]:
        """Ids of a line, and the token of each; a run of unknown characters is one token."""
        tags, text = self._split_language_tag(line)
        (sentencepiece_ids,) = super().encode([text])
        pieces = [*((self._token_ids[tag], tag) for tag in tags), *self._pieces(text, sentencepiece_ids)]
        texts = [surface if token_id == self.unknown_id else self.tokens[token_id] for token_id, surface in pieces]
        return [token_id for token_id, _ in pieces], [text.replace(META_SPACE, " ") for text in texts]

    def ids_to_tokens(self, ids: Iterable[int]) -> list[str]:
        """The piece of each id."""
        return [self.tokens[i].replace(META_SPACE, " ") for i in ids]

    def visible_token_to_id(self, token: str) -> int | None:
        """The id of a piece whose spaces are visible; None if it is unknown."""
        return self._token_ids.get(token)

    def _to_model_ids(self, text: str, ids: list[int]) -> list[int]:
        """Convert ids of the SentencePiece model to ids of the imported model.

        A run of unknown characters is one piece to look up: the vocabulary also has the other language's pieces.
        """
        if all(ids):
            return [self._model_id_by_sentencepiece_id[i] for i in ids]
        return [model_id for model_id, _ in self._pieces(text, ids)]

    def _pieces(self, text: str, ids: list[int]) -> Iterator[tuple[int, str]]:
        """The id and the text of each piece of the imported model."""
        normalized = self.backend.normalizer.normalize_str(text)  # which normalising leaves as it is
        encoding = self.backend.encode(normalized, add_special_tokens=False)
        is_stable = encoding.ids == ids
        for is_known, run in groupby(range(len(ids)), key=lambda index: bool(ids[index]) or not is_stable):
            indices = list(run)
            if is_known:
                for index in indices:
                    piece = (self.backend.id_to_token(ids[index]) or "") if ids[index] else ""
                    yield self._model_id_by_sentencepiece_id[ids[index]], piece
            else:
                first, last = encoding.offsets[indices[0]], encoding.offsets[indices[-1]]
                surface = normalized[first[0] : last[1]].replace(" ", META_SPACE)
                yield self._token_ids.get(surface, self.unknown_id), surface


def save_imported(
    source: ImportedTokenizer, target: ImportedTokenizer, info: ImportedTokenizerInfo, folder: Path
) -> None:
    """Write both tokenizers and what they have in common."""
    for name, content in info.original_files.items():
        (folder / f"{ORIGINAL_PREFIX}{name}").write_bytes(content)
    vocabulary = info.vocabulary
    source.save(folder / "tokenizer.source.json")
    target.save(folder / "tokenizer.target.json")
    tokens = {"source": source.tokens}
    if not vocabulary.joint:
        tokens["target"] = target.tokens
    fields = {**asdict(vocabulary), "pieces": tokens}
    text = json.dumps(fields, indent=0, ensure_ascii=False)
    (folder / VOCABULARY_FILE).write_bytes(f"{text}\n".encode())


def load_imported(folder: Path) -> tuple[ImportedTokenizer, ImportedTokenizer, ImportedTokenizerInfo]:
    """Read what `save_imported` wrote; DataError if that fails."""
    path = folder / VOCABULARY_FILE
    try:
        content = read_json(path, MAX_TOKENIZER_FILE_BYTES, hint=DAMAGE_HINT)
        tokens = content.pop("pieces")
        vocabulary = Vocabulary(**content)
        source, target = (
            ImportedTokenizer(
                Tokenizer.from_str((folder / f"tokenizer.{side}.json").read_text(encoding="utf-8")),
                tokens.get(side, tokens["source"]),
                vocabulary,
            )
            for side in SIDES
        )
        files = sorted(folder.glob(f"{ORIGINAL_PREFIX}*"))
        original_files = {file.name.removeprefix(ORIGINAL_PREFIX): file.read_bytes() for file in files}
    except DataError:
        raise
    except Exception as error:  # the library raises bare Exception
        raise damaged_file(path, error) from error
    return source, target, ImportedTokenizerInfo(vocabulary, original_files)
