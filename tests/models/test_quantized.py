"""Linear layers in 8 bits: near the exact result, and whole models with them."""

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from nmt_cli.decoding.beam import search
from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.rescoring import log_probabilities
from nmt_cli.models import MODELS
from nmt_cli.models.contract import NonAutoregressive, Sequences
from nmt_cli.models.quantized import Int8Linear, padded_row_count, quantize, quantize_input
from nmt_cli.vocabulary import Vocabulary


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shift", [0.0, 5.0, -5.0])
@torch.no_grad()
def test_a_layer_is_within_a_hundredth_of_the_exact_one(bias: bool, shift: float) -> None:
    torch.manual_seed(1)
    exact = nn.Linear(64, 96, bias=bias)
    x = torch.randn(3, 7, 64) + shift
    expected, actual = exact(x), Int8Linear(exact)(x)
    assert actual.shape == expected.shape
    assert float((actual - expected).norm() / expected.norm()) < 0.02


@torch.no_grad()
def test_zero_stays_zero_and_a_constant_input_is_no_division_by_zero() -> None:
    layer = nn.Linear(8, 4)
    assert torch.equal(Int8Linear(layer)(torch.zeros(2, 8)), layer.bias.expand(2, 4))


@torch.no_grad()
def test_every_output_has_a_scale_of_its_own() -> None:
    layer = nn.Linear(32, 2, bias=False)
    layer.weight[0] *= 1000
    x = torch.randn(200, 32)
    expected, actual = layer(x)[:, 1], Int8Linear(layer)(x)[:, 1]
    assert float((actual - expected).norm() / expected.norm()) < 0.03


@pytest.mark.parametrize("name", list(MODELS))
def test_every_model_has_scores_close_to_float32_and_can_be_searched(name: str) -> None:
    config: Any = MODELS[name].config_class.tiny_configs()[0]
    torch.manual_seed(3)
    model = MODELS[name](config, Vocabulary(source_size=23, target_size=23, joint=True)).eval()
    source = Sequences(torch.randint(4, 23, (4, 6)), torch.tensor([6, 6, 4, 2]))
    settings = SearchConfig(beam=2, max_length=6)
    exact, hypotheses_per_source = logits(model, source), search(model, source, settings)
    ids = [row[:n] for row, n in zip(source.ids.tolist(), source.lengths.tolist(), strict=True)]
    pairs = ids, [hypotheses[0].ids for hypotheses in hypotheses_per_source]
    scores = log_probabilities(model, *pairs, 4096)
    quantize(model)
    assert not any(type(module) is nn.Linear for module in model.modules())
    assert float((logits(model, source) - exact).norm() / exact.norm()) < 0.04
    assert all(search(model, source, settings))
    # A logit and the logarithm of their sum err by 4 % of their size, as was just seen; for all
    # tokens, and no further than four standard deviations.
    token = math.sqrt(2) * 0.04 * float(exact.square().mean().sqrt())
    for text, exact_score, other in zip(pairs[1], scores, log_probabilities(model, *pairs, 4096), strict=True):
        assert other == pytest.approx(exact_score, abs=4 * token * math.sqrt(len(text) + 1))


@torch.inference_mode()
def logits(model: Any, source: Sequences) -> torch.Tensor:
    """Of all positions; the target of models that read one is the source."""
    hidden = model(source)[0] if isinstance(model, NonAutoregressive) else model(source, source)
    return model.output_logits(hidden)


def test_few_different_numbers_of_rows_occur_and_few_are_added() -> None:
    assert all(rows <= padded_row_count(rows) <= rows * 1.125 for rows in range(1, 2000))
    assert len({padded_row_count(rows) for rows in range(1, 2048)}) <= 8 * 11


@pytest.mark.parametrize("top", [127, 255])
@pytest.mark.parametrize("positive", [False, True])
def test_inputs_are_rounded_to_the_nearest_step_of_their_row(top: int, positive: bool) -> None:
    x = torch.randn(37, 64, generator=torch.Generator().manual_seed(top)) + 0.7
    x = (x.relu() if positive else x) * torch.logspace(-3, 3, 37)[:, None]
    rounded, step, zero = quantize_input(x, top, nonnegative=positive)
    assert rounded.dtype == torch.uint8 and len(rounded) == padded_row_count(37)
    assert zero == (0 if positive else (top + 1) // 2)
    back = (rounded[:37].float() - zero) * step
    assert float(((back - x).abs() / step).max()) <= 0.501
    assert int(rounded[:37].max()) <= top
    assert torch.equal(step[:, 0], x.abs().amax(1) / (top if positive else top // 2))


@pytest.mark.parametrize(("inner", "outer"), [(64, 96), (256, 8000), (1024, 256)])
@pytest.mark.parametrize("positive", [False, True])
@torch.no_grad()
def test_a_row_is_the_same_alone_in_another_order_and_in_any_batch(inner: int, outer: int, positive: bool) -> None:
    torch.manual_seed(2)
    layer = Int8Linear(nn.Linear(inner, outer), nonnegative=positive)
    x = torch.randn(300, inner) * torch.logspace(-2, 2, 300)[:, None]
    x = x.relu() if positive else x
    together, order = layer(x), torch.randperm(300)
    assert torch.equal(layer(x[order]), together[order])
    for first, size in ((0, 1), (17, 1), (5, 7), (100, 64), (13, 250)):
        assert torch.equal(layer(x[first : first + size]), together[first : first + size])
    assert torch.equal(layer(x.view(3, 100, inner)).flatten(0, 1), together)


@torch.no_grad()
def test_layers_behind_a_relu_use_all_integers_for_what_is_above_zero() -> None:
    config: Any = MODELS["transformer"].config_class.tiny_configs()
    for model_config in config:
        model = MODELS["transformer"](model_config, Vocabulary(source_size=23, target_size=23, joint=True))
        quantize(model)
        positive = {n for n, m in model.named_modules() if isinstance(m, Int8Linear) and m.nonnegative}
        assert len(positive) == (model_config.encoder_layers + model_config.decoder_layers) * (
            model_config.activation == "relu"
        )
        assert all(name.endswith("feed_forward.network.contract") for name in positive)


@torch.no_grad()
def test_a_parametrized_layer_is_quantized_and_one_that_computes_otherwise_is_not() -> None:
    class Doubled(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2.0 * super().forward(x)

    torch.manual_seed(1)
    model = nn.Sequential(weight_norm(nn.Linear(32, 16)), Doubled(16, 8))
    x = torch.randn(4, 32)
    expected = model(x)
    quantize(model)
    assert isinstance(model[0], Int8Linear) and isinstance(model[1], Doubled)
    assert float((model(x) - expected).norm() / expected.norm()) < 0.02
