"""Corpora of the catalogue as sources of text: downloaded, verified and unpacked, completely or not at all."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from nmt_cli.data.sources.archive import extract_members
from nmt_cli.data.sources.bad_rows import BadRows
from nmt_cli.data.sources.base import (
    SPLITS,
    Languages,
    MissingTextError,
    ParallelText,
    RawPair,
    TextSource,
    cache_folder,
)
from nmt_cli.data.sources.catalogue import CatalogueEntry, CatalogueFile, SplitFile, catalogue_entry, catalogue_file
from nmt_cli.data.sources.config import ParallelTextConfig
from nmt_cli.data.sources.download import content_hash, fetch_file, verify_sha256
from nmt_cli.data.sources.file_source import FileSource
from nmt_cli.data.sources.markup import line_reader
from nmt_cli.data.sources.rows import pair_lines
from nmt_cli.data.sources.tmx import read_tmx
from nmt_cli.errors import DataError
from nmt_cli.fs import atomic_folder, atomic_write_text, read_json, sha256_of_file, write_json
from nmt_cli.reporting import Reporter

PROVENANCE_FILE = "fetched.json"  # in the folder of an unpacked corpus
DIGEST_SUFFIX = ".sha256"  # of the file beside a download that records its SHA-256 if none was published


class CatalogueText(NamedTuple):
    """One side of some pairs: a file of the catalogue, and the member that holds the text if it is an archive."""

    file: str
    member: str | None
    language: str

    @property
    def format_name(self) -> str:
        """The name that tells the format."""
        return self.member or self.file


@dataclass(frozen=True)
class CatalogueCorpus(TextSource):
    """A corpus of the catalogue in two of its languages."""

    name: str
    pair: str
    """The language pair as the catalogue writes it, whichever language is the source."""
    languages: Languages

    splits = SPLITS
    is_complete = True

    @property
    def entry(self) -> CatalogueEntry:
        """What the catalogue says about the corpus."""
        return catalogue_entry(self.name)

    @property
    def catalogue_languages(self) -> list[str]:
        """Both languages in the order of the catalogue."""
        return self.pair.split("-")

    @property
    def folder(self) -> Path:
        """Where its text is kept once it is unpacked, as <split>.<language>."""
        return cache_folder() / "corpora" / self.name / self.pair

    def texts(self, split: str) -> Iterator[tuple[CatalogueText, CatalogueText]]:
        """Both sides of each part of a split."""
        extra_files = self.entry.pairs[self.pair].more if split == "train" else ()
        first, second = self.catalogue_languages
        for split_file in (*getattr(self.entry.splits, split), *extra_files):
            yield self._text(split_file, first, "src"), self._text(split_file, second, "ref")

    def _text(self, split_file: SplitFile, language: str, role: str) -> CatalogueText:
        fields = {"pair": self.pair, "first": self.catalogue_languages[0], "language": language, "role": role}
        member = None if split_file.member is None else split_file.member.format(**fields)
        return CatalogueText(split_file.file.format(**fields), member, language)

    def files(self) -> dict[str, CatalogueFile]:
        """Every file to download, by name."""
        return {text.file: catalogue_file(text.file) for text in self._all_texts()}

    def _all_texts(self) -> list[CatalogueText]:
        return [text for split in SPLITS for text_pair in self.texts(split) for text in text_pair]

    def locate(self, split: str, root: Path) -> ParallelText:
        """The unpacked text; DataError if some of it is missing."""
        try:
            return FileSource(ParallelTextConfig(name=split), self.languages).locate(split, self.folder)
        except MissingTextError as error:
            raise DataError(f"corpus.name: {self.folder} is damaged: {error}; delete it") from error

    def pending_downloads(self) -> list[str]:
        """Addresses of the corpus's files, unless it is unpacked."""
        return [] if _is_unpacked(self.folder) else [file.address for file in self.files().values()]

    def provenance(self) -> list[dict[str, Any]]:
        """Address, size and SHA-256 of every file that the text came from; DataError where the record is damaged."""
        try:
            records: list[dict[str, Any]] = read_json(self.folder / PROVENANCE_FILE)["files"]
        except (DataError, KeyError) as error:
            problem = f"{PROVENANCE_FILE} is not what was written"
            raise DataError(f"corpus.name: {self.folder} is damaged: {problem}; delete it") from error
        return records

    def fetch(self, reporter: Reporter, bad_rows: BadRows) -> None:
        """Unpack the corpus into the cache."""
        self.unpack(self.folder, reporter)

    def unpack(self, folder: Path, reporter: Reporter) -> None:
        """Download what is missing and write the text of all splits into a folder, unless it is there already.

        DataError if a file cannot be downloaded or is not what was published.
        """
        if _is_unpacked(folder):
            return
        reporter.info(f"{self.name} {self.pair}: {self.entry.licence}: {' '.join(self.entry.terms.split())}")
        try:
            records = [download_file(name, file, reporter) for name, file in self.files().items()]
            with atomic_folder(folder, marker=PROVENANCE_FILE, error_class=DataError) as scratch:
                pair_counts = self._write_splits(scratch, reporter)
                provenance = {"corpus": self.name, "files": records, "pairs": pair_counts}
                write_json(scratch / PROVENANCE_FILE, provenance, ensure_ascii=True)
        except OSError as error:
            raise DataError(f"{folder}: cannot be written: {error.strerror}") from error
        summary = ", ".join(f"{count:,} {name}" for name, count in pair_counts.items())
        reporter.info(f"{folder}: {summary} pairs")

    def _write_splits(self, folder: Path, reporter: Reporter) -> Counter[str]:
        """Write <split>.<language> for all splits; the number of pairs of each.

        Every n-th training pair is a dev pair if the catalogue says so.
        """
        pair_counts: Counter[str] = Counter()
        with TemporaryDirectory(dir=folder) as member_folder, ExitStack() as stack:
            paths = self._extract_texts(Path(member_folder), reporter)
            files = {
                split: [
                    stack.enter_context(open(folder / f"{split}.{language}", "wb"))
                    for language in self.catalogue_languages
                ]
                for split in SPLITS
            }
            for split in SPLITS:
                dev_interval = self.entry.splits.every if split == "train" else None
                for number, pair in enumerate(self._read_pairs(split, paths), 1):
                    own_split = "dev" if dev_interval and number % dev_interval == 0 else split
                    pair_counts[own_split] += 1
                    for file, line in zip(files[own_split], (pair.source, pair.target), strict=True):
                        file.write(line + b"\n")
        return pair_counts

    def _extract_texts(self, folder: Path, reporter: Reporter) -> dict[CatalogueText, Path]:
        """The file of each text: in the download folder, or extracted from an archive there."""
        paths: dict[CatalogueText, Path] = {}
        archives: dict[str, dict[str, Path]] = {}  # by archive: where each member is written
        for text in dict.fromkeys(self._all_texts()):
            if text.member is None:
                paths[text] = download_folder() / text.file
            else:
                suffix = ".gz" if text.member.endswith(".gz") else ""
                paths[text] = folder / f"{len(paths)}{suffix}"
                archives.setdefault(text.file, {})[text.member] = paths[text]
        with reporter.progress("unpack", len(archives)) as bar:
            for name, output_paths in archives.items():
                extract_members(download_folder() / name, output_paths)
                bar.advance(1, name)
        return paths

    def _read_pairs(self, split: str, paths: dict[CatalogueText, Path]) -> Iterator[RawPair]:
        """All pairs of a split, in the order of the catalogue's files."""
        for first, second in self.texts(split):
            if ".tmx" in first.format_name:
                languages = Languages(first.language, second.language)
                yield from read_tmx(paths[first], BadRows(), languages, keep_inline=True)
            else:
                first_lines, second_lines = (line_reader(text.format_name)(paths[text]) for text in (first, second))
                yield from pair_lines(first_lines, second_lines, (first.format_name, second.format_name))


def find_catalogue_corpus(name: str, languages: Languages) -> CatalogueCorpus:
    """A corpus in two languages, whichever is the source; DataError if the catalogue does not have it."""
    pairs = catalogue_entry(name).pairs
    for pair in pairs:
        if set(languages) == set(pair.split("-")):
            return CatalogueCorpus(name, pair, languages)
    raise DataError(f"{name} has no {'-'.join(languages)}; it has {', '.join(pairs)}")


def _is_unpacked(folder: Path) -> bool:
    """Whether a folder holds a complete corpus: the record of its provenance is written last."""
    return (folder / PROVENANCE_FILE).is_file()


def download_folder() -> Path:
    """Where downloaded files of the catalogue are kept unchanged; users may also put files there."""
    return cache_folder() / "downloads"


def download_file(name: str, file: CatalogueFile, reporter: Reporter) -> dict[str, Any]:
    """Download a file of the catalogue unless it exists, and verify it; its address, size and SHA-256."""
    path = download_folder() / name
    if path.is_file():
        sha256 = _verify(path, file, f"{path} (from {file.address})", path)
    else:
        verify = partial(_verify, file=file, label=file.address, final_path=path)
        advice = f"download it in another way and put it there: {path}"
        sha256 = fetch_file(file.address, path, verify, reporter, advice)
    if file.sha256 is None and file.text_sha256 is None:
        _record_digest(path, sha256, reporter)
    return {"file": name, "address": file.address, "bytes": path.stat().st_size, "sha256": sha256}


def recorded_digest(name: str) -> str | None:
    """The SHA-256 that a file without a published one had when it was first downloaded."""
    path = download_folder() / (name + DIGEST_SUFFIX)
    return path.read_text("utf-8").split()[0] if path.is_file() else None


def _verify(path: Path, file: CatalogueFile, label: str, final_path: Path) -> str:
    """The SHA-256 of a file; DataError if it is not what was published, or not what was downloaded before."""
    sha256 = sha256_of_file(path)
    if file.text_sha256 is not None:
        verify_sha256(label, content_hash(path), file.text_sha256)
    elif (expected_sha256 := file.sha256 or recorded_digest(final_path.name)) is not None:
        verify_sha256(label, sha256, expected_sha256)
    return sha256


def _record_digest(path: Path, sha256: str, reporter: Reporter) -> None:
    """Record the SHA-256 that later downloads of this file must have (trust on first use)."""
    digest_path = path.with_name(path.name + DIGEST_SUFFIX)
    if not digest_path.exists():
        atomic_write_text(digest_path, f"{sha256}  {path.name}\n")
        reporter.warning(
            f"{path.name}: no published SHA-256; recorded {sha256[:12]}..., which later downloads must match"
        )
