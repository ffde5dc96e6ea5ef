"""Softmax and its gradient, against PyTorch's."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from nmt_cli.models.softmax import register_width, softmax, softmax_backward_


class SoftmaxRows(TorchDispatchMode):
    """Lists how long the rows are that PyTorch's softmax is given."""

    def __init__(self) -> None:
        super().__init__()
        self.lengths: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._softmax.default:
            self.lengths.append(args[0].shape[-1])
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("length", [1, 7, 8, 15, 16, 17])
def test_softmax_of_short_rows_equals_that_of_pytorch(length: int, overwrite: bool) -> None:
    torch.manual_seed(1)
    scores = torch.randn(2, 3, length)
    scores[0, 0, 1:] = -torch.inf
    leaf, direction = scores.clone().requires_grad_(), torch.randn_like(scores)
    expected = leaf.softmax(-1)
    expected.backward(direction)
    assert leaf.grad is not None
    given = scores.clone()
    weights = softmax(given, overwrite=overwrite)
    torch.testing.assert_close(weights, expected.detach())
    assert (weights.data_ptr() == given.data_ptr()) == (overwrite and length >= register_width())
    grad = softmax_backward_(direction, weights)
    torch.testing.assert_close(grad, leaf.grad)
    assert grad.data_ptr() == direction.data_ptr()


def test_pytorch_never_sees_a_row_shorter_than_a_register() -> None:
    with SoftmaxRows() as seen:
        assert softmax(torch.zeros(3, 5)).shape == (3, 5)
        softmax(torch.zeros(3, 40))
    assert seen.lengths == [register_width(), 40]
