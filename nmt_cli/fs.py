"""Files that are whole or not there, what goes wrong with writing, and what may not come in.

A run or a prepared folder can come from anywhere: a link that leads out of it is refused, and JSON
without bound.
"""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from nmt_cli.errors import DataError, RunError, UserError

MAX_JSON_BYTES = 16 << 20  # bytes; a manifest has some thousand
DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def wrap_io_errors(path: Path) -> Iterator[None]:
    """Turn what goes wrong with writing `path` into a RunError of one line."""
    from safetensors import SafetensorError  # not for those who only read

    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        disk_full = any(os.strerror(code) in reason for code in DISK_FULL_ERRNOS)
        hint = "; make room and go on (nmt train with --resume)" if disk_full else ""
        raise RunError(f"{path}: cannot be written: {reason}{hint}") from error


def atomic_write_text(path: Path, text: str) -> None:
    """Replace a text file so that it is the old or the new one at every moment.

    RunError where that fails, with the old one in its place.
    """
    temporary = path.with_name(path.name + ".tmp")
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


def lock_file(path: Path, conflict_error: UserError) -> BinaryIO:
    """An open file that no other process holds until it is closed; raises `refusal` where one does.

    A system or file system without locks has none.
    """
    file = open(path, "wb")  # noqa: SIM115
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise conflict_error from error
    except (ImportError, OSError):
        pass
    return file


def reject_external_symlinks(folder: Path) -> None:
    """RunError where anything in a folder leads out of it, or is no file and no folder.

    A run may come from a stranger: a link in it shall not make us read what the stranger cannot.
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
    except (OSError, RuntimeError):  # links in a circle lead nowhere
        return Path("/")


def read_json(path: Path, max_bytes: int = MAX_JSON_BYTES, error_class: type[UserError] = DataError) -> dict[str, Any]:
    """The JSON object in a file; a `kind` where it is missing, damaged, or of more bytes."""
    value = _read_json(path, max_bytes, error_class)
    if not isinstance(value, dict):
        raise error_class(f"{path}: missing or damaged: not a JSON object")
    return value


def read_json_list(path: Path, max_bytes: int = MAX_JSON_BYTES, error_class: type[UserError] = DataError) -> list[Any]:
    """The JSON list in a file; a `kind` as for `read_json`."""
    value = _read_json(path, max_bytes, error_class)
    if not isinstance(value, list):
        raise error_class(f"{path}: missing or damaged: not a JSON list")
    return value


def _read_json(path: Path, max_bytes: int, error_class: type[UserError]) -> Any:
    try:
        with open(path, "rb") as file:
            content = file.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise ValueError(f"more than {max_bytes:,} bytes")
        return json.loads(content.decode())
    except UnicodeDecodeError as error:
        raise error_class(f"{path}: missing or damaged: not UTF-8 text") from error
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise error_class(f"{path}: missing or damaged: {reason}") from error


def fsync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
