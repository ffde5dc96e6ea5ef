"""Cheap masks are still dropout."""

import pytest
import torch

from nmt_cli.models.dropout import Dropout, seed_masks


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_a_share_is_zero_and_the_rest_is_scaled(dtype: torch.dtype, rate: float) -> None:
    seed_masks(1)
    x = torch.ones(1000, 333, dtype=dtype)
    y = Dropout(rate)(x).float()
    assert float((y == 0).float().mean()) == pytest.approx(rate, abs=0.005)
    assert float(y.mean()) == pytest.approx(1.0, abs=0.01)
    assert len(y.unique()) == 2


def test_the_key_decides_the_masks() -> None:
    x, dropout = torch.ones(64, 64), Dropout(0.3)

    def masks(*key: int) -> list[torch.Tensor]:
        seed_masks(*key)
        return [dropout(x), dropout(x)]

    first, second = masks(1, 7, 0)
    again = masks(1, 7, 0)
    assert torch.equal(first, again[0]) and torch.equal(second, again[1])
    assert not torch.equal(first, second)
    assert not torch.equal(first, masks(1, 8, 0)[0])
    assert not torch.equal(first, masks(2, 7, 0)[0])


def test_the_gradient_has_the_mask_of_the_output() -> None:
    x = torch.ones(50, 50, requires_grad=True)
    y = Dropout(0.4)(x)
    y.sum().backward()  # type: ignore[no-untyped-call]
    assert torch.equal(x.grad, y.detach())


def test_nothing_is_dropped_in_evaluation() -> None:
    x = torch.ones(10, 10)
    assert torch.equal(Dropout(0.9).eval()(x), x)
