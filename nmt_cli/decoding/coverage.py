"""The coverage penalty: finished hypotheses that leave source words unattended rank lower."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nmt_cli.decoding.alignments import alignment_layer, attention_weights
from nmt_cli.decoding.hypothesis import Hypothesis
from nmt_cli.models.contract import Autoregressive, Sequences

LEAST = 1e-6  # attention below which a source word counts as not looked at at all


def with_coverage(
    model: Autoregressive[Any, Any],
    source: Sequences,
    finished: list[list[Hypothesis]],
    beta: float,
) -> list[list[Hypothesis]]:
    """The hypotheses of each sentence with beta * coverage added to their scores.

    A model without attention leaves them as they are. One forward pass a sentence's hypotheses.
    """
    rows = zip(source.ids.tolist(), source.lengths.tolist(), strict=True)
    found = []
    for (ids, length), some in zip(rows, finished, strict=True):
        weights = attention_weights(model, [ids[: length - 1]] * len(some), [h.ids for h in some])
        if weights is None:
            return finished
        found.append(
            [
                replace(one, score=one.score + beta * coverage(looked))
                for one, looked in zip(some, weights, strict=True)
            ]
        )
    return found


def coverage(weights: Tensor) -> float:
    """sum over source words of log min(1, attention that the word got): Wu et al. 2016, eq. 14.

    `weights` are [layers, heads, T, S]; the mean over heads of the layer that aligns best is taken,
    and the source's end of sentence does not count.
    """
    looked = weights[alignment_layer(weights.shape[0])].mean(0).sum(0)[:-1]  # [S - 1]
    return float(torch.log(looked.clamp(LEAST, 1.0)).sum())
