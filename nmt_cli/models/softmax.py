"""Softmax over the last dimension, also over few numbers, as attention to short sentences needs it."""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional


def softmax(scores: Tensor, *, overwrite: bool = False) -> Tensor:
    """`scores.softmax(-1)`, with `overwrite` in the memory of `scores` where that is possible.

    A CPU takes up to ten times as long for rows shorter than a register, whose numbers PyTorch computes one by one, so
    such rows are padded.
    """
    length = scores.shape[-1]
    if not _is_short_row(scores):
        return torch.softmax(scores, -1, out=scores) if overwrite else scores.softmax(-1)
    padded = functional.pad(scores, (0, register_width() - length), value=float("-inf"))
    return padded.softmax(-1)[..., :length]


def softmax_backward_(grad: Tensor, weights: Tensor) -> Tensor:
    """The gradient of the scores, in the place of `grad`, that of `weights = softmax(scores)`."""
    if not _is_short_row(weights):
        return torch._softmax_backward_data(grad, weights, -1, weights.dtype, grad_input=grad)
    grad.mul_(weights)
    return grad.addcmul_(weights, grad.sum(-1, keepdim=True), value=-1)


def _is_short_row(x: Tensor) -> bool:
    """Whether the last dimension of `x` is shorter than a register of the CPU; False where that cannot be asked."""
    if torch.jit.is_tracing() or torch.compiler.is_compiling():  # type: ignore[no-untyped-call, attr-defined]
        return False
    return x.device.type == "cpu" and x.shape[-1] < register_width()


@cache
def register_width() -> int:
    """The float32 numbers in a register of the instructions that PyTorch uses on this CPU."""
    return 16 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 8
