"""Numbers of each update that are read from the device some updates later."""

import torch
from torch import Tensor


class PendingScalars:
    """Rows of scalars that stay on the device until they are read.

    All are written into one tensor. A small tensor for each update, which is still there while the next update
    allocates its large ones, would break up the memory that the C allocator uses again.
    """

    def __init__(self, width: int, device: torch.device, capacity: int = 128) -> None:
        self._buffer = torch.zeros(capacity, width, device=device)
        self._count = 0

    def append(self, *scalars: Tensor) -> None:
        """Add a row."""
        if self._count == len(self._buffer):
            self._buffer = torch.cat([self._buffer, torch.zeros_like(self._buffer)])
        for column, scalar in enumerate(scalars):
            self._buffer[self._count, column] = scalar
        self._count += 1

    def rows(self) -> Tensor:
        """All rows since the last `clear`, [n, width]."""
        return self._buffer[: self._count]

    def clear(self) -> None:
        """Drop all rows."""
        self._count = 0
