"""What lies beside text that was fetched: a record of where it came from, written last, so that
text with one is whole."""

from pathlib import Path
from typing import Any

from nmt_cli.data.sources.cache_paths import DatasetRef
from nmt_cli.fs import read_json

PROVENANCE_FILE = "fetched.json"


def is_unpacked(folder: Path) -> bool:
    """Whether a folder holds a whole corpus of the catalogue."""
    return (folder / PROVENANCE_FILE).is_file()


def catalogue_provenance(folder: Path) -> list[dict[str, Any]]:
    """Address, size and SHA-256 of every file that a folder's text came from."""
    files: list[dict[str, Any]] = read_json(folder / PROVENANCE_FILE)["files"]
    return files


def provenance_path(dataset_ref: DatasetRef, source: str, target: str) -> Path:
    """The record of another library's text."""
    first, _ = dataset_ref.paths(source, target)
    return first.with_name(first.name + ".json")


def is_fetched(dataset_ref: DatasetRef, source: str, target: str) -> bool:
    """Whether another library's text has been fetched."""
    return provenance_path(dataset_ref, source, target).is_file()


def dataset_provenance(dataset_ref: DatasetRef, source: str, target: str) -> dict[str, Any]:
    """What the text is, and by which version of which package it was fetched."""
    return read_json(provenance_path(dataset_ref, source, target))
