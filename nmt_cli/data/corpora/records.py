"""What lies beside text that was fetched: a record of where it came from, written last, so that
text with one is whole."""

from pathlib import Path
from typing import Any

from nmt_cli.data.corpora.places import Reference
from nmt_cli.disk import read_json

RECORD = "fetched.json"


def is_unpacked(folder: Path) -> bool:
    """Whether a folder holds a whole corpus of the catalogue."""
    return (folder / RECORD).is_file()


def fetched(folder: Path) -> list[dict[str, Any]]:
    """Address, size and SHA-256 of every file that a folder's text came from."""
    found: list[dict[str, Any]] = read_json(folder / RECORD)["files"]
    return found


def record_path(reference: Reference, source: str, target: str) -> Path:
    """The record of another library's text."""
    first, _ = reference.paths(source, target)
    return first.with_name(first.name + ".json")


def is_here(reference: Reference, source: str, target: str) -> bool:
    """Whether another library's text has been fetched."""
    return record_path(reference, source, target).is_file()


def fetched_text(reference: Reference, source: str, target: str) -> dict[str, Any]:
    """What the text is, and by which version of which package it was fetched."""
    return read_json(record_path(reference, source, target))
