"""The layers that Transformers are built from, and their options.

Legend: B batch, S source, T target, D model width, H heads, G key-value heads, K head width,
W hypotheses per sentence.
"""

from torch import Tensor, nn

from nmt_cli.models.attention import MultiHeadAttention
from nmt_cli.models.configs import LayerConfig
from nmt_cli.models.dropout import Dropout
from nmt_cli.models.embedding import Embedding
from nmt_cli.models.feed_forward import FeedForward
from nmt_cli.models.kv_cache import KVCache
from nmt_cli.models.positions import PositionOffset, apply_rotary


def initialize_weights(model: nn.Module) -> None:
    """Glorot-uniform matrices and zero biases, as in the paper's own code.

    Embedding tables are left unchanged, also where the output shares one.
    """
    tables = {id(module.weight) for module in model.modules() if isinstance(module, Embedding)}
    for module in model.modules():
        if isinstance(module, nn.Linear):
            if id(module.weight) not in tables:
                nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)


class Sublayer(nn.Module):
    """Residual connection, dropout and normalisation around a sub-layer."""

    def __init__(self, config: LayerConfig) -> None:
        super().__init__()
        self.norm = make_normalization(config)
        self.is_pre_norm = config.norm_position == "pre"
        self.dropout = Dropout(config.dropout)

    def normalize_input(self, x: Tensor) -> Tensor:
        """The input of the sub-layer, normalised in pre-norm layers."""
        return self.norm(x) if self.is_pre_norm else x

    def add_and_normalize(self, x: Tensor, sublayer_output: Tensor) -> Tensor:
        """Add the sub-layer's output to its input, normalised in post-norm layers."""
        total: Tensor = x + self.dropout(sublayer_output)
        return total if self.is_pre_norm else self.norm(total)


class SelfAttention(Sublayer):
    """Attention of a sequence to itself; `offset` gives the tokens' positions."""

    def __init__(self, config: LayerConfig) -> None:
        super().__init__(config)
        self.attend = make_attention(config)
        self.rotary = config.positions == "rotary"

    def forward(self, x: Tensor, bias: Tensor | None, offset: PositionOffset = 0) -> Tensor:
        """[B, T, D] in and out; `bias` broadcasts to [B, H, T, T]."""
        queries, keys, values = self._project(x)
        return self.add_and_normalize(x, self.attend(queries, keys, values, bias, offset if self.rotary else None))

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The keys and values of positions 0, 1, ..., to which later tokens attend, each [B, G, T, K]."""
        keys, values = self.attend.keys_values(self.normalize_input(x))
        return apply_rotary(keys, 0) if self.rotary else keys, values

    def attention_weights(self, x: Tensor, bias: Tensor | None, offset: PositionOffset = 0) -> Tensor:
        """Attention weights, [B, H, T, T]."""
        queries, keys, _ = self._project(x)
        if self.rotary:
            queries, keys = apply_rotary(queries, offset), apply_rotary(keys, offset)
        return self.attend.attention_weights(queries, keys, bias)

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values that are not rotated yet."""
        sublayer_input = self.normalize_input(x)
        return self.attend.queries(sublayer_input), *self.attend.keys_values(sublayer_input)

    def decode_step(self, x: Tensor, cache: KVCache, layer: int, position: PositionOffset) -> Tensor:
        """Advance every hypothesis by one position, [B, W, D] in and out; writes to `cache`."""
        queries, keys, values = self._project(x)
        if self.rotary:  # the W hypotheses of a sentence are equally long
            queries = apply_rotary(queries.unsqueeze(3), position).squeeze(3)
            keys = apply_rotary(keys.unsqueeze(3), position).squeeze(3)
        keys, values = cache.write(layer, keys, values)
        return self.add_and_normalize(x, self.attend(queries, keys, values, cache.attention_bias()))


class CrossAttention(Sublayer):
    """Attention to an encoded source."""

    def __init__(self, config: LayerConfig) -> None:
        super().__init__(config)
        self.attend = make_attention(config)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
        """[B, T, D] in and out; keys and values [B, G, S, K] are the encoded source."""
        queries = self.attend.queries(self.normalize_input(x))
        return self.add_and_normalize(x, self.attend(queries, keys, values, bias))

    def attention_weights(self, x: Tensor, keys: Tensor, bias: Tensor | None) -> Tensor:
        """Attention weights over keys [B, G, S, K], [B, H, T, S]."""
        return self.attend.attention_weights(self.attend.queries(self.normalize_input(x)), keys, bias)


class FeedForwardSublayer(Sublayer):
    """The feed-forward network."""

    def __init__(self, config: LayerConfig) -> None:
        super().__init__(config)
        rate = config.activation_dropout
        self.network = FeedForward(config.d_model, config.d_ff, config.activation, rate)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] in and out."""
        return self.add_and_normalize(x, self.network(self.normalize_input(x)))


class SelfAttentionLayer(nn.Module):
    """Self-attention and a feed-forward network: the layer of encoders and decoder-only models."""

    def __init__(self, config: LayerConfig) -> None:
        super().__init__()
        self.self_attention = SelfAttention(config)
        self.feed_forward = FeedForwardSublayer(config)

    def forward(self, x: Tensor, bias: Tensor | None, offset: PositionOffset = 0) -> Tensor:
        """[B, T, D] in and out; `bias` broadcasts to [B, H, T, T]."""
        return self.feed_forward(self.self_attention(x, bias, offset))


def make_attention(config: LayerConfig) -> MultiHeadAttention:
    """Multi-head attention with these options."""
    rate, scaled = config.attention_dropout, config.scaled_attention
    return MultiHeadAttention(config.d_model, config.heads, config.kv_heads, rate, scaled=scaled)


def make_normalization(config: LayerConfig) -> nn.Module:
    """Layer normalisation (Ba et al. 2016) or RMSNorm (Zhang and Sennrich 2019) over D."""
    norm_class = nn.RMSNorm if config.norm == "rms" else nn.LayerNorm
    return norm_class(config.d_model, eps=config.norm_epsilon)


def make_final_normalization(config: LayerConfig) -> nn.Module:
    """The normalisation after a stack of pre-norm layers; post-norm layers need none."""
    return make_normalization(config) if config.norm_position == "pre" else nn.Identity()
