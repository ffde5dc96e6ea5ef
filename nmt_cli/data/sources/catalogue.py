"""The catalogue of public corpora: catalogue.yaml, read and checked."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from nmt_cli.config import Section
from nmt_cli.errors import DataError, suggest
from nmt_cli.yaml12 import read_yaml

CATALOGUE_PATH = Path(__file__).with_name("catalogue.yaml")
SPLIT_NAMES = ("train", "dev", "test")


class CatalogueFile(Section):
    """Something to download."""

    address: str
    """Where it is."""
    bytes: int | None = None
    """Its size; null: nobody published it."""
    sha256: str | None = None
    """SHA-256 of the file."""
    text_sha256: str | None = None
    """SHA-256 of what is in it when it is decompressed."""


class SplitFile(Section):
    """Some pairs of a split: a file of the catalogue or a member of it, for either language."""

    file: str
    """Name of the file, with {pair} and {language}."""
    member: str | None = None
    """Name inside the archive; null: the file itself is the text."""
    first_member: str | None = None
    """The same for the first language of the pair, where the two differ by more than {language}."""
    second_member: str | None = None
    """The same for the second language."""


class CorpusSplits(Section):
    """What a corpus is divided into."""

    train: tuple[SplitFile, ...]
    """Training text."""
    dev: tuple[SplitFile, ...] = ()
    """Development text."""
    test: tuple[SplitFile, ...]
    """Test text."""
    every: int | None = None
    """Each so many-th pair of the training text is development text."""


class LanguagePair(Section):
    """Two languages of a corpus."""

    pairs: tuple[int, int, int]
    """Published numbers of pairs of train, dev and test."""
    more: tuple[SplitFile, ...] = ()
    """Training text beside that of all pairs."""


class CatalogueEntry(Section):
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
    pairs: dict[str, LanguagePair]
    """Its languages."""
    splits: CorpusSplits
    """Where its text is."""


class _Catalogue(Section):
    files: dict[str, CatalogueFile]
    """By their names in the download folder."""
    corpora: dict[str, CatalogueEntry]
    """By the names that recipes use."""


class CatalogueText(NamedTuple):
    """One side of a piece: a file of the catalogue, and the member that holds the text."""

    file: str
    member: str | None
    language: str

    @property
    def format_name(self) -> str:
        """What its form is known by."""
        return self.member or self.file


@cache
def _load_catalogue() -> _Catalogue:
    import json

    content, _ = read_yaml(CATALOGUE_PATH.read_text(encoding="utf-8"))
    return _Catalogue.model_validate_json(json.dumps(content))


def catalogue_corpora() -> dict[str, CatalogueEntry]:
    """Every corpus by name."""
    return _load_catalogue().corpora


def catalogue_file(name: str) -> CatalogueFile:
    """A file of the catalogue."""
    return _load_catalogue().files[name]


def suggest_corpus(name: str) -> str:
    """The known corpus that is most like an unknown name, or all of them, as the end of an error message."""
    return suggest(name, ["quickstart", *catalogue_corpora()])


class CorpusSelection(NamedTuple):
    """A corpus and two of its languages."""

    corpus: str
    first: str
    second: str

    @property
    def pair(self) -> str:
        """As the catalogue writes it."""
        return f"{self.first}-{self.second}"

    @property
    def entry(self) -> CatalogueEntry:
        """The corpus."""
        return catalogue_corpora()[self.corpus]

    def texts(self, split: str) -> Iterator[tuple[CatalogueText, CatalogueText]]:
        """Both sides of each piece of a split."""
        extra_files = self.entry.pairs[self.pair].more if split == "train" else ()
        for split_file in (*getattr(self.entry.splits, split), *extra_files):
            first_text = self._catalogue_text(split_file, self.first, split_file.first_member)
            yield (first_text, self._catalogue_text(split_file, self.second, split_file.second_member))

    def _catalogue_text(self, split_file: SplitFile, language: str, own_member: str | None) -> CatalogueText:
        fields = {"pair": self.pair, "first": self.first, "second": self.second}
        file_and_member = [
            None if template is None else template.format(language=language, **fields)
            for template in (split_file.file, own_member or split_file.member)
        ]
        return CatalogueText(str(file_and_member[0]), file_and_member[1], language)

    def files(self) -> dict[str, CatalogueFile]:
        """Everything that is downloaded for it, by name, each once."""
        texts = [text for split in SPLIT_NAMES for text_pair in self.texts(split) for text in text_pair]
        return {name: catalogue_file(name) for name in dict.fromkeys(text.file for text in texts)}


def select_corpus(name: str, source: str, target: str) -> CorpusSelection:
    """A corpus in two languages, whichever is the source; DataError where it has them not."""
    if name not in catalogue_corpora():
        raise DataError(f"no corpus {name!r} (see nmt corpora); {suggest_corpus(name)}")
    for pair in catalogue_corpora()[name].pairs:
        first, _, second = pair.partition("-")
        if {source, target} == {first, second}:
            return CorpusSelection(name, first, second)
    raise DataError(f"{name} has no {source}-{target}; it has {', '.join(catalogue_corpora()[name].pairs)}")
