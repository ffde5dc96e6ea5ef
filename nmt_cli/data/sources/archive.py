"""Extracting named members of a tar archive, and nothing else.

The name of a member is compared and never used as a path, so that an archive cannot decide where files are written.
Links, devices and folders are refused.
"""

import shutil
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from nmt_cli.errors import DataError, error_reason

COPY_CHUNK_BYTES = 1 << 20
MAX_EXPANSION_RATIO = 100  # size of a member over that of the archive; text compresses to a tenth at best


def extract_members(archive: Path, output_paths: Mapping[str, Path]) -> None:
    """Write each member to its path; DataError if one is missing or not a plain file."""
    remaining = dict(output_paths)
    try:
        with tarfile.open(archive, "r:*") as file:
            for member in file:
                path = remaining.pop(member.name.removeprefix("./"), None)
                if path is None:
                    continue
                content = file.extractfile(member) if member.isreg() else None
                if content is None:
                    raise DataError(f"{archive}: {member.name}: not a plain file: not unpacked")
                _check_size(archive, member, path.parent)
                with content, open(path, "wb") as output:
                    shutil.copyfileobj(content, output, COPY_CHUNK_BYTES)
                if not remaining:
                    return
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{archive}: cannot unpack: {error_reason(error)}") from error
    if remaining:
        raise DataError(f"{archive}: there is no {', '.join(remaining)} in it")


def _check_size(archive: Path, member: tarfile.TarInfo, folder: Path) -> None:
    free_bytes = shutil.disk_usage(folder).free
    max_bytes = min(free_bytes, MAX_EXPANSION_RATIO * archive.stat().st_size)
    if member.size > max_bytes:
        raise DataError(
            f"{archive}: {member.name} has {member.size:,} bytes; {folder} has {free_bytes:,} free, and "
            f"{MAX_EXPANSION_RATIO} times the archive is the most: not unpacked"
        )
