"""Gradients that are written by hand, against those of PyTorch's own operations."""

import pytest
import torch
from torch import Tensor, nn

from nmt_cli.models.attention import MultiHeadAttention
from nmt_cli.models.embedding import Embedding
from nmt_cli.models.linear import Linear

TYPES = [torch.float32, torch.bfloat16]
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 0.03}  # of the largest entry; bfloat16 has 8 bits, sums of 8 terms


def assert_near(actual: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    difference = (actual.float() - expected.float()).abs().max()
    assert float(difference) <= TOLERANCE[dtype] * float(expected.float().abs().max())


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("rotary", [None, 3, torch.tensor([2, 0])], ids=["", "rotary", "rotary-of-each-sentence"])
@pytest.mark.parametrize("key_value_heads, masked", [(4, True), (2, False)])
def test_attention_by_hand_equals_composed_attention(
    dtype: torch.dtype, rotary: int | Tensor | None, key_value_heads: int, masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    attend = MultiHeadAttention(16, 4, key_value_heads, 0.0).to(dtype).train()
    x, direction = torch.randn(2, 5, 16, dtype=dtype), torch.randn(2, 5, 16, dtype=dtype)
    bias = torch.zeros(2, 1, 5, 5).masked_fill(torch.ones(5, 5).triu(1).bool(), float("-inf")) if masked else None
    results = []
    for by_hand in (True, False):
        if not by_hand:
            monkeypatch.setattr(MultiHeadAttention, "_differentiates_by_hand", lambda *_: False)
        leaf = x.clone().requires_grad_()
        attended = attend(attend.queries(leaf), *attend.keys_values(leaf), bias, rotary)
        attend.zero_grad()
        (attended * direction).sum().backward()
        assert leaf.grad is not None
        results.append(
            [attended.detach(), leaf.grad, *(p.grad.clone() for p in attend.parameters() if p.grad is not None)]
        )
    assert len(results[0]) == len(results[1]) == 8
    for actual, expected in zip(*results, strict=True):
        assert_near(actual, expected, dtype)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer_adds_its_gradients_to_what_is_there(dtype: torch.dtype, bias: bool) -> None:
    torch.manual_seed(1)
    layer, plain = Linear(6, 4, bias=bias).to(dtype), nn.Linear(6, 4, bias=bias).to(dtype)
    plain.load_state_dict(layer.state_dict())
    inputs = [torch.randn(2, 3, 6, dtype=dtype).requires_grad_() for _ in range(4)]  # the first finds no gradient
    twins = [x.detach().clone().requires_grad_() for x in inputs]
    for x, twin in zip(inputs, twins, strict=True):
        for module, leaf in ((layer, x), (plain, twin)):
            module(leaf).square().sum().backward()
        assert x.grad is not None and twin.grad is not None
        assert_near(x.grad, twin.grad, dtype)
    for parameter, expected in zip(layer.parameters(), plain.parameters(), strict=True):
        assert parameter.grad is not None and expected.grad is not None
        assert_near(parameter.grad, expected.grad, dtype)
    assert torch.equal(layer(inputs[0]), plain(inputs[0]))


@pytest.mark.parametrize("dtype", TYPES)
def test_the_gradient_of_a_frequent_word_is_summed_in_float32(dtype: torch.dtype) -> None:
    """1,024 times 1/256 would stop at 1 in bfloat16, where 1 + 1/256 is 1."""
    embedding = Embedding(5, 2).to(dtype)
    ids = torch.full((1024,), 3)
    for total in (4.0, 8.0):
        (embedding(ids) / 256).sum().backward()
        assert embedding.weight.grad is not None
        assert embedding.weight.grad[3].tolist() == [total, total] and float(embedding.weight.grad.sum()) == 2 * total
