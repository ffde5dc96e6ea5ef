"""Recurrent layers: a (bidirectional) encoder and a stack of decoder cells, LSTM or GRU.

Legend: B batch, S source positions, E input width, U hidden width ("units"), M memory width,
R readout width, N = B * W hypotheses.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from nmt_cli.models.configs import CellType
from nmt_cli.models.contract import Sequences
from nmt_cli.models.dropout import Dropout
from nmt_cli.models.linear import Linear, SharedProduct

tanh_backward, sigmoid_backward = torch.ops.aten.tanh_backward, torch.ops.aten.sigmoid_backward
LayerStates = list[tuple[Tensor, ...]]  # for each layer (h,) or (h, c), each [N, U]
# Runs all layers at a position whose token is known: what is fed back [N, F], if anything, and the states to the top
# layer's h [N, U] and the new states
AdvanceCells = Callable[[Tensor | None, LayerStates], tuple[Tensor, LayerStates]]


class RecurrentEncoder(nn.Module):
    """Layers of LSTM (Hochreiter and Schmidhuber 1997) or GRU (Cho et al. 2014) over a sequence.

    The reset gate of the GRU multiplies the product U h, as in cuDNN, where Cho et al. have U (r * h).
    """

    def __init__(
        self, cell: CellType, input_size: int, hidden_size: int, num_layers: int, bidirectional: bool, dropout: float
    ) -> None:
        super().__init__()
        rnn_class = nn.LSTM if cell == "lstm" else nn.GRU
        layer_dropout = dropout if num_layers > 1 else 0.0
        self.layers = rnn_class(
            input_size, hidden_size, num_layers, batch_first=True, bidirectional=bidirectional, dropout=layer_dropout
        )
        self.dropout = Dropout(layer_dropout)

    def forward(self, x: Tensor, source: Sequences) -> tuple[Tensor, Tensor]:
        """[B, S, E] to outputs [B, S, U or 2U] and a summary [B, U].

        The summary is the last layer's final state; in a bidirectional encoder that of the backward direction,
        which ends on the first word (Bahdanau et al. 2015, appendix A.2.2).
        """
        if torch.is_grad_enabled() and x.device.type == "cpu":
            return self._forward_by_position(x, source)
        packed = pack_padded_sequence(x, source.lengths_on_cpu(), batch_first=True, enforce_sorted=False)
        outputs, final_state = self.layers(packed)
        hidden = final_state[0] if isinstance(final_state, tuple) else final_state  # [layers * directions, B, U]
        # put into the original order here: to do the same to the lengths, PyTorch would wait for the device
        sorted_outputs = PackedSequence(outputs.data, outputs.batch_sizes)
        padded_outputs, _ = pad_packed_sequence(sorted_outputs, batch_first=True, total_length=x.shape[1])
        assert packed.unsorted_indices is not None
        return padded_outputs.index_select(0, packed.unsorted_indices), hidden[-1]

    def _forward_by_position(self, x: Tensor, source: Sequences) -> tuple[Tensor, Tensor]:
        """The same for training on a CPU, where PyTorch's layers fill, for each position, a gradient of all positions
        with zeros: an encoder would take quadratic time."""
        is_real = (torch.arange(x.shape[1], device=x.device) < source.lengths[:, None]).unsqueeze(2)
        reversed_order = _reversed_positions(source.lengths, x.shape[1]).unsqueeze(2)
        last_position = (source.lengths - 1)[:, None, None]
        for layer in range(self.layers.num_layers):
            directions = []
            for suffix in ("", "_reverse")[: 1 + self.layers.bidirectional]:
                weight_ih, weight_hh, bias_ih, bias_hh = (
                    getattr(self.layers, f"{name}_l{layer}{suffix}")
                    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                )
                direction = _gather_positions(x, reversed_order) if suffix else x
                gates = functional.linear(direction, weight_ih, bias_ih)
                is_lstm = isinstance(self.layers, nn.LSTM)
                outputs = run_cell(gates, SharedProduct(weight_hh.t(), bias_hh), is_lstm=is_lstm)
                summary = _gather_positions(outputs, last_position).squeeze(1)
                directions.append(_gather_positions(outputs, reversed_order) if suffix else outputs)
            x = torch.cat(directions, 2) if len(directions) > 1 else directions[0]
            if layer < self.layers.num_layers - 1:
                x = self.dropout(x)
        return torch.where(is_real, x, 0.0), summary


def _gather_positions(x: Tensor, positions: Tensor) -> Tensor:
    """[B, S, E] at positions [B, S', 1]: [B, S', E]."""
    return x.gather(1, positions.expand(-1, -1, x.shape[2]))


def run_cell(gates: Tensor, hidden_product: SharedProduct, *, is_lstm: bool) -> Tensor:
    """Hidden states of all positions [B, S, U], from zeros and the inputs' shares of the gates [B, S, 3U or 4U]."""
    hidden = gates.new_zeros(len(gates), gates.shape[2] // (4 if is_lstm else 3))
    state: tuple[Tensor, ...] = (hidden, hidden) if is_lstm else (hidden,)
    outputs = []
    for position_gates in gates.unbind(1):
        state = advance_cell(position_gates, hidden_product(state[0]), state)
        outputs.append(state[0])
    return torch.stack(outputs, 1)


def tanh(x: Tensor, *, inplace: bool = False) -> Tensor:
    """The hyperbolic tangent, in the type of `x`; without a gradient. `inplace` allows to overwrite `x`.

    On a CPU PyTorch takes three times as long in bfloat16 as in float32 with two conversions.
    """
    if x.dtype == torch.bfloat16 and x.device.type == "cpu":
        return x.float().tanh_().to(x.dtype)
    return x.tanh_() if inplace else x.tanh()


def advance_cell(input_gates: Tensor, hidden_gates: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The next state of an LSTM (h, c) or a GRU (h,), each [N, U].

    The gates are sums of a share of the input and one of the hidden state, each [N, 4U] or [N, 3U], in the order of
    nn.LSTMCell and nn.GRUCell.
    """
    is_lstm = len(state) == 2
    if input_gates.is_cuda:  # one kernel, which PyTorch's own cells call
        fused_cell = torch.ops.aten._thnn_fused_lstm_cell if is_lstm else torch.ops.aten._thnn_fused_gru_cell
        return tuple(fused_cell(input_gates, hidden_gates, state[-1])[: len(state)])
    if is_lstm:
        next_state: tuple[Tensor, ...] = _LSTMFunction.apply(input_gates + hidden_gates, state[1])  # type: ignore[no-untyped-call]
        return next_state
    return (_GRUFunction.apply(input_gates, hidden_gates, state[0]),)  # type: ignore[no-untyped-call]


class _GRUFunction(Function):
    """n + z (h - n), where r and z are sigmoids and n = tanh(x_n + r h_n)."""

    @staticmethod
    def forward(ctx: Any, input_gates: Tensor, hidden_gates: Tensor, hidden: Tensor) -> Tensor:
        units = hidden.shape[1]
        reset_update = (input_gates[:, : 2 * units] + hidden_gates[:, : 2 * units]).sigmoid_()
        reset, update = reset_update.chunk(2, 1)
        hidden_candidate = hidden_gates[:, 2 * units :]
        candidate = tanh(torch.addcmul(input_gates[:, 2 * units :], reset, hidden_candidate), inplace=True)
        ctx.save_for_backward(reset, update, hidden_candidate, candidate, hidden)
        return torch.lerp(candidate, hidden, update)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        reset, update, hidden_candidate, candidate, hidden = ctx.saved_tensors
        (grad,) = grads
        hidden_grad = grad * update
        candidate_grad = tanh_backward(grad - hidden_grad, candidate)
        reset_grad = sigmoid_backward(candidate_grad * hidden_candidate, reset)
        update_grad = sigmoid_backward((hidden - candidate).mul_(grad), update)
        input_grad = torch.cat([reset_grad, update_grad, candidate_grad], 1)
        return input_grad, torch.cat([reset_grad, update_grad, candidate_grad.mul_(reset)], 1), hidden_grad


class _LSTMFunction(Function):
    """h = o tanh(c') and c' = f c + i g, where i, f and o are sigmoids and g is a tanh."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        input_gate, forget_gate, candidate, output_gate = gates.chunk(4, 1)
        input_gate, forget_gate, output_gate = (gate.sigmoid() for gate in (input_gate, forget_gate, output_gate))
        candidate = tanh(candidate)
        new_cell = torch.addcmul(forget_gate * cell, input_gate, candidate)
        squashed_cell = tanh(new_cell)
        ctx.save_for_backward(input_gate, forget_gate, candidate, output_gate, cell, squashed_cell)
        return output_gate * squashed_cell, new_cell

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        input_gate, forget_gate, candidate, output_gate, cell, squashed_cell = ctx.saved_tensors
        hidden_grad, cell_grad = grads
        cell_grad = cell_grad + tanh_backward(hidden_grad * output_gate, squashed_cell)
        gates_grad = torch.cat(
            [
                sigmoid_backward(cell_grad * candidate, input_gate),
                sigmoid_backward(cell_grad * cell, forget_gate),
                tanh_backward(cell_grad * input_gate, candidate),
                sigmoid_backward(hidden_grad * squashed_cell, output_gate),
            ],
            1,
        )
        return gates_grad, cell_grad * forget_gate


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

    def unroll(self, embeddings: Tensor) -> list[AdvanceCells]:
        """`forward` at each position of a known target [B, T, E], called with the rest of its input, [B, F], if any.

        The gradient of each weight is computed once for all positions.
        """
        cells: list[Any] = list(self.cells)
        first, embedding_size = cells[0], embeddings.shape[2]
        gates = functional.linear(embeddings, first.weight_ih[:, :embedding_size], first.bias_ih)
        feed_product = SharedProduct(first.weight_ih[:, embedding_size:].t())
        input_products = [SharedProduct(cell.weight_ih.t(), cell.bias_ih) for cell in cells[1:]]
        hidden_products = [SharedProduct(cell.weight_hh.t(), cell.bias_hh) for cell in cells]

        def advance(token_gates: Tensor, feed: Tensor | None, states: LayerStates) -> tuple[Tensor, LayerStates]:
            layer_gates = token_gates if feed is None else token_gates + feed_product(feed)
            new_states: LayerStates = []
            for layer, (hidden_product, layer_state) in enumerate(zip(hidden_products, states, strict=True)):
                if layer:
                    layer_gates = input_products[layer - 1](self.dropout(new_states[-1][0]))
                new_states.append(advance_cell(layer_gates, hidden_product(layer_state[0]), layer_state))
            return new_states[-1][0], new_states

        return [partial(advance, token_gates) for token_gates in gates.unbind(1)]


class Readout(nn.Module):
    """Combines new state, word and context into the vector that predicts, by tanh or maxout (k = 2)."""

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
    return ids.gather(1, _reversed_positions(lengths, ids.shape[1]))


def _reversed_positions(lengths: Tensor, count: int) -> Tensor:
    """The positions of sequences of these lengths [B] from last to first, and then those of padding, [B, count]."""
    positions = torch.arange(count, device=lengths.device)
    from_the_end = lengths[:, None] - 1 - positions
    return torch.where(from_the_end >= 0, from_the_end, positions)


def initialize_weights(model: nn.Module) -> None:
    """Glorot-uniform input matrices, an orthogonal recurrent matrix per gate, zero biases.

    Leaves embeddings and the sharpness of cosine attention unchanged.
    """
    for name, parameter in model.named_parameters():  # a table that the output shares is there once, as an embedding
        if "embedding" in name or "sharpness" in name:
            continue
        if parameter.ndim < 2:
            nn.init.zeros_(parameter)
        elif "weight_hh" in name:
            for gate in parameter.data.split(parameter.shape[1]):
                nn.init.orthogonal_(gate)
        else:
            nn.init.xavier_uniform_(parameter)
