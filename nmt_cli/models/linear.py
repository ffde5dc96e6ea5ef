"""Linear layers whose gradient is added to the sum by the product that computes it."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional


class Linear(nn.Linear):
    """nn.Linear; where its parameters have gradients already, the new ones are added to them by the matrix product
    itself, instead of being computed into a tensor of their own first."""

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        is_compiling = torch.compiler.is_compiling()  # a compiler would make a graph for every answer to the rest
        if is_compiling or not torch.is_grad_enabled() or self.weight.grad is None:
            return functional.linear(x, self.weight, self.bias)
        return _LinearFunction.apply(x, self.weight, self.bias)  # type: ignore[no-untyped-call]


class _LinearFunction(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        ctx.save_for_backward(rows)
        ctx.weight, ctx.bias, ctx.shape = weight, bias, x.shape
        return functional.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, None, None]:
        (rows,) = ctx.saved_tensors
        grad = grads[0].reshape(-1, grads[0].shape[-1])
        gradient_of(ctx.weight).addmm_(grad.t(), rows)
        if ctx.bias is not None:
            gradient_of(ctx.bias).add_(grad.sum(0))
        return (torch.mm(grad, ctx.weight).view(ctx.shape) if ctx.needs_input_grad[0] else None), None, None


def gradient_of(parameter: Tensor) -> Tensor:
    """The gradient of a parameter, to add to; zeros if there was none."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad
