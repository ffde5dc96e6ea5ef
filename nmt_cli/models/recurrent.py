"""Recurrent layers: a (bidirectional) encoder and a stack of decoder cells, LSTM or GRU.

Legend: B batch, S source positions, E input width, U hidden width ("units"), M memory,
R readout, N = B * W hypotheses.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nmt_cli.models.dropout import Dropout

Cell = Literal["lstm", "gru"]
Units = list[tuple[Tensor, ...]]  # for each layer (h,) or (h, c), each [N, U]


class RecurrentEncoder(nn.Module):
    """Layers of LSTM (Hochreiter and Schmidhuber 1997) or GRU (Cho et al. 2014) over a sequence."""

    def __init__(
        self, cell: Cell, width: int, units: int, layers: int, bidirectional: bool, dropout: float
    ) -> None:
        super().__init__()
        kind = nn.LSTM if cell == "lstm" else nn.GRU
        between = dropout if layers > 1 else 0.0
        self.layers = kind(
            width, units, layers, batch_first=True, bidirectional=bidirectional, dropout=between
        )

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """[B, S, E] to outputs [B, S, U or 2U] and a summary [B, U].

        The summary is the last layer's state after the whole sequence; of a bidirectional encoder
        the backward one, which ends on the first word (Bahdanau et al. 2015, appendix A.2.2).
        """
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        outputs, final = self.layers(packed)
        hidden = final[0] if isinstance(final, tuple) else final  # [layers * directions, B, U]
        padded, _ = pad_packed_sequence(outputs, batch_first=True, total_length=x.shape[1])
        return padded, hidden[-1]


class CellStack(nn.Module):
    """Decoder layers advanced one position at a time."""

    def __init__(self, cell: Cell, width: int, units: int, layers: int, dropout: float) -> None:
        super().__init__()
        kind = nn.LSTMCell if cell == "lstm" else nn.GRUCell
        self.cells = nn.ModuleList(kind(units if n else width, units) for n in range(layers))
        self.gated_memory = cell == "lstm"
        self.dropout = Dropout(dropout)

    def first(self, hidden: Tensor) -> Units:
        """All layers begin with `hidden` [N, U]; an LSTM's memory cell begins with zeros."""
        zeros = torch.zeros_like(hidden)
        one = (hidden, zeros) if self.gated_memory else (hidden,)
        return [one for _ in self.cells]

    def forward(self, x: Tensor, units: Units) -> tuple[Tensor, Units]:
        """Input [N, E] and the state of each layer to the top layer's h [N, U] and all states."""
        after: Units = []
        for number, (cell, before) in enumerate(zip(self.cells, units, strict=True)):
            inner = self.dropout(x) if number else x
            one = cell(inner, before) if self.gated_memory else (cell(inner, before[0]),)
            after.append(one)
            x = one[0]
        return x, after


class Readout(nn.Module):
    """State, word and context to the vector that predicts, by tanh or maxout (k = 2)."""

    def __init__(self, inputs: int, size: int, *, maxout: bool) -> None:
        super().__init__()
        self.maxout = maxout
        self.linear = nn.Linear(inputs, size * (2 if maxout else 1))

    def forward(self, state: Tensor, word: Tensor, context: Tensor) -> Tensor:
        """[..., U], [..., E] and [..., M] to [..., R]."""
        mixed = self.linear(torch.cat([state, word, context], -1))
        result: Tensor = mixed.unflatten(-1, (-1, 2)).amax(-1) if self.maxout else mixed.tanh()
        return result


def backwards(ids: Tensor, lengths: Tensor) -> Tensor:
    """Each sequence from its last token to its first, its padding still behind it, [B, S]."""
    positions = torch.arange(ids.shape[1], device=ids.device)
    index = (lengths[:, None] - 1 - positions).remainder(ids.shape[1])
    return ids.gather(1, torch.where(positions < lengths[:, None], index, positions))


def initialize(model: nn.Module, table: Tensor) -> None:
    """Glorot-uniform input matrices, orthogonal recurrent ones for each gate, zero biases.

    Embeddings, among them `table`, which may be the output's too, and the sharpness of cosine
    attention stay as they are.
    """
    for name, parameter in model.named_parameters():
        if "embedding" in name or "sharpness" in name or parameter is table:
            continue
        if parameter.ndim < 2:
            nn.init.zeros_(parameter)
        elif "weight_hh" in name:
            for gate in parameter.data.split(parameter.shape[1]):
                nn.init.orthogonal_(gate)
        else:
            nn.init.xavier_uniform_(parameter)
