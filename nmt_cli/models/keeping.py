"""Letting the sentences of a state go that are finished, without copying those that stay."""

from typing import NamedTuple

from torch import Tensor


class Kept(NamedTuple):
    """Which rows stay, in their new order; only those that change place are moved."""

    staying: int
    places: Tensor  # rows that get another one's content
    origins: Tensor  # whose content that is

    @classmethod
    def of(cls, sentences: Tensor) -> "Kept":
        """`sentences` are the old indices of the rows that stay, [staying] int64."""
        moved = [(place, row) for place, row in enumerate(sentences.tolist()) if place != row]
        places, origins = sentences.new_tensor(moved).view(-1, 2).unbind(1)
        return cls(len(sentences), places, origins)

    def rows(self, x: Tensor, dimension: int = 0) -> Tensor:
        """A view of the rows of `x` that stay; `x` itself is changed."""
        if len(self.places):
            x.index_copy_(dimension, self.places, x.index_select(dimension, self.origins))
        return x.narrow(dimension, 0, self.staying)
