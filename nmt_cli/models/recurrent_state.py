"""What a recurrent decoder carries from one position to the next.

Legend: B batch, W hypotheses a sentence, N = B * W, R readout.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nmt_cli.models.alignment import Memory
from nmt_cli.models.contract import State
from nmt_cli.models.recurrent import Units


@dataclass
class RecurrentState(State):
    """Encoded source and, for every hypothesis, the decoder's units and last readout."""

    memory: Memory
    units: Units
    feed: Tensor  # [N, R]
    beam: int

    def reorder(self, parents: Tensor) -> None:
        """See `State.reorder`."""
        first = torch.arange(parents.shape[0], device=parents.device)[:, None] * self.beam
        self._select((first + parents).flatten())

    def keep(self, sentences: Tensor) -> None:
        """See `State.keep`."""
        self.memory.keep(sentences)
        slots = torch.arange(self.beam, device=sentences.device)
        self._select((sentences[:, None] * self.beam + slots).flatten())

    def _select(self, rows: Tensor) -> None:
        self.units = [tuple(x[rows] for x in one) for one in self.units]
        self.feed = self.feed[rows]
