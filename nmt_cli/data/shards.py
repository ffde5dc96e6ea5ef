"""A folder of translated shards: resumable, each whole or absent, joined in order when all are in.

job.json                     what all shards must have in common: input, run, search
shard-03-of-10.partial       output so far; what a kill left behind the last mark is cut off
shard-03-of-10.mark.json     how many lines of input and bytes of output are safe
shard-03-of-10.lock          held by the process that writes the shard
shard-03-of-10.txt           the whole output
shard-03-of-10.json          its manifest: range of the input, lines, SHA-256; written last
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from nmt_cli.data.ranges import Shard, TextRange
from nmt_cli.disk import hold
from nmt_cli.errors import DataError

FORMAT = 1
Job = dict[str, Any]


class ShardWriter:
    """The output of one shard, which may be the continuation of a killed one.

    DataError where the folder belongs to another job, or another process writes the same shard.
    """

    def __init__(self, folder: Path, shard: Shard, job: Job) -> None:
        self.folder, self.shard = folder, shard
        folder.mkdir(parents=True, exist_ok=True)
        self.job_hash = _claim(folder, job)
        self._partial = folder / f"{shard.name}.partial"
        self._mark = folder / f"{shard.name}.mark.json"
        self._text = folder / f"{shard.name}.txt"
        self._manifest = folder / f"{shard.name}.json"
        self.lines = self.output_lines = 0
        self._file: BinaryIO | None = None
        self._lock_path = folder / f"{shard.name}.lock"
        refusal = DataError(f"{folder}: shard {shard}: another process is writing it")
        self._lock = hold(self._lock_path, refusal)
        self.done = self._manifest.is_file() and self._text.is_file()
        if self.done:
            self.lines = _read(self._manifest)["lines"]
        else:
            self._resume()

    def _resume(self) -> None:
        """Open the output behind the last mark."""
        if self._text.exists():  # killed between the last two steps of `finish`
            self._text.rename(self._partial)
        size = 0
        with suppress(OSError, ValueError, KeyError):
            mark = json.loads(self._mark.read_text())
            if self._partial.stat().st_size >= mark["bytes"]:
                size = mark["bytes"]
                self.lines, self.output_lines = mark["lines"], mark["output_lines"]
        self._file = open(self._partial, "ab")  # noqa: SIM115
        self._file.truncate(size)

    def write(self, texts: Sequence[str]) -> None:
        """Append the output for one line of input."""
        assert self._file is not None
        for text in texts:
            self._file.write(text.encode("utf-8", "replace") + b"\n")
        self.lines += 1
        self.output_lines += len(texts)

    def mark(self) -> None:
        """Make safe what was written."""
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        content = {"lines": self.lines, "output_lines": self.output_lines}
        _write(self._mark, content | {"bytes": self._file.tell()})

    def finish(self, part: TextRange) -> None:
        """Give the output its name, and write the manifest."""
        assert self._file is not None
        self.mark()
        self._partial.rename(self._text)
        content = {
            "format": FORMAT,
            "job": self.job_hash,
            "shard": list(self.shard),
            "range": part._asdict(),
            "lines": self.lines,
            "output_lines": self.output_lines,
            "sha256": digest(self._text),
        }
        _write(self._manifest, content)
        self._mark.unlink()
        self.done = True

    def close(self) -> None:
        """Let go of the shard."""
        if self._file is not None:
            self._file.close()
        if self.done:
            self._lock_path.unlink(missing_ok=True)
        self._lock.close()


def _claim(folder: Path, job: Job) -> str:
    """Make the folder this job's, or see that it is; the job's hash."""
    wanted = {"format": FORMAT, **job}
    path = folder / "job.json"
    if not path.exists():
        scratch = folder / f".job.json.{os.uname().nodename}.{os.getpid()}"
        _write(scratch, wanted)
        with suppress(FileExistsError):
            os.link(scratch, path)  # the first of several shards; a rename would replace it
        scratch.unlink()
    there = _read(path)
    if there != wanted:
        keys = sorted(key for key in {*there, *wanted} if there.get(key) != wanted.get(key))
        raise DataError(
            f"{folder}: holds shards of another job (other {', '.join(keys)}): choose another --out"
        )
    return _job_hash(wanted)


def _job_hash(job: Job) -> str:
    return hashlib.sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()[:16]


def joined(folder: Path) -> Iterator[bytes]:
    """The output of all shards in order, in lines, after every check has passed.

    DataError names the shards that are missing or damaged.
    """
    job = _read(folder / "job.json")
    manifests = _manifests(folder, job)
    _check_ranges(folder, manifests)
    return _lines(folder, job, manifests)


def _lines(folder: Path, job: Job, manifests: list[dict[str, Any]]) -> Iterator[bytes]:
    before = 0
    for manifest in manifests:
        with open(folder / f"{Shard(*manifest['shard']).name}.txt", "rb") as file:
            for line in file:
                yield _renumbered(line, job.get("form"), before)
        before += manifest["lines"]


def _renumbered(line: bytes, form: Any, before: int) -> bytes:
    """The output line with the number that its line has in the whole input."""
    if form == "jsonl":
        record = json.loads(line)
        record["line"] += before
        return json.dumps(record, ensure_ascii=False).encode() + b"\n"
    if form == "candidates":
        number, bar, rest = line.partition(b" ||| ")
        return str(int(number) + before).encode() + bar + rest
    return line


def _manifests(folder: Path, job: Job) -> list[dict[str, Any]]:
    shards = [Shard(number, job["shards"]) for number in range(1, job["shards"] + 1)]
    there = [one for one in shards if (folder / f"{one.name}.json").is_file()]
    missing = [one for one in shards if one not in there]
    if missing:
        shown = ", ".join(map(str, missing[:20])) + (", ..." if len(missing) > 20 else "")
        raise DataError(f"{folder}: {len(missing)} of {len(shards)} shards are missing: {shown}")
    manifests = [_read(folder / f"{one.name}.json") for one in shards]
    for shard, manifest in zip(shards, manifests, strict=True):
        path = folder / f"{shard.name}.txt"
        if manifest.get("job") != _job_hash(job) or manifest.get("shard") != list(shard):
            raise DataError(f"{path}: belongs to another input or run than the others")
        if not path.is_file() or digest(path) != manifest["sha256"]:
            raise DataError(f"{path}: is not what was written: delete it and translate it again")
    return manifests


def _check_ranges(folder: Path, manifests: list[dict[str, Any]]) -> None:
    """DataError where the ranges leave a gap, as when the input was changed meanwhile."""
    place = 0
    for manifest in manifests:
        part = TextRange(**manifest["range"])
        last = manifest is manifests[-1]
        lines = part.unit == "bytes" or part.end - part.begin == manifest["lines"]
        if part.begin != place or (last and part.end != part.total) or not lines:
            shard = Shard(*manifest["shard"])
            raise DataError(f"{folder}: shard {shard} does not go on where the one before ends")
        place = part.end


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not written by nmt translate --shard: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(f"{path}: not written by this version of nmt translate --shard")
    return content


def _write(path: Path, content: dict[str, Any]) -> None:
    """Replace a JSON file so that it is the old or the new one at every moment."""
    scratch = path.with_name(path.name + ".tmp")
    with open(scratch, "w", encoding="utf-8") as file:
        file.write(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, path)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
