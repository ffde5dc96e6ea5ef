"""Named members out of a tar archive, and nothing else of it.

A member's name is compared and never used as a path, so that an archive cannot say where anything
is written; links, devices and folders are refused.
"""

import shutil
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from nmt_cli.errors import DataError

BLOCK = 1 << 20
GROWTH = 100  # times the archive's size that a member may have; text shrinks to a tenth at most


def extract(archive: Path, wanted: Mapping[str, Path]) -> None:
    """Write each wanted member to its path; DataError where one is missing or not a plain file."""
    missing = dict(wanted)
    try:
        with tarfile.open(archive, "r:*") as file:
            for member in file:
                path = missing.pop(member.name.removeprefix("./"), None)
                if path is None:
                    continue
                content = file.extractfile(member) if member.isreg() else None
                if content is None:
                    raise DataError(f"{archive}: {member.name}: not a plain file: not unpacked")
                _refuse_large(archive, member, path.parent)
                _write(content, path)
                if not missing:
                    return
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{archive}: cannot unpack: {' '.join(str(error).split())}") from error
    if missing:
        raise DataError(f"{archive}: there is no {', '.join(missing)} in it")


def _refuse_large(archive: Path, member: tarfile.TarInfo, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    most = min(free, GROWTH * archive.stat().st_size)
    if member.size > most:
        raise DataError(
            f"{archive}: {member.name} has {member.size:,} bytes; {folder} has {free:,} free, and "
            f"{GROWTH} times the archive is the most: not unpacked"
        )


def _write(content: IO[bytes], path: Path) -> None:
    with content, open(path, "wb") as file:
        shutil.copyfileobj(content, file, BLOCK)
