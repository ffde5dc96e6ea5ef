"""Texts that other libraries fetch: mtdata's identifiers and Hugging Face datasets."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile

from nmt_cli.data.corpora.places import Reference
from nmt_cli.data.corpora.records import is_here, record_path
from nmt_cli.disk import write_whole
from nmt_cli.errors import DataError
from nmt_cli.reporting import Reporter

Pairs = Iterator[tuple[str, str]]
PACKAGES = {"hf": "datasets", "mtdata": "mtdata"}  # the extra has the package's name
CODES = "import sys; from mtdata.iso.bcp47 import bcp47; print(*map(bcp47, sys.argv[1:]))"


def fetch_text(reference: Reference, source: str, target: str, reporter: Reporter) -> None:
    """Write both sides of a text, unless they are there; DataError where it cannot be had.

    What lies on this machine is read anew each time, since it may have changed.
    """
    if is_here(reference, source, target) and not Path(reference.dataset).exists():
        return
    package = PACKAGES[reference.library]
    if find_spec(package) is None:
        raise DataError(f"{reference.name} needs {package}: pip install 'nmt-cli[{package}]'")
    reporter.say(f"fetching {reference.name} with {package}; its terms are those of its makers")
    paths = reference.paths(source, target)
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    scratch = [path.with_name(f".{path.name}.partial") for path in paths]
    read = {"hf": _huggingface, "mtdata": _mtdata}[reference.library]
    try:
        count = _write(read(reference, source, target), scratch, reporter)
        for one, path in zip(scratch, paths, strict=True):
            one.replace(path)
    except OSError as error:
        raise DataError(f"{reference.name}: {error}") from error
    finally:
        for one in scratch:
            one.unlink(missing_ok=True)
    facts = {"name": reference.name, "by": f"{package} {version(package)}", "pairs": count}
    write_whole(record_path(reference, source, target), json.dumps(facts, indent=2) + "\n")


def _write(pairs: Pairs, paths: list[Path], reporter: Reporter) -> int:
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


def _huggingface(reference: Reference, source: str, target: str) -> Pairs:
    """Pairs of a split: `translation` objects, or columns named by the languages or by the sides.

    A dataset that needs code of its own to be read is refused by the library (datasets 4).
    """
    import datasets

    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    name = reference.dataset
    try:
        rows = datasets.load_dataset(name, reference.configuration or None, split=reference.split)
    except Exception as error:  # the library has dozens of kinds, and passes on others'
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{reference.name}: datasets cannot load it: {reason[:500]}") from error
    for number, row in enumerate(rows, 1):
        row = row["translation"] if isinstance(row.get("translation"), dict) else row
        keys = (source, target) if source in row and target in row else ("source", "target")
        left, right = (row.get(key) for key in keys)
        if not isinstance(left, str) or not isinstance(right, str):
            raise DataError(
                f"{reference.name}: row {number} has {', '.join(row)}; it needs the texts "
                f"{source} and {target}, or source and target"
            )
        yield left, right


def _mtdata(reference: Reference, source: str, target: str) -> Pairs:
    """Pairs of a dataset, in a process of its own: mtdata keeps its index in a pickle, which
    shall not be read in ours."""
    wanted = _output([sys.executable, "-c", CODES, source, target], reference)
    codes = next(wanted, "").split()
    for _ in wanted:
        pass
    own = reference.dataset.split("-")[-2:]
    if sorted(own) != sorted(codes):
        raise DataError(f"{reference.name} is {'-'.join(own)}, not {'-'.join(codes)}")
    swapped = own != codes
    command = [sys.executable, "-m", "mtdata", "--no-pbar", "echo", reference.dataset]
    for number, line in enumerate(_output(command, reference), 1):
        columns = line.split("\t")
        if len(columns) < 2:
            raise DataError(f"{reference.name}: row {number} has no tab between two texts")
        yield (columns[1], columns[0]) if swapped else (columns[0], columns[1])


def _output(command: list[str], reference: Reference) -> Iterator[str]:
    """Lines that a command prints; DataError with its last word where it fails."""
    with (
        TemporaryFile() as said,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                yield line.decode("utf-8", "replace").removesuffix("\n")
        except GeneratorExit:
            process.kill()
            raise
        if process.wait():
            said.seek(0)
            words = said.read().decode("utf-8", "replace").strip().splitlines()
            reason = " ".join(words[-1].split()) if words else f"exit code {process.returncode}"
            raise DataError(
                f"{reference.name}: mtdata cannot give it: {reason}; mtdata list shows what it has"
            )
