"""Multi-head attention (Vaswani et al. 2017, section 3.2).

Legend: B batch, Q queries per sentence, N keys per sentence, D model width, H heads, G key-value heads,
K head width.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

from nmt_cli.models.dropout import Dropout
from nmt_cli.models.linear import Linear
from nmt_cli.models.positions import PositionOffset, RotaryFactors, apply_rotary, rotary_factors
from nmt_cli.models.softmax import softmax, softmax_backward_


def attention_dtype(x: Tensor) -> torch.dtype:
    """The dtype that attention over `x` computes in: float32 on a CPU, else that of `x`.

    On a CPU bfloat16 gains little in products of a few positions, and oneDNN would compile a kernel of
    half a MiB for every pair of lengths.
    """
    return torch.float32 if x.device.type == "cpu" else x.dtype


def additive_mask(mask: Tensor, like: Tensor) -> Tensor:
    """The bias to add to attention scores over `like`: -inf where `mask` is True, else 0."""
    shape = (*mask.shape[:-1], aligned_length(mask.shape[-1], mask.device))
    bias = torch.zeros(shape, dtype=attention_dtype(like), device=mask.device)
    return bias[..., : mask.shape[-1]].masked_fill_(mask, float("-inf"))


def aligned_length(length: int, device: torch.device) -> int:
    """More than `length`, so that each row of a bias begins at an address that attention on a GPU reads directly.

    Unaligned biases are copied at every use. Rows are never as far apart as they are long, which torch.compile would
    take for another kind of tensor and compile once more.
    """
    return (length // 8 + 1) * 8 if device.type == "cuda" else length


def causal_mask(length: int, device: torch.device) -> Tensor:
    """True where a position is later than the one that attends, [T, T]."""
    return torch.ones(length, length, dtype=torch.bool, device=device).triu(1)


class MultiHeadAttention(nn.Module):
    """softmax(Q K^T / sqrt(K)) V for each head, projected back to D.

    With G < H, groups of H / G query heads share keys and values (Ainslie et al. 2023). With `scaled` off the
    dot products are not divided by sqrt(K).
    """

    def __init__(self, d_model: int, heads: int, key_value_heads: int, dropout: float, *, scaled: bool = True) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = heads, key_value_heads, d_model // heads
        self.scale = self.head_dim**-0.5 if scaled else 1.0
        self.query = Linear(d_model, d_model)
        self.key_value = Linear(d_model, 2 * key_value_heads * self.head_dim)
        self.out = Linear(d_model, d_model)
        self.dropout = Dropout(dropout)

    def queries(self, x: Tensor) -> Tensor:
        """[B, Q, D] to queries [B, H, Q, K], ready for `forward`."""
        per_head: Tensor = self._in_attention_dtype(self.query(x)).unflatten(-1, (self.heads, self.head_dim))
        return per_head.transpose(1, 2)

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[B, N, D] to keys and values, each [B, G, N, K], ready for `forward`."""
        fused = self._in_attention_dtype(self.key_value(x)).unflatten(-1, (2, self.kv_heads, self.head_dim))
        keys, values = fused.unbind(2)
        return keys.transpose(1, 2), values.transpose(1, 2)

    def forward(
        self, queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None, rotary: PositionOffset | None = None
    ) -> Tensor:
        """Attend to keys and values [B, G, N, K]; returns [B, Q, D]. `bias` broadcasts to [B, H, Q, N].

        `rotary` is the position of the first query and key, if they are still to be rotated.

        On a CPU the backward pass of PyTorch's fused attention takes several times as long as that of the plain
        products at sentence lengths, so they are used there.
        """
        if self._differentiates_by_hand(queries):
            factors = None if rotary is None else rotary_factors(queries, rotary, torch.float32)
            keys, values = self._repeat_kv(keys), self._repeat_kv(values)
            attended = _AttentionFunction.apply(queries, keys, values, bias, factors, self.scale)  # type: ignore[no-untyped-call]
            return self.out(attended)
        dtype = attention_dtype(queries)  # compiled layers get keys and values from `keys_values` that is not compiled
        queries, keys, values = queries.to(dtype), keys.to(dtype), values.to(dtype)
        if rotary is not None:
            queries, keys = apply_rotary(queries, rotary), apply_rotary(keys, rotary)
        values = self._repeat_kv(values)
        if queries.device.type == "cpu":
            attended = self.dropout(self.attention_weights(queries, keys, bias)) @ values  # [B, H, Q, K]
        else:
            keys, rate = self._repeat_kv(keys), self.dropout.rate if self.training else 0.0
            attended = functional.scaled_dot_product_attention(queries, keys, values, bias, rate, scale=self.scale)
        return self.out(attended.transpose(1, 2).flatten(2).to(self.out.weight.dtype))

    def _differentiates_by_hand(self, x: Tensor) -> bool:
        """Whether `forward` is one operation for autograd: in training on a CPU, without dropout of weights."""
        if torch.compiler.is_compiling() or x.device.type != "cpu":
            return False
        return x.requires_grad and not (self.training and self.dropout.rate > 0)

    def _in_attention_dtype(self, projected: Tensor) -> Tensor:
        """The projection in `attention_dtype`, unless `forward` is going to convert it while it copies."""
        if self._differentiates_by_hand(projected):
            return projected
        return projected.to(attention_dtype(projected))

    def attention_weights(self, queries: Tensor, keys: Tensor, bias: Tensor | None) -> Tensor:
        """The attention weights, [B, H, Q, N]."""
        scores = (queries * self.scale) @ self._repeat_kv(keys).transpose(2, 3)  # [B, H, Q, N]
        if bias is not None:
            scores = scores + bias
        return softmax(scores)

    def _repeat_kv(self, x: Tensor) -> Tensor:
        """[B, G, N, K] to [B, H, N, K]: each key-value head serves H / G query heads."""
        if self.kv_heads == self.heads:
            return x
        return x.repeat_interleave(self.heads // self.kv_heads, 1)


class _AttentionFunction(Function):
    """Attention of all heads on a CPU, in float32, with its gradient.

    Composed of PyTorch's operations it copies queries, keys, values and their gradients several times: to rotate and
    scale them, to convert them, and to lay them out for the products. Here each is copied once.
    """

    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        bias: Tensor | None,
        rotary: RotaryFactors | None,
        scale: float,
    ) -> Tensor:
        """[B, H, Q, K] and twice [B, H, N, K] to [B, Q, H * K]."""
        (batch_size, heads, query_count, head_dim), key_count = queries.shape, keys.shape[2]
        q, k, v = _copy_heads(queries, rotary), _copy_heads(keys, rotary), _copy_heads(values, None)
        weights = q.new_empty(len(q), query_count, key_count)  # [B * H, Q, N]
        if bias is not None:
            weights.view(batch_size, heads, query_count, key_count).copy_(bias)
        torch.baddbmm(weights, q, k.transpose(1, 2), beta=float(bias is not None), alpha=scale, out=weights)
        weights = softmax(weights, overwrite=True)
        ctx.save_for_backward(q, k, v, weights)
        ctx.rotary, ctx.scale, ctx.heads, ctx.dtype = rotary, scale, heads, queries.dtype
        attended = queries.new_empty(batch_size, query_count, heads, head_dim)
        attended.copy_(torch.bmm(weights, v).view(batch_size, heads, query_count, head_dim).transpose(1, 2))
        return attended.flatten(2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, weights = ctx.saved_tensors
        grad = _copy_heads(grads[0].unflatten(2, (ctx.heads, -1)).transpose(1, 2), None)  # [B * H, Q, K]
        grad_v = torch.bmm(weights.transpose(1, 2), grad)
        grad_scores = torch.bmm(grad, v.transpose(1, 2))
        softmax_backward_(grad_scores, weights)
        grad_q = torch.bmm(grad_scores, k).mul_(ctx.scale)
        grad_k = torch.bmm(grad_scores.transpose(1, 2), q).mul_(ctx.scale)
        rotated = (_copy_back(x, ctx.heads, ctx.dtype, ctx.rotary) for x in (grad_q, grad_k))
        return *rotated, _copy_back(grad_v, ctx.heads, ctx.dtype, None), None, None, None


def _copy_heads(x: Tensor, rotary: RotaryFactors | None) -> Tensor:
    """[B, H, T, K] to a contiguous float32 copy [B * H, T, K], rotated by `apply_rotary`."""
    copy = torch.empty(x.shape, dtype=torch.float32)
    if rotary is None:
        copy.copy_(x)
    else:
        (cos, sin), half = rotary, x.shape[-1] // 2
        torch.mul(x, cos, out=copy)
        copy[..., :half].addcmul_(x[..., half:], sin[..., :half])
        copy[..., half:].addcmul_(x[..., :half], sin[..., half:])
    return copy.flatten(0, 1)


def _copy_back(grad: Tensor, heads: int, dtype: torch.dtype, rotary: RotaryFactors | None) -> Tensor:
    """The gradient of the input of `_copy_heads`, [B, H, T, K] as a view of [B, T, H, K]."""
    grad = grad.unflatten(0, (-1, heads))
    batch_size, _, length, head_dim = grad.shape
    result = torch.empty(batch_size, length, heads, head_dim, dtype=dtype).transpose(1, 2)
    if rotary is None:
        return result.copy_(grad)
    (cos, sin), half = rotary, head_dim // 2
    rotated = result if dtype == torch.float32 else torch.empty_like(grad)
    torch.mul(grad, cos, out=rotated)
    rotated[..., :half].addcmul_(grad[..., half:], sin[..., half:])
    rotated[..., half:].addcmul_(grad[..., :half], sin[..., :half])
    return rotated if rotated is result else result.copy_(rotated)
