"""Attention of recurrent decoders.

Legend: B batch, W queries per sentence, S source positions, U decoder units, M memory width.
"""

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

from nmt_cli.models.configs import AttentionType
from nmt_cli.models.contract import NamedTensors
from nmt_cli.models.linear import Linear, SharedProduct
from nmt_cli.models.recurrent import tanh
from nmt_cli.models.softmax import softmax


@dataclass
class EncoderMemory:
    """The encoded source, which the hypotheses of a sentence share."""

    values: Tensor  # [B, S, M]; [B, 1, M] without attention
    keys: Tensor | None  # [B, S, U]; None without attention
    padding: Tensor | None  # True where a position is padding, [B, 1, S]
    lengths: Tensor  # [B]
    key_product: SharedProduct | None = None
    value_product: SharedProduct | None = None

    def share_gradients(self) -> None:
        """Compute the gradients of keys and values once for all positions of the target, not for each of them."""
        self.value_product = SharedProduct(self.values)
        self.key_product = None if self.keys is None else SharedProduct(self.keys.transpose(1, 2))

    def match(self, queries: Tensor) -> Tensor:
        """The products of queries [B, W, U] and keys, [B, W, S]."""
        assert self.keys is not None  # transposed below as ONNX knows it, which has no `mT`
        return queries @ self.keys.transpose(1, 2) if self.key_product is None else self.key_product(queries)

    def mean(self, weights: Tensor) -> Tensor:
        """The values weighted by [B, W, S], [B, W, M]."""
        return weights @ self.values if self.value_product is None else self.value_product(weights)

    def select(self, sentences: Tensor) -> None:
        """Keep only the sentences with these indices."""
        sentences = sentences.to(self.values.device)
        self.values, self.lengths = self.values[sentences], self.lengths[sentences]
        self.keys = None if self.keys is None else self.keys[sentences]
        self.padding = None if self.padding is None else self.padding[sentences]

    def tensors(self) -> NamedTensors:
        """The tensors by name; those that are None are left out."""
        optional = {"memory_keys": self.keys, "padding": self.padding}
        present = {name: tensor for name, tensor in optional.items() if tensor is not None}
        return {"memory": self.values, "source_lengths": self.lengths, **present}

    @classmethod
    def from_tensors(cls, tensors: NamedTensors) -> Self:
        """The memory with these tensors."""
        return cls(tensors["memory"], tensors.get("memory_keys"), tensors.get("padding"), tensors["source_lengths"])


class FeedForwardScore(nn.Module):
    """v . tanh(W q + U k): Bahdanau et al. 2015 (additive) and Luong et al. 2015 (concat)."""

    def __init__(self, hidden_size: int, memory_size: int) -> None:
        super().__init__()
        self.query = Linear(hidden_size, hidden_size)
        self.key = Linear(memory_size, hidden_size, bias=False)
        self.out = Linear(hidden_size, 1, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        """The part that is computed once per sentence: [B, S, M] to [B, S, U]."""
        return self.key(memory)

    def forward(self, queries: Tensor, memory: EncoderMemory) -> Tensor:
        """Queries [B, W, U] to scores [B, W, S]."""
        assert memory.keys is not None
        projected_queries, keys = self.query(queries), memory.keys
        if torch.is_grad_enabled():
            return _FeedForwardScoreFunction.apply(projected_queries, keys, self.out.weight[0])  # type: ignore[no-untyped-call]
        return self.out(_hidden_layer(projected_queries, keys)).squeeze(3)


class _FeedForwardScoreFunction(Function):
    """v . tanh(q + k) for q [B, W, U], k [B, S, U] and v [U], with few passes over [B, W, S, U] in the gradient."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, vector: Tensor) -> Tensor:
        hidden = _hidden_layer(queries, keys)
        ctx.save_for_backward(hidden, vector)
        return hidden @ vector

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (hidden, vector), (grad,) = ctx.saved_tensors, grads
        hidden_grad = torch.ops.aten.tanh_backward(vector, hidden).mul_(grad.unsqueeze(3))
        keys_grad = hidden_grad.squeeze(1) if hidden_grad.shape[1] == 1 else hidden_grad.sum(1)
        return hidden_grad.sum(2), keys_grad, grad.flatten() @ hidden.flatten(0, 2)


def _hidden_layer(queries: Tensor, keys: Tensor) -> Tensor:
    """tanh(q + k) of each query with each key, [B, W, S, U]."""
    return tanh(queries.unsqueeze(2) + keys.unsqueeze(1), inplace=True)


class ProductScore(nn.Module):
    """q . k (dot) or q . W k (general), optionally divided by sqrt(U): Luong et al. 2015, eq. 8."""

    def __init__(self, hidden_size: int, memory_size: int, *, general: bool, scaled: bool) -> None:
        super().__init__()
        assert general or hidden_size == memory_size
        self.key = Linear(memory_size, hidden_size, bias=False) if general else nn.Identity()
        self.scale = hidden_size**-0.5 if scaled else 1.0

    def keys(self, memory: Tensor) -> Tensor:
        """[B, S, M] to [B, S, U]."""
        return self.key(memory)

    def forward(self, queries: Tensor, memory: EncoderMemory) -> Tensor:
        """Queries [B, W, U] to scores [B, W, S]."""
        return memory.match(queries * self.scale)


class CosineScore(nn.Module):
    """beta cos(q, k) with a learned sharpness beta > 0: Graves et al. 2014, eq. 5 and 6."""

    def __init__(self) -> None:
        super().__init__()
        self.log_sharpness = nn.Parameter(torch.tensor([2.0]))

    def keys(self, memory: Tensor) -> Tensor:
        """[B, S, U] to unit vectors, [B, S, U]."""
        return functional.normalize(memory, dim=-1)

    def forward(self, queries: Tensor, memory: EncoderMemory) -> Tensor:
        """Queries [B, W, U] to scores [B, W, S]."""
        return memory.match(functional.normalize(queries, dim=-1)) * self.log_sharpness.exp()


class LocalWindow(nn.Module):
    """Predictive local attention ("local-p", Luong et al. 2015, eq. 9 and 10).

    A source position p is predicted from the decoder state; scores outside p +- radius are masked, and weights
    inside are multiplied by a Gaussian around p of standard deviation radius / 2.
    """

    def __init__(self, hidden_size: int, radius: int) -> None:
        super().__init__()
        self.hidden = Linear(hidden_size, hidden_size, bias=False)
        self.out = Linear(hidden_size, 1, bias=False)
        self.radius = radius

    def forward(self, queries: Tensor, lengths: Tensor, source_length: int) -> tuple[Tensor, Tensor]:
        """Queries [B, W, U] to a mask, True outside the window, and Gaussian factors, each [B, W, S]."""
        relative_center = self.out(self.hidden(queries).tanh()).sigmoid().float()  # [B, W, 1]
        center = relative_center * (lengths[:, None, None] - 1)
        distance = torch.arange(source_length, device=queries.device) - center  # [B, W, S]
        gaussian = torch.exp(-(distance**2) / (2 * (self.radius / 2) ** 2))
        return distance.abs() > self.radius, gaussian.to(queries.dtype)


AttentionScore = FeedForwardScore | ProductScore | CosineScore


def make_score(attention_type: AttentionType, hidden_size: int, memory_size: int, *, scaled: bool) -> AttentionScore:
    """The score function of this name between decoder states [U] and memory [M]."""
    if attention_type in ("additive", "concat"):
        return FeedForwardScore(hidden_size, memory_size)
    if attention_type == "cosine":
        return CosineScore()
    return ProductScore(hidden_size, memory_size, general=attention_type == "general", scaled=scaled)


class RNNAttention(nn.Module):
    """Scores, softmax and the weighted mean of the memory."""

    def __init__(
        self, attention_type: AttentionType, hidden_size: int, memory_size: int, *, scaled: bool, radius: int | None
    ) -> None:
        super().__init__()
        self.score = make_score(attention_type, hidden_size, memory_size, scaled=scaled)
        self.window = None if radius is None else LocalWindow(hidden_size, radius)

    def forward(self, queries: Tensor, memory: EncoderMemory) -> tuple[Tensor, Tensor]:
        """Queries [B, W, U] to contexts [B, W, M] and weights [B, W, S]."""
        scores = self.score(queries, memory)
        if memory.padding is not None:
            scores = scores.masked_fill(memory.padding, float("-inf"))
        if self.window is None:
            weights = softmax(scores)
        else:
            out_of_window, gaussian = self.window(queries, memory.lengths, scores.shape[-1])
            weights = softmax(scores.masked_fill(out_of_window, float("-inf"))) * gaussian
        return memory.mean(weights), weights
