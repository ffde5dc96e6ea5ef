"""The probability that a model gives to a translation from elsewhere.

Legend: B pairs, T target positions, U emitted positions, D width, V vocabulary.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from nmt_cli.data.length_batching import batch_by_length
from nmt_cli.decoding.engine import TokenIds
from nmt_cli.decoding.host import batch_with_end, batch_with_start
from nmt_cli.models.contract import Autoregressive, NonAutoregressive, TranslationModel

Result = TypeVar("Result")
MAX_LOGITS_PER_CHUNK = 1 << 21  # logits in memory at a time: 8 MiB in float32


@torch.inference_mode()
def log_probabilities(
    model: TranslationModel[Any], sources: list[TokenIds], targets: list[TokenIds], max_positions: int
) -> list[float]:
    """log p(target | source) of each pair in nats, in the order of the pairs.

    Ids have no end of sentence; its probability is included. For a model that emits all positions at once, the sum
    over all alignments (Graves et al. 2006, eq. 3); -inf where the target is too long to be emitted. At most
    `max_positions` positions, padding included, are computed at once. The same quantity as
    `Hypothesis.log_probability`.
    """
    if isinstance(model, NonAutoregressive):
        return _in_batches(_score_ctc, model, sources, targets, max_positions)
    assert isinstance(model, Autoregressive)
    return [sum(terms) for terms in token_log_probabilities(model, sources, targets, max_positions)]


@torch.inference_mode()
def token_log_probabilities(
    model: Autoregressive[Any, Any], sources: list[TokenIds], targets: list[TokenIds], max_positions: int
) -> list[list[float]]:
    """The terms of `log_probabilities` of each pair: one for each target token and for the end of sentence."""
    return _in_batches(_score_tokens, model, sources, targets, max_positions)


def _in_batches(
    score: Callable[[Any, list[TokenIds], list[TokenIds]], list[Result]],
    model: TranslationModel[Any],
    sources: list[TokenIds],
    targets: list[TokenIds],
    max_positions: int,
) -> list[Result]:
    """What `score` gives each pair, computed in batches of similar length."""
    results: dict[int, Result] = {}
    sizes = [max(len(source), len(target)) + 1 for source, target in zip(sources, targets, strict=True)]
    for indices in batch_by_length(sizes, max_positions):
        batch_results = score(model, [sources[index] for index in indices], [targets[index] for index in indices])
        results.update(zip(indices, batch_results, strict=True))
    return [results[index] for index in range(len(sources))]


def _score_tokens(
    model: Autoregressive[Any, Any], sources: list[TokenIds], targets: list[TokenIds]
) -> list[list[float]]:
    target_ids = batch_with_end(model, targets).ids  # [B, T]
    hidden = model(batch_with_end(model, sources), batch_with_start(model, targets)).flatten(0, 1)  # [B * T, D]
    chunk_size = max(1, MAX_LOGITS_PER_CHUNK // model.vocabulary.target_size)
    chunk_scores = [
        model.output_logits(hidden_chunk).float().log_softmax(-1).gather(1, ids[:, None]).squeeze(1)
        for hidden_chunk, ids in zip(hidden.split(chunk_size), target_ids.flatten().split(chunk_size), strict=True)
    ]
    rows = torch.cat(chunk_scores).view(target_ids.shape).tolist()
    return [row[: len(target) + 1] for row, target in zip(rows, targets, strict=True)]


def _score_ctc(model: NonAutoregressive[Any], sources: list[TokenIds], targets: list[TokenIds]) -> list[float]:
    hidden, output_lengths = model(batch_with_end(model, sources))
    chunk_size = max(1, MAX_LOGITS_PER_CHUNK // (hidden.shape[1] * model.vocabulary.target_size))
    scores: list[float] = []
    for start in range(0, len(targets), chunk_size):
        chunk = targets[start : start + chunk_size]
        log_probs = model.output_logits(hidden[start : start + chunk_size]).float().log_softmax(-1)  # [b, U, V]
        emitted = output_lengths[start : start + chunk_size].cpu()
        scores += ctc_log_probabilities(log_probs.transpose(0, 1).cpu(), emitted, chunk, model.blank_id)
    return scores


def ctc_log_probabilities(log_probs: Tensor, lengths: Tensor, targets: list[TokenIds], blank_id: int) -> list[float]:
    """log p of each target, summed over its alignments with the first `lengths` [B] positions of `log_probs` [U, B,
    V]."""
    flat_targets = torch.tensor([token for target in targets for token in target], dtype=torch.long)
    target_lengths = torch.tensor([len(target) for target in targets])
    scores: list[float] = (
        -functional.ctc_loss(log_probs, flat_targets, lengths, target_lengths, blank_id, "none")
    ).tolist()
    return scores
