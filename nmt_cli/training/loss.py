"""The training loss and its gradients, in chunks so that the logits of a batch are never held all at once."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from nmt_cli.models.contract import Autoregressive, NonAutoregressive, Sequences, TranslationModel
from nmt_cli.models.linear import gradient_of
from nmt_cli.training.backward import backward_from
from nmt_cli.training.ctc_loss import ctc_forward_backward, emittable_tokens, evaluate_ctc_nll

MAX_CPU_LOGITS = 1 << 22  # logits per chunk on a CPU: 16 MiB in float32
MAX_ACCELERATOR_LOGITS = 1 << 27  # on any other device, which needs large matrix products to be busy
ROW_MULTIPLE = 64  # the number of scored positions is a multiple of this, so that few shapes occur
CPU_CACHE_LOGITS = 1 << 18  # logits processed at a time on a CPU, to stay in its cache: 1 MiB
IGNORE_INDEX = -100  # the target of a filler row
MIN_PROBABILITY = torch.finfo(torch.float32).tiny  # a target has at least this one in training: a loss of 87 nats


class LogitsGradient(NamedTuple):
    """The derivative of the smoothed loss with respect to logits [n, V], and sums [2] over their rows: the negative
    log-likelihood of the targets, and that of all tokens with equal weight."""

    gradient: Tensor
    sums: Tensor


Model = TranslationModel[Any]
LogitsGradientFunction = Callable[[Tensor, Tensor, float], LogitsGradient]  # of logits, targets, smoothing
Score = Callable[[Tensor, Tensor], LogitsGradient]  # of logits, which it may overwrite, and targets


def max_logits(device_type: str) -> int:
    """The most logits that are held at once on a type of device."""
    return MAX_CPU_LOGITS if device_type == "cpu" else MAX_ACCELERATOR_LOGITS


def forward_backward(
    model: Model,
    source: Sequences,
    target_in: Sequences,
    target_out: Sequences,
    *,
    smoothing: float,
    scale: float,
    gradient_function: LogitsGradientFunction | None = None,
) -> Tensor:
    """Add the gradients of scale * loss to the parameters; returns the loss, label-smoothed and in nats.

    It is the sum over the tokens of the batch without padding, on the device until it is read.

    Each chunk of hidden states is projected, scored and differentiated by itself, so that its logits
    are freed before those of the next chunk are computed; then one backward pass goes through the
    model. An affine output layer is differentiated by hand, whatever else computes logits by autograd.
    `gradient_function` may be a compiled `logits_gradient`.
    """
    if isinstance(model, NonAutoregressive):
        limit = max_logits(source.ids.device.type)
        return ctc_forward_backward(model, source, target_out, smoothing, scale, limit)
    assert isinstance(model, Autoregressive)
    hidden = model(source, target_in)
    differentiate = _differentiate_by_hand if model.has_affine_output else _differentiate_by_autograd
    score = partial(_score, smoothing=smoothing, function=gradient_function)
    with torch.no_grad():
        rows = _ScoredRows.select(hidden, target_out)
        row_gradients = torch.empty_like(rows.hidden)
        chunk_sums = [
            differentiate(model, rows.chunk(chunk), score, scale, row_gradients[chunk])
            for chunk in rows.chunks(model.vocabulary.target_size)
        ]
        hidden_gradient = rows.scatter(row_gradients, hidden)
    backward_from(hidden, hidden_gradient)
    nll, uniform_loss = torch.stack(chunk_sums).sum(0).unbind()
    return torch.lerp(nll, uniform_loss, smoothing)


@torch.no_grad()
def evaluate_nll(model: Model, source: Sequences, target_in: Sequences, target_out: Sequences) -> Tensor:
    """The negative log-likelihood of a batch in nats, summed over its tokens without padding; no gradients."""
    if isinstance(model, NonAutoregressive):
        return evaluate_ctc_nll(model, source, target_out, max_logits(source.ids.device.type))
    assert isinstance(model, Autoregressive)
    rows = _ScoredRows.select(model(source, target_in), target_out)
    sums = []
    for chunk in rows.chunks(model.vocabulary.target_size):
        log_probs = model.output_logits(rows.hidden[chunk]).float().log_softmax(-1)
        sums.append(functional.nll_loss(log_probs, rows.targets[chunk], ignore_index=IGNORE_INDEX, reduction="sum"))
    return torch.stack(sums).sum()


def evaluated_tokens(model: Model, source: Sequences, target_out: Sequences) -> int:
    """The tokens that `evaluate_nll` sums over: without those of targets that the model cannot emit."""
    if isinstance(model, NonAutoregressive):
        return emittable_tokens(model, source, target_out)
    return target_out.num_tokens()


def _differentiate_by_hand(model: Model, rows: "_ScoredRows", score: Score, scale: float, out: Tensor) -> Tensor:
    """Add the gradients of scale * loss to the output layer; that of the hidden states goes to `out`.

    Returns the sums of `LogitsGradient`.
    """
    weight, bias = model.output.weight, model.output.bias
    gradient, sums = score(functional.linear(rows.hidden, weight, bias), rows.targets)
    torch.mm(gradient, weight, out=out).mul_(scale)
    gradient_of(weight).addmm_(gradient.t(), rows.hidden * scale)  # the gradient of the logits is larger
    gradient_of(bias).add_(gradient[: rows.real_rows].sum(0), alpha=scale)
    return sums


def _differentiate_by_autograd(model: Model, rows: "_ScoredRows", score: Score, scale: float, out: Tensor) -> Tensor:
    """The same for any `output_logits`."""
    with torch.enable_grad():
        hidden = rows.hidden.detach().requires_grad_()
        logits = model.output_logits(hidden)
    gradient, sums = score(logits.detach().clone(), rows.targets)  # a copy, as the backward pass may need the logits
    gradient[rows.real_rows :] = 0.0
    with torch.enable_grad():
        backward_from(logits, gradient.mul_(scale))
    assert hidden.grad is not None
    out.copy_(hidden.grad)
    return sums


def _score(
    logits: Tensor, targets: Tensor, smoothing: float, function: LogitsGradientFunction | None
) -> LogitsGradient:
    """The derivative of the loss; may overwrite the logits."""
    if function is None:
        return logits_gradient_in_place(logits, targets, smoothing)
    return function(logits, targets.clone(), smoothing)  # compiled code would be specialised to the size of a view


class _ScoredRows(NamedTuple):
    """The positions of a batch that are not padding.

    If there is padding, filler rows whose hidden states are zero make their number a multiple of ROW_MULTIPLE.
    """

    hidden: Tensor  # [N, D], without history
    targets: Tensor  # ids to predict [N]; IGNORE_INDEX in filler rows
    real_rows: int  # how many are no filler
    indices: Tensor | None  # of these among all positions; None if there is no padding

    @classmethod
    def select(cls, hidden: Tensor, target_out: Sequences) -> "_ScoredRows":
        """The rows of hidden states [B, T, D]."""
        all_hidden, all_targets = hidden.detach().flatten(0, 1), target_out.ids.flatten()
        count = target_out.num_tokens()
        if count == len(all_targets):
            return cls(all_hidden, all_targets, count, None)
        indices = target_out.token_indices()
        row_count = count + -count % ROW_MULTIPLE
        row_hidden = all_hidden.new_zeros(row_count, all_hidden.shape[1])
        torch.index_select(all_hidden, 0, indices, out=row_hidden[:count])
        targets = functional.pad(all_targets[indices], (0, row_count - count), value=IGNORE_INDEX)
        return cls(row_hidden, targets, count, indices)

    def chunks(self, vocabulary_size: int) -> Iterator[slice]:
        """Consecutive ranges of rows whose logits fit into a chunk."""
        limit = max_logits(self.hidden.device.type)
        rows_per_chunk = max(ROW_MULTIPLE, limit // vocabulary_size // ROW_MULTIPLE * ROW_MULTIPLE)
        for start in range(0, len(self.hidden), rows_per_chunk):
            yield slice(start, start + rows_per_chunk)

    def chunk(self, rows: slice) -> "_ScoredRows":
        """Some of the rows, which have no place among all positions."""
        return _ScoredRows(self.hidden[rows], self.targets[rows], max(0, self.real_rows - rows.start), None)

    def scatter(self, row_gradients: Tensor, hidden: Tensor) -> Tensor:
        """Gradients of rows [N, D] as those of all positions, of the shape of `hidden`."""
        if self.indices is None:
            return row_gradients.view_as(hidden)
        gradients = torch.zeros_like(hidden)
        gradients.view(-1, hidden.shape[-1]).index_copy_(0, self.indices, row_gradients[: self.real_rows])
        return gradients


def logits_gradient_in_place(logits: Tensor, targets: Tensor, smoothing: float) -> LogitsGradient:
    """The gradient of the label-smoothed cross-entropy (Szegedy et al. 2016, section 7), softmax - smoothed target.

    The logits [n, V] are overwritten by it; the rows of fillers are arbitrary. On a CPU a few rows at a time are
    processed, which stay in the cache of a core.
    """
    rows_per_block = max(1, CPU_CACHE_LOGITS // logits.shape[1]) if logits.device.type == "cpu" else len(logits)
    blocks = zip(logits.split(rows_per_block), targets.split(rows_per_block), strict=True)
    return LogitsGradient(logits, torch.stack([_block_gradient_in_place(*block, smoothing) for block in blocks]).sum(0))


def _block_gradient_in_place(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Overwrite logits by their gradient; the sums of `LogitsGradient`."""
    vocabulary_size, target_index = logits.shape[1], targets.clamp(min=0)[:, None]
    is_target = (targets != IGNORE_INDEX).float()
    x = logits.float()
    target_logits, logit_sums = x.gather(1, target_index), x.sum(1)
    torch.softmax(x, 1, out=x)
    target_probs = x.gather(1, target_index)
    if smoothing:
        x.sub_(smoothing / vocabulary_size)
    x.scatter_(1, target_index, target_probs - (1 - smoothing + smoothing / vocabulary_size))
    if x is not logits:
        logits.copy_(x)
    nll = -target_probs.clamp_(min=MIN_PROBABILITY).log_().squeeze(1)
    log_normalizers = nll + target_logits.squeeze(1)
    return torch.stack([nll.dot(is_target), (log_normalizers - logit_sums / vocabulary_size).dot(is_target)])


def logits_gradient(logits: Tensor, targets: Tensor, smoothing: float) -> LogitsGradient:
    """The same without writing into the logits, which a compiler fuses into one pass; slower without one."""
    vocabulary_size, is_target = logits.shape[1], targets != IGNORE_INDEX
    log_probs = logits.float().log_softmax(-1)
    is_target_token = torch.arange(vocabulary_size, device=logits.device) == targets[:, None]
    gradient = log_probs.exp() - smoothing / vocabulary_size - torch.where(is_target_token, 1 - smoothing, 0.0)
    nll = -log_probs.gather(1, targets.clamp(min=0)[:, None]).squeeze(1)
    sums = torch.stack([(nll * is_target).sum(), -(log_probs.mean(-1) * is_target).sum()])
    return LogitsGradient(gradient.to(logits.dtype), sums)
