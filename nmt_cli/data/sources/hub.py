"""Datasets that other libraries download: Hugging Face datasets and those that mtdata knows."""

import hashlib
import os
import subprocess
import sys
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, ClassVar
from urllib.parse import quote

from nmt_cli.data.sources.bad_rows import BadRows, dropped_rows
from nmt_cli.data.sources.base import SPLITS, Languages, ParallelText, TextSource, cache_folder
from nmt_cli.data.sources.download import new_partial_path
from nmt_cli.data.sources.rows import read_two_files, usual_values, value_problem
from nmt_cli.errors import DataError, pip_install
from nmt_cli.fs import read_json, write_json
from nmt_cli.reporting import Progress, Reporter

PairIterator = Iterator[tuple[str, str]]
LANGUAGE_CODES_SCRIPT = "import sys; from mtdata.iso.bcp47 import bcp47; print(*map(bcp47, sys.argv[1:]))"


@dataclass(frozen=True)
class LibraryDataset(TextSource):
    """A text that another library downloads; kept in the cache as two files beside a record of its provenance.

    The record is written last: a text that has one is complete.
    """

    dataset: str
    languages: Languages
    configuration: str = ""
    split: str = "train"
    library: ClassVar[str]
    """What stands before the colon of a name."""
    package: ClassVar[str]
    """The Python package, which is also the name of our extra."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The name in full, as a recipe writes it."""

    @abstractmethod
    def read_remote(self, bad_rows: BadRows) -> PairIterator:
        """The pairs as the library gives them; DataError if it cannot, or if there are too many bad rows."""

    def paths(self) -> tuple[Path, Path]:
        """The files of both sides, inside the cache whatever the names contain.

        Datasets in different folders of this machine have different files, though their names be the same.
        """
        folder, dataset = cache_folder() / "corpora" / self.library, self.dataset
        if self._is_local():
            path = Path(dataset).resolve()
            dataset = f"{path.name}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}"
        for component in (f"{dataset}:{self.configuration}", "-".join(self.languages)):
            folder /= quote(component, safe="")
        source_name, target_name = (quote(f"{self.split}.{language}", safe="") for language in self.languages)
        return folder / source_name, folder / target_name

    def _is_local(self) -> bool:
        """Whether the dataset is a folder of this machine."""
        return Path(self.dataset).exists()

    def _provenance_path(self) -> Path:
        source_path, _ = self.paths()
        return source_path.with_name(source_path.name + ".json")

    def locate(self, split: str, root: Path) -> ParallelText:
        """The text in the cache."""
        paths = self.paths()
        return ParallelText(self.name, paths, lambda _: read_two_files(*paths))

    def pending_downloads(self) -> list[str]:
        """The name of the dataset, unless its text is in the cache."""
        return [] if self._provenance_path().is_file() else [self.name]

    def provenance(self) -> list[dict[str, Any]]:
        """The dataset's name, the version of the package that downloaded it, and the number of pairs."""
        return [read_json(self._provenance_path(), hint="delete it, and nmt prepare downloads the text again")]

    def fetch(self, reporter: Reporter, bad_rows: BadRows) -> None:
        """Write both sides and the record, unless they exist.

        DataError if the library cannot give the text, or if there are too many bad rows.

        A dataset in a folder of this machine is read again every time, since it may have changed.
        """
        if not self.pending_downloads() and not self._is_local():
            return
        if find_spec(self.package) is None:
            raise DataError(f"{self.name} needs {self.package}: {pip_install(self.package)}")
        reporter.info(f"fetching {self.name} with {self.package}; see its own licence")
        paths = self.paths()
        paths[0].parent.mkdir(parents=True, exist_ok=True)
        partial_paths = [new_partial_path(path) for path in paths]
        try:
            with reporter.progress(paths[0].name, None) as bar:
                pair_count = _write_pairs(self.read_remote(bad_rows), partial_paths, bar)
            for partial_path, path in zip(partial_paths, paths, strict=True):
                partial_path.replace(path)
        except OSError as error:
            raise DataError(f"{self.name}: {error}") from error
        finally:
            for partial_path in partial_paths:
                partial_path.unlink(missing_ok=True)
        for kind, count in bad_rows.counts.items():
            reporter.warning(dropped_rows(kind, count, bad_rows.examples[kind]))
        record = {"name": self.name, "by": f"{self.package} {version(self.package)}", "pairs": pair_count}
        write_json(self._provenance_path(), record, ensure_ascii=True, concurrent=True)


def _write_pairs(pairs: PairIterator, paths: list[Path], bar: Progress) -> int:
    count = 0
    with open(paths[0], "wb") as source_file, open(paths[1], "wb") as target_file:
        for pair in pairs:
            for file, text in zip((source_file, target_file), pair, strict=True):
                # a line feed inside a text would end its line
                file.write(text.replace("\n", " ").encode("utf-8", "replace") + b"\n")
            count += 1
            if count % 10_000 == 0:
                bar.advance(10_000, f"{count:,} pairs")
    return count


@dataclass(frozen=True)
class HuggingFaceDataset(LibraryDataset):
    """A split of a dataset of the Hugging Face hub, or of a local folder."""

    splits = SPLITS
    library = "hf"
    package = "datasets"

    @property
    def name(self) -> str:
        """hf:DATASET:CONFIGURATION:SPLIT."""
        return f"hf:{self.dataset}:{self.configuration}:{self.split}"

    def read_remote(self, bad_rows: BadRows) -> PairIterator:
        """Pairs from `translation` objects, or from columns named by the languages or "source" and "target".

        The library refuses datasets that need code of their own (datasets 4).
        """
        import datasets

        if not sys.stderr.isatty():
            datasets.disable_progress_bars()
        try:
            rows = datasets.load_dataset(self.dataset, self.configuration or None, split=self.split)
        except Exception as error:  # dozens of classes, its own and those of other libraries
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"{self.name}: datasets cannot load it: {reason[:500]}") from error
        source, target = self.languages
        number = 0
        for number, row in enumerate(rows, 1):
            texts = usual_values(row, self.languages)
            problem = value_problem(texts)
            if problem is None:
                yield texts[0], texts[1]
            else:
                bad_rows.add(problem, self.name, number, f"it has {', '.join(row)}".encode())
        bad_rows.check(self.name, number, f"rows need the texts {source} and {target}, or source and target")


@dataclass(frozen=True)
class MtdataDataset(LibraryDataset):
    """A dataset of the index of mtdata, by its identifier."""

    splits = ("train",)
    library = package = "mtdata"

    @property
    def name(self) -> str:
        """mtdata:ID."""
        return f"mtdata:{self.dataset}"

    def read_remote(self, bad_rows: BadRows) -> PairIterator:
        """Pairs that mtdata prints in a process of its own: it unpickles its index, which our process must not do."""
        requested_codes = " ".join(self._run([sys.executable, "-c", LANGUAGE_CODES_SCRIPT, *self.languages])).split()
        dataset_codes = self.dataset.split("-")[-2:]
        if sorted(dataset_codes) != sorted(requested_codes):
            raise DataError(f"{self.name} is {'-'.join(dataset_codes)}, not {'-'.join(requested_codes)}")
        is_swapped = dataset_codes != requested_codes
        command = [sys.executable, "-m", "mtdata", "--no-pbar", "echo", self.dataset]
        number = 0
        for number, line in enumerate(self._run(command), 1):
            columns = line.split("\t")
            if len(columns) < 2:
                bad_rows.add("no tab", self.name, number, line.encode())
            else:
                yield (columns[1], columns[0]) if is_swapped else (columns[0], columns[1])
        bad_rows.check(self.name, number, "rows need a tab between two texts")

    def _run(self, command: list[str]) -> Iterator[str]:
        """Lines that a Python program prints in UTF-8; DataError with the last line of its error output if it fails."""
        environment = {**os.environ, "PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8"}
        with (
            TemporaryFile() as stderr_file,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr_file, env=environment) as process,
        ):
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    yield line.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")
            except GeneratorExit:
                process.kill()
                raise
            if process.wait():
                stderr_file.seek(0)
                error_lines = stderr_file.read().decode("utf-8", "replace").strip().splitlines()
                reason = " ".join(error_lines[-1].split()) if error_lines else f"exit code {process.returncode}"
                raise DataError(f"{self.name}: mtdata failed: {reason}; mtdata list shows all datasets")
