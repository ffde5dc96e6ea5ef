"""The folder of translated shards: resumable, and joined in order when all shards are complete.

job.json                     what all shards must have in common: input, run, search
shard-03-of-10.partial       output so far; resuming truncates it to the last mark
shard-03-of-10.mark.json     lines of input and bytes of output that are on disk
shard-03-of-10.lock          held by the process that writes the shard
shard-03-of-10.txt           the complete output
shard-03-of-10.json          its manifest: range of the input, lines, SHA-256; written last
"""

import hashlib
import json
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from nmt_cli.errors import DataError
from nmt_cli.fs import delete_lock, lock_file, read_json, sha256_of_file, write_json
from nmt_cli.translation.byte_ranges import Shard, TextRange

FORMAT_VERSION = 1
Job = dict[str, Any]


class Written(NamedTuple):
    """What is written of a shard; the keys of its mark."""

    lines: int = 0  # of input
    output_lines: int = 0
    bytes: int = 0  # of output


class ShardWriter:
    """Writes the output of one shard, resuming that of a killed process.

    DataError where the folder belongs to another job, or another process writes the same shard.
    """

    def __init__(self, folder: Path, shard: Shard, job: Job) -> None:
        self.folder, self.shard = folder, shard
        folder.mkdir(parents=True, exist_ok=True)
        self.job_hash = _claim_folder(folder, job)
        self._partial_path = folder / f"{shard.name}.partial"
        self._progress_path = folder / f"{shard.name}.mark.json"
        self._text_path = folder / f"{shard.name}.txt"
        self._manifest_path = folder / f"{shard.name}.json"
        self._written = self._committed = Written()
        self._file: BinaryIO | None = None
        self._lock_path = folder / f"{shard.name}.lock"
        locked_error = DataError(f"{folder}: shard {shard}: another process is writing it")
        self._lock = lock_file(self._lock_path, locked_error)
        self.is_finished = self._manifest_path.is_file() and self._text_path.is_file()
        if self.is_finished:
            self._written = self._committed = Written(_read_json(self._manifest_path)["lines"])
        else:
            self._resume()

    @property
    def line_count(self) -> int:
        """Lines of input whose output is written."""
        return self._written.lines

    def _resume(self) -> None:
        """Open the output, truncated to the last mark."""
        if self._text_path.exists():  # killed between the last two steps of `finish`
            self._text_path.replace(self._partial_path)
        with suppress(OSError, ValueError, TypeError):
            progress = Written(**json.loads(self._progress_path.read_text("utf-8")))
            if self._partial_path.stat().st_size >= progress.bytes:
                self._written = self._committed = progress
        self._file = open(self._partial_path, "ab")  # noqa: SIM115
        self._file.truncate(self._written.bytes)

    def write(self, texts: Sequence[str]) -> None:
        """Append the output for one line of input."""
        assert self._file is not None
        output = "".join(f"{text}\n" for text in texts).encode("utf-8", "replace")
        self._file.write(output)
        lines, output_lines, byte_count = self._written
        # At once: an interrupt must not come between the three.
        self._written = Written(lines + 1, output_lines + len(texts), byte_count + len(output))

    def commit(self) -> None:
        """Flush the output to disk and mark how far it goes, unless nothing was written since."""
        if self._file is None or self._written == self._committed:
            return
        self._file.flush()
        os.fsync(self._file.fileno())
        write_json(self._progress_path, self._written._asdict(), indent=1)
        self._committed = self._written

    def finish(self, text_range: TextRange) -> None:
        """Rename the output, and write its manifest."""
        assert self._file is not None
        self.commit()
        file, self._file = self._file, None
        file.close()  # Windows renames no file that is open
        self._partial_path.replace(self._text_path)
        content = {
            "format": FORMAT_VERSION,
            "job": self.job_hash,
            "shard": list(self.shard),
            "range": text_range._asdict(),
            "lines": self._written.lines,
            "output_lines": self._written.output_lines,
            "sha256": sha256_of_file(self._text_path),
        }
        write_json(self._manifest_path, content, indent=1)
        self._progress_path.unlink(missing_ok=True)
        self.is_finished = True

    def close(self) -> None:
        """Commit what is written, and release the shard."""
        with self._lock, self._file or nullcontext():
            self.commit()
            if self.is_finished:
                delete_lock(self._lock_path, self._lock)


def _claim_folder(folder: Path, job: Job) -> str:
    """Create job.json, or check that it describes the same job; the hash of the job."""
    expected = {"format": FORMAT_VERSION, **job}
    path = folder / "job.json"
    if not path.exists():
        _write_first(path, expected)
    existing = _read_json(path)
    if existing != expected:
        differing_keys = sorted(key for key in {*existing, *expected} if existing.get(key) != expected.get(key))
        raise DataError(
            f"{folder}: holds shards of another job (other {', '.join(differing_keys)}): choose another --out"
        )
    return _job_hash(expected)


def _write_first(path: Path, content: Job) -> None:
    """Write a file whole, unless another process is the first: a rename alone would replace its file."""
    temporary = path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}")
    lock_path = path.with_suffix(".lock")
    try:
        write_json(temporary, content, indent=1)
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError:  # SMB, exFAT and FUSE have no hard links
        with lock_file(lock_path, None) as lock:
            if not path.exists():
                temporary.rename(path)
            delete_lock(lock_path, lock)  # whoever waits for it finds the file
    finally:
        temporary.unlink(missing_ok=True)


def _job_hash(job: Job) -> str:
    return hashlib.sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()[:16]


def join_shards(folder: Path) -> Iterator[bytes]:
    """The lines of all shards in order, once every check has passed; DataError names missing or damaged shards."""
    job = _read_json(folder / "job.json")
    manifests = _load_manifests(folder, job)
    _check_ranges(folder, manifests)
    return _joined_lines(folder, job, manifests)


def _joined_lines(folder: Path, job: Job, manifests: list[dict[str, Any]]) -> Iterator[bytes]:
    line_offset = 0
    for manifest in manifests:
        with open(folder / f"{Shard(*manifest['shard']).name}.txt", "rb") as file:
            for line in file:
                yield _renumber(line, job.get("form"), line_offset)
        line_offset += manifest["lines"]


def _renumber(line: bytes, output_format: Any, line_offset: int) -> bytes:
    """The output line with its line number in the whole input."""
    if output_format == "jsonl":
        record = json.loads(line)
        record["line"] += line_offset
        return json.dumps(record, ensure_ascii=False).encode() + b"\n"
    if output_format == "candidates":
        number, separator, remainder = line.partition(b" ||| ")
        return str(int(number) + line_offset).encode() + separator + remainder
    return line


def _load_manifests(folder: Path, job: Job) -> list[dict[str, Any]]:
    shards = [Shard(number, job["shards"]) for number in range(1, job["shards"] + 1)]
    missing = [shard for shard in shards if not (folder / f"{shard.name}.json").is_file()]
    if missing:
        shown = ", ".join(map(str, missing[:20])) + (", ..." if len(missing) > 20 else "")
        raise DataError(f"{folder}: {len(missing)} of {len(shards)} shards are missing: {shown}")
    manifests = [_read_json(folder / f"{shard.name}.json") for shard in shards]
    for shard, manifest in zip(shards, manifests, strict=True):
        path = folder / f"{shard.name}.txt"
        if manifest.get("job") != _job_hash(job) or manifest.get("shard") != list(shard):
            raise DataError(f"{path}: belongs to another input or run than the others")
        if not path.is_file() or sha256_of_file(path) != manifest["sha256"]:
            raise DataError(f"{path}: does not match its checksum: delete it and translate the shard again")
    return manifests


def _check_ranges(folder: Path, manifests: list[dict[str, Any]]) -> None:
    """DataError where the ranges leave a gap, as when the input has changed in between."""
    position = 0
    for manifest in manifests:
        text_range = TextRange(**manifest["range"])
        is_last = manifest is manifests[-1]
        line_count_matches = text_range.unit == "bytes" or text_range.end - text_range.begin == manifest["lines"]
        if text_range.begin != position or (is_last and text_range.end != text_range.total) or not line_count_matches:
            shard = Shard(*manifest["shard"])
            raise DataError(f"{folder}: shard {shard} does not begin where the one before it ends")
        position = text_range.end


def _read_json(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if content.get("format") != FORMAT_VERSION:
        raise DataError(f"{path}: not written by this version of nmt translate --shard")
    return content
