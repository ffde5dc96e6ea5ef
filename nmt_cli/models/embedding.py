"""Embeddings whose gradients are summed in float32."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional


class _EmbeddingFunction(Function):
    """Looks up rows; in bfloat16 the sum of a frequent row's gradients would lose precision."""

    @staticmethod
    def forward(ctx: Any, ids: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.rows, ctx.type = weight.shape[0], weight.dtype
        return functional.embedding(ids, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor]:
        (ids,) = ctx.saved_tensors
        (grad,) = grads
        grad_weight = torch.zeros(ctx.rows, grad.shape[-1], dtype=torch.float32, device=grad.device)
        grad_weight.index_add_(0, ids.flatten(), grad.flatten(0, -2).float())
        return None, grad_weight.to(ctx.type)


class Embedding(nn.Module):
    """A table [V, D] of vectors, drawn from N(0, D^-1/2)."""

    def __init__(self, num_embeddings: int, embedding_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_embeddings, embedding_dim).normal_(std=embedding_dim**-0.5))

    def forward(self, ids: Tensor) -> Tensor:
        """Ids of any shape [...] in, vectors [..., D] out."""
        if not (torch.is_grad_enabled() and self.weight.requires_grad):
            return functional.embedding(ids, self.weight)
        result: Tensor = _EmbeddingFunction.apply(ids, self.weight)  # type: ignore[no-untyped-call]
        return result
