"""The training loss and its gradients, in chunks so that the logits of a batch are never held all at once."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

from nmt_cli.models.contract import Autoregressive, NonAutoregressive, Sequences, TranslationModel
from nmt_cli.training.ctc_loss import HiddenChunk, ctc_chunks

MAX_LOGITS_BY_DEVICE = {"cpu": 1 << 22, "cuda": 1 << 27}
"""Logits per chunk: 16 MiB in float32 on a CPU; a GPU needs large matrix products to be busy."""

ROW_MULTIPLE = 64  # the number of scored positions is a multiple of this, so that few shapes occur
CPU_CACHE_LOGITS = 1 << 18  # logits processed at a time on a CPU, to stay in its cache: 1 MiB
IGNORE_INDEX = -100  # the target of a filler row


class LossSum(NamedTuple):
    """Sums over the tokens of a batch without padding; on the device until they are read."""

    smoothed: Tensor  # label-smoothed loss, which is minimised
    nll: Tensor  # negative log-likelihood, in nats
    tokens: int


Model = TranslationModel[Any]
CrossEntropy = Callable[..., tuple[Tensor, Tensor]]  # with the arguments of `cross_entropy`


def forward_backward(
    model: Model,
    source: Sequences,
    target_in: Sequences,
    target_out: Sequences,
    *,
    smoothing: float,
    scale: float,
    cross_entropy_function: CrossEntropy | None = None,
) -> LossSum:
    """Add the gradients of scale * loss to the parameters; returns the unscaled sums.

    Each chunk of hidden states is projected, scored and differentiated by itself, so that its logits
    are freed before those of the next chunk are computed; then one backward pass goes through the
    model. `cross_entropy_function` may be a compiled one.
    """
    hidden, chunks = _split_into_chunks(model, source, target_in, target_out, smoothing, cross_entropy_function)
    chunk_gradients, sums = [], []
    for hidden_chunk, chunk in zip(hidden.detach().split([c.size for c in chunks]), chunks, strict=True):
        leaf = hidden_chunk.requires_grad_()
        smoothed, nll = chunk.score(model.output_logits(leaf))
        (smoothed * scale).backward()
        assert leaf.grad is not None
        chunk_gradients.append(leaf.grad)
        sums.append(torch.stack([smoothed.detach(), nll]))
    hidden.backward(torch.cat(chunk_gradients))
    smoothed, nll = torch.stack(sums).sum(0)
    return LossSum(smoothed, nll, target_out.num_tokens())


@torch.no_grad()
def evaluate_loss(
    model: Model, source: Sequences, target_in: Sequences, target_out: Sequences, *, smoothing: float = 0.0
) -> LossSum:
    """The same sums, without gradients."""
    hidden, chunks = _split_into_chunks(model, source, target_in, target_out, smoothing)
    sums = [
        torch.stack(chunk.score(model.output_logits(hidden_chunk)))
        for hidden_chunk, chunk in zip(hidden.split([c.size for c in chunks]), chunks, strict=True)
    ]
    smoothed, nll = torch.stack(sums).sum(0)
    return LossSum(smoothed, nll, target_out.num_tokens())


def _split_into_chunks(
    model: Model,
    source: Sequences,
    target_in: Sequences,
    target_out: Sequences,
    smoothing: float,
    cross_entropy_function: CrossEntropy | None = None,
) -> tuple[Tensor, list[HiddenChunk]]:
    """Hidden states, and how to score each chunk of them along their first axis."""
    max_logits = MAX_LOGITS_BY_DEVICE[source.ids.device.type]
    if isinstance(model, NonAutoregressive):
        return ctc_chunks(model, source, target_out, smoothing, max_logits)
    assert isinstance(model, Autoregressive)
    hidden, targets = _select_unpadded(model(source, target_in), target_out)
    rows_per_chunk = max(ROW_MULTIPLE, max_logits // model.vocabulary.target_size // ROW_MULTIPLE * ROW_MULTIPLE)
    score_function = cross_entropy_function or cross_entropy
    return hidden, [  # clones, as compiled code would be specialised to the size that a view is part of
        HiddenChunk(len(chunk_targets), partial(score_function, targets=chunk_targets.clone(), smoothing=smoothing))
        for chunk_targets in targets.split(rows_per_chunk)
    ]


def _select_unpadded(hidden: Tensor, target_out: Sequences) -> tuple[Tensor, Tensor]:
    """Hidden states [N, D] of the positions that are not padding, and the ids [N] to predict.

    If there is padding, filler rows with IGNORE_INDEX make N a multiple of ROW_MULTIPLE.
    """
    padding = target_out.padding_mask()
    if padding is None:
        return hidden.flatten(0, 1), target_out.ids.flatten()
    unpadded_indices = (~padding).flatten().nonzero_static(size=target_out.num_tokens()).squeeze(1)
    filler_rows = -len(unpadded_indices) % ROW_MULTIPLE
    row_indices, targets = (
        functional.pad(unpadded_indices, (0, filler_rows)),
        target_out.ids.flatten()[unpadded_indices],
    )
    return hidden.flatten(0, 1)[row_indices], functional.pad(targets, (0, filler_rows), value=IGNORE_INDEX)


def cross_entropy(logits: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """Label-smoothed cross-entropy (Szegedy et al. 2016, section 7) of logits [n, V], and the
    negative log-likelihood, as sums over the rows whose target is not IGNORE_INDEX.

    The logits are overwritten, by their gradient if they need one.
    """
    smoothed, nll = _CrossEntropy.apply(logits, targets, smoothing)  # type: ignore[no-untyped-call]
    return smoothed, nll


class _CrossEntropy(Function):
    """Cross-entropy with its gradient, softmax - smoothed target, in place and a few rows at a time, which
    stay in the cache of a core. Composed of PyTorch's operations it would take a quarter of an update."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
        rows_per_chunk = max(1, CPU_CACHE_LOGITS // logits.shape[1]) if logits.device.type == "cpu" else len(logits)
        chunks = zip(logits.detach().split(rows_per_chunk), targets.split(rows_per_chunk), strict=True)
        with_gradient = ctx.needs_input_grad[0]
        sums = [_cross_entropy_in_place(*chunk, smoothing, with_gradient=with_gradient) for chunk in chunks]
        nll, uniform_loss = torch.stack(sums).sum(0)
        ctx.gradient = logits.detach() if with_gradient else None
        ctx.mark_non_differentiable(nll)
        return (1 - smoothing) * nll + smoothing * uniform_loss, nll

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        gradient, ctx.gradient = ctx.gradient, None
        return gradient.mul_(grads[0]), None, None


def _cross_entropy_in_place(logits: Tensor, targets: Tensor, smoothing: float, *, with_gradient: bool) -> Tensor:
    """Sums [2] of the negative log-likelihood of the targets, and of all tokens with equal weight.

    The logits are overwritten: by the gradient of the smoothed loss if `with_gradient`.
    """
    vocabulary_size = logits.shape[1]
    is_target, target_index = (targets != IGNORE_INDEX).float(), targets.clamp(min=0)[:, None]
    x = logits.float()
    x.sub_(x.amax(1, keepdim=True))
    target_logits, mean_logits = x.gather(1, target_index).squeeze(1), x.sum(1) / vocabulary_size
    exp_sum = x.exp_().sum(1)
    log_exp_sum = exp_sum.log()
    if with_gradient:
        x.mul_((is_target / exp_sum)[:, None]).sub_((smoothing / vocabulary_size * is_target)[:, None])
        x.scatter_add_(1, target_index, ((smoothing - 1) * is_target)[:, None])
        if x is not logits:
            logits.copy_(x)
    return torch.stack([(log_exp_sum - target_logits).dot(is_target), (log_exp_sum - mean_logits).dot(is_target)])


def compilable_cross_entropy(logits: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """`cross_entropy` as sums over rows, which a compiler fuses into one pass; slower without one."""
    float_logits, is_target = logits.float(), targets != IGNORE_INDEX
    log_normalizer = float_logits.logsumexp(-1)
    target_logits = float_logits.gather(1, targets.clamp(min=0)[:, None]).squeeze(1)
    nll = ((log_normalizer - target_logits) * is_target).sum()
    uniform_loss = ((log_normalizer - float_logits.mean(-1)) * is_target).sum()
    return (1 - smoothing) * nll + smoothing * uniform_loss, nll.detach()
