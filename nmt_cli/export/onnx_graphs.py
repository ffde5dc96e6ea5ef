"""Models as functions of tensors alone, which is what a graph is made of.

The models' own `start` and `step` run here, over caches that grow by concatenation instead of being
written into, and with positions looked up in tables of a fixed size. Every tensor that goes from
one step to the next has a name, and a row for each hypothesis in its first dimension.

Legend: B rows, S source positions, T positions so far, G key-value heads, K head width.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nmt_cli.models.alignment import Memory
from nmt_cli.models.attention import BeamCache
from nmt_cli.models.contract import Aligned, Autoregressive, Sequences, State, TranslationModel
from nmt_cli.models.decoder_only import DecoderOnly, DecoderOnlyState
from nmt_cli.models.positions import First, SinusoidalPositions, sinusoids
from nmt_cli.models.recurrent import RecurrentEncoder
from nmt_cli.models.recurrent_state import RecurrentState
from nmt_cli.models.rnn import RNN
from nmt_cli.models.transformer import Transformer, TransformerMemory, TransformerState

Tensors = dict[str, Tensor]


class Parts(NamedTuple):
    """A state of decoding by names: what stays as it is, and what every step makes anew."""

    memory: Tensors
    state: Tensors


class PaddedSequences(Sequences):
    """Sequences that ask nothing of their sizes: a graph must not depend on what they are."""

    def padding(self) -> Tensor:
        """True where a position is padding, [B, L]."""
        positions = torch.arange(self.ids.shape[1], device=self.ids.device)
        return positions >= self.lengths[:, None]

    def parts(self) -> Iterator[tuple[slice, Sequences]]:
        """All rows at once."""
        yield slice(None), self


class TablePositions(nn.Module):
    """Sinusoids from a table that does not grow."""

    table: Tensor

    def __init__(self, original: SinusoidalPositions, rows: int) -> None:
        super().__init__()
        self.register_buffer("table", sinusoids(rows, original.width, original.kind))

    def forward(self, x: Tensor, first: First = 0, bound: int | None = None) -> Tensor:
        """See `SinusoidalPositions.forward`."""
        one = x[(0,) * (x.ndim - 2)][:, 0]  # [T]; tracing takes some sizes for constants
        rows = torch.ones_like(one, dtype=torch.long).cumsum(0) - 1
        if isinstance(first, Tensor):
            return x + self.table[first[:, None] + rows]
        return x + self.table[rows + first]


class WholeEncoder(nn.Module):
    """A recurrent encoder all of whose outputs are used, without which tracing fails."""

    def __init__(self, original: RecurrentEncoder) -> None:
        super().__init__()
        self.original = original

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """See `RecurrentEncoder.forward`."""
        outputs, summary = self.original(x, lengths)
        return outputs, summary + 0 * outputs.sum()


class GrowingCache(BeamCache):
    """A `BeamCache` of one hypothesis a row, whose tensors are replaced by longer ones."""

    def __init__(self, pairs: list[tuple[Tensor, Tensor]], bias: Tensor | None) -> None:
        """Keys and values of each layer, [B, G, T, K]; `bias` [B, 1, 1, T] hides some of them."""
        keys = pairs[0][0]
        self.pairs = list(pairs)
        self.batch, self.beam, self.shared = keys.shape[0], 1, 0
        # As a tensor: a number would be written into the graph.
        self.length = torch.arange(keys.shape[2] + 1, device=keys.device)[-1:]  # type: ignore[assignment]
        self.hidden = bias

    def advance(self) -> None:
        """Make the new position visible."""
        if self.hidden is not None:
            seen = torch.zeros_like(self.hidden[..., :1])
            self.hidden = torch.cat([self.hidden, seen], -1)

    def write(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """See `BeamCache.write`."""
        before = self.pairs[layer]
        self.pairs[layer] = (torch.cat([before[0], keys], 2), torch.cat([before[1], values], 2))
        return self.pairs[layer]

    def visible(self) -> Tensor | None:
        """See `BeamCache.visible`."""
        return self.hidden


class StartGraph(nn.Module):
    """(source ids [B, S], lengths [B]) to the parts of the first state."""

    def __init__(self, model: Autoregressive[Any, Any]) -> None:
        super().__init__()
        self.model = model
        self.names: list[str] = []

    def forward(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        """The tensors in the order of `names`."""
        taken, _ = _codec(self.model)
        parts = taken(self.model.start(PaddedSequences(source, lengths), 1, 0))
        both = parts.memory | parts.state
        self.names = list(both)
        return tuple(both.values())


class StepGraph(nn.Module):
    """(tokens [B], parts of a state) to (scores of the next token [B, V], the new state)."""

    def __init__(self, model: Autoregressive[Any, Any], parts: Parts) -> None:
        super().__init__()
        self.model, self.memory, self.state = model, list(parts.memory), list(parts.state)

    def forward(self, tokens: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Memory and state come in the order of their names; so does the new state."""
        taken, put = _codec(self.model)
        count = len(self.memory)
        memory = dict(zip(self.memory, tensors[:count], strict=True))
        state = dict(zip(self.state, tensors[count:], strict=True))
        logits, after = self.model.step(tokens, put(self.model, Parts(memory, state)))
        return logits, *(taken(after).state[name] for name in self.state)


class AlignedGraph(nn.Module):
    """(source ids [B, S], lengths [B]) to (scores [B, U, V], positions that are real [B])."""

    def __init__(self, model: Aligned[Any]) -> None:
        super().__init__()
        self.model = model

    def forward(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """One pass; repetitions and blanks are for the caller to collapse."""
        hidden, emitted = self.model(PaddedSequences(source, lengths))
        return self.model.project(hidden), emitted


def make_traceable(model: TranslationModel[Any], rows: int) -> None:
    """Give the model tables of positions that do not grow, for `rows` tokens on either side."""
    if isinstance(model, RNN):
        setattr(model, "encoder", WholeEncoder(model.encoder))  # noqa: B010
    for name, module in list(model.named_modules()):
        if isinstance(module, SinusoidalPositions):
            factor = getattr(model.config, "upsample", 1) if name == "emitted_positions" else 1
            both = 2 if isinstance(model, DecoderOnly) else 1  # source and target in a row
            setattr(model, name, TablePositions(module, rows * factor * both))


def split(model: Autoregressive[Any, Any], state: State) -> Parts:
    """The parts of a state."""
    return _codec(model)[0](state)


def _codec(model: Any) -> tuple[Callable[[Any], Parts], Callable[[Any, Parts], State]]:
    """How a model's state is taken apart and put together."""
    if isinstance(model, Transformer):
        return _take_transformer, _put_transformer
    if isinstance(model, DecoderOnly):
        return _take_decoder_only, _put_decoder_only
    assert isinstance(model, RNN)
    return _take_rnn, _put_rnn


def _named(kind: str, pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensors:
    return {
        f"{kind}.{layer}.{name}": value
        for layer, pair in enumerate(pairs)
        for name, value in zip(("key", "value"), pair, strict=True)
    }


def _pairs(kind: str, tensors: Tensors) -> list[tuple[Tensor, Tensor]]:
    count = sum(name.startswith(f"{kind}.") for name in tensors) // 2
    return [
        (tensors[f"{kind}.{layer}.key"], tensors[f"{kind}.{layer}.value"]) for layer in range(count)
    ]


def _written(cache: BeamCache) -> list[tuple[Tensor, Tensor]]:
    """Keys and values of each layer, [B, G, T, K]; those of the source where they are shared."""
    if isinstance(cache, GrowingCache):
        return cache.pairs
    return [(layer[0], layer[1]) for layer in cache.entries.unbind(0)]


def _take_transformer(state: TransformerState) -> Parts:
    assert state.memory.bias is not None
    memory = _named("source", state.memory.layers) | {"source_bias": state.memory.bias}
    return Parts(memory, _named("past", _written(state.cache)))


def _put_transformer(model: Transformer, parts: Parts) -> TransformerState:
    memory = TransformerMemory(_pairs("source", parts.memory), parts.memory["source_bias"])
    return TransformerState(memory, GrowingCache(_pairs("past", parts.state), None))


def _take_decoder_only(state: DecoderOnlyState) -> Parts:
    cache, position = state.cache, state.lengths
    if isinstance(cache, GrowingCache):  # a step has been taken
        bias, position = cache.visible(), position + 1
    else:
        bias = cache.bias
    assert bias is not None
    return Parts({}, {"position": position, "bias": bias, **_named("past", _written(cache))})


def _put_decoder_only(model: DecoderOnly, parts: Parts) -> DecoderOnlyState:
    cache = GrowingCache(_pairs("past", parts.state), parts.state["bias"])
    cache.length = 0  # positions are counted from the end of the source, in `position`
    return DecoderOnlyState(cache, parts.state["position"])


def _take_rnn(state: RecurrentState) -> Parts:
    memory = {"memory": state.memory.values, "source_lengths": state.memory.lengths}
    if state.memory.keys is not None:
        assert state.memory.padding is not None
        memory |= {"memory_keys": state.memory.keys, "padding": state.memory.padding}
    units = {
        f"units.{layer}.{name}": value
        for layer, one in enumerate(state.units)
        for name, value in zip("hc", one, strict=False)
    }
    return Parts(memory, units | {"feed": state.feed})


def _put_rnn(model: RNN, parts: Parts) -> RecurrentState:
    memory = Memory(
        parts.memory["memory"],
        parts.memory.get("memory_keys"),
        parts.memory.get("padding"),
        parts.memory["source_lengths"],
    )
    names = "hc" if model.decoder.gated_memory else "h"
    units = [
        tuple(parts.state[f"units.{layer}.{name}"] for name in names)
        for layer in range(len(model.decoder.cells))
    ]
    return RecurrentState(memory, units, parts.state["feed"], 1)
