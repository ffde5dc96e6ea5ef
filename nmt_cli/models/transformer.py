"""The Transformer (Vaswani et al. 2017) and the variants that came after it.

Legend: B batch, S source, T target, D model width, H heads, V vocabulary, W hypotheses a sentence.
"""

from dataclasses import dataclass
from typing import Literal, Self, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from nmt_cli.models.attention import BeamCache, attention_type, blocked, causal
from nmt_cli.models.contract import Autoregressive, Sequences, State
from nmt_cli.models.dropout import Dropout
from nmt_cli.models.embedding import Embedding
from nmt_cli.models.keeping import Kept
from nmt_cli.models.layers import (
    CrossAttention,
    FeedForwardSublayer,
    LayerConfig,
    SelfAttention,
    initialize,
)
from nmt_cli.models.normalization import normalization
from nmt_cli.models.positions import positions
from nmt_cli.vocabulary import Vocabulary


class TransformerConfig(LayerConfig):
    """Options of the Transformer; the defaults are the base model, with pre-norm layers."""

    type: Literal["transformer"] = "transformer"
    encoder_layers: int = Field(default=6, ge=1)
    """Layers of the encoder."""
    decoder_layers: int = Field(default=6, ge=1)
    """Layers of the decoder; few make translation fast (Kasai et al. 2021)."""

    @classmethod
    def tiny(cls) -> list[Self]:
        """Configurations of a few thousand parameters that use every option."""
        small = {
            "d_model": 16,
            "heads": 4,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "d_ff": 32,
            "dropout": 0.0,
        }
        variants: list[dict[str, object]] = [
            {},
            {"norm_position": "post", "positions": "learned", "activation": "gelu"},
            {"positions": "rotary", "norm": "rms", "activation": "swiglu", "key_value_heads": 2},
            {"positions": "none", "activation": "swish", "tied_embeddings": "target"},
            {
                "positions": "sinusoidal_halves",
                "tied_embeddings": "none",
                "scaled_attention": False,
            },
            {
                "decoder_layers": 1,
                "key_value_heads": 1,
                "norm": "rms",
                "norm_position": "post",
                "positions": "sinusoidal_marianmt",
            },
        ]
        return [cls.model_validate(small | variant) for variant in variants]


class _EncoderLayer(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.self_attention = SelfAttention(config)
        self.feed_forward = FeedForwardSublayer(config)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """[B, S, D] in and out."""
        result: Tensor = self.feed_forward(self.self_attention(x, bias))
        return result


class _DecoderLayer(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.self_attention = SelfAttention(config)
        self.cross_attention = CrossAttention(config)
        self.feed_forward = FeedForwardSublayer(config)

    def forward(
        self, x: Tensor, bias: Tensor, keys: Tensor, values: Tensor, padding: Tensor | None
    ) -> Tensor:
        """[B, T, D] in and out; `padding` is the bias for keys and values [B, G, S, K]."""
        x = self.self_attention(x, bias)
        x = self.cross_attention(x, keys, values, padding)
        result: Tensor = self.feed_forward(x)
        return result


@dataclass
class TransformerMemory:
    """The encoded source as every decoder layer reads it."""

    layers: list[tuple[Tensor, Tensor]]  # keys and values, each [B, G, S, K]
    bias: Tensor | None  # [B, 1, 1, S]

    def keep(self, kept: Kept) -> None:
        """Drop the other sentences."""
        self.layers = [(kept.rows(keys), kept.rows(values)) for keys, values in self.layers]
        self.bias = None if self.bias is None else kept.rows(self.bias)


@dataclass
class TransformerState(State):
    """Encoded source, shared by a sentence's hypotheses, and what each of them has written."""

    memory: TransformerMemory
    cache: BeamCache

    def reorder(self, parents: Tensor) -> None:
        """See `State.reorder`."""
        self.cache.reorder(parents)

    def keep(self, sentences: Tensor) -> None:
        """See `State.keep`."""
        kept = Kept.of(sentences)
        self.memory.keep(kept)
        self.cache.keep(kept)


class Transformer(Autoregressive[TransformerConfig, TransformerState]):
    """Encoder and decoder of self-attention layers."""

    config_class = TransformerConfig
    summary = "self-attention encoder and decoder (Vaswani et al. 2017)"

    def __init__(self, config: TransformerConfig, vocabulary: Vocabulary) -> None:
        super().__init__(config, vocabulary)
        self.source_embedding = Embedding(vocabulary.source_size, config.d_model)
        shared = config.tied_embeddings == "all"
        self.target_embedding = (
            self.source_embedding if shared else Embedding(vocabulary.target_size, config.d_model)
        )
        self.source_positions = positions(config.positions, config.d_model, config.max_positions)
        self.target_positions = positions(config.positions, config.d_model, config.max_positions)
        self.dropout = Dropout(config.dropout)
        self.encoder = nn.ModuleList(_EncoderLayer(config) for _ in range(config.encoder_layers))
        self.decoder = nn.ModuleList(_DecoderLayer(config) for _ in range(config.decoder_layers))
        pre = config.norm_position == "pre"
        norms = [
            normalization(config.norm, config.d_model, config.norm_epsilon)
            if pre
            else nn.Identity()
            for _ in range(2)
        ]
        self.encoder_norm, self.decoder_norm = norms
        self.output = nn.Linear(config.d_model, vocabulary.target_size)
        if config.tied_embeddings != "none":
            self.output.weight = self.target_embedding.weight
        initialize(self, tied=None if config.tied_embeddings == "none" else self.output)

    @property
    def width(self) -> int:
        """D."""
        return self.config.d_model

    @property
    def longest_source(self) -> int | None:
        """The number of learned positions, if they are learned."""
        return self.config.max_positions if self.config.positions == "learned" else None

    @property
    def longest_target(self) -> int | None:
        """The number of learned positions, if they are learned."""
        return self.longest_source

    @property
    def cached(self) -> int:
        """Keys and values of each layer of the decoder."""
        return self.config.decoder_layers * self.config.cached_by_layer

    def repeated(self) -> list[nn.Module]:
        """See `TranslationModel.repeated`."""
        return [*self.encoder, *self.decoder]

    def forward(self, source: Sequences, target_in: Sequences) -> Tensor:
        """See `Autoregressive.forward`."""
        memory = self._encode(source)
        x, bias = self._embed_target(target_in.ids), self._causal(target_in.ids)
        for layer, (keys, values) in zip(self._decoder, memory.layers, strict=True):
            x = layer(x, bias, keys, values, memory.bias)
        result: Tensor = self.decoder_norm(x)
        return result

    def project(self, hidden: Tensor) -> Tensor:
        """See `Autoregressive.project`."""
        result: Tensor = self.output(hidden)
        return result

    def start(self, source: Sequences, width: int, capacity: int) -> TransformerState:
        """See `Autoregressive.start`."""
        attend = self._decoder[0].self_attention.attend
        like = self.output.weight.new_empty(source.ids.shape[0], width)
        slots = capacity * width
        cache = BeamCache(like, len(self._decoder), attend.groups, attend.head_width, slots)
        return TransformerState(self._remember(source), cache)

    def step(self, tokens: Tensor, state: TransformerState) -> tuple[Tensor, TransformerState]:
        """See `Autoregressive.step`."""
        memory, cache = state.memory, state.cache
        position = cache.length
        cache.advance()
        ids = tokens.view(cache.batch, cache.beam)  # [B, W]
        x = self._scaled(self.target_embedding, ids).unsqueeze(2)  # [B, W, 1, D]
        x = self.target_positions(x, position).squeeze(2)  # [B, W, D]
        for number, layer in enumerate(self._decoder):
            x = layer.self_attention.step(x, cache, number, position)
            x = layer.cross_attention(x, *memory.layers[number], memory.bias)
            x = layer.feed_forward(x)
        return self.project(self.decoder_norm(x)).flatten(0, 1), state

    def attention(self, source: Sequences, target_in: Sequences) -> Tensor:
        """See `Autoregressive.attention`; layers and heads are those of the decoder."""
        memory = self._encode(source)
        x, bias = self._embed_target(target_in.ids), self._causal(target_in.ids)
        weights = []
        for layer, (keys, values) in zip(self._decoder, memory.layers, strict=True):
            x = layer.self_attention(x, bias)
            weights.append(layer.cross_attention.weights(x, keys, memory.bias))
            x = layer.cross_attention(x, keys, values, memory.bias)
            x = layer.feed_forward(x)
        return torch.stack(weights, 1)  # [B, layers, H, T, S]

    @property
    def _decoder(self) -> list[_DecoderLayer]:
        return cast(list[_DecoderLayer], self.decoder)

    def _encode(self, source: Sequences) -> TransformerMemory:
        x = self.source_positions(self._scaled(self.source_embedding, source.ids))
        x = self.dropout(x)
        bias = self._hidden(source, x)
        for layer in self.encoder:
            x = layer(x, bias)
        x = self.encoder_norm(x)
        return TransformerMemory(
            [layer.cross_attention.attend.keys_values(x) for layer in self._decoder], bias
        )

    def _remember(self, source: Sequences) -> TransformerMemory:
        """What `_encode` says, in memory that steps read from end to end."""
        parts = list(source.parts())
        if len(parts) == 1:
            memory = self._encode(source)
            both = [(keys.contiguous(), values.contiguous()) for keys, values in memory.layers]
            return TransformerMemory(both, memory.bias)
        (count, longest), attend = source.ids.shape, self._decoder[0].cross_attention.attend
        shape = (len(self._decoder), 2, count, attend.groups, longest, attend.head_width)
        like = self.output.weight
        whole = like.new_empty(shape, dtype=attention_type(like))
        for rows, part in parts:
            for layer, encoded in zip(whole, self._encode(part).layers, strict=True):
                for side, values in zip(layer, encoded, strict=True):
                    side[rows, :, : values.shape[2]] = values
                    side[rows, :, values.shape[2] :] = 0  # padding is multiplied by zero
        bias = self._hidden(source, whole)
        return TransformerMemory([(keys, values) for keys, values in whole], bias)

    def _hidden(self, source: Sequences, like: Tensor) -> Tensor | None:
        """The bias that hides padding, [B, 1, 1, S]; None where there is none."""
        padding = source.padding()
        return None if padding is None else blocked(padding[:, None, None], like)

    def _embed_target(self, ids: Tensor) -> Tensor:
        x = self.target_positions(self._scaled(self.target_embedding, ids))
        result: Tensor = self.dropout(x)
        return result

    def _scaled(self, embedding: nn.Module, ids: Tensor) -> Tensor:
        result: Tensor = embedding(ids) * self.config.d_model**0.5
        return result

    def _causal(self, ids: Tensor) -> Tensor:
        """No mask for padding is needed: it stands behind all that a real position may see."""
        return causal(ids.shape[1], self.output.weight)
