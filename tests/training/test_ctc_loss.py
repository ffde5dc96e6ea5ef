"""CTC in groups of sentences against PyTorch's own in one piece."""

import pytest
import torch
from torch.nn import functional

from nmt_cli.models import MODELS
from nmt_cli.models.contract import Sequences
from nmt_cli.training import loss as module
from nmt_cli.vocabulary import Vocabulary


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("chunk", [1, 40 * 12 * 2, 1 << 20])
def test_groups_give_the_loss_and_gradients_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, smoothing: float, chunk: int
) -> None:
    monkeypatch.setattr(module, "MAX_CPU_LOGITS", chunk)
    torch.manual_seed(1)
    vocabulary = Vocabulary(source_size=40, target_size=40, joint=True)
    model = MODELS["ctc"](MODELS["ctc"].config_class.tiny_configs()[0], vocabulary)
    source = Sequences(torch.randint(4, 40, (3, 4)), torch.tensor([4, 2, 3]))
    target = Sequences(torch.randint(4, 40, (3, 6)), torch.tensor([5, 3, 6]))
    loss = module.forward_backward(model, source, target, target, smoothing=smoothing, scale=0.5)
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    hidden, emitted = model(source)
    rows = model.output_logits(hidden).log_softmax(-1)
    nll = functional.ctc_loss(rows.transpose(0, 1), target.ids, emitted, target.lengths - 1, 0, "sum")
    real = torch.arange(rows.shape[1]) < emitted[:, None]
    whole = (1 - smoothing) * nll - smoothing * (rows.mean(-1) * real).sum()
    (0.5 * whole).backward()
    torch.testing.assert_close(loss, whole.detach())
    torch.testing.assert_close(module.evaluate_nll(model, source, target, target), nll.detach())
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, atol=1e-5, rtol=1e-4)


def test_a_target_too_long_for_its_positions_counts_nothing() -> None:
    vocabulary = Vocabulary(source_size=40, target_size=40, joint=True)
    model = MODELS["ctc"](MODELS["ctc"].config_class.tiny_configs()[0], vocabulary)
    source = Sequences(torch.tensor([[5]]), torch.tensor([1]))
    target = Sequences(torch.arange(4, 24)[None], torch.tensor([20]))
    loss = module.forward_backward(model, source, target, target, smoothing=0.0, scale=1.0)
    assert float(loss) == 0.0
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients and all(bool(gradient.isfinite().all()) for gradient in gradients)


def test_targets_that_cannot_be_emitted_are_not_among_the_evaluated_tokens() -> None:
    vocabulary = Vocabulary(source_size=40, target_size=40, joint=True)
    config = MODELS["ctc"].config_class.tiny_configs()[0].model_copy(update={"upsample": 2})
    model = MODELS["ctc"](config, vocabulary)
    source = Sequences(torch.full((4, 2), 5), torch.tensor([2, 2, 2, 1]))  # 4, 4, 4 and 2 outputs
    ids = torch.tensor([[7, 8, 9, 7, 3], [7, 7, 8, 8, 3], [7, 7, 8, 3, 3], [7, 8, 9, 3, 0]])
    target = Sequences(ids, torch.tensor([5, 5, 4, 4]))  # need 4, 6, 4 and 3 outputs
    assert module.evaluated_tokens(model, source, target) == 5 + 4
    by_sentence = [
        float(module.evaluate_nll(model, *(Sequences(part.ids[i : i + 1], part.lengths[i : i + 1])
                                           for part in (source, target, target))))
        for i in range(4)
    ]  # fmt: skip
    assert [nll > 0 for nll in by_sentence] == [True, False, True, False]
