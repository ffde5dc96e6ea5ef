"""Linear layers and products whose gradients cost few passes over memory."""

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


class SharedProduct:
    """x @ matrix + bias for the positions of a sequence, one after the other.

    The gradient of the matrix is computed at the end of the backward pass, by one product for all positions. Autograd
    would compute one per position and add it to the others.
    """

    def __init__(self, matrix: Tensor, bias: Tensor | None = None) -> None:
        """A matrix [I, O], or one for each sentence [B, I, O]; a bias [O]."""
        self._terms: list[tuple[Tensor, Tensor]] = []  # inputs and gradients of outputs, from the backward pass
        self._matrix, self._bias = _SharedOperand.apply(matrix, bias, self._terms)  # type: ignore[no-untyped-call]

    def __call__(self, x: Tensor) -> Tensor:
        """[N, I] to [N, O], or [B, W, I] to [B, W, O]."""
        product: Tensor = _SharedProduct.apply(x, self._matrix, self._bias, self._terms)  # type: ignore[no-untyped-call]
        return product


class _SharedOperand(Function):
    """The identity of matrix and bias; comes last in the backward pass."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, bias: Tensor | None, terms: list[tuple[Tensor, Tensor]]) -> Any:
        ctx.terms, ctx.has_bias = terms, bias is not None
        ctx.set_materialize_grads(False)  # there are none: `_SharedProduct` leaves terms instead
        return matrix.view_as(matrix), None if bias is None else bias.view_as(bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, Tensor | None, None]:
        inputs, output_grads = (torch.cat(tensors, -2) for tensors in zip(*ctx.terms, strict=True))
        ctx.terms.clear()
        return inputs.mT @ output_grads, output_grads.sum(0) if ctx.has_bias else None, None


class _SharedProduct(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: Tensor, bias: Tensor | None, terms: list[tuple[Tensor, Tensor]]) -> Tensor:
        ctx.save_for_backward(x, matrix)
        ctx.terms = terms
        return x @ matrix if bias is None else torch.addmm(bias, x, matrix)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, None, None, None]:
        x, matrix = ctx.saved_tensors
        ctx.terms.append((x.detach(), grads[0]))
        return (grads[0] @ matrix.mT if ctx.needs_input_grad[0] else None), None, None, None


def gradient_of(parameter: Tensor) -> Tensor:
    """The gradient of a parameter, to add to; zeros if there was none."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad
