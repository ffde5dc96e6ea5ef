"""The loss in chunks against PyTorch's own in one piece."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from nmt_cli.models import MODELS
from nmt_cli.models.contract import Sequences
from nmt_cli.models.linear import Linear
from nmt_cli.models.transformer import Transformer
from nmt_cli.training import loss as module
from nmt_cli.training.memory_estimate import estimate_memory
from nmt_cli.training.parameters import FlatParameters
from nmt_cli.vocabulary import Vocabulary

VOCABULARY = Vocabulary(source_size=40, target_size=40, joint=True)


def batch() -> tuple[Sequences, Sequences, Sequences]:
    torch.manual_seed(0)
    lengths = torch.tensor([5, 3, 6])
    return (
        Sequences(torch.randint(4, 40, (3, 4)), torch.tensor([4, 2, 3])),
        Sequences(torch.randint(4, 40, (3, 6)), lengths),
        Sequences(torch.randint(4, 40, (3, 6)), lengths),
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("chunk", [40, 120, 10_000])
def test_chunks_give_the_loss_and_gradients_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, smoothing: float, chunk: int
) -> None:
    monkeypatch.setattr(module, "MAX_CPU_LOGITS", chunk)
    monkeypatch.setattr(module, "ROW_MULTIPLE", 2)  # 14 positions are 7 times as many, in chunks of 1, 3, all
    torch.manual_seed(1)
    model = MODELS["transformer"](MODELS["transformer"].config_class.tiny_configs()[0], VOCABULARY)
    source, target_in, target_out = batch()
    loss = module.forward_backward(model, source, target_in, target_out, smoothing=smoothing, scale=0.5)
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    logits = model.output_logits(model(source, target_in))
    ids = target_out.ids.masked_fill(torch.arange(6) >= target_out.lengths[:, None], -100)
    whole = functional.cross_entropy(logits.flatten(0, 1), ids.flatten(), label_smoothing=smoothing, reduction="sum")
    (0.5 * whole).backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(loss, whole.detach())
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, atol=1e-5, rtol=1e-4)
    plain = functional.cross_entropy(logits.flatten(0, 1), ids.flatten(), reduction="sum")
    torch.testing.assert_close(module.evaluate_nll(model, source, target_in, target_out), plain.detach())


class Capped(Transformer):
    """Logits that are scaled and bounded, and whose gradient needs them themselves."""

    def output_logits(self, hidden: Tensor) -> Tensor:
        return (self.output(hidden) * 0.3).tanh()


class Doubled(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return 2.0 * super().forward(x)


def own_model(kind: str) -> Any:
    """A model with an output that is no plain linear layer with a bias."""
    torch.manual_seed(1)
    cls = Capped if kind == "capped without bias" else Transformer
    config = MODELS["transformer"].config_class.tiny_configs()[0].model_copy(update={"tied_embeddings": "none"})
    model = cls(config, VOCABULARY)  # type: ignore[arg-type]
    width = model.output.in_features
    if "without bias" in kind:
        model.output = nn.Linear(width, 40, bias=False)
    elif kind == "weight_norm":
        weight_norm(model.output)
    elif kind == "subclass":
        model.output = Doubled(width, 40)
    return model


OWN = ["capped without bias", "without bias", "weight_norm", "subclass"]


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize("compiled", [False, True])
def test_a_model_with_logits_of_its_own_gets_the_gradients_of_the_whole_loss(
    monkeypatch: pytest.MonkeyPatch, kind: str, compiled: bool
) -> None:
    """In a replica, too, whose gradients become part of the sum."""
    monkeypatch.setattr(module, "MAX_CPU_LOGITS", 160)
    monkeypatch.setattr(module, "ROW_MULTIPLE", 4)  # 14 positions and 2 fillers
    model = own_model(kind)
    assert not model.has_affine_output
    source, target_in, target_out = batch()
    logits = model.output_logits(model(source, target_in))
    ids = target_out.ids.masked_fill(torch.arange(6) >= target_out.lengths[:, None], -100)
    whole = functional.cross_entropy(logits.flatten(0, 1), ids.flatten(), label_smoothing=0.1, reduction="sum")
    expected = torch.autograd.grad(0.5 * whole, list(model.parameters()))
    expected_by_name = dict(zip(dict(model.named_parameters()), expected, strict=True))
    parameters = FlatParameters(model, torch.float32)
    function = module.logits_gradient if compiled else None  # what is compiled does not write into the logits
    for copy in (model, parameters.replicate(model)):
        loss = module.forward_backward(
            copy, source, target_in, target_out, smoothing=0.1, scale=0.5, gradient_function=function
        )
        torch.testing.assert_close(loss, whole.detach())
    parameters.accumulate_grad()
    for name, gradient in parameters.unflatten(parameters.gradient).items():
        torch.testing.assert_close(gradient, 2 * expected_by_name[name], atol=1e-5, rtol=1e-4)
    plain = functional.cross_entropy(logits.flatten(0, 1), ids.flatten(), reduction="sum")
    torch.testing.assert_close(module.evaluate_nll(model, source, target_in, target_out), plain.detach())


@pytest.mark.parametrize("kind", OWN)
def test_the_memory_of_an_output_of_its_own_does_not_grow_with_the_batch(kind: str) -> None:
    own, plain = (estimate_memory(own_model(k), torch.float32, 12, 10, 2) for k in (kind, "plain"))
    assert own.activation_bytes == pytest.approx(plain.activation_bytes, rel=0.01)


@pytest.mark.parametrize("name", list(MODELS))
def test_the_models_of_nmt_have_the_output_that_is_differentiated_by_hand(name: str) -> None:
    for config in MODELS[name].config_class.tiny_configs():
        model = MODELS[name](config, VOCABULARY)
        assert model.has_affine_output
    own = MODELS[name](config, VOCABULARY)
    own.output = Linear(own.output.in_features, 40)
    assert own.has_affine_output


def test_scored_rows_are_selected_where_the_device_has_no_operation_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "nonzero_static", None)
    lengths = torch.tensor([5, 3, 6])
    ids = torch.empty(3, 6, dtype=torch.long, device="meta")
    rows = module._ScoredRows.select(torch.empty(3, 6, 8, device="meta"), Sequences(ids, lengths.to("meta"), lengths))
    assert rows.indices is not None and len(rows.indices) == rows.real_rows == 14
    expected = [*range(5), *range(6, 9), *range(12, 18)]
    assert Sequences(torch.zeros(3, 6), lengths).token_indices().tolist() == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_gradient_in_place_is_the_one_that_is_compiled(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> None:
    """In bfloat16 the gradient is rounded once, to 8 bits."""
    monkeypatch.setattr(module, "CPU_CACHE_LOGITS", 3 * 40)  # blocks of three rows
    torch.manual_seed(2)
    logits, targets = (4 * torch.randn(7, 40)).to(dtype), torch.randint(0, 40, (7,))
    targets[-1] = module.IGNORE_INDEX
    expected = module.logits_gradient(logits, targets, 0.1)
    actual = module.logits_gradient_in_place(logits, targets, 0.1)
    assert actual.gradient is logits
    torch.testing.assert_close(actual.sums, expected.sums)
    torch.testing.assert_close(
        actual.gradient[:-1], expected.gradient[:-1], rtol=2**-8 if dtype == torch.bfloat16 else 1e-4, atol=1e-6
    )


def test_a_hopeless_target_has_a_finite_loss_and_a_broken_model_none() -> None:
    logits = torch.zeros(2, 8)
    logits[0, 1], logits[1, 2] = 500.0, float("nan")
    hopeless, broken = (module.logits_gradient_in_place(row[None].clone(), torch.tensor([3]), 0.1) for row in logits)
    assert 87.0 < float(hopeless.sums[0]) < 88.0 and bool(hopeless.gradient.isfinite().all())
    assert not bool(broken.sums.isfinite().any())


def test_no_tensor_holds_the_logits_of_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CPU_LOGITS", 4 * 40)
    monkeypatch.setattr(module, "ROW_MULTIPLE", 2)
    sizes: list[int] = []
    original = module.logits_gradient_in_place

    def record(logits: torch.Tensor, targets: torch.Tensor, smoothing: float) -> module.LogitsGradient:
        sizes.append(len(logits))
        return original(logits, targets, smoothing)

    monkeypatch.setattr(module, "logits_gradient_in_place", record)
    model = MODELS["transformer"](MODELS["transformer"].config_class.tiny_configs()[0], VOCABULARY)
    module.forward_backward(model, *batch(), smoothing=0.1, scale=1.0)
    assert sizes == [4, 4, 4, 2]
