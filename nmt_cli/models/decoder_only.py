"""Translation by one stack that reads `source </s> <s> target` (Wang et al. 2021).

Legend: B batch, S source, T target, D model width, H heads, V vocabulary, W hypotheses per sentence.
"""

from dataclasses import dataclass
from typing import Self, cast

import torch
from torch import Tensor, nn

from nmt_cli.models.attention import additive_mask, causal_mask
from nmt_cli.models.configs import DecoderOnlyConfig
from nmt_cli.models.contract import Autoregressive, ExportableState, SelfAttentionWeights, Sequences, TensorState
from nmt_cli.models.dropout import Dropout
from nmt_cli.models.embedding import make_embeddings
from nmt_cli.models.kv_cache import BatchSelection, GrowingKVCache, KVCache
from nmt_cli.models.layers import SelfAttentionLayer, initialize_weights, make_final_normalization
from nmt_cli.models.positions import make_positions
from nmt_cli.vocabulary import Vocabulary


@dataclass
class DecoderOnlyState(ExportableState):
    """Keys and values of the source and of what the hypotheses have written, in one cache."""

    cache: KVCache
    position: Tensor  # of the next target token, [B]; the first follows the real source tokens

    def reorder(self, parents: Tensor) -> None:
        """See `State.reorder`."""
        self.cache.reorder(parents)

    def select(self, sentences: Tensor) -> None:
        """See `State.select`."""
        self.cache.select(BatchSelection.from_indices(sentences))
        self.position = self.position[sentences.to(self.position.device)]

    def tensors(self) -> TensorState:
        """See `ExportableState.tensors`."""
        bias = self.cache.bias_in_use()
        return TensorState({}, {"position": self.position, "bias": bias, **self.cache.tensors()})

    @classmethod
    def from_tensors(cls, tensors: TensorState) -> Self:
        """See `ExportableState.from_tensors`."""
        return cls(GrowingKVCache(tensors.updated, tensors.updated["bias"]), tensors.updated["position"])


class DecoderOnly(Autoregressive[DecoderOnlyConfig, DecoderOnlyState]):
    """One stack for source and target; the loss is on the target only."""

    config_class = DecoderOnlyConfig
    exportable_state = DecoderOnlyState
    summary = "one stack over source and target: a prefix language model (Wang et al. 2021)"

    def __init__(self, config: DecoderOnlyConfig, vocabulary: Vocabulary) -> None:
        super().__init__(config, vocabulary)
        self.source_embedding, self.target_embedding = make_embeddings(
            vocabulary, config.d_model, shared=config.tied_embeddings == "all", scaled=True
        )
        self.positions = make_positions(config.positions, config.d_model, config.max_positions)
        self.dropout = Dropout(config.dropout)
        self.stack = nn.ModuleList(SelfAttentionLayer(config) for _ in range(config.layers))
        self.norm = make_final_normalization(config)
        self.output = nn.Linear(config.d_model, vocabulary.target_size)
        if config.tied_embeddings != "none":
            self.output.weight = self.target_embedding.weight
        initialize_weights(self)

    @property
    def max_source_positions(self) -> int | None:
        """Half of the learned positions; None for other positions."""
        return self.config.max_positions // 2 if self.config.positions == "learned" else None

    @property
    def max_target_positions(self) -> int | None:
        """The other half."""
        return self.max_source_positions

    @property
    def kv_cache_per_token(self) -> int:
        """Keys and values of all layers."""
        return self.config.layers * self.config.kv_cache_per_layer

    def compilable_layers(self) -> list[nn.Module]:
        """See `TranslationModel.compilable_layers`."""
        return [*self.stack]

    def forward(self, source: Sequences, target_in: Sequences) -> Tensor:
        """See `Autoregressive.forward`."""
        source_length = source.ids.shape[1]
        x, bias = self._embed(source, target_in), self._attention_bias(source, target_in)
        token_positions = self._token_positions(source, target_in)
        for layer in self._layers:
            x = layer(x, bias, token_positions)
        return self.norm(x[:, source_length:])

    def init_state(self, source: Sequences, beam_size: int, max_steps: int) -> DecoderOnlyState:
        """See `Autoregressive.init_state`."""
        (batch_size, source_length), attend = (source.ids.shape, self._layers[0].self_attention.attend)
        like = self.output.weight.new_empty(batch_size, beam_size)
        num_layers, max_entries = len(self._layers), max_steps * beam_size
        cache = KVCache(like, num_layers, attend.kv_heads, attend.head_dim, max_entries, prefix_entries=source_length)
        cache.mask_padding(source.padding_mask())
        for rows, chunk in source.chunks():
            x = self.positions(self.source_embedding(chunk.ids))
            bias = self._source_bias(chunk, x)
            for layer_index, layer in enumerate(self._layers):
                cache.write_prefix(layer_index, rows, *layer.self_attention.keys_values(x))
                x = layer(x, bias)
        return DecoderOnlyState(cache, source.lengths)

    def decode_step(self, tokens: Tensor, state: DecoderOnlyState) -> tuple[Tensor, DecoderOnlyState]:
        """See `Autoregressive.decode_step`."""
        cache, position = state.cache, state.position
        cache.advance()
        ids = tokens.view(cache.batch_size, cache.beam_size)
        x = self.target_embedding(ids)  # [B, W, D]
        hypothesis_positions = position.repeat_interleave(cache.beam_size)
        end_position = cache.prefix_entries + cache.length  # above every position
        x = self.positions(x.flatten(0, 1).unsqueeze(1), hypothesis_positions, end_position).view_as(x)
        for layer_index, layer in enumerate(self._layers):
            x = layer.self_attention.decode_step(x, cache, layer_index, position)
            x = layer.feed_forward(x)
        return self.output_logits(self.norm(x)).flatten(0, 1), DecoderOnlyState(cache, position + 1)

    def attention(self, source: Sequences, target_in: Sequences) -> Tensor:
        """See `Autoregressive.attention`; weights are renormalised over the source."""
        length = source.ids.shape[1]
        return _renormalize(self._attention_weights(source, target_in)[..., length:, :length])

    def self_attention(self, source: Sequences, target_in: Sequences) -> SelfAttentionWeights:
        """See `Autoregressive.self_attention`; weights of the target are renormalised over the target."""
        length, weights = source.ids.shape[1], self._attention_weights(source, target_in)
        return SelfAttentionWeights(weights[..., :length, :length], _renormalize(weights[..., length:, length:]))

    def _attention_weights(self, source: Sequences, target_in: Sequences) -> Tensor:
        """Weights of source and target in a row, [B, layers, H, S + T, S + T]."""
        x, bias = self._embed(source, target_in), self._attention_bias(source, target_in)
        token_positions, layer_weights = self._token_positions(source, target_in), []
        for layer in self._layers:
            layer_weights.append(layer.self_attention.attention_weights(x, bias, token_positions))
            x = layer(x, bias, token_positions)
        return torch.stack(layer_weights, 1)

    @property
    def _layers(self) -> list[SelfAttentionLayer]:
        return cast(list[SelfAttentionLayer], self.stack)

    def _embed(self, source: Sequences, target_in: Sequences) -> Tensor:
        """Source and target embeddings in a row, [B, S + T, D]."""
        source_embeddings = self.positions(self.source_embedding(source.ids))
        target_embeddings = self.target_embedding(target_in.ids)
        end_position = source.ids.shape[1] + target_in.ids.shape[1]
        embeddings = torch.cat([source_embeddings, self.positions(target_embeddings, source.lengths, end_position)], 1)
        return self.dropout(embeddings)

    def _token_positions(self, source: Sequences, target_in: Sequences) -> Tensor:
        """The position of each token, [B, S + T]; target positions follow the real source tokens."""
        source_positions = torch.arange(source.ids.shape[1], device=source.ids.device)
        target_positions = torch.arange(target_in.ids.shape[1], device=source.ids.device)
        batch_size = source.ids.shape[0]
        return torch.cat([source_positions.expand(batch_size, -1), source.lengths[:, None] + target_positions], 1)

    def _source_bias(self, source: Sequences, like: Tensor) -> Tensor | None:
        """Hides padding and, in a causal source, later tokens from source tokens, [B, 1, S or 1, S]."""
        source_length, padding = source.ids.shape[1], source.padding_mask()
        mask = None if padding is None else padding[:, None, None]
        if self.config.source_attention == "causal":
            future = causal_mask(source_length, like.device)
            mask = future if mask is None else mask | future
        return None if mask is None else additive_mask(mask, like)

    def _attention_bias(self, source: Sequences, target_in: Sequences) -> Tensor:
        """Hides padding and later tokens, [B, 1, S + T, S + T]."""
        (batch_size, source_length), target_length = source.ids.shape, target_in.ids.shape[1]
        mask = causal_mask(source_length + target_length, source.ids.device)
        if self.config.source_attention == "bidirectional":
            mask[:source_length, :source_length] = False
        mask = mask.expand(batch_size, 1, -1, -1)
        padding = source.padding_mask()
        if padding is not None:
            key_padding = torch.cat([padding, padding.new_zeros(batch_size, target_length)], 1)
            mask = mask | key_padding[:, None, None]
        return additive_mask(mask, self.output.weight)


def _renormalize(weights: Tensor) -> Tensor:
    """Make the last dimension sum to one again."""
    return weights / weights.sum(-1, keepdim=True)
