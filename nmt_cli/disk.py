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

LARGEST_JSON = 16 << 20  # bytes; a manifest has some thousand
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what goes wrong with writing `path` into a RunError of one line."""
    from safetensors import SafetensorError  # not for those who only read

    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        full = any(os.strerror(number) in reason for number in FULL)
        advice = "; make room and go on (nmt train with --resume)" if full else ""
        raise RunError(f"{path}: cannot be written: {reason}{advice}") from error


def write_whole(path: Path, text: str) -> None:
    """Replace a text file so that it is the old or the new one at every moment.

    RunError where that fails, with the old one in its place.
    """
    scratch = path.with_name(path.name + ".tmp")
    with writing(path):
        try:
            with open(scratch, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(scratch, path)
        except OSError:
            scratch.unlink(missing_ok=True)
            raise
        sync(path.parent)


def hold(path: Path, refusal: UserError) -> BinaryIO:
    """An open file that no other process holds until it is closed; raises `refusal` where one does.

    A system or file system without locks has none.
    """
    file = open(path, "wb")  # noqa: SIM115
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise refusal from error
    except (ImportError, OSError):
        pass
    return file


def refuse_ways_out(folder: Path) -> None:
    """RunError where anything in a folder leads out of it, or is no file and no folder.

    A run may come from a stranger: a link in it shall not make us read what the stranger cannot.
    """
    root = folder.resolve()
    for place, folders, files in os.walk(root, followlinks=False):
        for name in (*folders, *files):
            path = Path(place, name)
            shown = folder / path.relative_to(root)
            if path.is_symlink() and not _leads_to(path).is_relative_to(root):
                raise RunError(f"{shown}: a link that leads out of {folder}; copy the file instead")
            if path.exists() and not (path.is_file() or path.is_dir()):
                raise RunError(f"{shown}: neither a file nor a folder")


def _leads_to(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # links in a circle lead nowhere
        return Path("/")


def read_json(
    path: Path, largest: int = LARGEST_JSON, kind: type[UserError] = DataError
) -> dict[str, Any]:
    """The JSON object in a file; a `kind` where it is missing, damaged, or of more bytes."""
    found = _read_json(path, largest, kind)
    if not isinstance(found, dict):
        raise kind(f"{path}: missing or damaged: not a JSON object")
    return found


def read_json_list(
    path: Path, largest: int = LARGEST_JSON, kind: type[UserError] = DataError
) -> list[Any]:
    """The JSON list in a file; a `kind` as for `read_json`."""
    found = _read_json(path, largest, kind)
    if not isinstance(found, list):
        raise kind(f"{path}: missing or damaged: not a JSON list")
    return found


def _read_json(path: Path, largest: int, kind: type[UserError]) -> Any:
    try:
        with open(path, "rb") as file:
            content = file.read(largest + 1)
        if len(content) > largest:
            raise ValueError(f"more than {largest:,} bytes")
        return json.loads(content.decode())
    except UnicodeDecodeError as error:
        raise kind(f"{path}: missing or damaged: not UTF-8 text") from error
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise kind(f"{path}: missing or damaged: {reason}") from error


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
