"""The coverage penalty: finished hypotheses that leave source words unattended rank lower."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nmt_cli.decoding.engine import Hypothesis
from nmt_cli.decoding.word_alignment import alignment_layer, attention_weights
from nmt_cli.models.contract import Autoregressive, Sequences

MIN_ATTENTION = 1e-6  # attention below which a source word counts as not looked at at all


def add_coverage_penalty(
    model: Autoregressive[Any, Any], source: Sequences, hypotheses: list[list[Hypothesis]], beta: float
) -> list[list[Hypothesis]]:
    """The hypotheses of each sentence with beta * coverage added to their scores.

    A model without attention leaves them as they are. One forward pass a sentence's hypotheses.
    """
    source_rows = zip(source.ids.tolist(), source.lengths.tolist(), strict=True)
    rescored = []
    for (ids, length), sentence_hypotheses in zip(source_rows, hypotheses, strict=True):
        weights = attention_weights(
            model, [ids[: length - 1]] * len(sentence_hypotheses), [h.ids for h in sentence_hypotheses]
        )
        if weights is None:
            return hypotheses
        rescored.append(
            [
                replace(hypothesis, score=hypothesis.score + beta * coverage_score(hypothesis_weights))
                for hypothesis, hypothesis_weights in zip(sentence_hypotheses, weights, strict=True)
            ]
        )
    return rescored


def coverage_score(weights: Tensor) -> float:
    """sum over source words of log min(1, attention that the word got): Wu et al. 2016, eq. 14.

    `weights` are [layers, heads, T, S]; the mean over heads of the layer that aligns best is taken,
    and the source's end of sentence does not count.
    """
    attention_mass = weights[alignment_layer(weights.shape[0])].mean(0).sum(0)[:-1]  # [S - 1]
    return float(torch.log(attention_mass.clamp(MIN_ATTENTION, 1.0)).sum())
