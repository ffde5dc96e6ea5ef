"""The catalogue of public corpora: catalogue.yaml, read and validated."""

import json
from functools import cache
from pathlib import Path

from nmt_cli.config import Section
from nmt_cli.errors import DataError, suggest
from nmt_cli.yaml12 import read_yaml

CATALOGUE_PATH = Path(__file__).with_name("catalogue.yaml")


class CatalogueFile(Section):
    """A file to download."""

    address: str
    """Its URL."""
    bytes: int | None = None
    """Its size; null: not published."""
    sha256: str | None = None
    """SHA-256 of the file."""
    text_sha256: str | None = None
    """SHA-256 of its decompressed content."""


class SplitFile(Section):
    """Some pairs of a split: for each language a file of the catalogue, or a member of it if it is an archive."""

    file: str
    """Name of the file, with {pair}, {first}, {language} and {role} as fields."""
    member: str | None = None
    """Name inside the archive, with the same fields; null: the file itself is the text."""


class CorpusSplits(Section):
    """Where the text of each split is."""

    train: tuple[SplitFile, ...]
    """Training text."""
    dev: tuple[SplitFile, ...] = ()
    """Development text."""
    test: tuple[SplitFile, ...]
    """Test text."""
    every: int | None = None
    """Every n-th pair of the training text is development text instead."""


class PairEntry(Section):
    """A corpus in two of its languages."""

    pairs: tuple[int, int, int]
    """Published numbers of pairs in train, dev and test."""
    more: tuple[SplitFile, ...] = ()
    """Training text that only this language pair has."""


class CatalogueEntry(Section):
    """A corpus of the catalogue."""

    title: str
    """What it is."""
    licence: str
    """The licence in a few words."""
    terms: str
    """The licence in full sentences."""
    citation: str
    """BibTeX of the paper to cite."""
    note: str = ""
    """Anything else to know."""
    pairs: dict[str, PairEntry]
    """By language pair, as in en-de."""
    splits: CorpusSplits
    """Where its text is."""


class _Catalogue(Section):
    files: dict[str, CatalogueFile]
    """By name in the download folder."""
    corpora: dict[str, CatalogueEntry]
    """By the name that recipes use."""


@cache
def _load_catalogue() -> _Catalogue:
    content, _ = read_yaml(CATALOGUE_PATH.read_text(encoding="utf-8"))
    return _Catalogue.model_validate_json(json.dumps(content))


def catalogue_corpora() -> dict[str, CatalogueEntry]:
    """Every corpus, by name."""
    return _load_catalogue().corpora


def catalogue_entry(name: str) -> CatalogueEntry:
    """A corpus; DataError if there is none of this name."""
    if name == "quickstart":
        raise DataError(
            "quickstart is shipped with nmt, with nothing to download: a recipe says corpus.name: quickstart"
        )
    if name not in catalogue_corpora():
        hint = suggest(name, ["quickstart", *catalogue_corpora()])
        raise DataError(f"no corpus {name!r} (see nmt corpora); {hint}")
    return catalogue_corpora()[name]


def catalogue_file(name: str) -> CatalogueFile:
    """A file of the catalogue."""
    return _load_catalogue().files[name]
