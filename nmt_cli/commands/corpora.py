"""nmt corpora: what can be had by name, under which terms, and getting it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nmt_cli.data.sources.catalogue import (
    SPLIT_NAMES,
    CatalogueFile,
    CorpusSelection,
    catalogue_corpora,
    catalogue_file,
    select_corpus,
    suggest_corpus,
)
from nmt_cli.data.sources.fetching import fetch_corpus, recorded_digest
from nmt_cli.errors import UserError
from nmt_cli.reporting import Reporter

UNKNOWN = "not published"


@dataclass(frozen=True)
class CorpusRow:
    """A corpus in two languages, as one line says it."""

    name: str
    languages: str
    pairs: tuple[int, int, int]  # train, dev, test
    bytes: int | None  # to download; None where nobody published it
    licence: str

    def to_dict(self) -> dict[str, Any]:
        """As a plain object."""
        return asdict(self)


def corpus_rows() -> list[CorpusRow]:
    """Every corpus of the catalogue in every pair of its languages."""
    rows = []
    for name, entry in catalogue_corpora().items():
        for pair, facts in entry.pairs.items():
            files = CorpusSelection(name, *pair.split("-")).files().values()
            sizes = [remote_file.bytes for remote_file in files]
            known_bytes = sum(size for size in sizes if size is not None)
            rows.append(CorpusRow(name, pair, facts.pairs, known_bytes or None, entry.licence))
    return rows


def corpus_table() -> Iterator[str]:
    """The rows as lines, with a head."""
    yield (f"{'name':10} {'languages':10} {'train':>10} {'dev':>6} {'test':>6} {'bytes':>14}  licence")
    for row in corpus_rows():
        train, dev, test = row.pairs
        size = UNKNOWN if row.bytes is None else f"{row.bytes:,}"
        yield (f"{row.name:10} {row.languages:10} {train:>10,} {dev:>6,} {test:>6,} {size:>14}  {row.licence}")


def corpus_facts(name: str) -> Iterator[str]:
    """Everything about a corpus, a line each; UserError where there is none of this name."""
    if name not in catalogue_corpora():
        raise UserError(f"no corpus {name!r}; {suggest_corpus(name)}")
    entry = catalogue_corpora()[name]
    yield from (f"{name}: {entry.title}", f"licence: {entry.licence}", _single_line(entry.terms))
    if entry.note:
        yield f"note: {_single_line(entry.note)}"
    files: dict[str, CatalogueFile] = {}
    for pair, facts in entry.pairs.items():
        selection = CorpusSelection(name, *pair.split("-"))
        files |= selection.files()
        counts = zip(facts.pairs, SPLIT_NAMES, strict=True)
        yield f"{pair}: " + ", ".join(f"{count:,} {role}" for count, role in counts) + " pairs"
        first, second = selection.first, selection.second
        yield f"    gives {', '.join(f'{role}.{{{first},{second}}}' for role in SPLIT_NAMES)}"
    for file_name in files:
        yield from _file_facts(file_name)
    yield "citation:"
    yield from (f"    {line}" for line in entry.citation.rstrip("\n").splitlines())


def _file_facts(name: str) -> Iterator[str]:
    remote_file = catalogue_file(name)
    yield f"{name}: " + (f"size {UNKNOWN}" if remote_file.bytes is None else f"{remote_file.bytes:,} bytes")
    yield f"    {remote_file.address}"
    if remote_file.sha256 is not None:
        yield f"    SHA-256 {remote_file.sha256}"
    elif remote_file.text_sha256 is not None:
        yield f"    SHA-256 of the decompressed text {remote_file.text_sha256}"
    else:
        digest = recorded_digest(name)
        digest_note = "noted at the first download" if digest is None else f"first downloaded as {digest}"
        yield f"    SHA-256 {UNKNOWN}; {digest_note}, and later downloads must be the same"


def fetch_by_name(name: str, source: str, target: str, reporter: Reporter, destination: Path | None = None) -> Path:
    """The folder with a corpus's text, fetched where it is missing; `to` is a folder of its own.

    UserError where the folder holds something else, DataError where the corpus cannot be had.
    """
    selection = select_corpus(name, source, target)
    if destination is not None and destination.exists():
        raise UserError(f"{destination} exists: choose another folder")
    return fetch_corpus(selection, reporter, destination)


def _single_line(text: str) -> str:
    return " ".join(text.split())
