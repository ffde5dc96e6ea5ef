"""Files and folders: atomic writes, locks, checksums, bounded JSON, and links that may not be followed.

A run or a prepared folder can come from a stranger: links out of it are rejected, and JSON is read up to a limit.
"""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PureWindowsPath
from typing import Any, BinaryIO, TypeVar

from nmt_cli.errors import DataError, RunError, UserError, error_reason

MAX_JSON_BYTES = 16 << 20  # a manifest has some thousand bytes
DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MAX_LOCK_ATTEMPTS = 100  # of which each finds a file that its holder has deleted meanwhile
DAMAGE_HINT = "copy the run folder again; prepared data: delete the folder and run nmt prepare again"
STALE_SECONDS = 24 * 3600  # age from which a scratch folder counts as abandoned
T = TypeVar("T")


def _unique_token() -> str:
    """What makes a name one of this process alone; containers that share a volume may have equal process ids."""
    return f"{os.getpid()}-{secrets.token_hex(4)}"


@contextmanager
def wrap_io_errors(path: Path) -> Iterator[None]:
    """Raise a failed write of `path` as a RunError of one line."""
    from safetensors import SafetensorError  # a slow import that reading does not need

    try:
        yield
    except (OSError, SafetensorError) as error:
        raise RunError(_write_failure(path, error)) from error


def _write_failure(path: Path, error: Exception) -> str:
    reason = error_reason(error)
    disk_full = any(os.strerror(code) in reason for code in DISK_FULL_ERRNOS)
    hint = "; free disk space and run the command again (training: with --resume)" if disk_full else ""
    return f"{path}: cannot be written: {reason}{hint}"


def atomic_write_text(path: Path, text: str, *, concurrent: bool = False) -> None:
    """Replace a text file so that at every moment it is either the old or the new one.

    Set `concurrent` if other processes may write the same file at the same time. Raises RunError on failure; the old
    file is then unchanged.
    """
    temporary = path.with_name(f".{path.name}.{_unique_token()}" if concurrent else f"{path.name}.tmp")
    with wrap_io_errors(path):
        try:
            with open(temporary, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        fsync(path.parent)


def write_json(
    path: Path, content: object, *, indent: int | None = 2, ensure_ascii: bool = False, concurrent: bool = False
) -> None:
    """Replace a JSON file as `atomic_write_text` does; `indent` and `ensure_ascii` as for json.dumps."""
    text = json.dumps(content, indent=indent, ensure_ascii=ensure_ascii) + "\n"
    atomic_write_text(path, text, concurrent=concurrent)


def write_tensors(path: Path, tensors: Mapping[str, Any], metadata: dict[str, str] | None = None) -> None:
    """Write tensors by their names into a .safetensors file with the permissions of new files, where the library would
    leave it to its owner alone; OSError or SafetensorError on failure.
    """
    from safetensors.torch import save_file

    path.touch()
    mode = path.stat().st_mode
    save_file(dict(tensors), path, metadata)
    with suppress(PermissionError):  # a file system that has no permissions
        path.chmod(mode)


@contextmanager
def atomic_folder(folder: Path, marker: str | None = None, error_class: type[UserError] = RunError) -> Iterator[Path]:
    """A scratch folder to fill, renamed to `folder` if the block succeeds and deleted if it fails.

    If `folder` exists by then and holds a file called `marker`, another process has made the same folder in the
    meantime: theirs stays, ours is dropped. Raises `error_class` if the folder cannot be renamed, or the disk is full.
    """
    delete_stale_scratch(folder.absolute().parent, re.escape(folder.name))
    scratch = folder.absolute().with_name(f".{folder.name}.{_unique_token()}")
    try:
        scratch.mkdir(parents=True)
        yield scratch
        try:
            scratch.rename(folder)
        except OSError as error:
            if marker is None or not (folder / marker).is_file():
                raise error_class(_write_failure(folder, error)) from error
    except OSError as error:
        if error.errno not in DISK_FULL_ERRNOS:
            raise
        raise error_class(_write_failure(folder, error)) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def delete_stale_scratch(parent: Path, name_pattern: str) -> None:
    """Delete the scratch folders that killed processes left in `parent`, of folders whose name matches a pattern.

    One in which something was written within a day stays: a process, be it on another machine, may be writing it.
    """
    pattern = re.compile(rf"\.(?:{name_pattern})\.\d+-[0-9a-f]{{8}}")
    scratch_folders: list[Path] = []
    with suppress(OSError):
        scratch_folders += [path for path in parent.iterdir() if pattern.fullmatch(path.name)]
    for scratch in scratch_folders:
        with suppress(OSError):  # a living process moves its files, or has renamed the folder
            last_write = max(path.stat().st_mtime for path in (scratch, *scratch.rglob("*")))
            if time.time() - last_write > STALE_SECONDS:
                shutil.rmtree(scratch, ignore_errors=True)


def delete_folder(folder: Path) -> None:
    """Delete a folder, if there is one; renamed first, so that a kill leaves nothing that looks like a damaged one."""
    if folder.is_dir():
        trash = folder.with_name(f"{folder.name}.{_unique_token()}.old.tmp")
        os.replace(folder, trash)
        shutil.rmtree(trash, ignore_errors=True)


def lock_file(path: Path, conflict_error: UserError | None) -> BinaryIO:
    """Open a file and hold an exclusive lock on it until it is closed.

    If it is locked, raises `conflict_error`; None waits until it is free.

    Where the system or the file system has no locks, nothing is locked.
    """
    for _ in range(MAX_LOCK_ATTEMPTS):
        file = open(path, "wb")  # noqa: SIM115
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX if conflict_error is None else fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    return file
        except BlockingIOError as error:
            assert conflict_error is not None
            file.close()
            raise conflict_error from error
        except (ImportError, OSError):
            return file
        file.close()  # whoever held it has deleted it since it was opened
    raise RunError(f"{path}: cannot be locked: it is replaced all the time")


def delete_lock(path: Path, file: BinaryIO) -> None:
    """Delete a file that `lock_file` has locked, and release it: in this order, so that nobody locks a deleted file."""
    with file, suppress(PermissionError):  # Windows deletes no file that is open
        path.unlink(missing_ok=True)
        return
    with suppress(PermissionError):  # another process has it open
        path.unlink(missing_ok=True)


def is_plain_name(name: str) -> bool:
    """Whether a name leads to no other folder than that which it is looked for in, on any system."""
    return PureWindowsPath(name).name == name and name not in ("", ".", "..")


def reject_external_symlinks(folder: Path) -> None:
    """Raise RunError if a folder has a link that leads out of it, or anything but files and folders.

    Otherwise a stranger's run could make us read files that the stranger cannot.
    """
    root = folder.resolve()
    for directory, folder_names, file_names in os.walk(root, followlinks=False):
        for name in (*folder_names, *file_names):
            path = Path(directory, name)
            display_path = folder / path.relative_to(root)
            if path.is_symlink() and not _resolve_link(path).is_relative_to(root):
                raise RunError(f"{display_path}: a link that leads out of {folder}; copy the file instead")
            if path.exists() and not (path.is_file() or path.is_dir()):
                raise RunError(f"{display_path}: neither a file nor a folder")


def _resolve_link(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a cycle of links
        return Path("/")


def read_json(
    path: Path, max_bytes: int = MAX_JSON_BYTES, error_class: type[UserError] = DataError, *, hint: str = ""
) -> dict[str, Any]:
    """The JSON object in a file; raises `error_class` if it is missing, damaged or larger than `max_bytes`."""
    return _read_json(path, dict, max_bytes, error_class, hint)


def read_json_list(path: Path, max_bytes: int) -> list[Any]:
    """The JSON list in a file; DataError if it is missing, damaged or larger than `max_bytes`."""
    return _read_json(path, list, max_bytes, DataError, "")


def read_text(path: Path, max_bytes: int) -> str:
    """A file of UTF-8 text; ValueError if it is larger than `max_bytes` or anything else, OSError if unreadable."""
    with open(path, "rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"more than {max_bytes:,} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8 text") from error


def damaged_file(path: Path, error: Exception) -> DataError:
    """What to raise for a damaged file that prepared data have, and the runs that are trained on them."""
    is_of_other_shape = isinstance(error, AttributeError | IndexError | TypeError)
    reason = "not what was written" if is_of_other_shape else error_reason(error)
    return DataError(f"{path}: damaged: {reason}", hint=DAMAGE_HINT)


def _read_json(path: Path, kind: type[T], max_bytes: int, error_class: type[UserError], hint: str) -> T:
    try:
        value = json.loads(read_text(path, max_bytes))
        if not isinstance(value, kind):
            raise ValueError(f"not a JSON {'object' if kind is dict else 'list'}")
        return value
    except PermissionError as error:
        raise error_class(f"{path}: cannot be read: {error.strerror}", hint=hint) from error
    except (OSError, ValueError, RecursionError) as error:
        raise error_class(f"{path}: missing or damaged: {error_reason(error)}", hint=hint) from error


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fsync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of entries, is on the disk.

    A folder that cannot be opened, as any on Windows, is left to the system.
    """
    is_folder = path.is_dir()
    try:
        descriptor = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)  # Windows needs the right to write
    except PermissionError:
        if is_folder:
            return
        raise
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
