"""nmt corpora: what can be had by name, under which terms, and getting it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nmt_cli.data.corpora.catalogue import (
    ROLES,
    File,
    Selection,
    corpora,
    file,
    nearest,
    select,
)
from nmt_cli.data.corpora.fetching import fetch_corpus, noted
from nmt_cli.errors import UserError
from nmt_cli.reporting import Reporter

UNKNOWN = "not published"


@dataclass(frozen=True)
class Row:
    """A corpus in two languages, as one line says it."""

    name: str
    languages: str
    pairs: tuple[int, int, int]  # train, dev, test
    bytes: int | None  # to download; None where nobody published it
    licence: str

    def record(self) -> dict[str, Any]:
        """As a plain object."""
        return asdict(self)


def corpus_rows() -> list[Row]:
    """Every corpus of the catalogue in every pair of its languages."""
    rows = []
    for name, entry in corpora().items():
        for pair, facts in entry.pairs.items():
            files = Selection(name, *pair.split("-")).files().values()
            sizes = [one.bytes for one in files]
            known = sum(size for size in sizes if size is not None)
            rows.append(Row(name, pair, facts.pairs, known or None, entry.licence))
    return rows


def corpus_table() -> Iterator[str]:
    """The rows as lines, with a head."""
    yield (
        f"{'name':10} {'languages':10} {'train':>10} {'dev':>6} {'test':>6} {'bytes':>14}  licence"
    )
    for row in corpus_rows():
        train, dev, test = row.pairs
        size = UNKNOWN if row.bytes is None else f"{row.bytes:,}"
        yield (
            f"{row.name:10} {row.languages:10} {train:>10,} {dev:>6,} {test:>6,} {size:>14}  "
            f"{row.licence}"
        )


def corpus_facts(name: str) -> Iterator[str]:
    """Everything about a corpus, a line each; UserError where there is none of this name."""
    if name not in corpora():
        raise UserError(f"no corpus {name!r}; {nearest(name)}")
    entry = corpora()[name]
    yield from (f"{name}: {entry.title}", f"licence: {entry.licence}", _flat(entry.terms))
    if entry.note:
        yield f"note: {_flat(entry.note)}"
    files: dict[str, File] = {}
    for pair, facts in entry.pairs.items():
        selection = Selection(name, *pair.split("-"))
        files |= selection.files()
        counts = zip(facts.pairs, ROLES, strict=True)
        yield f"{pair}: " + ", ".join(f"{count:,} {role}" for count, role in counts) + " pairs"
        first, second = selection.first, selection.second
        yield f"    gives {', '.join(f'{role}.{{{first},{second}}}' for role in ROLES)}"
    for one in files:
        yield from _file_facts(one)
    yield "citation:"
    yield from (f"    {line}" for line in entry.citation.rstrip("\n").splitlines())


def _file_facts(name: str) -> Iterator[str]:
    one = file(name)
    yield f"{name}: " + (f"size {UNKNOWN}" if one.bytes is None else f"{one.bytes:,} bytes")
    yield f"    {one.address}"
    if one.sha256 is not None:
        yield f"    SHA-256 {one.sha256}"
    elif one.text_sha256 is not None:
        yield f"    SHA-256 of the decompressed text {one.text_sha256}"
    else:
        before = noted(name)
        own = "noted at the first download" if before is None else f"first downloaded as {before}"
        yield f"    SHA-256 {UNKNOWN}; {own}, and later downloads must be the same"


def fetch_by_name(
    name: str, source: str, target: str, reporter: Reporter, to: Path | None = None
) -> Path:
    """The folder with a corpus's text, fetched where it is missing; `to` is a folder of its own.

    UserError where the folder holds something else, DataError where the corpus cannot be had.
    """
    selection = select(name, source, target)
    if to is not None and to.exists():
        raise UserError(f"{to} exists: choose another folder")
    return fetch_corpus(selection, reporter, to)


def _flat(text: str) -> str:
    return " ".join(text.split())
