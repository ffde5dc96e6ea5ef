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

from nmt_cli.data.corpora.archive import extract
from nmt_cli.data.corpora.catalogue import ROLES, File, Selection, Text
from nmt_cli.data.corpora.markup import line_reader, read_tmx, side_by_side
from nmt_cli.data.corpora.places import download_folder, unpacked_folder
from nmt_cli.data.corpora.records import RECORD, is_unpacked
from nmt_cli.data.download import content_hash, fetch_file, refuse_other
from nmt_cli.disk import write_whole
from nmt_cli.errors import DataError
from nmt_cli.reporting import Reporter

NOTED = ".sha256"  # beside a download whose digest nobody published: what it had the first time


def fetch_corpus(selection: Selection, reporter: Reporter, folder: Path | None = None) -> Path:
    """The folder with train, dev and test of a corpus in two languages, made where it is missing.

    DataError says what could not be had, or is not what it should be.
    """
    folder = folder or unpacked_folder(selection.name, selection.pair)
    if is_unpacked(folder):
        return folder
    entry = selection.entry
    terms = " ".join(entry.terms.split())
    reporter.say(f"{selection.name} {selection.pair}: {entry.licence}: {terms}")
    try:
        files = {name: download(name, one, reporter) for name, one in selection.files().items()}
        _unpack(selection, files, folder, reporter)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written: {error.strerror}") from error
    return folder


def download(name: str, file: File, reporter: Reporter) -> dict[str, Any]:
    """A file of the catalogue in the download folder, verified; its address, size and SHA-256.

    One that lies there already, however it came, is verified in the same way.
    """
    path = download_folder() / name
    label = f"{path} (from {file.address})"
    if path.is_file():
        _verify(path, file, label, path)
    else:
        advice = f"get it in another way and put it there: {path}"
        check = partial(_verify, file=file, label=file.address, final=path)
        fetch_file(file.address, path, check, reporter, advice)
    if file.sha256 is None and file.text_sha256 is None:
        _note(path, reporter)
    size = path.stat().st_size
    return {"file": name, "address": file.address, "bytes": size, "sha256": _file_hash(path)}


def noted(name: str) -> str | None:
    """The SHA-256 that a file without a published one had at its first download."""
    path = download_folder() / (name + NOTED)
    return path.read_text().split()[0] if path.is_file() else None


def _verify(path: Path, file: File, label: str, final: Path) -> None:
    """DataError where a file is not the one that was published, or not the one it was before."""
    if file.text_sha256 is not None:
        refuse_other(label, content_hash(path), file.text_sha256)
        return
    digest = file.sha256 or noted(final.name)
    if digest is not None:
        refuse_other(label, _file_hash(path), digest)


def _note(path: Path, reporter: Reporter) -> None:
    """Trust on first use: write down what later downloads of this file must hash to."""
    beside = path.with_name(path.name + NOTED)
    if not beside.exists():
        digest = _file_hash(path)
        write_whole(beside, f"{digest}  {path.name}\n")
        reporter.warn(
            f"{path.name}: nobody published a SHA-256 of it; "
            f"from now on it must be {digest[:12]}..."
        )


def _file_hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unpack(
    selection: Selection, files: dict[str, dict[str, Any]], folder: Path, reporter: Reporter
) -> None:
    """Write the folder, which appears whole or not at all."""
    scratch = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(scratch, ignore_errors=True)  # of a killed process that had the same number
    (scratch / "members").mkdir(parents=True)
    try:
        members = _extract_all(selection, scratch / "members", reporter)
        counts: dict[str, int] = {}
        for role in ROLES:
            counts.update(_write(selection, scratch, role, _pairs(selection, role, members)))
        shutil.rmtree(scratch / "members")
        record = {"corpus": selection.name, "files": list(files.values()), "pairs": counts}
        write_whole(scratch / RECORD, json.dumps(record, indent=2) + "\n")
        _put(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    reporter.say(f"{folder}: {told} pairs")


def _put(scratch: Path, folder: Path) -> None:
    """Give the folder its name, unless another process has meanwhile made the same."""
    try:
        scratch.rename(folder)
    except OSError as error:
        if not is_unpacked(folder):
            raise DataError(f"{folder}: cannot be written: {error.strerror}") from error


def _extract_all(selection: Selection, folder: Path, reporter: Reporter) -> dict[Text, Path]:
    """Where each text lies: in the download folder, or extracted from an archive there."""
    texts = [text for role in ROLES for both in selection.texts(role) for text in both]
    found = {text: download_folder() / text.file for text in texts if text.member is None}
    archives: dict[str, list[Text]] = {}
    for text in dict.fromkeys(texts):
        if text.member is not None:
            archives.setdefault(text.file, []).append(text)
    with reporter.progress("unpack", len(archives)) as bar:
        for name, inside in archives.items():
            for text in inside:
                ending = ".gz" if text.name.endswith(".gz") else ""
                found[text] = folder / f"{len(found)}{ending}"
            wanted = {str(text.member): found[text] for text in inside}
            extract(download_folder() / name, wanted)
            bar.advance(1, name)
    return found


def _pairs(
    selection: Selection, role: str, places: dict[Text, Path]
) -> Iterator[tuple[bytes, bytes]]:
    """All pairs of a split, in the order of the catalogue's pieces."""
    for first, second in selection.texts(role):
        if ".tmx" in first.name:
            yield from read_tmx(places[first], selection.first, selection.second)
        else:
            names = first.name, second.name
            left, right = (line_reader(text.name)(places[text]) for text in (first, second))
            yield from side_by_side(left, right, names)


def _write(
    selection: Selection, folder: Path, role: str, pairs: Iterator[tuple[bytes, bytes]]
) -> dict[str, int]:
    """Append pairs to a split, of the training text each so many-th to dev; how many where."""
    every = selection.entry.splits.every if role == "train" else None
    names = [role, "dev"] if every else [role]
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
            name = "dev" if every and number % every == 0 else role
            counts[name] = counts.get(name, 0) + 1
            for file, line in zip(files[name], pair, strict=True):
                file.write(line + b"\n")
    return counts
