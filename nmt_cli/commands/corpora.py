"""nmt corpora: the corpora that a recipe can name, their terms, and how to download them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nmt_cli.data.sources.base import SPLITS, Languages
from nmt_cli.data.sources.catalogue import CatalogueFile, catalogue_corpora, catalogue_entry, catalogue_file
from nmt_cli.data.sources.catalogue_corpus import CatalogueCorpus, find_catalogue_corpus, recorded_digest
from nmt_cli.errors import UserError
from nmt_cli.reporting import Reporter

UNKNOWN = "not published"


@dataclass(frozen=True)
class CorpusRow:
    """A corpus in two languages, as one line of the table."""

    name: str
    languages: str
    pairs: tuple[int, int, int]  # train, dev, test
    bytes: int | None  # to download; None if not published
    licence: str


def corpus_rows() -> list[CorpusRow]:
    """Every corpus of the catalogue in every pair of its languages."""
    rows = []
    for name, entry in catalogue_corpora().items():
        for corpus in _corpora(name):
            published_sizes = [file.bytes for file in corpus.files().values() if file.bytes is not None]
            pair_counts = entry.pairs[corpus.pair].pairs
            rows.append(CorpusRow(name, corpus.pair, pair_counts, sum(published_sizes) or None, entry.licence))
    return rows


def _corpora(name: str) -> list[CatalogueCorpus]:
    """A corpus in each pair of its languages."""
    return [find_catalogue_corpus(name, Languages(*pair.split("-"))) for pair in catalogue_entry(name).pairs]


def corpus_table() -> Iterator[str]:
    """The rows as aligned lines below a header."""
    yield (f"{'name':10} {'languages':10} {'train':>10} {'dev':>6} {'test':>6} {'bytes':>14}  licence")
    for row in corpus_rows():
        train, dev, test = row.pairs
        size = UNKNOWN if row.bytes is None else f"{row.bytes:,}"
        yield (f"{row.name:10} {row.languages:10} {train:>10,} {dev:>6,} {test:>6,} {size:>14}  {row.licence}")


def describe_corpus(name: str) -> Iterator[str]:
    """Everything about a corpus, in lines; DataError if there is none of this name."""
    entry = catalogue_entry(name)
    yield from (f"{name}: {entry.title}", f"licence: {entry.licence}", _single_line(entry.terms))
    if entry.note:
        yield f"note: {_single_line(entry.note)}"
    files: dict[str, CatalogueFile] = {}
    for corpus in _corpora(name):
        files |= corpus.files()
        counts = zip(entry.pairs[corpus.pair].pairs, SPLITS, strict=True)
        yield f"{corpus.pair}: " + ", ".join(f"{count:,} {split}" for count, split in counts) + " pairs"
        languages = ",".join(corpus.catalogue_languages)
        yield f"    gives {', '.join(f'{split}.{{{languages}}}' for split in SPLITS)}"
    for file_name in files:
        yield from _describe_file(file_name)
    yield "citation:"
    yield from (f"    {line}" for line in entry.citation.rstrip("\n").splitlines())


def _describe_file(name: str) -> Iterator[str]:
    remote_file = catalogue_file(name)
    yield f"{name}: " + (f"size {UNKNOWN}" if remote_file.bytes is None else f"{remote_file.bytes:,} bytes")
    yield f"    {remote_file.address}"
    if remote_file.sha256 is not None:
        yield f"    SHA-256 {remote_file.sha256}"
    elif remote_file.text_sha256 is not None:
        yield f"    SHA-256 of the decompressed text {remote_file.text_sha256}"
    else:
        digest = recorded_digest(name)
        digest_note = "recorded at the first download" if digest is None else f"first downloaded as {digest}"
        yield f"    SHA-256 {UNKNOWN}; {digest_note}, which later downloads must match"


def fetch_by_name(name: str, source: str, target: str, reporter: Reporter, folder: Path | None = None) -> Path:
    """Download and unpack a corpus unless it is on this machine; the folder of its text, by default in the cache.

    UserError if `folder` exists, DataError if the corpus cannot be downloaded.
    """
    corpus = find_catalogue_corpus(name, Languages(source, target))
    if folder is not None and folder.exists():
        raise UserError(f"{folder} exists: choose another folder")
    corpus.unpack(folder or corpus.folder, reporter)
    return folder or corpus.folder


def _single_line(text: str) -> str:
    return " ".join(text.split())
