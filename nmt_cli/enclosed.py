"""Files of a folder that somebody else may have made: no link leads out, no JSON is without bound.

A run or a prepared folder can come from anywhere. What is read from it lies in it: a name that
leads elsewhere, by `..` or by a symbolic link, is refused. The folder itself may be a link.
"""

import json
from pathlib import Path
from typing import Any

from nmt_cli.errors import DataError

LARGEST_JSON = 16 << 20  # bytes; a manifest has some thousand


def own_file(folder: Path, name: str) -> Path:
    """The path of a file in the folder, there or not; DataError where it leads out of it."""
    path = folder / name
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle, a NUL in the name
        raise DataError(f"{path}: not a file of this folder: {_reason(error)}") from error
    if not inside:
        raise DataError(f"{path}: leads out of the folder; put a copy of the file there")
    return path


def read_json(path: Path, largest: int = LARGEST_JSON) -> dict[str, Any]:
    """The JSON object in a file; DataError where it is missing, damaged, or of more bytes."""
    try:
        with open(path, "rb") as file:
            content = file.read(largest + 1)
        if len(content) > largest:
            raise ValueError(f"more than {largest:,} bytes")
        found = json.loads(content.decode())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: missing or damaged: {_reason(error)}") from error
    if not isinstance(found, dict):
        raise DataError(f"{path}: missing or damaged: not a JSON object")
    return found


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8 text"
    return " ".join(str(getattr(error, "strerror", None) or error).split())
