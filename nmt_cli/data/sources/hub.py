"""Texts that other libraries fetch: mtdata's identifiers and Hugging Face datasets."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile

from nmt_cli.data.sources.cache_paths import DatasetRef
from nmt_cli.data.sources.provenance import is_fetched, provenance_path
from nmt_cli.errors import DataError
from nmt_cli.fs import atomic_write_text
from nmt_cli.reporting import Reporter

PairIterator = Iterator[tuple[str, str]]
PACKAGES = {"hf": "datasets", "mtdata": "mtdata"}  # the extra has the package's name
LANGUAGE_CODES_SCRIPT = "import sys; from mtdata.iso.bcp47 import bcp47; print(*map(bcp47, sys.argv[1:]))"


def fetch_dataset(dataset_ref: DatasetRef, source: str, target: str, reporter: Reporter) -> None:
    """Write both sides of a text, unless they are there; DataError where it cannot be had.

    What lies on this machine is read anew each time, since it may have changed.
    """
    if is_fetched(dataset_ref, source, target) and not Path(dataset_ref.dataset).exists():
        return
    package = PACKAGES[dataset_ref.library]
    if find_spec(package) is None:
        raise DataError(f"{dataset_ref.name} needs {package}: pip install 'nmt-cli[{package}]'")
    reporter.info(f"fetching {dataset_ref.name} with {package}; its terms are those of its makers")
    paths = dataset_ref.paths(source, target)
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    partial_paths = [path.with_name(f".{path.name}.partial") for path in paths]
    read_pairs = {"hf": _read_huggingface, "mtdata": _read_mtdata}[dataset_ref.library]
    try:
        count = _write_pairs(read_pairs(dataset_ref, source, target), partial_paths, reporter)
        for partial_path, path in zip(partial_paths, paths, strict=True):
            partial_path.replace(path)
    except OSError as error:
        raise DataError(f"{dataset_ref.name}: {error}") from error
    finally:
        for partial_path in partial_paths:
            partial_path.unlink(missing_ok=True)
    provenance = {"name": dataset_ref.name, "by": f"{package} {version(package)}", "pairs": count}
    atomic_write_text(provenance_path(dataset_ref, source, target), json.dumps(provenance, indent=2) + "\n")


def _write_pairs(pairs: PairIterator, paths: list[Path], reporter: Reporter) -> int:
    count = 0
    with (
        open(paths[0], "wb") as first,
        open(paths[1], "wb") as second,
        reporter.progress(paths[0].name.strip("."), None) as bar,
    ):
        for pair in pairs:
            for file, text in zip((first, second), pair, strict=True):
                # a line feed inside a text would end its line
                file.write(text.replace("\n", " ").encode("utf-8", "replace") + b"\n")
            count += 1
            if count % 10_000 == 0:
                bar.advance(10_000, f"{count:,} pairs")
    return count


def _read_huggingface(dataset_ref: DatasetRef, source: str, target: str) -> PairIterator:
    """Pairs of a split: `translation` objects, or columns named by the languages or by the sides.

    A dataset that needs code of its own to be read is refused by the library (datasets 4).
    """
    import datasets

    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    name = dataset_ref.dataset
    try:
        rows = datasets.load_dataset(name, dataset_ref.configuration or None, split=dataset_ref.split)
    except Exception as error:  # the library has dozens of kinds, and passes on others'
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{dataset_ref.name}: datasets cannot load it: {reason[:500]}") from error
    for number, row in enumerate(rows, 1):
        row = row["translation"] if isinstance(row.get("translation"), dict) else row
        keys = (source, target) if source in row and target in row else ("source", "target")
        source_text, target_text = (row.get(key) for key in keys)
        if not isinstance(source_text, str) or not isinstance(target_text, str):
            raise DataError(
                f"{dataset_ref.name}: row {number} has {', '.join(row)}; it needs the texts "
                f"{source} and {target}, or source and target"
            )
        yield source_text, target_text


def _read_mtdata(dataset_ref: DatasetRef, source: str, target: str) -> PairIterator:
    """Pairs of a dataset, in a process of its own: mtdata keeps its index in a pickle, which
    shall not be read in ours."""
    code_lines = _command_lines([sys.executable, "-c", LANGUAGE_CODES_SCRIPT, source, target], dataset_ref)
    requested_codes = next(code_lines, "").split()
    for _ in code_lines:
        pass
    dataset_codes = dataset_ref.dataset.split("-")[-2:]
    if sorted(dataset_codes) != sorted(requested_codes):
        raise DataError(f"{dataset_ref.name} is {'-'.join(dataset_codes)}, not {'-'.join(requested_codes)}")
    is_swapped = dataset_codes != requested_codes
    command = [sys.executable, "-m", "mtdata", "--no-pbar", "echo", dataset_ref.dataset]
    for number, line in enumerate(_command_lines(command, dataset_ref), 1):
        columns = line.split("\t")
        if len(columns) < 2:
            raise DataError(f"{dataset_ref.name}: row {number} has no tab between two texts")
        yield (columns[1], columns[0]) if is_swapped else (columns[0], columns[1])


def _command_lines(command: list[str], dataset_ref: DatasetRef) -> Iterator[str]:
    """Lines that a command prints; DataError with its last word where it fails."""
    with (
        TemporaryFile() as stderr_file,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr_file) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                yield line.decode("utf-8", "replace").removesuffix("\n")
        except GeneratorExit:
            process.kill()
            raise
        if process.wait():
            stderr_file.seek(0)
            error_lines = stderr_file.read().decode("utf-8", "replace").strip().splitlines()
            reason = " ".join(error_lines[-1].split()) if error_lines else f"exit code {process.returncode}"
            raise DataError(f"{dataset_ref.name}: mtdata cannot give it: {reason}; mtdata list shows what it has")
