"""Batches of sequences of similar length, for search and scoring. Imports no numpy."""

from collections.abc import Iterator, Sequence


def batch_by_length(lengths: Sequence[int], max_positions: int) -> Iterator[list[int]]:
    """Indices sorted by length, longest first, in groups of at most `max_positions` positions, padding included."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    batch: list[int] = []
    for index in order:
        if batch and (len(batch) + 1) * lengths[batch[0]] > max_positions:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
