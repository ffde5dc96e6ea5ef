"""What a recurrent decoder carries from one position to the next.

Legend: B batch, W hypotheses a sentence, N = B * W, R readout.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nmt_cli.models.contract import State
from nmt_cli.models.recurrent import LayerStates
from nmt_cli.models.rnn_attention import EncoderMemory


@dataclass
class RecurrentState(State):
    """Encoded source and, for every hypothesis, the decoder's units and last readout."""

    memory: EncoderMemory
    layer_states: LayerStates
    input_feed: Tensor  # [N, R]
    beam_size: int

    def reorder(self, parents: Tensor) -> None:
        """See `State.reorder`."""
        sentence_offsets = torch.arange(parents.shape[0], device=parents.device)[:, None] * self.beam_size
        self._select_rows((sentence_offsets + parents).flatten())

    def select(self, sentences: Tensor) -> None:
        """See `State.keep`."""
        self.memory.select(sentences)
        beam_indices = torch.arange(self.beam_size, device=sentences.device)
        self._select_rows((sentences[:, None] * self.beam_size + beam_indices).flatten())

    def _select_rows(self, rows: Tensor) -> None:
        self.layer_states = [tuple(x[rows] for x in layer_state) for layer_state in self.layer_states]
        self.input_feed = self.input_feed[rows]
