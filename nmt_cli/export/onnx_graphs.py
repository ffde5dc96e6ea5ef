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

from nmt_cli.models.attention import KVCache
from nmt_cli.models.contract import Autoregressive, NonAutoregressive, Sequences, State, TranslationModel
from nmt_cli.models.decoder_only import DecoderOnly, DecoderOnlyState
from nmt_cli.models.positions import PositionOffset, SinusoidalPositions, sinusoid_table
from nmt_cli.models.recurrent import RecurrentEncoder
from nmt_cli.models.recurrent_state import RecurrentState
from nmt_cli.models.rnn import RNN
from nmt_cli.models.rnn_attention import EncoderMemory
from nmt_cli.models.transformer import Transformer, TransformerMemory, TransformerState

Tensors = dict[str, Tensor]


class StateTensors(NamedTuple):
    """A state of decoding by names: what stays as it is, and what every step makes anew."""

    memory: Tensors
    state: Tensors


class PaddedSequences(Sequences):
    """Sequences that ask nothing of their sizes: a graph must not depend on what they are."""

    def padding_mask(self) -> Tensor:
        """True where a position is padding, [B, L]."""
        positions = torch.arange(self.ids.shape[1], device=self.ids.device)
        return positions >= self.lengths[:, None]

    def chunks(self) -> Iterator[tuple[slice, Sequences]]:
        """All rows at once."""
        yield slice(None), self


class FixedTablePositions(nn.Module):
    """Sinusoids from a table that does not grow."""

    table: Tensor

    def __init__(self, original: SinusoidalPositions, max_positions: int) -> None:
        super().__init__()
        self.register_buffer("table", sinusoid_table(max_positions, original.d_model, original.kind))

    def forward(self, x: Tensor, offset: PositionOffset = 0, end_position: int | None = None) -> Tensor:
        """See `SinusoidalPositions.forward`."""
        time_slice = x[(0,) * (x.ndim - 2)][:, 0]  # [T]; tracing takes some sizes for constants
        indices = torch.ones_like(time_slice, dtype=torch.long).cumsum(0) - 1
        if isinstance(offset, Tensor):
            return x + self.table[offset[:, None] + indices]
        return x + self.table[indices + offset]


class TraceableRecurrentEncoder(nn.Module):
    """A recurrent encoder all of whose outputs are used, without which tracing fails."""

    def __init__(self, original: RecurrentEncoder) -> None:
        super().__init__()
        self.original = original

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """See `RecurrentEncoder.forward`."""
        outputs, summary = self.original(x, lengths)
        return outputs, summary + 0 * outputs.sum()


class GrowingKVCache(KVCache):
    """A `KVCache` of one hypothesis a row, whose tensors are replaced by longer ones."""

    def __init__(self, key_value_pairs: list[tuple[Tensor, Tensor]], bias: Tensor | None) -> None:
        """Keys and values of each layer, [B, G, T, K]; `bias` [B, 1, 1, T] hides some of them."""
        keys = key_value_pairs[0][0]
        self.pairs = list(key_value_pairs)
        self.batch_size, self.beam_size, self.prefix_entries = keys.shape[0], 1, 0
        # As a tensor: a number would be written into the graph.
        self.length = torch.arange(keys.shape[2] + 1, device=keys.device)[-1:]  # type: ignore[assignment]
        self.key_bias = bias

    def advance(self) -> None:
        """Make the new position visible."""
        if self.key_bias is not None:
            new_entry = torch.zeros_like(self.key_bias[..., :1])
            self.key_bias = torch.cat([self.key_bias, new_entry], -1)

    def write(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """See `KVCache.write`."""
        past = self.pairs[layer]
        self.pairs[layer] = (torch.cat([past[0], keys], 2), torch.cat([past[1], values], 2))
        return self.pairs[layer]

    def attention_bias(self) -> Tensor | None:
        """See `KVCache.visible`."""
        return self.key_bias


class InitStateGraph(nn.Module):
    """(source ids [B, S], lengths [B]) to the parts of the first state."""

    def __init__(self, model: Autoregressive[Any, Any]) -> None:
        super().__init__()
        self.model = model
        self.names: list[str] = []

    def forward(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        """The tensors in the order of `names`."""
        flatten, _ = _state_codec(self.model)
        state_tensors = flatten(self.model.init_state(PaddedSequences(source, lengths), 1, 0))
        named_tensors = state_tensors.memory | state_tensors.state
        self.names = list(named_tensors)
        return tuple(named_tensors.values())


class DecodeStepGraph(nn.Module):
    """(tokens [B], parts of a state) to (scores of the next token [B, V], the new state)."""

    def __init__(self, model: Autoregressive[Any, Any], state_tensors: StateTensors) -> None:
        super().__init__()
        self.model, self.memory_names, self.state_names = (model, list(state_tensors.memory), list(state_tensors.state))

    def forward(self, tokens: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Memory and state come in the order of their names; so does the new state."""
        flatten, unflatten = _state_codec(self.model)
        num_memory_tensors = len(self.memory_names)
        memory = dict(zip(self.memory_names, tensors[:num_memory_tensors], strict=True))
        state = dict(zip(self.state_names, tensors[num_memory_tensors:], strict=True))
        logits, new_state = self.model.decode_step(tokens, unflatten(self.model, StateTensors(memory, state)))
        return logits, *(flatten(new_state).state[name] for name in self.state_names)


class NonAutoregressiveGraph(nn.Module):
    """(source ids [B, S], lengths [B]) to (scores [B, U, V], positions that are real [B])."""

    def __init__(self, model: NonAutoregressive[Any]) -> None:
        super().__init__()
        self.model = model

    def forward(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """One pass; repetitions and blanks are for the caller to collapse."""
        hidden, output_lengths = self.model(PaddedSequences(source, lengths))
        return self.model.output_logits(hidden), output_lengths


def make_traceable(model: TranslationModel[Any], max_positions: int) -> None:
    """Give the model tables of positions that do not grow, for `rows` tokens on either side."""
    if isinstance(model, RNN):
        setattr(model, "encoder", TraceableRecurrentEncoder(model.encoder))  # noqa: B010
    for name, module in list(model.named_modules()):
        if isinstance(module, SinusoidalPositions):
            factor = getattr(model.config, "upsample", 1) if name == "emitted_positions" else 1
            num_sides = 2 if isinstance(model, DecoderOnly) else 1  # source and target in a row
            setattr(model, name, FixedTablePositions(module, max_positions * factor * num_sides))


def flatten_state(model: Autoregressive[Any, Any], state: State) -> StateTensors:
    """The parts of a state."""
    return _state_codec(model)[0](state)


def _state_codec(model: Any) -> tuple[Callable[[Any], StateTensors], Callable[[Any, StateTensors], State]]:
    """How a model's state is taken apart and put together."""
    if isinstance(model, Transformer):
        return _flatten_transformer, _unflatten_transformer
    if isinstance(model, DecoderOnly):
        return _flatten_decoder_only, _unflatten_decoder_only
    assert isinstance(model, RNN)
    return _flatten_rnn, _unflatten_rnn


def _name_key_values(prefix: str, pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensors:
    return {
        f"{prefix}.{layer}.{name}": value
        for layer, pair in enumerate(pairs)
        for name, value in zip(("key", "value"), pair, strict=True)
    }


def _collect_key_values(prefix: str, tensors: Tensors) -> list[tuple[Tensor, Tensor]]:
    num_layers = sum(name.startswith(f"{prefix}.") for name in tensors) // 2
    return [(tensors[f"{prefix}.{layer}.key"], tensors[f"{prefix}.{layer}.value"]) for layer in range(num_layers)]


def _cached_key_values(cache: KVCache) -> list[tuple[Tensor, Tensor]]:
    """Keys and values of each layer, [B, G, T, K]; those of the source where they are shared."""
    if isinstance(cache, GrowingKVCache):
        return cache.pairs
    return [(layer[0], layer[1]) for layer in cache.entries.unbind(0)]


def _flatten_transformer(state: TransformerState) -> StateTensors:
    assert state.memory.bias is not None
    memory = _name_key_values("source", state.memory.layers) | {"source_bias": state.memory.bias}
    return StateTensors(memory, _name_key_values("past", _cached_key_values(state.cache)))


def _unflatten_transformer(model: Transformer, tensors: StateTensors) -> TransformerState:
    memory = TransformerMemory(_collect_key_values("source", tensors.memory), tensors.memory["source_bias"])
    return TransformerState(memory, GrowingKVCache(_collect_key_values("past", tensors.state), None))


def _flatten_decoder_only(state: DecoderOnlyState) -> StateTensors:
    cache, position = state.cache, state.source_lengths
    if isinstance(cache, GrowingKVCache):  # a step has been taken
        bias, position = cache.attention_bias(), position + 1
    else:
        bias = cache.bias
    assert bias is not None
    return StateTensors({}, {"position": position, "bias": bias, **_name_key_values("past", _cached_key_values(cache))})


def _unflatten_decoder_only(model: DecoderOnly, tensors: StateTensors) -> DecoderOnlyState:
    cache = GrowingKVCache(_collect_key_values("past", tensors.state), tensors.state["bias"])
    cache.length = 0  # positions are counted from the end of the source, in `position`
    return DecoderOnlyState(cache, tensors.state["position"])


def _flatten_rnn(state: RecurrentState) -> StateTensors:
    memory = {"memory": state.memory.values, "source_lengths": state.memory.lengths}
    if state.memory.keys is not None:
        assert state.memory.padding is not None
        memory |= {"memory_keys": state.memory.keys, "padding": state.memory.padding}
    layer_states = {
        f"units.{layer}.{name}": value
        for layer, layer_state in enumerate(state.layer_states)
        for name, value in zip("hc", layer_state, strict=False)
    }
    return StateTensors(memory, layer_states | {"feed": state.input_feed})


def _unflatten_rnn(model: RNN, tensors: StateTensors) -> RecurrentState:
    memory = EncoderMemory(
        tensors.memory["memory"],
        tensors.memory.get("memory_keys"),
        tensors.memory.get("padding"),
        tensors.memory["source_lengths"],
    )
    names = "hc" if model.decoder.is_lstm else "h"
    layer_states = [
        tuple(tensors.state[f"units.{layer}.{name}"] for name in names) for layer in range(len(model.decoder.cells))
    ]
    return RecurrentState(memory, layer_states, tensors.state["feed"], 1)
