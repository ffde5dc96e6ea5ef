"""The loss of non-autoregressive models: connectionist temporal classification (Graves et al. 2006)."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from nmt_cli.models.contract import NonAutoregressive, Sequences
from nmt_cli.training.backward import backward_from


class CTCChunk(NamedTuple):
    """Some sentences of a batch; lengths are on the CPU, where PyTorch's loss reads them without waiting."""

    hidden: Tensor  # [b, U, D]
    output_lengths: Tensor  # [b]
    targets: Tensor  # [b, T]
    target_lengths: Tensor  # [b], without their end of sentence, which such models do not emit


def ctc_forward_backward(
    model: NonAutoregressive[Any],
    source: Sequences,
    target_out: Sequences,
    smoothing: float,
    scale: float,
    max_logits: int,
) -> Tensor:
    """Add the gradients of scale * loss to the parameters; returns the smoothed loss, summed over the batch.

    Each chunk of at most `max_logits` logits is scored and differentiated by itself.
    """
    hidden, _ = model(source)
    chunk_gradients, losses = [], []
    for chunk in _split_into_chunks(model, hidden.detach(), source, target_out, max_logits):
        leaf = chunk.hidden.requires_grad_()
        loss = _loss(model, chunk, smoothing)
        (loss * scale).backward()
        assert leaf.grad is not None
        chunk_gradients.append(leaf.grad)
        losses.append(loss.detach())
    backward_from(hidden, torch.cat(chunk_gradients))
    return torch.stack(losses).sum()


def evaluate_ctc_nll(
    model: NonAutoregressive[Any], source: Sequences, target_out: Sequences, max_logits: int
) -> Tensor:
    """The negative log-likelihood, summed over the batch; no gradients."""
    chunks = _split_into_chunks(model, model(source)[0], source, target_out, max_logits)
    return torch.stack([_loss(model, chunk, smoothing=0.0) for chunk in chunks]).sum()


def emittable_tokens(model: NonAutoregressive[Any], source: Sequences, target_out: Sequences) -> int:
    """The tokens of the targets that can be emitted: two equal tokens in a row need a blank between them."""
    ids, lengths = target_out.ids.cpu(), target_out.lengths_on_cpu() - 1
    is_repeat = (ids[:, 1:] == ids[:, :-1]) & (torch.arange(1, ids.shape[1]) < lengths[:, None])
    can_emit = lengths + is_repeat.sum(1) <= _output_lengths(model, source)
    return int((lengths + 1)[can_emit].sum())


def _output_lengths(model: NonAutoregressive[Any], source: Sequences) -> Tensor:
    """[B], on the CPU."""
    return torch.tensor([model.output_length(length) for length in source.lengths_on_cpu().tolist()])


def _split_into_chunks(
    model: NonAutoregressive[Any], hidden: Tensor, source: Sequences, target_out: Sequences, max_logits: int
) -> Iterator[CTCChunk]:
    """Chunks of sentences with at most `max_logits` logits each."""
    columns = (hidden, _output_lengths(model, source), target_out.ids, target_out.lengths_on_cpu() - 1)
    sentences_per_chunk = max(1, max_logits // (hidden.shape[1] * model.vocabulary.target_size))
    return map(CTCChunk._make, zip(*(column.split(sentences_per_chunk) for column in columns), strict=True))


def _loss(model: NonAutoregressive[Any], chunk: CTCChunk, smoothing: float) -> Tensor:
    """The smoothed loss, summed over a chunk; without smoothing the negative log-likelihood.

    A target that is too long for its output positions cannot be emitted and has no loss.
    """
    log_probs = model.output_logits(chunk.hidden).float().log_softmax(-1)  # [b, U, V]
    nll = functional.ctc_loss(
        log_probs.transpose(0, 1), chunk.targets, chunk.output_lengths, chunk.target_lengths, model.blank_id, "sum",
        zero_infinity=True,
    )  # fmt: skip
    if smoothing == 0.0:
        return nll
    uniform_loss = -log_probs.mean(-1)  # [b, U]
    output_lengths = chunk.output_lengths[:, None].to(log_probs.device)
    is_output = torch.arange(uniform_loss.shape[1], device=log_probs.device) < output_lengths
    return (1 - smoothing) * nll + smoothing * (uniform_loss * is_output).sum()
