"""A set of 8-byte hashes that takes 8 bytes for each of them, where a Python set takes a hundred."""

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]


class SeenHashes:
    """Hashes seen so far, as sorted runs, each more than twice as long as the next.

    A block is looked up in every run by bisection and becomes a run itself; runs of similar length are merged. So n
    hashes take 8 n bytes (16 n while the two longest runs are merged) and O(log n) runs, and each is moved O(log n)
    times.
    """

    def __init__(self) -> None:
        self._runs: list[Hashes] = []

    def add(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Add a block; for each of its hashes, whether it occurs for the first time."""
        unique_hashes, first_indices = np.unique(hashes, return_index=True)
        is_known = np.zeros(len(unique_hashes), dtype=bool)
        for run in self._runs:
            positions = np.searchsorted(run, unique_hashes)
            positions[positions == len(run)] = 0
            is_known |= run[positions] == unique_hashes
        self._push_run(unique_hashes[~is_known])
        is_new = np.zeros(len(hashes), dtype=bool)
        is_new[first_indices[~is_known]] = True
        return is_new

    def _push_run(self, run: Hashes) -> None:
        if not len(run):
            return
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        self._runs.append(run)
