"""Flat weights behave as the parameters that they are."""

import pytest
import torch
from torch import nn

from nmt_cli.training.config import OptimizerName
from nmt_cli.training.optimizer import FlatOptimizer
from nmt_cli.training.parameters import FlatParameters


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))


def learn(model: nn.Module, weights: FlatParameters, optimizer: FlatOptimizer, updates: int) -> None:
    for update in range(updates):
        torch.manual_seed(update)
        x = torch.randn(5, 3, dtype=next(model.parameters()).dtype)
        model(x).pow(2).sum().backward()
        weights.accumulate_grad()
        optimizer.step(0.01, 1.0)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_flat_updates_equal_pytorchs_own(name: OptimizerName) -> None:
    decay = 0.1 if name == "adamw" else 0.0
    model, other = network(), network()
    weights = FlatParameters(model, torch.float32)
    learn(model, weights, FlatOptimizer(weights, name, (0.9, 0.98), 1e-9, decay), 5)
    matrices = [p for p in other.parameters() if p.ndim > 1]
    vectors = [p for p in other.parameters() if p.ndim < 2]
    kind = torch.optim.Adam if name == "adam" else torch.optim.AdamW
    groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0}]
    optimizer = kind(groups, lr=0.01, betas=(0.9, 0.98), eps=1e-9)
    for update in range(5):
        torch.manual_seed(update)
        optimizer.zero_grad()
        other(torch.randn(5, 3)).pow(2).sum().backward()
        nn.utils.clip_grad_norm_(other.parameters(), 1.0)
        optimizer.step()
    for parameter, expected in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(parameter, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_masters_are_float32_and_the_model_computes_in_the_chosen_type(dtype: torch.dtype) -> None:
    model = network()
    weights = FlatParameters(model, dtype)
    learn(model, weights, FlatOptimizer(weights, "adam", (0.9, 0.98), 1e-9, 0.0), 3)
    named = weights.unflatten(weights.master)
    for name, parameter in model.named_parameters():
        assert parameter.dtype == dtype and named[name].dtype == torch.float32
        assert torch.equal(parameter, named[name].to(dtype))


def test_the_norm_of_a_large_gradient_is_exact() -> None:
    weights = FlatParameters(nn.Linear(1 << 12, 1 << 10), torch.float32)
    weights.gradient.fill_(1e-3)
    norm = FlatOptimizer(weights, "adam", (0.9, 0.98), 1e-9, 0.0).step(0.0, None)
    assert float(norm) == pytest.approx(1e-3 * weights.numel**0.5, rel=1e-4)  # 0.1 % less as a single sum


def test_split_and_join_are_inverse() -> None:
    weights = FlatParameters(network(), torch.float32)
    assert torch.equal(weights.flatten(weights.unflatten(weights.master)), weights.master)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_showing_other_weights_ends_with_the_block(dtype: torch.dtype) -> None:
    model = network()
    weights = FlatParameters(model, dtype)
    before, addresses = weights.master.clone(), [parameter.data_ptr() for parameter in model.parameters()]
    with weights.swapped_in(torch.zeros_like(before)):
        assert all(float(p.detach().abs().sum()) == 0 for p in model.parameters())
    with weights.swapped_in(weights.master):  # on a CPU in float32
        assert all(
            torch.equal(parameter, weights.unflatten(before)[name]) for name, parameter in model.named_parameters()
        )
    assert torch.equal(weights.master, before)
    assert [parameter.data_ptr() for parameter in model.parameters()] == addresses
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}


def test_a_restored_optimizer_goes_on_bit_for_bit() -> None:
    straight, broken = network(), network()
    straight_weights, other = (FlatParameters(straight, torch.float32), FlatParameters(broken, torch.float32))
    learn(straight, straight_weights, FlatOptimizer(straight_weights, "adam", (0.9, 0.98), 1e-9, 0.0), 4)
    first = FlatOptimizer(other, "adam", (0.9, 0.98), 1e-9, 0.0)
    learn(broken, other, first, 4)
    again = FlatParameters(network(1), torch.float32)
    again.load_master(other.master)
    second = FlatOptimizer(again, "adam", (0.9, 0.98), 1e-9, 0.0)
    second.load_state_tensors({key: value.clone() for key, value in first.state_tensors().items()})
    for weights, optimizer in ((other, first), (again, second)):
        weights.gradient.fill_(0.5)
        optimizer.step(0.01, None)
    assert torch.equal(other.master, again.master)


def test_restoring_nothing_is_a_fresh_optimizer() -> None:
    """As older checkpoints from before the first update have it."""
    model = network()
    weights = FlatParameters(model, torch.float32)
    optimizer = FlatOptimizer(weights, "adam", (0.9, 0.98), 1e-9, 0.0)
    learn(model, weights, optimizer, 2)
    assert all(bool(value.any()) for value in optimizer.state_tensors().values())
    optimizer.load_state_tensors({})
    assert not any(bool(value.any()) for value in optimizer.state_tensors().values())
    with pytest.raises(LookupError):
        optimizer.load_state_tensors({"2.step": torch.ones(())})
