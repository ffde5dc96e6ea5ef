"""The Transformer (Vaswani et al. 2017) and its later variants.

Legend: B batch, S source, T target, D model width, H heads, G key-value heads, K head width, V vocabulary,
W hypotheses per sentence.
"""

from dataclasses import dataclass
from typing import Self, cast

import torch
from torch import Tensor, nn

from nmt_cli.models.attention import additive_mask, attention_dtype, causal_mask
from nmt_cli.models.configs import TransformerConfig
from nmt_cli.models.contract import Autoregressive, ExportableState, SelfAttentionWeights, Sequences, TensorState
from nmt_cli.models.dropout import Dropout
from nmt_cli.models.embedding import make_embeddings
from nmt_cli.models.kv_cache import BatchSelection, GrowingKVCache, KVCache, collect_key_values, name_key_values
from nmt_cli.models.layers import (
    CrossAttention,
    FeedForwardSublayer,
    SelfAttention,
    SelfAttentionLayer,
    initialize_weights,
    make_final_normalization,
)
from nmt_cli.models.positions import make_positions
from nmt_cli.vocabulary import Vocabulary


class _DecoderLayer(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.self_attention = SelfAttention(config)
        self.cross_attention = CrossAttention(config)
        self.feed_forward = FeedForwardSublayer(config)

    def forward(self, x: Tensor, bias: Tensor, keys: Tensor, values: Tensor, padding: Tensor | None) -> Tensor:
        """[B, T, D] in and out; `padding` is the bias over keys and values [B, G, S, K]."""
        x = self.self_attention(x, bias)
        x = self.cross_attention(x, keys, values, padding)
        return self.feed_forward(x)


@dataclass
class TransformerMemory:
    """The encoded source as each decoder layer reads it."""

    layers: list[tuple[Tensor, Tensor]]  # keys and values, each [B, G, S, K]
    bias: Tensor | None  # hides padding, [B, 1, 1, S]; None if there is none

    def select(self, selection: BatchSelection) -> None:
        """Drop the sentences that are not selected."""
        self.layers = [(selection.apply(keys), selection.apply(values)) for keys, values in self.layers]
        self.bias = None if self.bias is None else selection.apply(self.bias)


@dataclass
class TransformerState(ExportableState):
    """The encoded source, which the hypotheses of a sentence share, and the cache of what they have written."""

    memory: TransformerMemory
    cache: KVCache

    def reorder(self, parents: Tensor) -> None:
        """See `State.reorder`."""
        self.cache.reorder(parents)

    def select(self, sentences: Tensor) -> None:
        """See `State.select`."""
        selection = BatchSelection.from_indices(sentences)
        self.memory.select(selection)
        self.cache.select(selection)

    def tensors(self) -> TensorState:
        """See `ExportableState.tensors`."""
        memory = name_key_values("source", self.memory.layers)
        if self.memory.bias is not None:
            memory["source_bias"] = self.memory.bias
        return TensorState(memory, self.cache.tensors())

    @classmethod
    def from_tensors(cls, tensors: TensorState) -> Self:
        """See `ExportableState.from_tensors`."""
        memory = TransformerMemory(collect_key_values("source", tensors.memory), tensors.memory.get("source_bias"))
        return cls(memory, GrowingKVCache(tensors.updated, None))


class Transformer(Autoregressive[TransformerConfig, TransformerState]):
    """Encoder and decoder of self-attention layers."""

    config_class = TransformerConfig
    exportable_state = TransformerState
    summary = "self-attention encoder and decoder (Vaswani et al. 2017)"

    def __init__(self, config: TransformerConfig, vocabulary: Vocabulary) -> None:
        super().__init__(config, vocabulary)
        self.source_embedding, self.target_embedding = make_embeddings(
            vocabulary, config.d_model, shared=config.tied_embeddings == "all", scaled=True
        )
        self.source_positions = make_positions(config.positions, config.d_model, config.max_positions)
        self.target_positions = make_positions(config.positions, config.d_model, config.max_positions)
        self.dropout = Dropout(config.dropout)
        self.encoder = nn.ModuleList(SelfAttentionLayer(config) for _ in range(config.encoder_layers))
        self.decoder = nn.ModuleList(_DecoderLayer(config) for _ in range(config.decoder_layers))
        self.encoder_norm, self.decoder_norm = make_final_normalization(config), make_final_normalization(config)
        self.output = nn.Linear(config.d_model, vocabulary.target_size)
        if config.tied_embeddings != "none":
            self.output.weight = self.target_embedding.weight
        initialize_weights(self)

    @property
    def max_source_positions(self) -> int | None:
        """The number of learned positions; None for other positions."""
        return self.config.max_positions if self.config.positions == "learned" else None

    @property
    def max_target_positions(self) -> int | None:
        """The same as for the source."""
        return self.max_source_positions

    @property
    def kv_cache_per_token(self) -> int:
        """Keys and values of all decoder layers."""
        return self.config.decoder_layers * self.config.kv_cache_per_layer

    def compilable_layers(self) -> list[nn.Module]:
        """See `TranslationModel.compilable_layers`."""
        return [*self.encoder, *self.decoder]

    def forward(self, source: Sequences, target_in: Sequences) -> Tensor:
        """See `Autoregressive.forward`."""
        memory = self._encode(source)
        x, bias = self._embed_target(target_in.ids), self._causal_bias(target_in.ids)
        for layer, (keys, values) in zip(self._decoder_layers, memory.layers, strict=True):
            x = layer(x, bias, keys, values, memory.bias)
        return self.decoder_norm(x)

    def init_state(self, source: Sequences, beam_size: int, max_steps: int) -> TransformerState:
        """See `Autoregressive.init_state`."""
        attend = self._decoder_layers[0].self_attention.attend
        like = self.output.weight.new_empty(source.ids.shape[0], beam_size)
        max_entries = max_steps * beam_size
        cache = KVCache(like, len(self._decoder_layers), attend.kv_heads, attend.head_dim, max_entries)
        return TransformerState(self._encode_in_chunks(source), cache)

    def decode_step(self, tokens: Tensor, state: TransformerState) -> tuple[Tensor, TransformerState]:
        """See `Autoregressive.decode_step`."""
        memory, cache = state.memory, state.cache
        position = cache.length
        cache.advance()
        ids = tokens.view(cache.batch_size, cache.beam_size)  # [B, W]
        x = self.target_embedding(ids).unsqueeze(2)  # [B, W, 1, D]
        x = self.target_positions(x, position).squeeze(2)  # [B, W, D]
        for layer_index, layer in enumerate(self._decoder_layers):
            x = layer.self_attention.decode_step(x, cache, layer_index, position)
            x = layer.cross_attention(x, *memory.layers[layer_index], memory.bias)
            x = layer.feed_forward(x)
        return self.output_logits(self.decoder_norm(x)).flatten(0, 1), state

    def attention(self, source: Sequences, target_in: Sequences) -> Tensor:
        """See `Autoregressive.attention`; from the cross-attention of all decoder layers."""
        memory = self._encode(source)
        x, bias = self._embed_target(target_in.ids), self._causal_bias(target_in.ids)
        weights = []
        for layer, (keys, values) in zip(self._decoder_layers, memory.layers, strict=True):
            x = layer.self_attention(x, bias)
            weights.append(layer.cross_attention.attention_weights(x, keys, memory.bias))
            x = layer.cross_attention(x, keys, values, memory.bias)
            x = layer.feed_forward(x)
        return torch.stack(weights, 1)  # [B, layers, H, T, S]

    def self_attention(self, source: Sequences, target_in: Sequences) -> SelfAttentionWeights:
        """See `Autoregressive.self_attention`."""
        memory, encoder_weights = self._encode(source), []
        x = self.source_positions(self.source_embedding(source.ids))
        for encoder_layer in cast(list[SelfAttentionLayer], self.encoder):
            encoder_weights.append(encoder_layer.self_attention.attention_weights(x, memory.bias))
            x = encoder_layer(x, memory.bias)
        x, bias, decoder_weights = self._embed_target(target_in.ids), self._causal_bias(target_in.ids), []
        for layer, (keys, values) in zip(self._decoder_layers, memory.layers, strict=True):
            decoder_weights.append(layer.self_attention.attention_weights(x, bias))
            x = layer(x, bias, keys, values, memory.bias)
        return SelfAttentionWeights(torch.stack(encoder_weights, 1), torch.stack(decoder_weights, 1))

    @property
    def _decoder_layers(self) -> list[_DecoderLayer]:
        return cast(list[_DecoderLayer], self.decoder)

    def _encode(self, source: Sequences) -> TransformerMemory:
        x = self.dropout(self.source_positions(self.source_embedding(source.ids)))
        bias = self._padding_bias(source, x)
        for layer in self.encoder:
            x = layer(x, bias)
        x = self.encoder_norm(x)
        return TransformerMemory([layer.cross_attention.attend.keys_values(x) for layer in self._decoder_layers], bias)

    def _encode_in_chunks(self, source: Sequences) -> TransformerMemory:
        """The same as `_encode`, chunk by chunk and in contiguous tensors, which decoding reads faster."""
        chunks = list(source.chunks())
        if len(chunks) == 1:
            memory = self._encode(source)
            contiguous = [(keys.contiguous(), values.contiguous()) for keys, values in memory.layers]
            return TransformerMemory(contiguous, memory.bias)
        (batch_size, source_length), attend = (source.ids.shape, self._decoder_layers[0].cross_attention.attend)
        shape = (len(self._decoder_layers), 2, batch_size, attend.kv_heads, source_length, attend.head_dim)
        like = self.output.weight
        all_layers = like.new_empty(shape, dtype=attention_dtype(like))
        for rows, chunk in chunks:
            for layer, encoded in zip(all_layers, self._encode(chunk).layers, strict=True):
                for buffer, values in zip(layer, encoded, strict=True):
                    buffer[rows, :, : values.shape[2]] = values
                    buffer[rows, :, values.shape[2] :] = 0  # padding is multiplied by zero, which must not be NaN
        bias = self._padding_bias(source, all_layers)
        return TransformerMemory([(keys, values) for keys, values in all_layers], bias)

    def _padding_bias(self, source: Sequences, like: Tensor) -> Tensor | None:
        """The bias that hides padding, [B, 1, 1, S]; None if there is none."""
        padding = source.padding_mask()
        return None if padding is None else additive_mask(padding[:, None, None], like)

    def _embed_target(self, ids: Tensor) -> Tensor:
        return self.dropout(self.target_positions(self.target_embedding(ids)))

    def _causal_bias(self, ids: Tensor) -> Tensor:
        """Hides later positions, [T, T]; these include all padding that a real position could see."""
        return additive_mask(causal_mask(ids.shape[1], ids.device), self.output.weight)
