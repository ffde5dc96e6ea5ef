"""Random translations: each token drawn from the model's distribution."""

import math
from typing import Any

import numpy as np
import torch
from numpy.random import PCG64, Generator
from torch import Tensor

from nmt_cli.decoding.config import SearchConfig
from nmt_cli.decoding.constraints import build_constraints
from nmt_cli.decoding.engine import Hypothesis, TokenIds
from nmt_cli.decoding.host import source_ids, to_host
from nmt_cli.models.contract import Autoregressive, Sequences


def sample(
    model: Autoregressive[Any, Any], source: Sequences, config: SearchConfig, prefixes: list[TokenIds] | None
) -> list[list[Hypothesis]]:
    """`n_best` independent samples of each sentence, most probable first.

    They depend on search.seed and the source ids alone, not on the batch; all are extended until the last one
    has ended.
    """
    eos_id, device = model.vocabulary.end, source.ids.device
    max_length, constraints = build_constraints(model, source, config, prefixes)
    rngs = [Generator(PCG64([config.seed, *ids, eos_id])) for ids in source_ids(source)]
    shape, max_steps = (len(source.ids), config.n_best), max(max_length.limits) + 1
    state = model.init_state(source, config.n_best, max_steps)
    tokens = torch.full(shape, model.decoder_start_id, device=device)
    total_log_probs = torch.zeros(shape, device=device)
    is_open = torch.ones(shape, dtype=torch.bool, device=device)
    is_truncated = torch.zeros(shape, dtype=torch.bool, device=device)
    history = torch.empty((*shape, max_steps), dtype=torch.long, device=device)
    for length in range(max_steps):
        logits, state = model.decode_step(tokens.flatten(), state)
        log_probs = logits.float().view(*shape, -1).log_softmax(-1)
        constrained_log_probs = log_probs.clone()
        for constraint in constraints:
            constraint.apply(constrained_log_probs, history[:, :, :length])
        tokens = history[:, :, length] = _sample_tokens(constrained_log_probs, config, rngs)
        total_log_probs += torch.where(is_open, log_probs.gather(2, tokens[..., None]).squeeze(2), 0.0)
        is_truncated |= is_open & max_length.truncated
        is_open = is_open & (tokens != eos_id)
        if not to_host(is_open)[0].any():
            break
    read = to_host(history[:, :, : length + 1], total_log_probs, is_truncated)
    samples, scores, truncated = (array.tolist() for array in read)
    return [_rank(*sentence, eos_id, config) for sentence in zip(samples, scores, truncated, strict=True)]


def _sample_tokens(log_probs: Tensor, config: SearchConfig, rngs: list[Generator]) -> Tensor:
    """A token for each hypothesis [B, W]: Gumbel noise is added to the filtered scores [B, W, V]."""
    scores = log_probs / config.temperature
    if config.top_k is not None:
        kth_score = scores.topk(min(config.top_k, scores.shape[-1])).values[..., -1:]
        scores = scores.masked_fill(scores < kth_score, -math.inf)
    if config.top_p is not None:
        sorted_probs, sorted_tokens = scores.softmax(-1).sort(-1, descending=True)
        outside_nucleus = sorted_probs.cumsum(-1) - sorted_probs >= config.top_p
        scores = scores.masked_fill(
            torch.zeros_like(outside_nucleus).scatter_(2, sorted_tokens, outside_nucleus), -math.inf
        )
    noise = np.stack([rng.gumbel(size=scores.shape[1:]) for rng in rngs])
    return (scores + torch.from_numpy(noise).to(scores)).argmax(-1)


def _rank(
    samples: list[TokenIds], log_probs: list[float], truncated: list[bool], eos_id: int, config: SearchConfig
) -> list[Hypothesis]:
    """The hypotheses of a sentence from samples that go on beyond their end, most probable first."""
    sequences = [ids[: ids.index(eos_id)] if eos_id in ids else ids for ids in samples]
    hypotheses = [
        Hypothesis(ids, log_prob, config.normalize(log_prob, len(ids) + 1), is_cut)
        for ids, log_prob, is_cut in zip(sequences, log_probs, truncated, strict=True)
    ]
    return sorted(hypotheses, key=lambda hypothesis: -hypothesis.score)
