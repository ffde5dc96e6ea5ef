"""The loss that a contract fixes, in pieces that never hold all logits at once."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

from nmt_cli.models.contract import Aligned, Autoregressive, Sequences, TranslationModel
from nmt_cli.training.ctc_loss import Part, ctc_parts

CHUNKS = {"cpu": 1 << 22, "cuda": 1 << 27}
"""Logits held at a time: 16 MiB in float32 on a CPU; a GPU needs large products to be busy."""

ROWS = 64  # positions are scored in multiples of so many, so that few shapes occur
CACHED = 1 << 18  # logits worked on at a time on a CPU: 1 MiB
IGNORED = -100  # the target of a row that only fills up


class LossSum(NamedTuple):
    """Sums over the real tokens of a batch; stays on the device until it is read."""

    smoothed: Tensor  # what is minimised
    nll: Tensor  # negative log-likelihood, natural logarithm
    tokens: int


Model = TranslationModel[Any]
CrossEntropy = Callable[..., tuple[Tensor, Tensor]]  # of `cross_entropy`'s arguments


def backward(
    model: Model,
    source: Sequences,
    target_in: Sequences,
    target_out: Sequences,
    *,
    smoothing: float,
    scale: float,
    entropy: CrossEntropy | None = None,
) -> LossSum:
    """Add the gradients of scale * loss to the parameters; `entropy` may be a compiled one.

    Each part of the hidden states is projected, scored and differentiated by itself, so that its
    logits are gone before the next part's are made; their gradients go on into the model together.
    """
    hidden, parts = _parts(model, source, target_in, target_out, smoothing, entropy)
    gradients, sums = [], []
    for some, part in zip(hidden.detach().split([p.size for p in parts]), parts, strict=True):
        leaf = some.requires_grad_()
        smoothed, nll = part.score(model.project(leaf))
        (smoothed * scale).backward()
        assert leaf.grad is not None
        gradients.append(leaf.grad)
        sums.append(torch.stack([smoothed.detach(), nll]))
    hidden.backward(torch.cat(gradients))
    smoothed, nll = torch.stack(sums).sum(0)
    return LossSum(smoothed, nll, target_out.total())


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
    hidden, parts = _parts(model, source, target_in, target_out, smoothing)
    sums = [
        torch.stack(part.score(model.project(some)))
        for some, part in zip(hidden.split([p.size for p in parts]), parts, strict=True)
    ]
    smoothed, nll = torch.stack(sums).sum(0)
    return LossSum(smoothed, nll, target_out.total())


def _parts(
    model: Model,
    source: Sequences,
    target_in: Sequences,
    target_out: Sequences,
    smoothing: float,
    entropy: CrossEntropy | None = None,
) -> tuple[Tensor, list[Part]]:
    """Hidden states, and how to score each stretch of them along their first axis.

    The one place where training asks for a model's contract.
    """
    chunk = CHUNKS[source.ids.device.type]
    if isinstance(model, Aligned):
        return ctc_parts(model, source, target_out, smoothing, chunk)
    assert isinstance(model, Autoregressive)
    hidden, targets = _real_positions(model(source, target_in), target_out)
    size = max(ROWS, chunk // model.vocabulary.target_size // ROWS * ROWS)
    scored = entropy or cross_entropy
    return hidden, [  # a view would tell compiled code how large the whole is
        Part(len(ids), partial(scored, targets=ids.clone(), smoothing=smoothing))
        for ids in targets.split(size)
    ]


def _real_positions(hidden: Tensor, target_out: Sequences) -> tuple[Tensor, Tensor]:
    """Hidden states [N, D] of the positions that are not padding, and the ids [N] to predict.

    Where there is padding, a few more rows make N a multiple of ROWS; their id is IGNORED.
    """
    padding = target_out.padding()
    if padding is None:
        return hidden.flatten(0, 1), target_out.ids.flatten()
    real = (~padding).flatten().nonzero_static(size=target_out.total()).squeeze(1)
    more = -len(real) % ROWS
    rows, targets = functional.pad(real, (0, more)), target_out.ids.flatten()[real]
    return hidden.flatten(0, 1)[rows], functional.pad(targets, (0, more), value=IGNORED)


def cross_entropy(logits: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """Label-smoothed cross-entropy (Szegedy et al. 2016, section 7) of logits [n, V], and the
    negative log-likelihood, as sums over the rows whose target is not IGNORED.

    The logits are used up: where they need a gradient, it takes their place.
    """
    smoothed, nll = _CrossEntropy.apply(logits, targets, smoothing)  # type: ignore[no-untyped-call]
    return smoothed, nll


class _CrossEntropy(Function):
    """Written down with its gradient, softmax - smoothed target, a few rows at a time, which stay
    in the cache of a core; composed of PyTorch's operations it is a quarter of an update."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, targets: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        rows = max(1, CACHED // logits.shape[1]) if logits.device.type == "cpu" else len(logits)
        parts = zip(logits.detach().split(rows), targets.split(rows), strict=True)
        with_gradient = ctx.needs_input_grad[0]
        sums = [_used_up(*part, smoothing, with_gradient=with_gradient) for part in parts]
        nll, uniform = torch.stack(sums).sum(0)
        ctx.gradient = logits.detach() if with_gradient else None
        ctx.mark_non_differentiable(nll)
        return (1 - smoothing) * nll + smoothing * uniform, nll

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        gradient, ctx.gradient = ctx.gradient, None
        return gradient.mul_(grads[0]), None, None


def _used_up(logits: Tensor, targets: Tensor, smoothing: float, *, with_gradient: bool) -> Tensor:
    """Negative log-likelihood of the targets and of all tokens alike, as sums [2]; the logits, or
    with_gradient the gradient of the smoothed loss, take the place of the logits."""
    size = logits.shape[1]
    real, predicted = (targets != IGNORED).float(), targets.clamp(min=0)[:, None]
    x = logits.float()
    x.sub_(x.amax(1, keepdim=True))
    of_target, of_all = x.gather(1, predicted).squeeze(1), x.sum(1) / size
    total = x.exp_().sum(1)
    log_total = total.log()
    if with_gradient:
        x.mul_((real / total)[:, None]).sub_((smoothing / size * real)[:, None])
        x.scatter_add_(1, predicted, ((smoothing - 1) * real)[:, None])
        if x is not logits:
            logits.copy_(x)
    return torch.stack([(log_total - of_target).dot(real), (log_total - of_all).dot(real)])


def cross_entropy_without_copy(
    logits: Tensor, targets: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    """The same from sums over rows, which a compiler makes in one pass; slower as it stands."""
    rows, real = logits.float(), targets != IGNORED
    total = rows.logsumexp(-1)
    predicted = rows.gather(1, targets.clamp(min=0)[:, None]).squeeze(1)
    nll = ((total - predicted) * real).sum()
    uniform = ((total - rows.mean(-1)) * real).sum()
    return (1 - smoothing) * nll + smoothing * uniform, nll.detach()
