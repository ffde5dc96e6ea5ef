"""The loss of non-autoregressive models: connectionist temporal classification (Graves et al. 2006)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from nmt_cli.models.contract import NonAutoregressive, Sequences

ScoreFunction = Callable[[Tensor], tuple[Tensor, Tensor]]  # from logits to sums of smoothed loss and nll


class HiddenChunk(NamedTuple):
    """The size of a chunk of hidden states along their first axis, and how its logits are scored."""

    size: int
    score: ScoreFunction


def ctc_forward_backward(
    model: NonAutoregressive[Any],
    source: Sequences,
    target_out: Sequences,
    smoothing: float,
    scale: float,
    max_logits: int,
) -> tuple[Tensor, Tensor]:
    """Add the gradients of scale * loss to the parameters; the unscaled sums of smoothed loss and nll.

    Each chunk of at most `max_logits` logits is scored and differentiated by itself.
    """
    hidden, chunks = _split_into_chunks(model, source, target_out, smoothing, max_logits)
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
    return smoothed, nll


def evaluate_ctc_loss(
    model: NonAutoregressive[Any], source: Sequences, target_out: Sequences, smoothing: float, max_logits: int
) -> tuple[Tensor, Tensor]:
    """The same sums, without gradients."""
    hidden, chunks = _split_into_chunks(model, source, target_out, smoothing, max_logits)
    sums = [
        torch.stack(chunk.score(model.output_logits(hidden_chunk)))
        for hidden_chunk, chunk in zip(hidden.split([c.size for c in chunks]), chunks, strict=True)
    ]
    smoothed, nll = torch.stack(sums).sum(0)
    return smoothed, nll


def _split_into_chunks(
    model: NonAutoregressive[Any], source: Sequences, target_out: Sequences, smoothing: float, max_logits: int
) -> tuple[Tensor, list[HiddenChunk]]:
    """Hidden states [B, U, D], and chunks of sentences with at most `max_logits` logits.

    Targets are scored without their end of sentence, which such models do not emit. A target that is
    too long for its output positions cannot be emitted and has no loss.
    """
    hidden, _ = model(source)
    # on the CPU, since PyTorch's loss would read them back from the device
    output_lengths = torch.tensor([model.output_length(length) for length in source.lengths_on_cpu().tolist()])
    target_lengths = target_out.lengths_on_cpu() - 1
    sentences_per_chunk = max(1, max_logits // (hidden.shape[1] * model.vocabulary.target_size))
    chunks = (
        output_lengths.split(sentences_per_chunk),
        target_out.ids.split(sentences_per_chunk),
        target_lengths.split(sentences_per_chunk),
    )
    return hidden, [
        HiddenChunk(
            len(chunk_output_lengths),
            _make_ctc_score(model, chunk_output_lengths, chunk_targets, chunk_target_lengths, smoothing),
        )
        for chunk_output_lengths, chunk_targets, chunk_target_lengths in zip(*chunks, strict=True)
    ]


def _make_ctc_score(
    model: NonAutoregressive[Any], output_lengths: Tensor, targets: Tensor, target_lengths: Tensor, smoothing: float
) -> ScoreFunction:
    def score(logits: Tensor) -> tuple[Tensor, Tensor]:
        """Sums of the smoothed loss and of the negative log-likelihood of logits [b, U, V]."""
        log_probs = logits.float().log_softmax(-1)
        nll = functional.ctc_loss(
            log_probs.transpose(0, 1),
            targets,
            output_lengths,
            target_lengths,
            model.blank_id,
            "sum",
            zero_infinity=True,
        )
        if smoothing == 0.0:
            return nll, nll.detach()
        uniform_loss = -log_probs.mean(-1)  # [b, U]
        is_output = torch.arange(uniform_loss.shape[1], device=log_probs.device) < output_lengths[:, None].to(
            log_probs.device
        )
        return (1 - smoothing) * nll + smoothing * (uniform_loss * is_output).sum(), nll.detach()

    return score
