"""The Transformer (Vaswani et al. 2017) and the variants that came after it.

Legend: B batch, S source, T target, D model width, H heads, V vocabulary, W hypotheses a sentence.
"""

from dataclasses import dataclass
from typing import Literal, Self, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from nmt_cli.models.attention import BeamCache, MultiHeadAttention, blocked, causal
from nmt_cli.models.contract import Autoregressive, ModelConfig, Sequences, State
from nmt_cli.models.dropout import Dropout
from nmt_cli.models.embedding import Embedding
from nmt_cli.models.feed_forward import Activation, FeedForward
from nmt_cli.models.normalization import Normalization, normalization
from nmt_cli.models.positions import Positions, positions, rotate
from nmt_cli.vocabulary import Vocabulary


class TransformerConfig(ModelConfig):
    """Options of the Transformer; the defaults are the base model, with pre-norm layers."""

    type: Literal["transformer"] = "transformer"
    d_model: int = Field(default=512, ge=1)
    """Width of embeddings and layers."""
    heads: int = Field(default=8, ge=1)
    """Attention heads a layer; divides d_model."""
    key_value_heads: int | None = Field(default=None, ge=1)
    """Heads that have keys and values of their own (Ainslie et al. 2023); null: all of them."""
    encoder_layers: int = Field(default=6, ge=1)
    """Layers of the encoder."""
    decoder_layers: int = Field(default=6, ge=1)
    """Layers of the decoder; few make translation fast (Kasai et al. 2021)."""
    d_ff: int = Field(default=2048, ge=1)
    """Inner width of the feed-forward networks."""
    activation: Activation = "relu"
    """Activation of the feed-forward networks."""
    norm: Normalization = "layer"
    """Layer normalisation or RMSNorm."""
    norm_position: Literal["pre", "post"] = "pre"
    """Normalise the input of each sub-layer (pre) or the sum after it, as in the paper (post)."""
    positions: Positions = "sinusoidal"
    """How the model sees positions; rotary works inside attention."""
    max_positions: int = Field(default=1024, ge=8)
    """How many positions there are when they are learned."""
    tied_embeddings: Literal["all", "target", "none"] = "all"
    """Share one table between source, target and output; between target and output; or not."""
    scaled_attention: bool = True
    """Divide dot products by the square root of the head width."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Rate after each sub-layer and on embeddings."""
    attention_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Rate on attention weights."""
    activation_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Rate inside the feed-forward networks."""

    def problems(self, joint_vocabulary: bool) -> list[str]:
        """Options that do not fit together."""
        found = []
        groups = self.key_value_heads or self.heads
        if self.d_model % self.heads:
            found.append(f"heads: d_model {self.d_model} is not divisible by heads {self.heads}")
        elif self.positions == "rotary" and self.d_model // self.heads % 2:
            found.append("positions: rotary needs an even head width (d_model / heads)")
        if self.heads % groups:
            found.append(f"key_value_heads: heads {self.heads} is not divisible by {groups}")
        if self.tied_embeddings == "all" and not joint_vocabulary:
            found.append("tied_embeddings: all needs tokenizer.joint: true; use target or none")
        return found

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
            {"decoder_layers": 1, "key_value_heads": 1, "norm": "rms", "norm_position": "post"},
        ]
        return [cls.model_validate(small | variant) for variant in variants]


class _Sublayer(nn.Module):
    """Residual connection, dropout and normalisation around a sub-layer."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.norm = normalization(config.norm, config.d_model)
        self.pre = config.norm_position == "pre"
        self.dropout = Dropout(config.dropout)

    def before(self, x: Tensor) -> Tensor:
        return self.norm(x) if self.pre else x

    def after(self, x: Tensor, update: Tensor) -> Tensor:
        total: Tensor = x + self.dropout(update)
        return total if self.pre else self.norm(total)


class _SelfAttention(_Sublayer):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.attend = _attention(config)
        self.rotary = config.positions == "rotary"

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """[B, T, D] in and out; `bias` broadcasts to [B, H, T, T]."""
        inner = self.before(x)
        queries, (keys, values) = self.attend.queries(inner), self.attend.keys_values(inner)
        if self.rotary:
            queries, keys = rotate(queries, 0), rotate(keys, 0)
        return self.after(x, self.attend(queries, keys, values, bias))

    def step(self, x: Tensor, cache: BeamCache, layer: int) -> Tensor:
        """One position of every hypothesis, [B, W, D] in and out."""
        inner = self.before(x)
        queries, (keys, values) = self.attend.queries(inner), self.attend.keys_values(inner)
        if self.rotary:  # all W hypotheses stand at the same position
            position = cache.length - 1
            queries = rotate(queries.unsqueeze(3), position).squeeze(3)
            keys = rotate(keys.unsqueeze(3), position).squeeze(3)
        keys, values = cache.write(layer, keys, values)
        return self.after(x, self.attend(queries, keys, values, cache.visible()))


class _CrossAttention(_Sublayer):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.attend = _attention(config)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
        """[B, T, D] in and out; keys and values [B, G, S, K] are the encoded source."""
        queries = self.attend.queries(self.before(x))
        return self.after(x, self.attend(queries, keys, values, bias))

    def weights(self, x: Tensor, keys: Tensor, bias: Tensor | None) -> Tensor:
        """[B, H, T, S]."""
        return self.attend.weights(self.attend.queries(self.before(x)), keys, bias)


class _FeedForward(_Sublayer):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        rate = config.activation_dropout
        self.network = FeedForward(config.d_model, config.d_ff, config.activation, rate)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] in and out."""
        return self.after(x, self.network(self.before(x)))


def _attention(config: TransformerConfig) -> MultiHeadAttention:
    groups = config.key_value_heads or config.heads
    rate, scaled = config.attention_dropout, config.scaled_attention
    return MultiHeadAttention(config.d_model, config.heads, groups, rate, scaled=scaled)


class _EncoderLayer(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.self_attention = _SelfAttention(config)
        self.feed_forward = _FeedForward(config)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """[B, S, D] in and out."""
        result: Tensor = self.feed_forward(self.self_attention(x, bias))
        return result


class _DecoderLayer(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.self_attention = _SelfAttention(config)
        self.cross_attention = _CrossAttention(config)
        self.feed_forward = _FeedForward(config)


@dataclass
class _Memory:
    """The encoded source as every decoder layer reads it."""

    layers: list[tuple[Tensor, Tensor]]  # keys and values, each [B, G, S, K]
    bias: Tensor | None  # [B, 1, 1, S]

    def keep(self, sentences: Tensor) -> None:
        self.layers = [(keys[sentences], values[sentences]) for keys, values in self.layers]
        self.bias = None if self.bias is None else self.bias[sentences]


@dataclass
class TransformerState(State):
    """Encoded source, shared by a sentence's hypotheses, and what each of them has written."""

    memory: _Memory
    cache: BeamCache

    def reorder(self, parents: Tensor) -> None:
        """See `State.reorder`."""
        self.cache.reorder(parents)

    def keep(self, sentences: Tensor) -> None:
        """See `State.keep`."""
        self.memory.keep(sentences)
        self.cache.keep(sentences)


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
        self.encoder_norm = normalization(config.norm, config.d_model) if pre else nn.Identity()
        self.decoder_norm = normalization(config.norm, config.d_model) if pre else nn.Identity()
        self.output = nn.Linear(config.d_model, vocabulary.target_size)
        if config.tied_embeddings != "none":
            self.output.weight = self.target_embedding.weight
        self._initialize()

    def _initialize(self) -> None:
        """Glorot-uniform matrices and zero biases, as in the paper's own code."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                if module is not self.output or self.config.tied_embeddings == "none":
                    nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

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

    def forward(self, source: Sequences, target_in: Sequences) -> Tensor:
        """See `Autoregressive.forward`."""
        memory = self._encode(source)
        x, bias = self._embed_target(target_in.ids), self._causal(target_in.ids)
        for layer, (keys, values) in zip(self._decoder, memory.layers, strict=True):
            x = layer.self_attention(x, bias)
            x = layer.cross_attention(x, keys, values, memory.bias)
            x = layer.feed_forward(x)
        result: Tensor = self.decoder_norm(x)
        return result

    def project(self, hidden: Tensor) -> Tensor:
        """See `Autoregressive.project`."""
        result: Tensor = self.output(hidden)
        return result

    def start(self, source: Sequences, width: int, capacity: int) -> TransformerState:
        """See `Autoregressive.start`."""
        memory = self._encode(source)
        attend = self._decoder[0].self_attention.attend
        like = self.output.weight.new_empty(source.ids.shape[0], width)
        slots = capacity * width
        cache = BeamCache(like, len(self._decoder), attend.groups, attend.head_width, slots)
        return TransformerState(memory, cache)

    def step(self, tokens: Tensor, state: TransformerState) -> tuple[Tensor, TransformerState]:
        """See `Autoregressive.step`."""
        memory, cache = state.memory, state.cache
        position = cache.length
        cache.advance()
        ids = tokens.view(cache.batch, cache.beam)  # [B, W]
        x = self._scaled(self.target_embedding, ids).unsqueeze(2)  # [B, W, 1, D]
        x = self.target_positions(x, position).squeeze(2)  # [B, W, D]
        for number, layer in enumerate(self._decoder):
            x = layer.self_attention.step(x, cache, number)
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

    def _encode(self, source: Sequences) -> _Memory:
        x = self.source_positions(self._scaled(self.source_embedding, source.ids))
        x = self.dropout(x)
        padding = source.padding()
        bias = None if padding is None else blocked(padding[:, None, None], x)  # [B, 1, 1, S]
        for layer in self.encoder:
            x = layer(x, bias)
        x = self.encoder_norm(x)
        return _Memory(
            [layer.cross_attention.attend.keys_values(x) for layer in self._decoder], bias
        )

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
