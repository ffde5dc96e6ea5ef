"""Recurrent encoder-decoders, without attention and with each attention of the classic papers.

Legend: B batch, S source, T target, E embedding width, U decoder units, M memory width, R readout width,
V vocabulary, W hypotheses per sentence, N = B * W.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from nmt_cli.models.configs import RNNConfig
from nmt_cli.models.contract import Autoregressive, ExportableState, Sequences, TensorState, expand_to_hypotheses
from nmt_cli.models.dropout import Dropout
from nmt_cli.models.embedding import make_embeddings
from nmt_cli.models.linear import Linear
from nmt_cli.models.recurrent import (
    AdvanceCells,
    CellStack,
    LayerStates,
    Readout,
    RecurrentEncoder,
    initialize_weights,
    reverse_sequences,
)
from nmt_cli.models.rnn_attention import EncoderMemory, RNNAttention
from nmt_cli.vocabulary import Vocabulary


@dataclass
class RecurrentState(ExportableState):
    """The encoded source, the decoder's units and the last readout or attentional vector."""

    memory: EncoderMemory
    layer_states: LayerStates
    input_feed: Tensor  # [N, R]
    beam_size: int

    def reorder(self, parents: Tensor) -> None:
        """See `State.reorder`."""
        sentence_offsets = torch.arange(parents.shape[0], device=parents.device)[:, None] * self.beam_size
        self._select_rows((sentence_offsets + parents).flatten())

    def select(self, sentences: Tensor) -> None:
        """See `State.select`."""
        self.memory.select(sentences)
        self._select_rows(expand_to_hypotheses(sentences, self.beam_size).to(self.input_feed.device))

    def _select_rows(self, rows: Tensor) -> None:
        self.layer_states = [tuple(x[rows] for x in layer_state) for layer_state in self.layer_states]
        self.input_feed = self.input_feed[rows]

    def tensors(self) -> TensorState:
        """See `ExportableState.tensors`."""
        units = {
            f"units.{layer}.{name}": tensor
            for layer, layer_state in enumerate(self.layer_states)
            for name, tensor in zip("hc", layer_state, strict=False)
        }
        return TensorState(self.memory.tensors(), units | {"feed": self.input_feed})

    @classmethod
    def from_tensors(cls, tensors: TensorState) -> Self:
        """See `ExportableState.from_tensors`."""
        updated = tensors.updated
        names = "hc" if "units.0.c" in updated else "h"
        num_layers = (len(updated) - 1) // len(names)
        layer_states = [tuple(updated[f"units.{layer}.{name}"] for name in names) for layer in range(num_layers)]
        return cls(EncoderMemory.from_tensors(tensors.memory), layer_states, updated["feed"], 1)


class RNN(Autoregressive[RNNConfig, RecurrentState]):
    """A recurrent encoder, and a recurrent decoder with or without attention."""

    config_class = RNNConfig
    exportable_state = RecurrentState
    summary = "recurrent encoder-decoder, with or without attention (Bahdanau 2015, Luong 2015)"

    def __init__(self, config: RNNConfig, vocabulary: Vocabulary) -> None:
        super().__init__(config, vocabulary)
        hidden_size, memory_size = config.hidden_size, config.memory_size
        readout_size = config.readout_size or config.embedding_size
        self.source_embedding, self.target_embedding = make_embeddings(
            vocabulary, config.embedding_size, shared=config.tied_embeddings == "all"
        )
        self.encoder = RecurrentEncoder(
            config.cell,
            config.embedding_size,
            config.encoder_units,
            config.encoder_layers,
            config.bidirectional,
            config.dropout,
        )
        self.bridge = Linear(config.encoder_units, hidden_size)
        self.attends_before_cell = config.attention in ("none", "additive")
        feed_size = memory_size if self.attends_before_cell else readout_size * config.input_feeding
        self.decoder = CellStack(
            config.cell, config.embedding_size + feed_size, hidden_size, config.decoder_layers, config.dropout
        )
        if config.attention != "none":
            self.aligner = RNNAttention(
                config.attention, hidden_size, memory_size, scaled=config.scaled_attention, radius=config.local_window
            )
        if self.attends_before_cell:
            readout_input_size = hidden_size + config.embedding_size + memory_size
            self.readout = Readout(readout_input_size, readout_size, maxout=config.readout == "maxout")
        else:
            self.attentional = Linear(hidden_size + memory_size, readout_size)
        self.dropout = Dropout(config.dropout)
        self.output = nn.Linear(readout_size, vocabulary.target_size)
        if config.tied_embeddings != "none":
            self.output.weight = self.target_embedding.weight
        initialize_weights(self)

    def forward(self, source: Sequences, target_in: Sequences) -> Tensor:
        """See `Autoregressive.forward`."""
        return self._unroll(source, target_in)[0]

    def init_state(self, source: Sequences, beam_size: int, max_steps: int) -> RecurrentState:
        """See `Autoregressive.init_state`."""
        memory, hidden = self._encode(source)
        layer_states = self.decoder.init_states(hidden.repeat_interleave(beam_size, 0))
        input_feed = hidden.new_zeros(hidden.shape[0] * beam_size, self.d_model)
        return RecurrentState(memory, layer_states, input_feed, beam_size)

    def decode_step(self, tokens: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """See `Autoregressive.decode_step`."""
        embedding = self.target_embedding(tokens)

        def advance(feed: Tensor | None, layer_states: LayerStates) -> tuple[Tensor, LayerStates]:
            return self.decoder(embedding if feed is None else torch.cat([embedding, feed], -1), layer_states)

        top, context, _ = self._decode_position(advance, state)
        if self.attends_before_cell:
            state.input_feed = self.readout(top, embedding, context)
        return self.output_logits(state.input_feed), state

    def attention(self, source: Sequences, target_in: Sequences) -> Tensor | None:
        """See `Autoregressive.attention`; one layer, one head."""
        weights = self._unroll(source, target_in)[1]
        if weights is None:
            return None
        if self.config.reverse_source:  # the memory is reversed, too
            weights = reverse_sequences(
                weights.flatten(0, 1), source.lengths.repeat_interleave(target_in.ids.shape[1])
            ).view_as(weights)
        return weights[:, None, None]

    def _encode(self, source: Sequences) -> tuple[EncoderMemory, Tensor]:
        """The memory, and the decoder's initial hidden state [B, U]."""
        ids, padding = source.ids, source.padding_mask()
        if self.config.reverse_source:
            ids = reverse_sequences(ids, source.lengths)
        outputs, summary = self.encoder(self.dropout(self.source_embedding(ids)), source)
        initial_hidden: Tensor = self.bridge(summary).tanh()
        if self.config.attention == "none":
            fixed_vector = summary  # all that the decoder sees of the source
            if self.config.bidirectional:
                last_outputs = outputs[torch.arange(ids.shape[0], device=ids.device), source.lengths - 1]
                units = self.config.encoder_units
                fixed_vector = torch.cat([last_outputs[:, :units], outputs[:, 0, units:]], 1)
            return EncoderMemory(fixed_vector.unsqueeze(1), None, None, source.lengths), initial_hidden
        keys = self.aligner.score.keys(outputs)
        mask = None if padding is None else padding[:, None]
        return EncoderMemory(outputs, keys, mask, source.lengths), initial_hidden

    def _unroll(self, source: Sequences, target_in: Sequences) -> tuple[Tensor, Tensor | None]:
        """Teacher forcing: readouts [B, T, R], and weights [B, T, S]; None without attention."""
        memory, hidden = self._encode(source)
        memory.share_gradients()
        embeddings = self.dropout(self.target_embedding(target_in.ids))  # [B, T, E]
        state = RecurrentState(memory, self.decoder.init_states(hidden), hidden.new_zeros(len(hidden), self.d_model), 1)
        readout_inputs, contexts, weights = [], [], []
        for advance in self.decoder.unroll(embeddings):
            top, context, step_weights = self._decode_position(advance, state)
            readout_inputs.append(top if self.attends_before_cell else state.input_feed)
            contexts.append(context)
            weights.append(step_weights)
        readouts = torch.stack(readout_inputs, 1)
        if self.attends_before_cell:
            readouts = self.readout(readouts, embeddings, torch.stack(contexts, 1))
        present_weights = [step for step in weights if step is not None]
        return self.dropout(readouts), torch.stack(present_weights, 1) if present_weights else None

    def _decode_position(self, advance: AdvanceCells, state: RecurrentState) -> tuple[Tensor, Tensor, Tensor | None]:
        """Advance N hypotheses by one position: top units [N, U], context [N, M] and weights [N, S].

        `advance` runs the cells on the last token's embedding and what is fed back to them.

        Additive attention queries with the previous state and feeds the context to the cell; the other kinds
        query with the new state and feed the attentional vector to the next step.
        """
        attention_weights: Tensor | None
        if self.attends_before_cell:
            context, attention_weights = self._attend(state.layer_states[-1][0], state)
            top, state.layer_states = advance(context, state.layer_states)
            return top, context, attention_weights
        top, state.layer_states = advance(state.input_feed if self.config.input_feeding else None, state.layer_states)
        context, attention_weights = self._attend(top, state)
        state.input_feed = self.attentional(torch.cat([context, top], -1)).tanh()
        return top, context, attention_weights

    def _attend(self, query: Tensor, state: RecurrentState) -> tuple[Tensor, Tensor | None]:
        """Context [N, M] for queries [N, U], and weights [N, S]; None without attention."""
        memory, beam_size = state.memory, state.beam_size
        if self.config.attention == "none":
            return memory.values.expand(-1, beam_size, -1).flatten(0, 1), None
        context, weights = self.aligner(query.unflatten(0, (-1, beam_size)), memory)
        return context.flatten(0, 1), weights.flatten(0, 1)
