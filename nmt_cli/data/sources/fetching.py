"""From the catalogue to text: download, verify, unpack, whole or not at all."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from nmt_cli.data.sources.archive import extract_members
from nmt_cli.data.sources.cache_paths import download_folder, unpacked_folder
from nmt_cli.data.sources.catalogue import SPLIT_NAMES, CatalogueFile, CatalogueText, CorpusSelection
from nmt_cli.data.sources.download import content_hash, fetch_file, verify_sha256
from nmt_cli.data.sources.markup import line_reader, pair_lines, read_tmx
from nmt_cli.data.sources.provenance import PROVENANCE_FILE, is_unpacked
from nmt_cli.errors import DataError
from nmt_cli.fs import atomic_write_text
from nmt_cli.reporting import Reporter

DIGEST_SUFFIX = ".sha256"  # beside a download whose digest nobody published: what it had the first time


def fetch_corpus(selection: CorpusSelection, reporter: Reporter, folder: Path | None = None) -> Path:
    """The folder with train, dev and test of a corpus in two languages, made where it is missing.

    DataError says what could not be had, or is not what it should be.
    """
    folder = folder or unpacked_folder(selection.corpus, selection.pair)
    if is_unpacked(folder):
        return folder
    entry = selection.entry
    terms = " ".join(entry.terms.split())
    reporter.info(f"{selection.corpus} {selection.pair}: {entry.licence}: {terms}")
    try:
        files = {name: download_file(name, file, reporter) for name, file in selection.files().items()}
        _unpack(selection, files, folder, reporter)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written: {error.strerror}") from error
    return folder


def download_file(name: str, file: CatalogueFile, reporter: Reporter) -> dict[str, Any]:
    """A file of the catalogue in the download folder, verified; its address, size and SHA-256.

    One that lies there already, however it came, is verified in the same way.
    """
    path = download_folder() / name
    label = f"{path} (from {file.address})"
    if path.is_file():
        _verify(path, file, label, path)
    else:
        advice = f"get it in another way and put it there: {path}"
        check = partial(_verify, file=file, label=file.address, final_path=path)
        fetch_file(file.address, path, check, reporter, advice)
    if file.sha256 is None and file.text_sha256 is None:
        _record_digest(path, reporter)
    size = path.stat().st_size
    return {"file": name, "address": file.address, "bytes": size, "sha256": _file_hash(path)}


def recorded_digest(name: str) -> str | None:
    """The SHA-256 that a file without a published one had at its first download."""
    path = download_folder() / (name + DIGEST_SUFFIX)
    return path.read_text().split()[0] if path.is_file() else None


def _verify(path: Path, file: CatalogueFile, label: str, final_path: Path) -> None:
    """DataError where a file is not the one that was published, or not the one it was before."""
    if file.text_sha256 is not None:
        verify_sha256(label, content_hash(path), file.text_sha256)
        return
    digest = file.sha256 or recorded_digest(final_path.name)
    if digest is not None:
        verify_sha256(label, _file_hash(path), digest)


def _record_digest(path: Path, reporter: Reporter) -> None:
    """Trust on first use: write down what later downloads of this file must hash to."""
    digest_path = path.with_name(path.name + DIGEST_SUFFIX)
    if not digest_path.exists():
        digest = _file_hash(path)
        atomic_write_text(digest_path, f"{digest}  {path.name}\n")
        reporter.warning(f"{path.name}: nobody published a SHA-256 of it; from now on it must be {digest[:12]}...")


def _file_hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unpack(selection: CorpusSelection, files: dict[str, dict[str, Any]], folder: Path, reporter: Reporter) -> None:
    """Write the folder, which appears whole or not at all."""
    temporary_folder = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(temporary_folder, ignore_errors=True)  # of a killed process that had the same number
    (temporary_folder / "members").mkdir(parents=True)
    try:
        members = _extract_texts(selection, temporary_folder / "members", reporter)
        counts: dict[str, int] = {}
        for role in SPLIT_NAMES:
            counts.update(_write_split(selection, temporary_folder, role, _read_pairs(selection, role, members)))
        shutil.rmtree(temporary_folder / "members")
        provenance = {"corpus": selection.corpus, "files": list(files.values()), "pairs": counts}
        atomic_write_text(temporary_folder / PROVENANCE_FILE, json.dumps(provenance, indent=2) + "\n")
        _publish(temporary_folder, folder)
    finally:
        shutil.rmtree(temporary_folder, ignore_errors=True)
    summary = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    reporter.info(f"{folder}: {summary} pairs")


def _publish(temporary_folder: Path, folder: Path) -> None:
    """Give the folder its name, unless another process has meanwhile made the same."""
    try:
        temporary_folder.rename(folder)
    except OSError as error:
        if not is_unpacked(folder):
            raise DataError(f"{folder}: cannot be written: {error.strerror}") from error


def _extract_texts(selection: CorpusSelection, folder: Path, reporter: Reporter) -> dict[CatalogueText, Path]:
    """Where each text lies: in the download folder, or extracted from an archive there."""
    texts = [text for role in SPLIT_NAMES for text_pair in selection.texts(role) for text in text_pair]
    paths = {text: download_folder() / text.file for text in texts if text.member is None}
    archives: dict[str, list[CatalogueText]] = {}
    for text in dict.fromkeys(texts):
        if text.member is not None:
            archives.setdefault(text.file, []).append(text)
    with reporter.progress("unpack", len(archives)) as bar:
        for name, archive_texts in archives.items():
            for text in archive_texts:
                suffix = ".gz" if text.format_name.endswith(".gz") else ""
                paths[text] = folder / f"{len(paths)}{suffix}"
            output_paths = {str(text.member): paths[text] for text in archive_texts}
            extract_members(download_folder() / name, output_paths)
            bar.advance(1, name)
    return paths


def _read_pairs(
    selection: CorpusSelection, role: str, paths: dict[CatalogueText, Path]
) -> Iterator[tuple[bytes, bytes]]:
    """All pairs of a split, in the order of the catalogue's pieces."""
    for first, second in selection.texts(role):
        if ".tmx" in first.format_name:
            yield from read_tmx(paths[first], selection.first, selection.second)
        else:
            names = first.format_name, second.format_name
            first_lines, second_lines = (line_reader(text.format_name)(paths[text]) for text in (first, second))
            yield from pair_lines(first_lines, second_lines, names)


def _write_split(
    selection: CorpusSelection, folder: Path, role: str, pairs: Iterator[tuple[bytes, bytes]]
) -> dict[str, int]:
    """Append pairs to a split, of the training text each so many-th to dev; how many where."""
    dev_interval = selection.entry.splits.every if role == "train" else None
    names = [role, "dev"] if dev_interval else [role]
    counts: dict[str, int] = {}
    with ExitStack() as stack:
        files = {
            name: [
                stack.enter_context(open(folder / f"{name}.{language}", "ab"))
                for language in (selection.first, selection.second)
            ]
            for name in names
        }
        for number, pair in enumerate(pairs, 1):
            name = "dev" if dev_interval and number % dev_interval == 0 else role
            counts[name] = counts.get(name, 0) + 1
            for file, line in zip(files[name], pair, strict=True):
                file.write(line + b"\n")
    return counts
