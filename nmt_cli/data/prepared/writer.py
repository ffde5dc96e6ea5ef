"""Writers of prepared data: text files and arrays that grow on disk, not in memory."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nmt_cli.data import SIDES

IDS_PER_BLOCK = 1 << 20  # ids copied at a time


class TextWriter:
    """<name>.source.txt and <name>.target.txt, line by line."""

    def __init__(self, folder: Path, name: str) -> None:
        paths = [folder / f"{name}.{side}.txt" for side in SIDES]
        self._files = [open(path, "w", encoding="utf-8", newline="\n") for path in paths]
        self.line_count = 0

    def write(self, source: str, target: str) -> None:
        """Write one line into each file."""
        for file, text in zip(self._files, (source, target), strict=True):
            file.write(text)
            file.write("\n")
        self.line_count += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files:
            file.close()


class SequenceWriter:
    """Writer of the arrays of a `SequenceStore`, whose size is known only at the end."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self._paths = [folder / f"{name}.{kind}.growing" for kind in ("ids", "lengths")]
        self._ids, self._lengths = (open(path, "wb") for path in self._paths)
        self._id_count = self._sequence_count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._ids.close()
        self._lengths.close()

    def write(self, ids: Sequence[int]) -> None:
        """Append a sequence."""
        self.write_block(array("I", ids).tobytes(), array("I", [len(ids)]).tobytes())

    def write_block(self, ids: bytes, lengths: bytes) -> None:
        """Append many sequences at once: their ids and their lengths, as bytes of uint32."""
        self._ids.write(ids)
        self._lengths.write(lengths)
        self._id_count += len(ids) // 4
        self._sequence_count += len(lengths) // 4

    def close(self, vocab_size: int) -> None:
        """Write <name>.ids.npy (in the smallest type that fits) and <name>.offsets.npy."""
        self._ids.close()
        self._lengths.close()
        dtype = np.dtype(np.uint16 if vocab_size <= 1 << 16 else np.uint32)
        ids = _read_blocks(self._paths[0]) if self._id_count else [np.zeros(1, np.uint32)]
        self._write_array("ids", dtype, max(self._id_count, 1), ids)
        self._write_array("offsets", np.dtype(np.int64), self._sequence_count + 1, _offsets(self._paths[1]))
        for path in self._paths:
            path.unlink()

    def _write_array(self, name: str, dtype: np.dtype[Any], size: int, blocks: Iterable[NDArray[Any]]) -> None:
        """Write an array block by block: on a full disk a write fails, a store to a mapped page kills the process."""
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (size,)}
        with open(self.folder / f"{self.name}.{name}.npy", "wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for block in blocks:
                file.write(block.astype(dtype).tobytes())


def _offsets(lengths_path: Path) -> Iterator[NDArray[np.int64]]:
    """Where the sequences begin, and where the last one ends, in blocks."""
    offset = np.zeros(1, np.int64)
    yield offset
    for lengths in _read_blocks(lengths_path):
        ends = offset + np.cumsum(lengths, dtype=np.int64)
        yield ends
        offset = ends[-1:]


def _read_blocks(path: Path) -> Iterator[NDArray[np.uint32]]:
    """Blocks of the numbers in a file of uint32."""
    with open(path, "rb") as file:
        while data := file.read(4 * IDS_PER_BLOCK):
            yield np.frombuffer(data, dtype=np.uint32)
