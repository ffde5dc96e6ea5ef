"""Writers of prepared data: text files and arrays that grow on disk, not in memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nmt_cli.data import SIDES


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
    """Writer of the arrays of a `SequenceStore`, complete when its `with` block has ended without an error.

    <name>.ids.npy is in the smallest type that fits.
    """

    def __init__(self, folder: Path, name: str, vocab_size: int) -> None:
        self._ids = _ArrayFile(folder / f"{name}.ids.npy", np.dtype(np.uint16 if vocab_size <= 1 << 16 else np.uint32))
        self._offsets = _ArrayFile(folder / f"{name}.offsets.npy", np.dtype(np.int64))
        self._offsets.append(np.zeros(1, np.int64))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error_type: type[BaseException] | None, *error: object) -> None:
        with self._ids.file, self._offsets.file:
            if error_type is None:
                if self._ids.size == 0:  # an empty array cannot be mapped
                    self._ids.append(np.zeros(1, np.uint32))
                self._ids.finish()
                self._offsets.finish()

    def write(self, ids: Sequence[int]) -> None:
        """Append a sequence."""
        self.write_block(np.array(ids, np.uint32).tobytes(), np.uint32(len(ids)).tobytes())

    def write_block(self, ids: bytes, lengths: bytes) -> None:
        """Append many sequences at once: their ids and their lengths, as bytes of uint32."""
        ends = self._ids.size + np.cumsum(np.frombuffer(lengths, np.uint32), dtype=np.int64)
        self._ids.append(np.frombuffer(ids, np.uint32))
        self._offsets.append(ends)


class _ArrayFile:
    """A .npy file of one dimension whose size is known only at the end.

    It is written and not mapped: on a full disk a write fails, a store to a mapped page kills the process.
    """

    def __init__(self, path: Path, dtype: np.dtype[Any]) -> None:
        self.file, self.dtype, self.size = open(path, "wb"), dtype, 0
        self._write_header()

    def append(self, values: NDArray[Any]) -> None:
        self.file.write(values.astype(self.dtype).tobytes())
        self.size += len(values)

    def finish(self) -> None:
        """Write the header again, in which NumPy leaves room for any size."""
        self.file.seek(0)
        self._write_header()

    def _write_header(self) -> None:
        header = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": (self.size,)}
        np.lib.format.write_array_header_1_0(self.file, header)
