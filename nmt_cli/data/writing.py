"""Writers of prepared data: text files and arrays that grow without being held in memory."""

from array import array
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

BLOCK = 1 << 20  # ids copied at a time


class TextWriter:
    """<name>.source.txt and <name>.target.txt, line by line."""

    def __init__(self, folder: Path, name: str) -> None:
        paths = [folder / f"{name}.{side}.txt" for side in ("source", "target")]
        self._files = [open(path, "w", encoding="utf-8", newline="\n") for path in paths]
        self.lines = 0

    def write(self, source: str, target: str) -> None:
        """One line into each file."""
        for file, text in zip(self._files, (source, target), strict=True):
            file.write(text)
            file.write("\n")
        self.lines += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for file in self._files:
            file.close()


class SequenceWriter:
    """The arrays of a `SequenceStore`, whose size is known only when the last sequence is in."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self._path = folder / f"{name}.growing"
        self._file = open(self._path, "wb")
        self._offsets = array("q", [0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def write(self, ids: Sequence[int]) -> None:
        """Append a sequence."""
        self._file.write(array("I", ids).tobytes())
        self._offsets.append(self._offsets[-1] + len(ids))

    def close(self, vocabulary: int) -> None:
        """Write <name>.ids.npy (in the smallest type that fits) and <name>.offsets.npy."""
        self._file.close()
        kind = np.uint16 if vocabulary <= 1 << 16 else np.uint32
        total = self._offsets[-1]
        ids = np.lib.format.open_memmap(
            self.folder / f"{self.name}.ids.npy", mode="w+", dtype=kind, shape=(max(total, 1),)
        )
        with open(self._path, "rb") as file:
            for first in range(0, total, BLOCK):
                part = np.frombuffer(file.read(4 * BLOCK), dtype=np.uint32)
                ids[first : first + len(part)] = part
        ids.flush()
        self._path.unlink()
        np.save(self.folder / f"{self.name}.offsets.npy", np.array(self._offsets, dtype=np.int64))
