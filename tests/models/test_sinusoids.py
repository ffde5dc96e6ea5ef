"""Positions: the table of sinusoids stays exact, and rotation is the one of the paper."""

import pytest
import torch

from nmt_cli.models.positions import apply_rotary, make_positions, sinusoid_table


@pytest.mark.parametrize("kind", ["sinusoidal", "sinusoidal_halves", "sinusoidal_marianmt"])
def test_a_model_that_was_in_bfloat16_adds_the_same_positions_as_before(kind: str) -> None:
    module = make_positions(kind, 32, 100)  # type: ignore[arg-type]
    x = torch.zeros(1, 700, 32)
    module.to(torch.bfloat16)
    module(x.bfloat16())  # the table has grown meanwhile
    module.to(torch.float32)
    assert torch.equal(module(x)[0], sinusoid_table(700, 32, kind))  # type: ignore[arg-type]


@pytest.mark.parametrize("first", [0, 5])
def test_rotation_turns_pairs_of_dimensions_by_their_angles(first: int) -> None:
    x = torch.randn(2, 3, 7, 8)
    turned = apply_rotary(x, first)
    for place in range(7):
        for pair in range(4):
            angle = torch.tensor((first + place) / 10000 ** (pair / 4))
            left, right = x[..., place, pair], x[..., place, pair + 4]
            expected = left * angle.cos() - right * angle.sin()
            torch.testing.assert_close(turned[..., place, pair], expected, atol=1e-5, rtol=1e-5)
            expected = left * angle.sin() + right * angle.cos()
            torch.testing.assert_close(turned[..., place, pair + 4], expected, atol=1e-5, rtol=1e-5)
    each = torch.tensor([first, first])
    torch.testing.assert_close(apply_rotary(x, each), turned)


def test_what_a_search_has_turned_can_be_trained_with() -> None:
    x = torch.randn(1, 2, 3, 16)
    with torch.inference_mode():
        apply_rotary(x, 41)  # remembered
    x.requires_grad_()
    apply_rotary(x, 41).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
