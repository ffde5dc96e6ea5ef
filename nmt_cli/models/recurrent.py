"""Recurrent layers: a (bidirectional) encoder and a stack of decoder cells, LSTM or GRU.

Legend: B batch, S source positions, E input width, U hidden width ("units"), M memory width,
R readout width, N = B * W hypotheses.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from nmt_cli.models.configs import CellType
from nmt_cli.models.contract import Sequences
from nmt_cli.models.dropout import Dropout
from nmt_cli.models.linear import Linear

LayerStates = list[tuple[Tensor, ...]]  # for each layer (h,) or (h, c), each [N, U]


class RecurrentEncoder(nn.Module):
    """Layers of LSTM (Hochreiter and Schmidhuber 1997) or GRU (Cho et al. 2014) over a sequence."""

    def __init__(
        self, cell: CellType, input_size: int, hidden_size: int, num_layers: int, bidirectional: bool, dropout: float
    ) -> None:
        super().__init__()
        rnn_class = nn.LSTM if cell == "lstm" else nn.GRU
        layer_dropout = dropout if num_layers > 1 else 0.0
        self.layers = rnn_class(
            input_size, hidden_size, num_layers, batch_first=True, bidirectional=bidirectional, dropout=layer_dropout
        )

    def forward(self, x: Tensor, source: Sequences) -> tuple[Tensor, Tensor]:
        """[B, S, E] to outputs [B, S, U or 2U] and a summary [B, U].

        The summary is the last layer's final state; in a bidirectional encoder that of the backward direction,
        which ends on the first word (Bahdanau et al. 2015, appendix A.2.2).
        """
        packed = pack_padded_sequence(x, source.lengths_on_cpu(), batch_first=True, enforce_sorted=False)
        outputs, final_state = self.layers(packed)
        hidden = final_state[0] if isinstance(final_state, tuple) else final_state  # [layers * directions, B, U]
        # put into the original order here: to do the same to the lengths, PyTorch would wait for the device
        sorted_outputs = PackedSequence(outputs.data, outputs.batch_sizes)
        padded_outputs, _ = pad_packed_sequence(sorted_outputs, batch_first=True, total_length=x.shape[1])
        assert packed.unsorted_indices is not None
        return padded_outputs.index_select(0, packed.unsorted_indices), hidden[-1]


class CellStack(nn.Module):
    """Decoder layers that advance one position at a time."""

    def __init__(self, cell: CellType, input_size: int, hidden_size: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        cell_class = nn.LSTMCell if cell == "lstm" else nn.GRUCell
        self.cells = nn.ModuleList(
            cell_class(hidden_size if layer else input_size, hidden_size) for layer in range(num_layers)
        )
        self.is_lstm = cell == "lstm"
        self.dropout = Dropout(dropout)

    def init_states(self, hidden: Tensor) -> LayerStates:
        """The initial states: `hidden` [N, U] in every layer, and zeros in an LSTM's memory cells."""
        zeros = torch.zeros_like(hidden)
        layer_state = (hidden, zeros) if self.is_lstm else (hidden,)
        return [layer_state for _ in self.cells]

    def forward(self, x: Tensor, states: LayerStates) -> tuple[Tensor, LayerStates]:
        """Input [N, E] and layer states to the top layer's h [N, U] and the new layer states."""
        new_states: LayerStates = []
        for layer, (cell, layer_state) in enumerate(zip(self.cells, states, strict=True)):
            cell_input = self.dropout(x) if layer else x
            new_state = cell(cell_input, layer_state) if self.is_lstm else (cell(cell_input, layer_state[0]),)
            new_states.append(new_state)
            x = new_state[0]
        return x, new_states


class Readout(nn.Module):
    """Combines state, word and context into the vector that predicts, by tanh or maxout (k = 2)."""

    def __init__(self, input_size: int, output_size: int, *, maxout: bool) -> None:
        super().__init__()
        self.maxout = maxout
        self.linear = Linear(input_size, output_size * (2 if maxout else 1))

    def forward(self, state: Tensor, embedding: Tensor, context: Tensor) -> Tensor:
        """[..., U], [..., E] and [..., M] to [..., R]."""
        projected = self.linear(torch.cat([state, embedding, context], -1))
        return projected.unflatten(-1, (-1, 2)).amax(-1) if self.maxout else projected.tanh()


def reverse_sequences(ids: Tensor, lengths: Tensor) -> Tensor:
    """Reverse each sequence [S], leaving its padding at the end, [B, S]."""
    positions = torch.arange(ids.shape[1], device=ids.device)
    index = (lengths[:, None] - 1 - positions).remainder(ids.shape[1])
    return ids.gather(1, torch.where(positions < lengths[:, None], index, positions))


def initialize_weights(model: nn.Module, tied_embedding: Tensor) -> None:
    """Glorot-uniform input matrices, an orthogonal recurrent matrix per gate, zero biases.

    Leaves embeddings, `tied_embedding` (which the output may share) and the sharpness of cosine attention
    unchanged.
    """
    for name, parameter in model.named_parameters():
        if "embedding" in name or "sharpness" in name or parameter is tied_embedding:
            continue
        if parameter.ndim < 2:
            nn.init.zeros_(parameter)
        elif "weight_hh" in name:
            for gate in parameter.data.split(parameter.shape[1]):
                nn.init.orthogonal_(gate)
        else:
            nn.init.xavier_uniform_(parameter)
