"""Translation by one causal stack that reads `source </s> <s> target` (Wang et al. 2021).

Legend: B batch, S source, T target, D model width, H heads, V vocabulary, W hypotheses a sentence.
"""

from dataclasses import dataclass
from typing import Literal, Self, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from nmt_cli.models.attention import BeamCache, blocked
from nmt_cli.models.contract import Autoregressive, Sequences, State
from nmt_cli.models.dropout import Dropout
from nmt_cli.models.embedding import Embedding
from nmt_cli.models.keeping import Kept
from nmt_cli.models.layers import FeedForwardSublayer, LayerConfig, SelfAttention, initialize
from nmt_cli.models.normalization import normalization
from nmt_cli.models.positions import First, positions
from nmt_cli.vocabulary import Vocabulary


class DecoderOnlyConfig(LayerConfig):
    """Options of the decoder-only model."""

    type: Literal["decoder_only"] = "decoder_only"
    layers: int = Field(default=6, ge=1)
    """Layers of the stack."""
    source_attention: Literal["bidirectional", "causal"] = "bidirectional"
    """What a source token sees: the whole source (a prefix language model) or what precedes it."""

    @classmethod
    def tiny(cls) -> list[Self]:
        """Configurations of a few thousand parameters that use every option."""
        small = {"d_model": 16, "heads": 4, "layers": 2, "d_ff": 32, "dropout": 0.0}
        variants: list[dict[str, object]] = [
            {"activation": "gelu"},
            {"source_attention": "causal", "norm_position": "post", "positions": "learned"},
            {
                "positions": "rotary",
                "norm": "rms",
                "activation": "swiglu",
                "key_value_heads": 2,
                "tied_embeddings": "target",
            },
            {
                "positions": "none",
                "source_attention": "causal",
                "activation": "swish",
                "tied_embeddings": "none",
            },
            {"positions": "sinusoidal_halves", "activation": "relu", "scaled_attention": False},
            {"positions": "sinusoidal_marianmt", "layers": 1},
        ]
        return [cls.model_validate(small | variant) for variant in variants]


class _Layer(nn.Module):
    def __init__(self, config: DecoderOnlyConfig) -> None:
        super().__init__()
        self.self_attention = SelfAttention(config)
        self.feed_forward = FeedForwardSublayer(config)

    def forward(self, x: Tensor, bias: Tensor | None, first: First = 0) -> Tensor:
        """[B, T, D] in and out; `first` is the position of each token."""
        result: Tensor = self.feed_forward(self.self_attention(x, bias, first))
        return result


@dataclass
class DecoderOnlyState(State):
    """Keys and values of the source and of what each hypothesis has written, in one cache."""

    cache: BeamCache
    lengths: Tensor  # [B] source tokens, where the target's positions begin

    def reorder(self, parents: Tensor) -> None:
        """See `State.reorder`."""
        self.cache.reorder(parents)

    def keep(self, sentences: Tensor) -> None:
        """See `State.keep`."""
        self.cache.keep(Kept.of(sentences))
        self.lengths = self.lengths[sentences]


class DecoderOnly(Autoregressive[DecoderOnlyConfig, DecoderOnlyState]):
    """One stack for source and target; the loss is on the target only."""

    config_class = DecoderOnlyConfig
    summary = "one causal stack over source and target (Wang et al. 2021)"

    def __init__(self, config: DecoderOnlyConfig, vocabulary: Vocabulary) -> None:
        super().__init__(config, vocabulary)
        width, shared = config.d_model, config.tied_embeddings == "all"
        self.source_embedding = Embedding(vocabulary.source_size, width)
        self.target_embedding = (
            self.source_embedding if shared else Embedding(vocabulary.target_size, width)
        )
        self.positions = positions(config.positions, width, config.max_positions)
        self.dropout = Dropout(config.dropout)
        self.stack = nn.ModuleList(_Layer(config) for _ in range(config.layers))
        pre = config.norm_position == "pre"
        self.norm = normalization(config.norm, width, config.norm_epsilon) if pre else nn.Identity()
        self.output = nn.Linear(width, vocabulary.target_size)
        tied = config.tied_embeddings != "none"
        if tied:
            self.output.weight = self.target_embedding.weight
        initialize(self, tied=self.output if tied else None)

    @property
    def width(self) -> int:
        """D."""
        return self.config.d_model

    @property
    def longest_source(self) -> int | None:
        """Half of the learned positions, if they are learned."""
        return self.config.max_positions // 2 if self.config.positions == "learned" else None

    @property
    def longest_target(self) -> int | None:
        """The other half."""
        return self.longest_source

    @property
    def cached(self) -> int:
        """Keys and values of each layer."""
        return self.config.layers * self.config.cached_by_layer

    def repeated(self) -> list[nn.Module]:
        """See `TranslationModel.repeated`."""
        return [*self.stack]

    def forward(self, source: Sequences, target_in: Sequences) -> Tensor:
        """See `Autoregressive.forward`."""
        size = source.ids.shape[1]
        x, bias = self._embed(source, target_in), self._bias(source, target_in)
        first = self._first(source, target_in)
        for layer in self._layers:
            x = layer(x, bias, first)
        result: Tensor = self.norm(x[:, size:])
        return result

    def project(self, hidden: Tensor) -> Tensor:
        """See `Autoregressive.project`."""
        result: Tensor = self.output(hidden)
        return result

    def start(self, source: Sequences, width: int, capacity: int) -> DecoderOnlyState:
        """See `Autoregressive.start`."""
        (count, size), attend = source.ids.shape, self._layers[0].self_attention.attend
        like = self.output.weight.new_empty(count, width)
        layers, slots = len(self._layers), capacity * width
        cache = BeamCache(like, layers, attend.groups, attend.head_width, slots, shared=size)
        cache.hide(source.padding())
        for rows, part in source.parts():
            x = self.positions(self._scaled(self.source_embedding, part.ids))
            bias = self._source_bias(part, x)
            for number, layer in enumerate(self._layers):
                cache.share(number, rows, *layer.self_attention.keys_values(x, 0))
                x = layer(x, bias)
        return DecoderOnlyState(cache, source.lengths)

    def step(self, tokens: Tensor, state: DecoderOnlyState) -> tuple[Tensor, DecoderOnlyState]:
        """See `Autoregressive.step`."""
        cache, position = state.cache, state.lengths + state.cache.length  # [B]
        cache.advance()
        ids = tokens.view(cache.batch, cache.beam)
        x = self._scaled(self.target_embedding, ids)  # [B, W, D]
        spread = position.repeat_interleave(cache.beam)
        bound = cache.shared + cache.length
        x = self.positions(x.flatten(0, 1).unsqueeze(1), spread, bound).view_as(x)
        for number, layer in enumerate(self._layers):
            x = layer.self_attention.step(x, cache, number, position)
            x = layer.feed_forward(x)
        return self.project(self.norm(x)).flatten(0, 1), state

    def attention(self, source: Sequences, target_in: Sequences) -> Tensor:
        """See `Autoregressive.attention`: the share of the source, scaled up to sum to one."""
        size = source.ids.shape[1]
        x, bias = self._embed(source, target_in), self._bias(source, target_in)
        first, found = self._first(source, target_in), []
        for layer in self._layers:
            whole = layer.self_attention.weights(x, bias, first)[:, :, size:, :size]
            found.append(whole / whole.sum(-1, keepdim=True))
            x = layer(x, bias, first)
        return torch.stack(found, 1)  # [B, layers, H, T, S]

    @property
    def _layers(self) -> list[_Layer]:
        return cast(list[_Layer], self.stack)

    def _embed(self, source: Sequences, target_in: Sequences) -> Tensor:
        """Both sides in a row, [B, S + T, D]; target positions follow the real source."""
        left = self.positions(self._scaled(self.source_embedding, source.ids))
        right = self._scaled(self.target_embedding, target_in.ids)
        bound = source.ids.shape[1] + target_in.ids.shape[1]
        both = torch.cat([left, self.positions(right, source.lengths, bound)], 1)
        result: Tensor = self.dropout(both)
        return result

    def _first(self, source: Sequences, target_in: Sequences) -> Tensor:
        """The position of every token, [B, S + T]."""
        left = torch.arange(source.ids.shape[1], device=source.ids.device)
        right = torch.arange(target_in.ids.shape[1], device=source.ids.device)
        count = source.ids.shape[0]
        return torch.cat([left.expand(count, -1), source.lengths[:, None] + right], 1)

    def _source_bias(self, source: Sequences, like: Tensor) -> Tensor | None:
        """What source tokens may not look at, [B, 1, S or 1, S]."""
        size, padding = source.ids.shape[1], source.padding()
        mask = None if padding is None else padding[:, None, None]
        if self.config.source_attention == "causal":
            later = torch.ones(size, size, dtype=torch.bool, device=like.device).triu(1)
            mask = later if mask is None else mask | later
        return blocked(mask, like)

    def _bias(self, source: Sequences, target_in: Sequences) -> Tensor:
        """What tokens may not look at, [B, 1, S + T, S + T]."""
        (count, size), length = source.ids.shape, target_in.ids.shape[1]
        device, like = source.ids.device, self.output.weight
        mask = torch.ones(size + length, size + length, dtype=torch.bool, device=device).triu(1)
        if self.config.source_attention == "bidirectional":
            mask[:size, :size] = False
        mask = mask.expand(count, 1, -1, -1)
        padding = source.padding()
        if padding is not None:
            hidden = torch.cat([padding, padding.new_zeros(count, length)], 1)
            mask = mask | hidden[:, None, None]
        bias = blocked(mask, like)
        assert bias is not None
        return bias

    def _scaled(self, embedding: nn.Module, ids: Tensor) -> Tensor:
        result: Tensor = embedding(ids) * self.config.d_model**0.5
        return result
