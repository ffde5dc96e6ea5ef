"""The loss in chunks against PyTorch's own in one piece."""

import pytest
import torch
from torch.nn import functional

from nmt_cli.models import MODELS
from nmt_cli.models.contract import Sequences
from nmt_cli.training import loss as module
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
