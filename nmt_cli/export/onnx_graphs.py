"""Models as functions of tensors alone, as a traced graph needs them.

A graph calls the model's own `init_state` and `decode_step` with one hypothesis per row. Its state goes in and
out as the named tensors of `ExportableState`.

Legend: B rows, S source positions, T steps, U emitted positions, V vocabulary.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from nmt_cli.models.contract import (
    Autoregressive,
    ExportableState,
    NonAutoregressive,
    Sequences,
    TensorState,
    TranslationModel,
)
from nmt_cli.models.positions import PositionOffset, SinusoidalPositions, sinusoid_table
from nmt_cli.models.recurrent import RecurrentEncoder


class PaddedSequences(Sequences):
    """Sequences whose methods never branch on lengths, so that a traced graph does not depend on the example."""

    def padding_mask(self) -> Tensor:
        """True where a position is padding, [B, L]."""
        positions = torch.arange(self.ids.shape[1], device=self.ids.device)
        return positions >= self.lengths[:, None]

    def chunks(self) -> Iterator[tuple[slice, Sequences]]:
        """The whole batch."""
        yield slice(None), self


class FixedTablePositions(nn.Module):
    """Sinusoids from a table of fixed length."""

    table: Tensor

    def __init__(self, original: SinusoidalPositions, max_positions: int) -> None:
        super().__init__()
        self.register_buffer("table", sinusoid_table(max_positions, original.d_model, original.kind))

    def forward(self, x: Tensor, offset: PositionOffset = 0, end_position: int | None = None) -> Tensor:
        """See `SinusoidalPositions.forward`."""
        time_slice = x[(0,) * (x.ndim - 2)][:, 0]  # [T]; as a size, T would become a constant
        indices = torch.ones_like(time_slice, dtype=torch.long).cumsum(0) - 1
        if isinstance(offset, Tensor):
            return x + self.table[offset[:, None] + indices]
        return x + self.table[indices + offset]


class TraceableRecurrentEncoder(nn.Module):
    """A recurrent encoder whose outputs are always used; tracing fails if the model ignores them."""

    def __init__(self, original: RecurrentEncoder) -> None:
        super().__init__()
        self.original = original

    def forward(self, x: Tensor, source: Sequences) -> tuple[Tensor, Tensor]:
        """See `RecurrentEncoder.forward`."""
        outputs, summary = self.original(x, source)
        return outputs, summary + 0 * outputs.sum()


def initial_tensors(model: Autoregressive[Any, Any], source: Sequences) -> TensorState:
    """The tensors of the state before the first step, for one hypothesis per sentence."""
    state: ExportableState = model.init_state(PaddedSequences(source.ids, source.lengths), 1, 0)
    return state.tensors()


def next_tensors(
    model: Autoregressive[Any, Any], tokens: Tensor, tensors: TensorState
) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits of the next token [B, V] after `tokens` [B], and the updated tensors."""
    assert model.exportable_state is not None
    logits, state = model.decode_step(tokens, model.exportable_state.from_tensors(tensors))
    return logits, state.tensors().updated


class InitStateGraph(nn.Module):
    """(source ids [B, S], lengths [B]) to the tensors of the first state: memory, then updated."""

    def __init__(self, model: Autoregressive[Any, Any]) -> None:
        super().__init__()
        self.model = model

    def forward(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        """The tensors in the order of `initial_tensors`."""
        tensors = initial_tensors(self.model, Sequences(source, lengths))
        return (*tensors.memory.values(), *tensors.updated.values())


class DecodeStepGraph(nn.Module):
    """(tokens [B], tensors of a state) to (logits [B, V], the updated tensors of the next state)."""

    def __init__(self, model: Autoregressive[Any, Any], example: TensorState) -> None:
        super().__init__()
        self.model, self.memory_names, self.updated_names = model, list(example.memory), list(example.updated)

    def forward(self, tokens: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Tensors go in and out in the order of their names in the example."""
        named = dict(zip((*self.memory_names, *self.updated_names), tensors, strict=True))
        memory, updated = ({name: named[name] for name in names} for names in (self.memory_names, self.updated_names))
        logits, updated = next_tensors(self.model, tokens, TensorState(memory, updated))
        return logits, *(updated[name] for name in self.updated_names)


class NonAutoregressiveGraph(nn.Module):
    """(source ids [B, S], lengths [B]) to (logits [B, U, V], number of real positions [B])."""

    def __init__(self, model: NonAutoregressive[Any]) -> None:
        super().__init__()
        self.model = model

    def forward(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """One pass; the caller collapses repetitions and blanks."""
        hidden, output_lengths = self.model(PaddedSequences(source, lengths))
        return self.model.output_logits(hidden), output_lengths


def make_traceable(model: TranslationModel[Any], max_positions: int) -> None:
    """Replace layers that cannot be traced, for at most `max_positions` tokens of source and of target."""
    # Some models number source and target in a row; some emit more positions than either has.
    table_length = max(2 * max_positions, model.output_length(max_positions) or 0)
    for name, module in list(model.named_modules()):
        if isinstance(module, SinusoidalPositions):
            model.set_submodule(name, FixedTablePositions(module, table_length))
        elif isinstance(module, RecurrentEncoder):
            model.set_submodule(name, TraceableRecurrentEncoder(module))
