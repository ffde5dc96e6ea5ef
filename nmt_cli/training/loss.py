"""Cross-entropy with label smoothing, in pieces that never hold all logits at once."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from nmt_cli.models.contract import Autoregressive, Sequences

CHUNK = 1 << 23  # logits held at a time: 32 MiB in float32


class LossSum(NamedTuple):
    """Sums over the real tokens of a batch; stays on the device until it is read."""

    smoothed: Tensor  # what is minimised
    nll: Tensor  # negative log-likelihood, natural logarithm
    tokens: int


Model = Autoregressive[Any, Any]


def hidden_and_targets(
    model: Model, source: Sequences, target_in: Sequences, target_out: Sequences
) -> tuple[Tensor, Tensor]:
    """Hidden states [N, D] of the N real target positions, and the ids [N] to predict there."""
    hidden = model(source, target_in)
    padding = target_out.padding()
    if padding is None:
        return hidden.flatten(0, 1), target_out.ids.flatten()
    real = (~padding).flatten().nonzero().squeeze(1)
    return hidden.flatten(0, 1)[real], target_out.ids.flatten()[real]


def backward(
    model: Model,
    source: Sequences,
    target_in: Sequences,
    target_out: Sequences,
    *,
    smoothing: float,
    scale: float,
) -> LossSum:
    """Add the gradients of scale * loss to the parameters.

    Each chunk of positions is projected, scored and differentiated by itself, so that its logits
    are gone before the next chunk's are made; the sum of its gradients goes on into the model.
    """
    hidden, targets = hidden_and_targets(model, source, target_in, target_out)
    size = max(1, CHUNK // model.vocabulary.target_size)
    gradients, sums = [], []
    for part, ids in zip(hidden.detach().split(size), targets.split(size), strict=True):
        leaf = part.requires_grad_()
        smoothed, nll = _cross_entropy(model.project(leaf), ids, smoothing)
        (smoothed * scale).backward()
        assert leaf.grad is not None
        gradients.append(leaf.grad)
        sums.append(torch.stack([smoothed.detach(), nll]))
    hidden.backward(torch.cat(gradients))
    smoothed, nll = torch.stack(sums).sum(0)
    return LossSum(smoothed, nll, len(targets))


@torch.no_grad()
def evaluate(
    model: Model,
    source: Sequences,
    target_in: Sequences,
    target_out: Sequences,
    *,
    smoothing: float = 0.0,
) -> LossSum:
    """The same sums without gradients."""
    hidden, targets = hidden_and_targets(model, source, target_in, target_out)
    size = max(1, CHUNK // model.vocabulary.target_size)
    sums = [
        torch.stack(_cross_entropy(model.project(part), ids, smoothing))
        for part, ids in zip(hidden.split(size), targets.split(size), strict=True)
    ]
    smoothed, nll = torch.stack(sums).sum(0)
    return LossSum(smoothed, nll, len(targets))


def _cross_entropy(logits: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """Sums over positions of the smoothed loss (Szegedy et al. 2016, section 7) and of the nll."""
    log_probabilities = logits.float().log_softmax(-1)  # [n, V]
    nll = functional.nll_loss(log_probabilities, targets, reduction="sum")
    if smoothing == 0.0:
        return nll, nll.detach()
    uniform = -log_probabilities.mean(-1).sum()
    return (1 - smoothing) * nll + smoothing * uniform, nll.detach()
