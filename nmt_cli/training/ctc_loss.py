"""Connectionist temporal classification (Graves et al. 2006) for models that emit all at once."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from nmt_cli.models.contract import Aligned, Sequences

Score = Callable[[Tensor], tuple[Tensor, Tensor]]  # logits to smoothed loss and nll, as sums


class Part(NamedTuple):
    """A stretch of hidden states along their first axis, and how its logits are scored."""

    size: int
    score: Score


def ctc_parts(
    model: Aligned[Any], source: Sequences, target_out: Sequences, smoothing: float, chunk: int
) -> tuple[Tensor, list[Part]]:
    """Hidden states [B, U, D] and, for groups of sentences whose logits fit into `chunk`, a score.

    A target has no end of sentence here: the model says all that it has to say. One that is too
    long for its positions cannot be emitted and counts nothing.
    """
    hidden, emitted = model(source)
    lengths = target_out.lengths - 1
    group = max(1, chunk // (hidden.shape[1] * model.vocabulary.target_size))
    sides = (emitted.split(group), target_out.ids.split(group), lengths.split(group))
    return hidden, [
        Part(len(some), _score(model, some, ids, sizes, smoothing))
        for some, ids, sizes in zip(*sides, strict=True)
    ]


def _score(
    model: Aligned[Any], emitted: Tensor, ids: Tensor, lengths: Tensor, smoothing: float
) -> Score:
    def score(logits: Tensor) -> tuple[Tensor, Tensor]:
        """[b, U, V] to the sums of the smoothed loss and of the negative log-likelihood."""
        rows = logits.float().log_softmax(-1)
        nll = functional.ctc_loss(
            rows.transpose(0, 1), ids, emitted, lengths, model.blank, "sum", zero_infinity=True
        )
        if smoothing == 0.0:
            return nll, nll.detach()
        uniform = -rows.mean(-1)  # [b, U]
        real = torch.arange(uniform.shape[1], device=rows.device) < emitted[:, None]
        return (1 - smoothing) * nll + smoothing * (uniform * real).sum(), nll.detach()

    return score
