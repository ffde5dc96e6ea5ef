"""Embeddings whose gradients are summed in float32."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

from nmt_cli.vocabulary import Vocabulary


class _EmbeddingFunction(Function):
    """Looks up rows; in bfloat16 the sum of a frequent row's gradients would lose precision."""

    @staticmethod
    def forward(ctx: Any, ids: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.weight = weight
        return functional.embedding(ids, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor | None]:
        (ids,) = ctx.saved_tensors
        rows, weight = grads[0].flatten(0, -2).float(), ctx.weight
        if weight.grad is not None and weight.dtype == torch.float32:
            weight.grad.index_add_(0, ids.flatten(), rows)
            return None, None
        grad_weight = torch.zeros(weight.shape, dtype=torch.float32, device=rows.device)
        return None, grad_weight.index_add_(0, ids.flatten(), rows).to(weight.dtype)


class Embedding(nn.Module):
    """A table [V, D] of vectors, drawn from N(0, 1/D); `scaled` multiplies what is looked up by sqrt(D)."""

    def __init__(self, num_embeddings: int, embedding_dim: int, *, scaled: bool = False) -> None:
        super().__init__()
        self.scale = embedding_dim**0.5 if scaled else 1.0
        self.weight = nn.Parameter(torch.empty(num_embeddings, embedding_dim).normal_(std=embedding_dim**-0.5))

    def forward(self, ids: Tensor) -> Tensor:
        """Ids of any shape [...] in, vectors [..., D] out."""
        if torch.is_grad_enabled() and self.weight.requires_grad:
            vectors: Tensor = _EmbeddingFunction.apply(ids, self.weight)  # type: ignore[no-untyped-call]
        else:
            vectors = functional.embedding(ids, self.weight)
        return vectors if self.scale == 1.0 else vectors * self.scale


def make_embeddings(
    vocabulary: Vocabulary, embedding_dim: int, *, shared: bool, scaled: bool = False
) -> tuple[Embedding, Embedding]:
    """The tables of source and target: the same one if it is `shared`."""
    source = Embedding(vocabulary.source_size, embedding_dim, scaled=scaled)
    return source, source if shared else Embedding(vocabulary.target_size, embedding_dim, scaled=scaled)
