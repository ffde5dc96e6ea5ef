"""The catalogue of public corpora: catalogue.yaml, read and checked."""

import difflib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from nmt_cli.config import Section
from nmt_cli.errors import DataError
from nmt_cli.yaml12 import read_yaml

CATALOGUE = Path(__file__).with_name("catalogue.yaml")
ROLES = ("train", "dev", "test")


class File(Section):
    """Something to download."""

    address: str
    """Where it is."""
    bytes: int | None = None
    """Its size; null: nobody published it."""
    sha256: str | None = None
    """SHA-256 of the file."""
    text_sha256: str | None = None
    """SHA-256 of what is in it when it is decompressed."""


class Piece(Section):
    """Some pairs of a split: a file of the catalogue or a member of it, for either language."""

    file: str
    """Name of the file, with {pair} and {language}."""
    member: str | None = None
    """Name inside the archive; null: the file itself is the text."""
    first_member: str | None = None
    """The same for the first language of the pair, where the two differ by more than {language}."""
    second_member: str | None = None
    """The same for the second language."""


class Splits(Section):
    """What a corpus is divided into."""

    train: tuple[Piece, ...]
    """Training text."""
    dev: tuple[Piece, ...] = ()
    """Development text."""
    test: tuple[Piece, ...]
    """Test text."""
    every: int | None = None
    """Each so many-th pair of the training text is development text."""


class Pair(Section):
    """Two languages of a corpus."""

    pairs: tuple[int, int, int]
    """Published numbers of pairs of train, dev and test."""
    more: tuple[Piece, ...] = ()
    """Training text beside that of all pairs."""


class Entry(Section):
    """A corpus of the catalogue."""

    title: str
    """What it is."""
    licence: str
    """The terms in a few words."""
    terms: str
    """The terms in full sentences."""
    citation: str
    """BibTeX of the paper to cite."""
    note: str = ""
    """What else to know."""
    pairs: dict[str, Pair]
    """Its languages."""
    splits: Splits
    """Where its text is."""


class _Catalogue(Section):
    files: dict[str, File]
    """By their names in the download folder."""
    corpora: dict[str, Entry]
    """By the names that recipes use."""


class Text(NamedTuple):
    """One side of a piece: a file of the catalogue, and the member that holds the text."""

    file: str
    member: str | None
    language: str

    @property
    def name(self) -> str:
        """What its form is known by."""
        return self.member or self.file


@cache
def _catalogue() -> _Catalogue:
    import json

    content, _ = read_yaml(CATALOGUE.read_text(encoding="utf-8"))
    return _Catalogue.model_validate_json(json.dumps(content))


def corpora() -> dict[str, Entry]:
    """Every corpus by name."""
    return _catalogue().corpora


def file(name: str) -> File:
    """A file of the catalogue."""
    return _catalogue().files[name]


def nearest(name: str) -> str:
    """The corpus that was meant perhaps, or all that there are, as the end of a message."""
    known = ["quickstart", *corpora()]
    near = difflib.get_close_matches(name, known, 1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"


class Selection(NamedTuple):
    """A corpus and two of its languages."""

    name: str
    first: str
    second: str

    @property
    def pair(self) -> str:
        """As the catalogue writes it."""
        return f"{self.first}-{self.second}"

    @property
    def entry(self) -> Entry:
        """The corpus."""
        return corpora()[self.name]

    def texts(self, role: str) -> Iterator[tuple[Text, Text]]:
        """Both sides of each piece of a split."""
        extra = self.entry.pairs[self.pair].more if role == "train" else ()
        for piece in (*getattr(self.entry.splits, role), *extra):
            first = self._text(piece, self.first, piece.first_member)
            yield first, self._text(piece, self.second, piece.second_member)

    def _text(self, piece: Piece, language: str, own: str | None) -> Text:
        known = {"pair": self.pair, "first": self.first, "second": self.second}
        filled = [
            None if one is None else one.format(language=language, **known)
            for one in (piece.file, own or piece.member)
        ]
        return Text(str(filled[0]), filled[1], language)

    def files(self) -> dict[str, File]:
        """Everything that is downloaded for it, by name, each once."""
        texts = [text for role in ROLES for both in self.texts(role) for text in both]
        return {name: file(name) for name in dict.fromkeys(text.file for text in texts)}


def select(name: str, source: str, target: str) -> Selection:
    """A corpus in two languages, whichever is the source; DataError where it has them not."""
    if name not in corpora():
        raise DataError(f"no corpus {name!r} (see nmt corpora); {nearest(name)}")
    for pair in corpora()[name].pairs:
        first, _, second = pair.partition("-")
        if {source, target} == {first, second}:
            return Selection(name, first, second)
    raise DataError(f"{name} has no {source}-{target}; it has {', '.join(corpora()[name].pairs)}")
