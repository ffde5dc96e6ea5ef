"""Letting the sentences of a state go that are finished, without copying those that stay."""

from typing import NamedTuple

from torch import Tensor


class BatchSelection(NamedTuple):
    """Which rows stay, in their new order; only those that change place are moved."""

    size: int
    destination_rows: Tensor  # rows that get another one's content
    origin_rows: Tensor  # whose content that is

    @classmethod
    def from_indices(cls, sentences: Tensor) -> "BatchSelection":
        """`sentences` are the old indices of the rows that stay, [staying] int64."""
        moves = [
            (destination, origin) for destination, origin in enumerate(sentences.tolist()) if destination != origin
        ]
        destination_rows, origin_rows = sentences.new_tensor(moves).view(-1, 2).unbind(1)
        return cls(len(sentences), destination_rows, origin_rows)

    def apply(self, x: Tensor, dimension: int = 0) -> Tensor:
        """A view of the rows of `x` that stay; `x` itself is changed."""
        if len(self.destination_rows):
            x.index_copy_(dimension, self.destination_rows, x.index_select(dimension, self.origin_rows))
        return x.narrow(dimension, 0, self.size)
