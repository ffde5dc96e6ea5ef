"""Tokenizers of models made elsewhere: SentencePiece cuts the text, a list of pieces gives the ids.

OPUS-MT models have a SentencePiece model for each language and one list of pieces for both, in an
order of its own. SentencePiece normalises (NFKC and more, one space between words), so decoding
does not give the text back that was encoded, as it does with tokenizers made here.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from tokenizers import Tokenizer, decoders

from nmt_cli.data.tokenizer import LARGEST, VISIBLE_SPACE, TextTokenizer
from nmt_cli.disk import read_json
from nmt_cli.errors import DataError
from nmt_cli.vocabulary import Vocabulary

VOCABULARY = "tokenizer.vocabulary.json"  # what marks the tokenizers of a folder as imported
SIDES = ("source", "target")
ORIGINAL = "original."  # begins the names of the files as they came


@dataclass(frozen=True)
class Imported:
    """What the two tokenizers of an imported model have in common."""

    vocabulary: Vocabulary
    originals: dict[str, bytes]  # by name, to be handed on when the model is exported again


class ImportedTokenizer(TextTokenizer):
    """A SentencePiece model of one language over the pieces of a model made elsewhere."""

    def __init__(self, backend: Tokenizer, pieces: Sequence[str], vocabulary: Vocabulary) -> None:
        """`pieces` in the order of ids, with U+2581 for spaces."""
        super().__init__(backend)
        self.size = len(pieces)
        self._pieces, self._unknown = list(pieces), vocabulary.unknown
        self._hidden = {vocabulary.pad, vocabulary.start, vocabulary.end}
        self._ids = {piece: number for number, piece in enumerate(pieces)}
        self._numbers = [
            self._ids.get(backend.id_to_token(number) or "", self._unknown)
            for number in range(backend.get_vocab_size())
        ]
        self._decoder = decoders.Sequence(
            [decoders.ByteFallback(), decoders.Replace(VISIBLE_SPACE, " "), decoders.Fuse()]
        )

    def identity(self) -> str:
        """See `TextTokenizer.identity`."""
        return json.dumps([self.backend.to_str(), self._pieces])

    def save(self, path: Path) -> None:
        """Write the part that cuts text."""
        path.write_text(self.backend.to_str(pretty=True) + "\n", encoding="utf-8")

    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        """See `TextTokenizer.encode`; a language code like >>fra<< in front is one piece."""
        coded = [_language_code(line) for line in lines]
        return [
            [self._ids.get(one, self._unknown) for one in code] + self._model_ids(text, ids)
            for (code, text), ids in zip(coded, self._cut([t for _, t in coded]), strict=True)
        ]

    def lead(self, line: str) -> str:
        """See `TextTokenizer.lead`; a language code and the space after it."""
        code, text = _language_code(line)
        return line[: len(line) - len(text.lstrip())] if code else ""

    def _cut(self, texts: list[str]) -> list[list[int]]:
        """SentencePiece's own numbers."""
        batch = self.backend.encode_batch_fast(texts, add_special_tokens=False)
        return [encoding.ids for encoding in batch]

    def decode(self, sequences: Sequence[Sequence[int]]) -> list[str]:
        """See `TextTokenizer.decode`."""
        shown = [[self._pieces[i] for i in ids if i not in self._hidden] for ids in sequences]
        return [self._decoder.decode(pieces).strip(" ") if pieces else "" for pieces in shown]

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """See `TextTokenizer.pieces`."""
        return [self._pieces[i].replace(VISIBLE_SPACE, " ") for i in ids]

    def ids_of_visible(self, pieces: Iterable[str]) -> list[int]:
        """See `TextTokenizer.ids_of_visible`."""
        found = list(pieces)
        for piece in found:
            if piece not in self._ids:
                raise DataError(f"{piece!r} is not a piece of this tokenizer")
        return [self._ids[piece] for piece in found]

    def _model_ids(self, text: str, ids: list[int]) -> list[int]:
        """From SentencePiece's numbers to the model's.

        Unknown characters in a row are one, and looked up themselves: the other language's model
        may know them.
        """
        if all(ids):
            return [self._numbers[i] for i in ids]
        plain = self.backend.normalizer.normalize_str(text)  # which normalising leaves as it is
        encoding = self.backend.encode(plain, add_special_tokens=False)
        if encoding.ids != ids:
            return [self._numbers[i] for i in ids]
        found = []
        for known, run in groupby(range(len(ids)), key=lambda at: bool(ids[at])):
            places = list(run)
            if known:
                found += [self._numbers[ids[at]] for at in places]
            else:
                first, last = encoding.offsets[places[0]], encoding.offsets[places[-1]]
                surface = plain[first[0] : last[1]].replace(" ", VISIBLE_SPACE)
                found.append(self._ids.get(surface, self._unknown))
        return found

    @property
    def vocabulary_pieces(self) -> list[str]:
        """All pieces in the order of ids."""
        return list(self._pieces)


def save_imported(
    source: ImportedTokenizer, target: ImportedTokenizer, imported: Imported, folder: Path
) -> None:
    """Write both tokenizers and what they have in common."""
    for name, content in imported.originals.items():
        (folder / f"{ORIGINAL}{name}").write_bytes(content)
    vocabulary = imported.vocabulary
    source.save(folder / "tokenizer.source.json")
    target.save(folder / "tokenizer.target.json")
    pieces = {"source": source.vocabulary_pieces}
    if not vocabulary.joint:
        pieces["target"] = target.vocabulary_pieces
    described = {**asdict(vocabulary), "pieces": pieces}
    text = json.dumps(described, indent=0, ensure_ascii=False)
    (folder / VOCABULARY).write_text(text + "\n", encoding="utf-8")


def load_imported(folder: Path) -> tuple[ImportedTokenizer, ImportedTokenizer, Imported]:
    """Read what `save_imported` wrote; DataError where that fails."""
    path = folder / VOCABULARY
    try:
        content = read_json(path, LARGEST)
        pieces = content.pop("pieces")
        vocabulary = Vocabulary(**content)
        source, target = (
            ImportedTokenizer(
                Tokenizer.from_str((folder / f"tokenizer.{side}.json").read_text(encoding="utf-8")),
                pieces.get(side, pieces["source"]),
                vocabulary,
            )
            for side in SIDES
        )
        files = sorted(folder.glob(f"{ORIGINAL}*"))
        originals = {file.name.removeprefix(ORIGINAL): file.read_bytes() for file in files}
    except Exception as error:  # the library raises bare Exception
        raise DataError(f"{path}: damaged tokenizer: {error}") from error
    return source, target, Imported(vocabulary, originals)


def _language_code(line: str) -> tuple[tuple[str, ...], str]:
    """The code that tells a model of many languages which one to write, and the rest."""
    end = line.find("<<")
    if line.startswith(">>") and end != -1:
        return (line[: end + 2],), line[end + 2 :]
    return (), line
