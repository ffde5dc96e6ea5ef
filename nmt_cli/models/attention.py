"""Multi-head attention (Vaswani et al. 2017, section 3.2).

Legend: B batch, Q queries per sentence, N keys per sentence, D model width, H heads, G key-value heads,
K head width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt_cli.models.dropout import Dropout


def attention_dtype(x: Tensor) -> torch.dtype:
    """The dtype that attention over `x` computes in: float32 on a CPU, else that of `x`.

    On a CPU bfloat16 gains little in products of a few positions, and oneDNN would compile a kernel of
    half a MiB for every pair of lengths.
    """
    return torch.float32 if x.device.type == "cpu" else x.dtype


def additive_mask(mask: Tensor | None, like: Tensor) -> Tensor | None:
    """The bias to add to attention scores over `like`: -inf where `mask` is True, else 0; None without a mask."""
    if mask is None:
        return None
    shape = (*mask.shape[:-1], aligned_length(mask.shape[-1], mask.device))
    bias = torch.zeros(shape, dtype=attention_dtype(like), device=mask.device)
    return bias[..., : mask.shape[-1]].masked_fill_(mask, float("-inf"))


def aligned_length(length: int, device: torch.device) -> int:
    """`length` rounded up so that each row of a bias begins at an address that attention on a GPU reads directly.

    Unaligned biases are copied at every use.
    """
    return -(-length // 8) * 8 if device.type == "cuda" else length


def causal_bias(length: int, like: Tensor) -> Tensor:
    """The bias [T, T] that hides later positions from each position."""
    all_positions = torch.ones(length, length, dtype=torch.bool, device=like.device)
    bias = additive_mask(all_positions.triu(1), like)
    assert bias is not None
    return bias


class MultiHeadAttention(nn.Module):
    """softmax(Q K^T / sqrt(K)) V for each head, projected back to D.

    With G < H, groups of H / G query heads share keys and values (Ainslie et al. 2023). With `scaled` off the
    dot products are not divided by sqrt(K).
    """

    def __init__(self, d_model: int, heads: int, key_value_heads: int, dropout: float, *, scaled: bool = True) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = heads, key_value_heads, d_model // heads
        self.scale = self.head_dim**-0.5 if scaled else 1.0
        self.query = nn.Linear(d_model, d_model)
        self.key_value = nn.Linear(d_model, 2 * key_value_heads * self.head_dim)
        self.out = nn.Linear(d_model, d_model)
        self.dropout = Dropout(dropout)

    def queries(self, x: Tensor) -> Tensor:
        """[B, Q, D] to queries [B, H, Q, K] in `attention_dtype`."""
        all_heads: Tensor = self.query(x).to(attention_dtype(x))
        per_head: Tensor = all_heads.unflatten(-1, (self.heads, self.head_dim))
        return per_head.transpose(1, 2)

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[B, N, D] to keys and values, each [B, G, N, K] in `attention_dtype`."""
        fused = self.key_value(x).to(attention_dtype(x))
        fused = fused.unflatten(-1, (2, self.kv_heads, self.head_dim))
        return fused[:, :, 0].transpose(1, 2), fused[:, :, 1].transpose(1, 2)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
        """Attend to keys and values [B, G, N, K]; returns [B, Q, D]. `bias` broadcasts to [B, H, Q, N].

        On a CPU the backward pass of PyTorch's fused attention takes several times as long as that of the plain
        products at sentence lengths, so they are used there.
        """
        keys, values = self._repeat_kv(keys), self._repeat_kv(values)
        if queries.device.type == "cpu":
            attended = self.dropout(self._attention_weights(queries, keys, bias)) @ values  # [B, H, Q, K]
        else:
            rate = self.dropout.rate if self.training else 0.0
            attended = functional.scaled_dot_product_attention(queries, keys, values, bias, rate, scale=self.scale)
        result: Tensor = self.out(attended.transpose(1, 2).flatten(2).to(self.out.weight.dtype))
        return result

    def attention_weights(self, queries: Tensor, keys: Tensor, bias: Tensor | None) -> Tensor:
        """The attention weights, [B, H, Q, N]."""
        return self._attention_weights(queries, self._repeat_kv(keys), bias)

    def _attention_weights(self, queries: Tensor, keys: Tensor, bias: Tensor | None) -> Tensor:
        scores = (queries * self.scale) @ keys.transpose(2, 3)  # [B, H, Q, N]
        if bias is not None:
            scores = scores + bias
        return scores.softmax(-1)

    def _repeat_kv(self, x: Tensor) -> Tensor:
        """[B, G, N, K] to [B, H, N, K]: each key-value head serves H / G query heads."""
        if self.kv_heads == self.heads:
            return x
        return x.repeat_interleave(self.heads // self.kv_heads, 1)
