"""Files that are whole or not there, what goes wrong with writing, and links that lead out."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nmt_cli.errors import RunError

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


def refuse_ways_out(folder: Path) -> None:
    """RunError where anything in a folder leads out of it, or is no file and no folder.

    A run may come from a stranger: a link in it shall not make us read what the stranger cannot.
    """
    root = folder.resolve()
    for place, folders, files in os.walk(root, followlinks=False):
        for name in (*folders, *files):
            path = Path(place, name)
            shown = folder / path.relative_to(root)
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                raise RunError(f"{shown}: a link that leads out of {folder}; copy the file instead")
            if path.exists() and not (path.is_file() or path.is_dir()):
                raise RunError(f"{shown}: neither a file nor a folder")


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
